"""Latency of an exported model, as an appliance would see it: ``python -m cookseg.export.latency MODEL DEVICE BATCH``.

That process prints the median seconds of one run. It imports no torch, because threads of torch and of other sessions
would disturb the measurement. `median_latency` starts one for each model, in turns.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.model.engine import Engine, OnnxEngine

T = TypeVar("T")

_ROUNDS = 3
_FEWEST, _MOST, _SECONDS = 6, 100, 1
_WARMUP = 5  # one run of so many, the first ones, is not counted


def timed(work: Callable[..., T], *arguments: Any) -> tuple[T, float]:
    """Call ``work``; return its result and the seconds that it took."""
    start = time.perf_counter()
    result = work(*arguments)
    return result, time.perf_counter() - start


def median_latency(models: Mapping[str, tuple[bytes, UInt8Array]], device: str) -> dict[str, float]:
    """Return the median seconds of one run of each model, all timed in turn, each in a process of its own.

    Args:
        models: Files and the batch (1, H, W, 3) uint8 to give each, by name.
        device: ``cpu`` or ``cuda``.
    """
    medians: dict[str, list[float]] = {name: [] for name in models}
    with tempfile.TemporaryDirectory() as folder:
        for number, (content, batch) in enumerate(models.values()):
            Path(folder, f"{number}.onnx").write_bytes(content)
            np.save(Path(folder, f"{number}.npy"), batch)
        for _ in range(_ROUNDS):
            for number, name in enumerate(models):
                model, batch_file = (str(Path(folder, f"{number}{suffix}")) for suffix in (".onnx", ".npy"))
                command = [sys.executable, "-m", "cookseg.export.latency", model, device, batch_file]
                result = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
                medians[name].append(float(result.stdout))
    return {name: float(np.median(seconds)) for name, seconds in medians.items()}


def run_repeatedly(engine: Engine, batch: UInt8Array) -> list[float]:
    """Return the seconds of each run: a second's worth of them, but for the first fifth, which warms up."""
    seconds: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(seconds) < _FEWEST or (len(seconds) < _MOST and time.perf_counter() < end):
        seconds.append(timed(engine, batch)[1])
    return seconds[len(seconds) // _WARMUP :]


def main(model: str, device: str, batch: str) -> None:
    """Print the median seconds of one run of a model on a batch, a file of `numpy.save`."""
    print(np.median(run_repeatedly(OnnxEngine(Path(model), device), np.load(batch))))  # noqa: T201 - its result


if __name__ == "__main__":
    main(*sys.argv[1:])
