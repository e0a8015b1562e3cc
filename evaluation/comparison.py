"""Runs side by side: best and last scores, speed, size, and the settings in which they differ; no torch needed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from cookseg.evaluation.plots import draw_histories
from cookseg.evaluation.run import Row, Run, best_row, flattened
from cookseg.runtime.errors import InputError, require_extra
from cookseg.runtime.files import write_atomically
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.results import Table
from cookseg.runtime.scoring.metrics import format_score

_SHORT = 16  # characters of a setting in the table: a digest has 64


@dataclass(frozen=True)
class Summary:
    """What a run's folder says.

    Attributes:
        path: The folder.
        settings: Everything that was chosen, by name; nested settings have dotted names.
        parameters: Number of weights, None if a run of an older cookseg does not say.
        history: A row per validation.
    """

    path: Path
    settings: dict[str, Any]
    parameters: int | None
    history: list[Row]

    @classmethod
    def read(cls, path: Path) -> "Summary":
        """Read a folder that `cook-train` wrote, while it still trains or later.

        Raises:
            InputError: It holds no run, or one without a validation.
        """
        run = Run(path)
        try:
            record, history = run.read_record(), run.read_history()
        except InputError as error:
            raise InputError(
                f"{path}: not a run of cook-train, or none that has got as far as a validation: {error}"
            ) from error
        settings = {"data": record.data.name, **flattened(record.config)}
        return cls(path, settings, record.parameters, history)

    @property
    def best(self) -> Row:
        """The row whose weights were kept."""
        return best_row(self.history)

    @property
    def classes(self) -> dict[str, float | None]:
        """The IoU of each class in the best row."""
        start = "val_iou_"
        return {name.removeprefix(start): value for name, value in self.best.items() if name.startswith(start)}

    def figure(self, name: str) -> float | None:
        """Return the median of a column over the run; None without values."""
        values = [value for row in self.history if (value := row.get(name)) is not None]
        return median(values) if values else None

    def to_dict(self) -> dict[str, Any]:
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


@dataclass(frozen=True)
class Comparison:
    """Runs side by side; a result.

    Attributes:
        runs: What each folder says, in the order given.
        plot: Where mIoU and loss were drawn, or None.
    """

    runs: Sequence[Summary]
    plot: Path | None = None

    @property
    def differ(self) -> list[str]:
        """Names of the settings that are not the same in all runs."""
        names = dict.fromkeys(name for run in self.runs for name in run.settings)
        first = self.runs[0].settings
        return [name for name in names if any(run.settings.get(name) != first.get(name) for run in self.runs)]

    def to_dict(self) -> dict[str, Any]:
        """Return all figures and settings as JSON values."""
        return {
            "runs": [run.to_dict() for run in self.runs],
            "differ": self.differ,
            "plot": str(self.plot) if self.plot else None,
        }

    def tables(self) -> Iterable[Table]:
        """Return a table with a row for each run, and a column for each setting that differs."""
        classes = list(dict.fromkeys(name for run in self.runs for name in run.classes))
        figures = ["run", "best mIoU", "at epoch", "last mIoU", *classes, "epochs done", "images/s", "parameters"]
        differ = self.differ
        yield Table([*figures, *differ], [_row(run, classes, differ) for run in self.runs])


@checked_keywords
def compare_runs(runs: Iterable[Path | str], plot: Path | None = None) -> Comparison:
    """Compare the folders of runs.

    All scores are those of the validations during training, at the network's size::

        from cookseg.evaluation import compare_runs

        comparison = compare_runs(["runs/one", "runs/other"])
        print(comparison.differ, [run.best["val_miou"] for run in comparison.runs])

    Args:
        runs: Their folders.
        plot: PNG to draw mIoU and loss of all runs into, or None.

    Raises:
        InputError: A folder holds no run, or one without a validation; or there are none.
        MissingExtraError: A plot is wanted, and there is no matplotlib.
    """
    found = [Summary.read(Path(run)) for run in runs]
    if not found:
        raise InputError("`runs` names no run: give the folders of one or more")
    if plot:
        labels = (f"{run.path} ({format_score(run.best['val_miou'])})" for run in found)
        with require_extra("train"):
            write_atomically(plot, draw_histories(dict(zip(labels, (run.history for run in found), strict=True))))
    return Comparison(found, plot)


def _row(run: Summary, classes: list[str], settings: list[str]) -> list[str]:
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
