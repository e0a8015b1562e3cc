"""Latency from an image file's bytes to a mask file's bytes: each stage, end to end, and the start of the process.

Stages are timed in turn within every iteration, so a slow moment of the machine falls on all alike: trust the ratios.
Timings are warm; the cold start is a process of its own, from its launch to its first mask.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from cookseg.data.synthetic.scenes import render, sessions
from cookseg.runtime.images import decode_image
from cookseg.runtime.segmenter import Segmenter

T = TypeVar("T")

_COLD_START = """
import sys
from cookseg.runtime import Segmenter, read_image
segmentation = Segmenter.load(sys.argv[1], sys.argv[2], int(sys.argv[3])).predict(read_image(sys.argv[4]))
segmentation.color
try:  # not ru_maxrss: Linux hands the launching process's peak on to the child
    status = open("/proc/self/status").read()
    print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
except OSError:
    print(-1)
"""


@dataclass(frozen=True)
class Timing:
    """Times of a stage over all iterations, in milliseconds."""

    median: float
    p90: float
    p99: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Timing":
        """Summarise measured seconds."""
        return cls(*(float(value) * 1000 for value in np.percentile(list(seconds), [50, 90, 99])))


@dataclass(frozen=True)
class ColdStart:
    """Launch of a new process to its first mask: seconds, and peak resident bytes (None where unknown)."""

    seconds: float
    peak_bytes: int | None


def synthetic_frame(size: tuple[int, int]) -> bytes:
    """Return a rendered frame of (height, width) as a JPEG of quality 90."""
    frame, _ = render(sessions(1, seed=0)[0], 0.5, size)
    return cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def measure(segmenter: Segmenter, image: bytes, warmup: int, iterations: Iterable[int]) -> dict[str, Timing]:
    """Time every stage from the bytes of an image file to those of a colour PNG.

    Args:
        segmenter: The segmenter to time.
        image: An image file's bytes.
        warmup: Iterations that are not counted.
        iterations: One item per counted iteration.

    Returns:
        A timing per stage, in the order of the data, and one of all together.
    """
    for _ in range(warmup):
        _run(segmenter, image)
    runs = [_run(segmenter, image) for _ in iterations]
    timings = {stage: Timing.of(run[stage] for run in runs) for stage in runs[0]}
    return {**timings, "end to end": Timing.of(sum(run.values()) for run in runs)}


def cold_start(model: Path, image: Path, device: str, threads: int) -> ColdStart:
    """Launch a process that loads a model and segments one image file."""
    command = [sys.executable, "-c", _COLD_START, str(model), device, str(threads), str(image)]
    start = time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own program
    seconds = time.perf_counter() - start
    peak = int(result.stdout)
    return ColdStart(seconds, peak if peak > 0 else None)


def _run(segmenter: Segmenter, image: bytes) -> dict[str, float]:
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[..., T], *arguments: Any) -> T:
        start = time.perf_counter()
        result = work(*arguments)
        seconds[stage] = time.perf_counter() - start
        return result

    frame = timed("decode", decode_image, image, "image")
    batch = timed("resize", segmenter.prepare, frame)[None]
    classes, scores = timed("session", segmenter.engine, batch)
    segmentation = timed("scale + arg-max", segmenter.finish, classes[0], scores[0], frame.shape[:2])
    color = timed("colour", lambda: segmentation.color)
    timed("encode PNG", lambda: cv2.imencode(".png", cv2.cvtColor(color, cv2.COLOR_RGB2BGR)))
    return seconds
