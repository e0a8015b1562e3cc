"""Plots as PNG files, and the one of several runs; matplotlib is of the extra `train`."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cookseg.evaluation.run import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of a size in inches; it belongs to nobody else, and needs no screen."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - whoever draws nothing needs no matplotlib

    return Figure(figsize=(width, height), layout="constrained")


def png(figure: "Figure") -> bytes:
    """Return a figure as the bytes of a PNG file."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def or_nan(value: float | None) -> float:
    """Return a value to plot: a gap where there is none."""
    return float("nan") if value is None else value


def draw_histories(histories: Mapping[str, Sequence[Row]]) -> bytes:
    """Draw validation mIoU and training loss of runs over the epochs, by the runs' labels; return a PNG."""
    figure = new_figure(11, 4)
    left, right = figure.subplots(1, 2)
    for label, history in histories.items():
        epochs = [row["epoch"] for row in history]
        for axes, name in ((left, "val_miou"), (right, "train_loss")):
            axes.plot(epochs, [or_nan(row[name]) for row in history], marker=".", label=label)
    left.set(xlabel="epoch", ylabel="validation mIoU", ylim=(0, 1))
    left.grid(alpha=0.3)
    right.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    left.legend(loc="lower right", fontsize="small")
    return png(figure)
