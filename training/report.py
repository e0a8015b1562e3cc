"""What a run leaves for people: metrics.csv, TensorBoard events and a plot, all made of the trainer's history."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from torch.utils.tensorboard import SummaryWriter

mpl.use("Agg")  # no screen on a training machine; must come before pyplot
from matplotlib import pyplot as plt

from cookseg.evaluation.comparison import METRICS
from cookseg.runtime.files import write_atomically

History = Sequence[dict[str, float | None]]


class Reporter:
    """Writes a run's history into its folder, whole files by rename."""

    def __init__(self, run: Path, first_step: int) -> None:
        """Report into a folder; TensorBoard forgets what an interrupted run wrote after ``first_step``."""
        self.run = run
        self.writer = SummaryWriter(str(run / "tensorboard"), purge_step=first_step)

    def update(self, history: History) -> None:
        """Report the newest row."""
        row = history[-1]
        for name, value in row.items():
            if name not in {"epoch", "step"} and value is not None:
                self.writer.add_scalar(name, value, int(row["step"] or 0))
        self.writer.flush()
        write_atomically(self.run / METRICS, _csv(history).encode())

    def close(self, history: History) -> None:
        """Draw the curves and close TensorBoard's file."""
        self.writer.close()
        if history:
            write_atomically(self.run / "curves.png", plot(history))


def plot(history: History) -> bytes:
    """Draw loss, validation IoU and learning rate over the epochs; return a PNG."""
    epochs = [row["epoch"] for row in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    left.plot(epochs, [row["train_loss"] for row in history], color="tab:blue", label="training loss")
    left.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    rate = left.twinx()
    rate.plot(epochs, [row["lr"] for row in history], color="tab:gray", linestyle=":", label="learning rate")
    rate.set(ylabel="learning rate", ylim=(0, None))
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    colors = plt.colormaps["tab20"].colors  # type: ignore[attr-defined]  # of a ListedColormap; pairs, dark and light
    right.set_prop_cycle(color=colors[::2] + colors[1::2])  # ten alone would come twice in a dozen classes
    for name in (name for name in history[0] if name.startswith("val_iou_")):
        right.plot(epochs, [_nan(row[name]) for row in history], linewidth=1, label=name.removeprefix("val_iou_"))
    mean = [_nan(row["val_miou"]) for row in history]
    right.plot(epochs, mean, color="black", linewidth=2, label="mean")
    best = max(range(len(mean)), key=lambda i: history[i]["val_miou"] or 0)
    right.plot(epochs[best], mean[best], "k*", markersize=12, label=f"best: {mean[best]:.4f}")
    right.set(xlabel="epoch", ylabel="validation IoU", ylim=(0, 1))
    right.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")  # beside the curves, not over them
    right.grid(alpha=0.3)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    plt.close(figure)
    return data.getvalue()


def _csv(history: History) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[-1]))  # the first may be of an older cookseg
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value
