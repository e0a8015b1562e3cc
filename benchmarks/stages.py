"""Stages from an image file's bytes to a mask file's bytes, timed one by one.

Stages are timed in turn within every iteration, so a slow moment of the machine falls on all alike: trust the ratios.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np

from cookseg.data.synthetic.scenes import render, sessions
from cookseg.export.latency import timed
from cookseg.runtime.cores import cores
from cookseg.runtime.imaging.png import encode_png
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.model.segmenter import Segmenter

T = TypeVar("T")

TOTAL = "end to end"


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
    return {**timings, TOTAL: Timing.of(sum(run.values()) for run in runs)}


def segment(segmenter: Segmenter, image: bytes) -> dict[str, float]:
    """Go from the bytes of an image file to those of a colour PNG; return the seconds of each stage."""
    seconds: dict[str, float] = {}

    def stage(name: str, work: Callable[..., T], *arguments: Any) -> T:
        result, seconds[name] = timed(work, *arguments)
        return result

    frame = stage("decode", decode_frame, image, "image", segmenter.contract.preprocessing)
    batch = stage("resize", segmenter.prepare, frame.pixels)[None]
    classes, scores = stage("session", segmenter.engine, batch)
    segmentation = stage("scale + arg-max", segmenter.finish, classes[0], scores[0], frame.size)
    color = stage("colour", lambda: segmentation.color)
    stage("encode PNG", encode_png, color)
    return seconds


def processor_share(segmenter: Segmenter, image: bytes, rate: float, seconds: float) -> float:
    """Return how much of all cores it takes to segment so many frames a second, 0..1: a camera's pace, not a rush."""
    start, used = time.perf_counter(), time.process_time()
    for frame in range(int(rate * seconds)):
        segment(segmenter, image)
        time.sleep(max(0.0, start + (frame + 1) / rate - time.perf_counter()))
    return (time.process_time() - used) / (time.perf_counter() - start) / cores()
