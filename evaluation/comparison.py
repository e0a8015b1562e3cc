"""Runs side by side: best and last scores, speed, size, and the settings in which they differ; no torch needed."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from cookseg.runtime.errors import InputError
from cookseg.runtime.scoring.metrics import format_score

RECORD = "run.json"
"""In a run's folder: what it was trained on and how. Paths stay here and never travel with the model."""
METRICS = "metrics.csv"
"""In a run's folder: a row per validation."""
_SHORT = 16  # characters of a setting in the table: a digest has 64


@dataclass(frozen=True)
class Run:
    """What a run's folder says.

    Attributes:
        path: The folder.
        settings: Everything that was chosen, by name; nested settings have dotted names.
        parameters: Number of weights, None if a run of an older cookseg does not say.
        history: A row per validation, columns of metrics.csv; None where there is no value.
    """

    path: Path
    settings: dict[str, Any]
    parameters: int | None
    history: list[dict[str, float | None]]

    @classmethod
    def read(cls, path: Path) -> "Run":
        """Read a folder that `cook-train` wrote, while it still trains or later.

        Raises:
            InputError: It holds no run, or one without a validation.
        """
        try:
            record = json.loads((path / RECORD).read_text("utf-8"))
            settings = {"data": Path(record["data"]).name, **_flat(record["config"])}
            rows = list(csv.DictReader((path / METRICS).read_text("utf-8").splitlines()))
            history = [{name: float(value) if value else None for name, value in row.items()} for row in rows]
            _ = [(row["val_miou"], row["train_loss"]) for row in history]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}: not a run of cook-train, or none that has got as far as a validation: {RECORD} or {METRICS}"
                f" is missing or damaged ({type(error).__name__}: {error})"
            ) from error
        if not history:
            raise InputError(f"{path / METRICS} holds no validation yet: wait for the first one")
        return cls(path, settings, record.get("parameters"), history)

    @property
    def best(self) -> dict[str, float | None]:
        """The first row with the highest validation mIoU, whose weights best.pt has."""
        return max(self.history, key=lambda row: row["val_miou"] or 0.0)

    @property
    def classes(self) -> dict[str, float | None]:
        """The IoU of each class in the best row."""
        start = "val_iou_"
        return {name.removeprefix(start): value for name, value in self.best.items() if name.startswith(start)}

    def figure(self, name: str) -> float | None:
        """Return the median of a column over the run; None without values."""
        values = [value for row in self.history if (value := row.get(name)) is not None]
        return median(values) if values else None

    def to_json(self) -> dict[str, Any]:
        """Return all figures and settings as JSON values."""
        return {
            "run": str(self.path),
            "best_miou": self.best["val_miou"],
            "best_epoch": self.best["epoch"],
            "last_miou": self.history[-1]["val_miou"],
            "iou": self.classes,
            "epochs": self.history[-1]["epoch"],
            "images_per_s": self.figure("images_per_s"),
            "waiting": self.figure("waiting"),
            "parameters": self.parameters,
            "settings": self.settings,
        }


def differences(runs: list[Run]) -> list[str]:
    """Return the names of the settings that are not the same in all runs."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [name for name in names if any(run.settings.get(name) != runs[0].settings.get(name) for run in runs)]


def table(runs: list[Run]) -> tuple[list[list[str]], list[str]]:
    """Return the rows and the header of the comparison as text."""
    classes = list(dict.fromkeys(name for run in runs for name in run.classes))
    differing = differences(runs)
    header = [
        "run",
        "best mIoU",
        "at epoch",
        "last mIoU",
        *classes,
        "epochs done",
        "images/s",
        "parameters",
        *differing,
    ]
    return [_row(run, classes, differing) for run in runs], header


def plot(runs: list[Run]) -> bytes:
    """Draw validation mIoU and training loss of all runs over the epochs; return a PNG."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - of the extra `train`; the table needs none

    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for run in runs:
        epochs = [row["epoch"] for row in run.history]
        for axes, name in ((left, "val_miou"), (right, "train_loss")):
            values = [float("nan") if row[name] is None else row[name] for row in run.history]
            axes.plot(epochs, values, marker=".", label=f"{run.path} ({format_score(run.best['val_miou'])})")
    left.set(xlabel="epoch", ylabel="validation mIoU", ylim=(0, 1))
    left.grid(alpha=0.3)
    right.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    left.legend(loc="lower right", fontsize="small")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def _row(run: Run, classes: list[str], settings: list[str]) -> list[str]:
    speed = run.figure("images_per_s")
    scores = [run.classes.get(name) for name in classes]
    return [
        str(run.path),
        format_score(run.best["val_miou"]),
        f"{run.best['epoch'] or 0:.0f}",
        format_score(run.history[-1]["val_miou"]),
        *map(format_score, scores),
        f"{run.history[-1]['epoch'] or 0:.0f}",
        "n/a" if speed is None else f"{speed:.4g}",
        "n/a" if run.parameters is None else f"{run.parameters:,}",
        *(str(run.settings.get(name, "n/a"))[:_SHORT] for name in settings),
    ]


def _flat(value: dict[str, Any], start: str = "") -> dict[str, Any]:
    """Bring nested settings to one level, with dotted names."""
    flat: dict[str, Any] = {}
    for name, setting in value.items():
        flat |= _flat(setting, f"{start}{name}.") if isinstance(setting, dict) else {start + name: setting}
    return flat
