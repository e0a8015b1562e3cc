"""A soak run: very many predictions on one `Segmenter` from several threads, with faults between them.

    python -m cookseg.benchmarks.soak MODEL --predictions 1000000 --plot soak.png

Every answer is compared with the first one for the same file, every fault must give its error and nothing else, and
meanwhile memory, descriptors and threads of the process are sampled. They must not grow: exit 3 otherwise.
"""

import functools
import itertools
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from cookseg.benchmarks.faults import make_faults, make_frames
from cookseg.runtime.errors import CheckFailedError, CooksegError, InputError, require_extra
from cookseg.runtime.files import write_atomically
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.results import grid, listed
from cookseg.runtime.terminal import console, params

SAMPLES = 200
MEMORY_TOLERANCE = 4e6
"""Bytes that the allocator may come to hold between the second quarter of a run and the last; a leak knows no bound."""

_FAULT_EVERY = 7  # predictions, and no divisor of the number of frames, which take turns


@dataclass(frozen=True)
class Sample:
    """What the process held when so many predictions were done."""

    predictions: int
    resident_bytes: int
    descriptors: int
    threads: int


class Soak:
    """One run: shared by its threads, which draw numbers and count what became of them."""

    def __init__(self, segmenter: Segmenter, folder: Path, predictions: int) -> None:
        """Make frames and faults in a folder, and the right answers."""
        self.frames = make_frames(folder)
        self.faults = make_faults(segmenter, folder)
        self.segmenter = segmenter
        self.answers = [segmenter.predict(read_image(path)).class_map for path in self.frames]
        self.predictions = predictions
        self.done = 0
        self.found: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def work(self) -> None:
        """Predict until the run is over; what goes wrong is counted, not raised."""
        while (number := next(self._numbers)) < self.predictions:  # a single step of C, so no number comes twice
            outcomes = [_outcome(functools.partial(self._predict, number))]
            if number % _FAULT_EVERY == 0:
                name, fault = self.faults[number // _FAULT_EVERY % len(self.faults)]
                outcomes.append(f"{name}: {_outcome(fault)}")
            with self._lock:
                self.done += 1
                self.found.update(outcomes)

    def _predict(self, number: int) -> None:
        turn = number % len(self.frames)
        if not np.array_equal(self.segmenter.predict(read_image(self.frames[turn])).class_map, self.answers[turn]):
            raise AssertionError("another answer than before")

    def sample(self) -> Sample:
        """Look at the process."""
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        resident = int(status["VmRSS"].split()[0]) * 1024
        descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # without the one that lists them
        return Sample(self.done, resident, descriptors, int(status["Threads"]))


def run(soak: Soak, threads: int, tell: Callable[[int], None]) -> list[Sample]:
    """Run with so many threads at once; return `SAMPLES` samples, evenly spread over the predictions."""
    workers = [threading.Thread(target=soak.work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    samples: list[Sample] = []
    while any(worker.is_alive() for worker in workers):
        if soak.done * SAMPLES >= len(samples) * soak.predictions:
            samples.append(soak.sample())
            tell(soak.done)
        time.sleep(0.005)
    for worker in workers:
        worker.join()
    return samples


def growth(samples: list[Sample], value: str) -> float:
    """Return how much more of something there was in the last quarter of a run than in the second, by medians.

    The first quarter does not count: threads start, and allocators come to hold what they will go on with.
    """
    held = [getattr(sample, value) for sample in samples]
    quarter = len(held) // 4
    return float(np.median(held[-quarter:]) - np.median(held[quarter : 2 * quarter]))


def _outcome(action: Callable[[], Any]) -> str:
    try:
        action()
    except InputError:
        return "refused"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the result of this run
        return f"{type(error).__name__}: {error}"
    return "predicted"


@click.command(cls=console.Command, epilog="Example: python -m cookseg.benchmarks.soak model.onnx --plot soak.png")
@click.argument("model", type=params.model_path)
@click.option("--predictions", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--callers", type=click.IntRange(1), default=4, show_default=True, help="Threads that call at once.")
@click.option("--plot", type=params.file_path, help="Draw memory, descriptors and threads into this PNG.")
@params.session_options
@params.json_option
def main(
    model: Path,
    predictions: int,
    callers: int,
    plot: Path | None,
    session: params.Session,
    as_json: bool,
) -> None:
    """Predict for long, from several threads at once and with faults in between; exit 3 if anything grows or fails."""
    if not Path("/proc/self/status").exists():
        raise CooksegError("a soak run needs Linux: it reads /proc")
    if plot:
        with require_extra("train"):
            from cookseg.benchmarks.plots import draw_soak  # noqa: PLC0415 - the only part that needs matplotlib
    engine = session.engine(model, "throughput")
    segmenter = Segmenter(engine.contract, engine)
    with tempfile.TemporaryDirectory() as folder, console.only_own_stderr():
        soak = Soak(segmenter, Path(folder), predictions)
        start = time.perf_counter()
        with console.progress(range(predictions), "soak", predictions) as bar:
            samples = run(soak, callers, lambda done: bar.update(done - bar.pos))
        seconds = time.perf_counter() - start
    if plot:
        write_atomically(plot, draw_soak(samples))
    grown = {name: growth(samples, name) for name in ("resident_bytes", "descriptors", "threads")}
    expected = {"predicted", *(f"{name}: refused" for name, _ in soak.faults)}
    value = {
        "model": str(model),
        "predictions": predictions,
        "callers": callers,
        "seconds": seconds,
        "outcomes": dict(sorted(soak.found.items())),
        "growth": grown,
        "last": asdict(samples[-1]),
    }
    console.emit_value(as_json, value, lambda: _text(value))
    if wrong := sorted(soak.found.keys() - expected):
        raise CheckFailedError(f"{model}: not all went as it should:\n{listed(wrong)}")
    if grown["resident_bytes"] > MEMORY_TOLERANCE or grown["descriptors"] > 0 or grown["threads"] > 0:
        raise CheckFailedError(f"{model}: memory, descriptors or threads grew during the run: {grown}")


def _text(value: dict[str, Any]) -> str:
    last, grown = value["last"], value["growth"]
    rows = [[outcome, f"{count:,}"] for outcome, count in value["outcomes"].items()]
    held = [
        ["resident memory, MB", f"{last['resident_bytes'] / 1e6:.1f}", f"{grown['resident_bytes'] / 1e6:+.2f}"],
        ["descriptors", str(last["descriptors"]), f"{grown['descriptors']:+.0f}"],
        ["threads", str(last["threads"]), f"{grown['threads']:+.0f}"],
    ]
    return (
        f"{value['predictions']:,} predictions of {value['model']} from {value['callers']} threads at once,"
        f" {value['seconds']:.0f} s\n\n{grid(rows, ['outcome', 'times'])}\n\n"
        f"{grid(held, ['held by the process', 'at the end', 'since the second quarter'])}"
    )


if __name__ == "__main__":
    main()
