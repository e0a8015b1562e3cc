"""The learning-rate range test (Smith, 2017, arXiv:1506.01186): which rates a network learns at on these frames.

The rate grows from step to step by a constant factor. Too small a rate changes nothing, a good one lowers the loss, too
large a one raises it again. What the test trains is thrown away.
"""

import io
import math

from matplotlib.figure import Figure

from cookseg.runtime.errors import CooksegError
from cookseg.runtime.terminal import bars
from cookseg.training.trainer import Trainer

STEPS, LOWEST, HIGHEST = 100, 1e-6, 1.0
_KEEP = 0.9  # of the running mean of the losses: a batch's own loss depends more on its frames than on the rate
_START = 10  # steps whose rates still change nothing
_FALLEN = 0.98  # of the loss at the start: less is chance
_EXPLODED = 1.5  # times the least running mean; the loss has a ceiling, so it never grows by orders of magnitude

Curve = list[tuple[float, float, float]]
"""Learning rate, loss, and running mean of the loss of each step."""


def range_test(trainer: Trainer, workers: int = 0) -> Curve:
    """Train at growing rates until the loss explodes; the trainer is of no use afterwards.

    Args:
        trainer: A trainer before its first step; it writes nothing.
        workers: Processes that augment; 0 does it in this one.
    """
    curve: Curve = []
    mean = 0.0  # from 0, which is divided out below
    with bars.step_progress(STEPS, "learning rates") as advance:
        for number, (frames, truth) in enumerate(trainer.batches(range(STEPS), workers)):
            rate = LOWEST * (HIGHEST / LOWEST) ** (number / (STEPS - 1))
            loss = trainer.step(frames, truth, rate)
            advance(f"rate {rate:.1e}  loss {loss:.3f}")
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
            "the loss fell at no learning rate: look at frames and masks (`cook-data doctor DATA --sheet sheet.html`),"
            " or test with a larger --batch"
        )
    return next(float(f"{rate:.1e}") for rate, _, mean in curve if mean <= (start + least) / 2)


def plot(curve: Curve) -> bytes:
    """Draw the loss over the learning rate, and what `suggest` makes of it; return a PNG."""
    suggestion = suggest(curve)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    rates = [rate for rate, *_ in curve]
    axes.plot(rates, [loss for _, loss, _ in curve], color="tab:blue", alpha=0.3, label="loss")
    axes.plot(rates, [mean for *_, mean in curve], color="tab:blue", label="running mean")
    axes.axvline(suggestion, color="black", linestyle=":", label=f"suggested: --lr {suggestion:g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.legend()
    axes.grid(alpha=0.3)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()
