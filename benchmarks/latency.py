"""Latency from an image file's bytes to a mask file's bytes: each stage, end to end, and the start of the process.

Stages are timed in turn within every iteration, so a slow moment of the machine falls on all alike: trust the ratios.
Timings are warm; the cold start is a process of its own, from its launch to its first mask.
"""

import os
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
from cookseg.runtime.imaging.png import encode_png
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.model.segmenter import Segmenter

T = TypeVar("T")

_COLD_START = """
import sys
from cookseg.runtime import Segmenter
segmenter = Segmenter.load(sys.argv[1], sys.argv[2], sys.argv[3])
segmenter.predict(sys.argv[4]).color
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
        segment(segmenter, image)
    runs = [segment(segmenter, image) for _ in iterations]
    timings = {stage: Timing.of(run[stage] for run in runs) for stage in runs[0]}
    return {**timings, "end to end": Timing.of(sum(run.values()) for run in runs)}


def segment(segmenter: Segmenter, image: bytes) -> dict[str, float]:
    """Go from the bytes of an image file to those of a colour PNG; return the seconds of each stage."""
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[..., T], *arguments: Any) -> T:
        start = time.perf_counter()
        result = work(*arguments)
        seconds[stage] = time.perf_counter() - start
        return result

    frame = timed("decode", decode_frame, image, "image", segmenter.contract.preprocessing)
    batch = timed("resize", segmenter.prepare, frame.pixels)[None]
    classes, scores = timed("session", segmenter.engine, batch)
    segmentation = timed("scale + arg-max", segmenter.finish, classes[0], scores[0], frame.size)
    color = timed("colour", lambda: segmentation.color)
    timed("encode PNG", encode_png, color)
    return seconds


def processor_share(segmenter: Segmenter, image: bytes, rate: float, seconds: float) -> float:
    """Return how much of all cores it takes to segment so many frames a second, 0..1: a camera's pace, not a rush."""
    start, used = time.perf_counter(), time.process_time()
    for frame in range(int(rate * seconds)):
        segment(segmenter, image)
        time.sleep(max(0.0, start + (frame + 1) / rate - time.perf_counter()))
    return (time.process_time() - used) / (time.perf_counter() - start) / (os.cpu_count() or 1)


def cold_start(model: Path, image: Path, device: str, mode: str) -> ColdStart:
    """Launch a process that loads a model and segments one image file."""
    command = [sys.executable, "-c", _COLD_START, str(model), device, mode, str(image)]
    start = time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own program
    seconds = time.perf_counter() - start
    peak = int(result.stdout)
    return ColdStart(seconds, peak if peak > 0 else None)
