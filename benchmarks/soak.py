"""A soak run: very many predictions on one `Segmenter` from several threads, with faults between them.

    cook-bench soak MODEL --predictions 1000000 --plot soak.png

Every answer is compared with the first one for the same file, every fault must give its error and nothing else, and
meanwhile memory, descriptors and threads of the process are sampled. They must not grow: exit 3 otherwise.
"""

import functools
import itertools
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from cookseg.benchmarks.faults import make_faults, make_frames
from cookseg.export.latency import timed
from cookseg.runtime.errors import CheckFailedError, CooksegError, InputError, require_extra
from cookseg.runtime.files import write_atomically
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.results import Table, listed
from cookseg.runtime.terminal import bars, console, params

SAMPLES = 200
MEMORY_TOLERANCE = 4e6
"""Bytes that the allocator may come to hold between the second quarter of a run and the last; a leak knows no bound."""

PROC = Path("/proc/self")
"""Where Linux tells what a process holds."""

_FAULT_EVERY = 7  # predictions, and no divisor of the number of frames, which take turns


@dataclass(frozen=True)
class Sample:
    """State of the process when so many predictions were done."""

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

    @property
    def expected(self) -> frozenset[str]:
        """The outcomes that may be found."""
        return frozenset({"predicted", *(f"{name}: refused" for name, _ in self.faults)})

    def _predict(self, number: int) -> None:
        turn = number % len(self.frames)
        if not np.array_equal(self.segmenter.predict(read_image(self.frames[turn])).class_map, self.answers[turn]):
            raise AssertionError("another answer than before")

    def sample(self) -> Sample:
        """Look at the process."""
        return Sample(self.done, *held(PROC))


@dataclass(frozen=True)
class SoakResult:
    """Outcome of a soak run.

    Attributes:
        model: The file.
        predictions: Number of predictions.
        callers: Threads that called at once.
        seconds: Duration of the run.
        outcomes: How often each outcome occurred.
        expected: Outcomes that may occur.
        samples: States of the process, evenly spread over the predictions.
    """

    model: Path
    predictions: int
    callers: int
    seconds: float
    outcomes: Mapping[str, int]
    expected: frozenset[str]
    samples: list[Sample]

    @property
    def growth(self) -> dict[str, float]:
        """Growth of everything that is sampled, by its name in `Sample`."""
        return {name: growth(self.samples, name) for name in ("resident_bytes", "descriptors", "threads")}

    def require_sound(self) -> None:
        """Require that nothing went wrong and nothing grew.

        Raises:
            CheckFailedError: Something did.
        """
        if wrong := sorted(self.outcomes.keys() - self.expected):
            raise CheckFailedError(f"{self.model}: not all went as it should:\n{listed(wrong)}")
        grown = self.growth
        if grown["resident_bytes"] > MEMORY_TOLERANCE or grown["descriptors"] > 0 or grown["threads"] > 0:
            raise CheckFailedError(f"{self.model}: memory, descriptors or threads grew during the run: {grown}")

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "model": str(self.model),
            "predictions": self.predictions,
            "callers": self.callers,
            "seconds": self.seconds,
            "outcomes": dict(sorted(self.outcomes.items())),
            "growth": self.growth,
            "last": asdict(self.samples[-1]),
        }

    def tables(self) -> Iterator[Table]:
        """Yield the outcomes, and what the process held."""
        last, grown = self.samples[-1], self.growth
        yield Table(
            above=f"{self.predictions:,} predictions of {self.model} from {self.callers} threads at once,"
            f" {self.seconds:.0f} s"
        )
        yield Table(["outcome", "times"], [[name, f"{count:,}"] for name, count in sorted(self.outcomes.items())])
        rows = [
            ["resident memory, MB", f"{last.resident_bytes / 1e6:.1f}", f"{grown['resident_bytes'] / 1e6:+.2f}"],
            ["descriptors", str(last.descriptors), f"{grown['descriptors']:+.0f}"],
            ["threads", str(last.threads), f"{grown['threads']:+.0f}"],
        ]
        yield Table(["held by the process", "at the end", "since the second quarter"], rows)


def held(proc: Path) -> tuple[int, int, int]:
    """Return resident bytes, open descriptors and threads of a process, by its folder in /proc."""
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    descriptors = sum(1 for _ in (proc / "fd").iterdir()) - 1  # without the one that lists them
    return int(status["VmRSS"].split()[0]) * 1024, descriptors, int(status["Threads"])


def run(soak: Soak, threads: int, progress: Progress = silent) -> list[Sample]:
    """Run with so many threads at once; return about `SAMPLES` samples, evenly spread over the predictions."""
    samples: list[Sample] = []
    for _ in progress(_watched(soak, threads, samples), "soak", soak.predictions):
        pass
    return samples


def _watched(soak: Soak, threads: int, samples: list[Sample]) -> Iterator[int]:
    """Yield the number of each prediction soon after it is done, and take samples meanwhile."""
    workers = [threading.Thread(target=soak.work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    told = 0
    while any(worker.is_alive() for worker in workers):
        if soak.done * SAMPLES >= len(samples) * soak.predictions:
            samples.append(soak.sample())
        now = soak.done
        yield from range(told, now)
        told = now
        time.sleep(0.005)
    for worker in workers:
        worker.join()
    yield from range(told, soak.done)


def growth(samples: list[Sample], value: str) -> float:
    """Return how much more of something there was in the last quarter of a run than in the second, by medians.

    The first quarter does not count: threads start, and allocators come to hold what they will go on with.
    """
    values = [getattr(sample, value) for sample in samples]
    quarter = len(values) // 4
    return float(np.median(values[-quarter:]) - np.median(values[quarter : 2 * quarter]))


def _outcome(action: Callable[[], Any]) -> str:
    try:
        action()
    except InputError:
        return "refused"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the result of this run
        return f"{type(error).__name__}: {error}"
    return "predicted"


@click.command(cls=console.Command, epilog="Example: cook-bench soak model.onnx --predictions 1000000 --plot soak.png")
@click.argument("model", type=params.model_path)
@click.option("--predictions", type=click.IntRange(1), default=100_000, show_default=True, help="Of all threads.")
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
    if not PROC.exists():
        raise CooksegError("a soak run needs Linux: it reads /proc")
    if plot:
        with require_extra("train"):
            from cookseg.benchmarks.plots import draw_soak  # noqa: PLC0415 - the only part that needs matplotlib
    engine = session.engine(model, "throughput")
    with tempfile.TemporaryDirectory() as folder, console.only_own_stderr():
        soak = Soak(Segmenter(engine.contract, engine), Path(folder), predictions)
        samples, seconds = timed(run, soak, callers, bars.bar)
    if plot:
        write_atomically(plot, draw_soak(samples))
    found = SoakResult(model, predictions, callers, seconds, soak.found, soak.expected, samples)
    console.emit(as_json, found)
    found.require_sound()


if __name__ == "__main__":
    main(prog_name="python -m cookseg.benchmarks.soak")
