"""What a run leaves for people: metrics.csv, TensorBoard events and a plot, all made of the trainer's history."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from cookseg.evaluation.plots import new_figure, or_nan, png
from cookseg.evaluation.run import Row, Run, best_row
from cookseg.runtime.errors import require_packages
from cookseg.runtime.files import write_atomically

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

require_packages("train", "matplotlib", "tensorboard")  # imported when there is something to write: not before step 1


class Reporter:
    """Writes a run's history into its folder, complete files by rename."""

    def __init__(self, run: Run, first_step: int) -> None:
        """Report into a folder; TensorBoard forgets what an interrupted run wrote after ``first_step``."""
        self.run, self._first_step = run, first_step

    @cached_property
    def writer(self) -> "SummaryWriter":
        """TensorBoard's file."""
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

        return SummaryWriter(str(self.run.tensorboard), purge_step=self._first_step)

    def update(self, history: Sequence[Row]) -> None:
        """Report the newest row."""
        row = history[-1]
        for name, value in row.items():
            if name not in {"epoch", "step"} and value is not None:
                self.writer.add_scalar(name, value, int(row["step"] or 0))
        self.writer.flush()
        self.run.write_history(history)

    def close(self, history: Sequence[Row]) -> None:
        """Draw the curves and close TensorBoard's file."""
        if "writer" in vars(self):
            self.writer.close()
        if history:
            write_atomically(self.run.curves, plot(history))


def plot(history: Sequence[Row]) -> bytes:
    """Draw loss, validation IoU and learning rate over the epochs; return a PNG."""
    import matplotlib as mpl  # noqa: PLC0415

    epochs = [row["epoch"] for row in history]
    figure = new_figure(11, 4)
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [or_nan(row["train_loss"]) for row in history], color="tab:blue", label="training loss")
    left.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    rate = left.twinx()
    rate.plot(epochs, [row["lr"] for row in history], color="tab:gray", linestyle=":", label="learning rate")
    rate.set(ylabel="learning rate", ylim=(0, None))
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    colors = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]  # of a ListedColormap; pairs, dark and light
    right.set_prop_cycle(color=colors[::2] + colors[1::2])  # ten alone would come twice in a dozen classes
    for name in (name for name in history[0] if name.startswith("val_iou_")):
        right.plot(epochs, [or_nan(row[name]) for row in history], linewidth=1, label=name.removeprefix("val_iou_"))
    right.plot(epochs, [or_nan(row["val_miou"]) for row in history], color="black", linewidth=2, label="mean")
    best = best_row(history)
    miou = or_nan(best["val_miou"])
    right.plot(best["epoch"], miou, "k*", markersize=12, label=f"best: {miou:.4f}")
    right.set(xlabel="epoch", ylabel="validation IoU", ylim=(0, 1))
    right.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")  # beside the curves, not over them
    right.grid(alpha=0.3)
    return png(figure)
