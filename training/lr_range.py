"""The learning-rate range test (Smith, 2017, arXiv:1506.01186): at which rates a network learns from these frames.

The rate grows from step to step by a constant factor. Too small a rate changes nothing, a good one lowers the loss, too
large a one raises it again. What the test trains is thrown away.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookseg.data.doctor.survey import Survey
from cookseg.evaluation.plots import new_figure, png
from cookseg.runtime.errors import CooksegError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.results import Table
from cookseg.runtime.scoring.dataset import Layout
from cookseg.training import distributed
from cookseg.training.config import TrainConfig
from cookseg.training.dataset import find_data
from cookseg.training.devices import Device, default_workers, find_device
from cookseg.training.preparation import Start, prepare
from cookseg.training.trainer import Trainer

STEPS, LOWEST, HIGHEST = 100, 1e-6, 1.0
_KEEP = 0.9  # of the running mean of the losses: a batch's own loss depends more on its frames than on the rate
_START = 10  # steps whose rates still change nothing
_FALLEN = 0.98  # of the loss at the start: less is chance
_EXPLODED = 1.5  # times the least running mean; the loss has a ceiling, so it never grows by orders of magnitude

Curve = list[tuple[float, float, float]]
"""Learning rate, loss, and running mean of the loss of each step."""


@dataclass(frozen=True)
class RangeTest:
    """What a learning-rate range test found; a result.

    Attributes:
        lr: The suggested peak learning rate.
        curve: Learning rate, loss, and running mean of the loss of each step.
        plot: Where the curve was drawn, or None.
    """

    lr: float
    curve: Curve
    plot: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return rate and path as JSON values."""
        return {"lr": self.lr, "plot": str(self.plot) if self.plot else None}

    def tables(self) -> Iterable[Table]:
        """Return the same for people."""
        plot = [["plot", str(self.plot)]] if self.plot else []
        yield Table(rows=[*plot, ["suggested learning rate", f"{self.lr:g}"]])


@checked_keywords
def find_learning_rate(  # noqa: PLR0913 - as `train`
    data: Path | str | Survey,
    config: TrainConfig | None = None,
    *,
    plot: Path | None = None,
    device: Device = "auto",
    workers: int | None = None,
    check: bool = True,
    layout: Layout | None = None,
    progress: Progress = silent,
) -> RangeTest:
    """Train at growing learning rates for 100 steps, and suggest a peak learning rate; there is no run afterwards.

    Args:
        data: Folder of the dataset, or a survey of it.
        config: How the run would train; its own learning rate is not used.
        plot: PNG to draw the loss over the learning rate into, or None.
        device: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is any.
        workers: Processes that augment; 0 does it in this one, None chooses by device.
        check: Whether to refuse data in which the doctor finds what would break a run.
        layout: How the dataset is laid out; None for the standard way.
        progress: Told of the frames as they are decoded, and of the steps.

    Raises:
        CooksegError: The loss did not fall; or as `train`.
    """
    place, start = find_device(device), Start.of(config or TrainConfig())
    with distributed.process_group(place):
        source = data if isinstance(data, Survey) else Path(data)
        spec = start.config.preprocessing
        found = find_data(source, layout or Layout(), spec, check=check, progress=progress)
        trainer = prepare(found, start, device=place, progress=progress)
        curve = range_test(trainer, default_workers(place) if workers is None else workers, progress=progress)
        if plot and distributed.rank() == 0:
            write_atomically(plot, draw(curve))
    return RangeTest(suggest(curve), curve, plot)


def range_test(trainer: Trainer, workers: int = 0, *, progress: Progress = silent) -> Curve:
    """Train at growing rates until the loss explodes; the trainer is of no use afterwards.

    Args:
        trainer: A trainer before its first step; it writes nothing.
        workers: Processes that augment; 0 does it in this one.
        progress: Told of the steps.
    """
    curve: Curve = []
    mean = 0.0  # from 0, which is divided out below
    batches = progress(trainer.batches(range(STEPS), workers), "learning rates", STEPS)
    for number, (frames, truth) in enumerate(batches):
        rate = LOWEST * (HIGHEST / LOWEST) ** (number / (STEPS - 1))
        loss = trainer.step(frames, truth, rate)
        if not math.isfinite(loss):
            break
        mean = _KEEP * mean + (1 - _KEEP) * loss
        curve.append((rate, loss, mean / (1 - _KEEP ** (number + 1))))
        if curve[-1][2] > _EXPLODED * min(mean for *_, mean in curve):
            break
    return curve


def suggest(curve: Curve) -> float:
    """Return a peak learning rate: the first one at which half of the loss's whole fall lies behind, to two digits.

    The rate of the steepest fall, or a tenth of that of the least loss, are more usual. With steps whose length
    does not depend on the gradient's, the loss stays low far beyond the best rates, and its steepest place is chance:
    with AdamW, between two seeds, it moved by a factor of 260 where this rate moved by 4.

    Raises:
        CooksegError: The loss did not fall.
    """
    start = curve[min(_START, len(curve)) - 1][2] if curve else math.inf
    least = min((mean for *_, mean in curve), default=math.inf)
    if not least < _FALLEN * start:
        raise CooksegError(
            "the loss fell at no learning rate: check frames and masks (`cook-data doctor DATA --sheet sheet.html`),"
            " or test with a larger `batch`"
        )
    return next(float(f"{rate:.1e}") for rate, _, mean in curve if mean <= (start + least) / 2)


def draw(curve: Curve) -> bytes:
    """Draw the loss over the learning rate, and what `suggest` makes of it; return a PNG."""
    suggestion = suggest(curve)
    figure = new_figure(7, 4)
    axes = figure.subplots()
    rates = [rate for rate, *_ in curve]
    axes.plot(rates, [loss for _, loss, _ in curve], color="tab:blue", alpha=0.3, label="loss")
    axes.plot(rates, [mean for *_, mean in curve], color="tab:blue", label="running mean")
    axes.axvline(suggestion, color="black", linestyle=":", label=f"suggested: {suggestion:g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.legend()
    axes.grid(alpha=0.3)
    return png(figure)
