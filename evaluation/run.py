"""The folder of a training run: what its files are called, what they hold, and how they are read and written."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cookseg.runtime.errors import InputError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.scoring.dataset import Layout

Row = dict[str, float | None]
"""A validation: epoch, step, lr, train_loss, val_miou and so on; None where there is no value."""


@dataclass(frozen=True)
class Record:
    """What a run was trained on and how. Paths stay in the run's folder and never travel with the model.

    Attributes:
        data: Folder of the dataset.
        layout: How the dataset is laid out.
        config: The training configuration, nested as `cookseg.training.TrainConfig` is.
        parameters: Number of weights; None if a run of an older cookseg does not say.
        unlabelled: Folder of the unlabelled frames, or None.
    """

    data: Path
    layout: Layout
    config: Mapping[str, Any]
    parameters: int | None = None
    unlabelled: Path | None = None


@dataclass(frozen=True)
class Run:
    """A run's folder, which `cook-train` writes, and its files, of which some may not be there yet.

    >>> Run(Path("runs/mine")).best.as_posix()
    'runs/mine/best.pt'
    """

    path: Path

    @property
    def best(self) -> Path:
        """Checkpoint of the weights that were kept: of the best validation, or the last with `keep="last"`."""
        return self.path / "best.pt"

    @property
    def last(self) -> Path:
        """Checkpoint from which the run is resumed."""
        return self.path / "last.pt"

    @property
    def teacher(self) -> Path:
        """Copy of the teacher, in a run that has one."""
        return self.path / "teacher.pt"

    @property
    def config(self) -> Path:
        """The training configuration, to repeat the run."""
        return self.path / "config.toml"

    @property
    def record(self) -> Path:
        """The `Record`, as JSON."""
        return self.path / "run.json"

    @property
    def history(self) -> Path:
        """A CSV row per validation."""
        return self.path / "metrics.csv"

    @property
    def curves(self) -> Path:
        """PNG of the history."""
        return self.path / "curves.png"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's events."""
        return self.path / "tensorboard"

    def read_record(self) -> Record:
        """Read what the run was trained on and how.

        Raises:
            InputError: The file is missing or damaged.
        """
        try:
            value = json.loads(self.record.read_text("utf-8"))
            layout = Layout(**value.get("layout", {}))
            unlabelled = Path(value["unlabelled"]) if value.get("unlabelled") else None
            return Record(Path(value["data"]), layout, dict(value["config"]), value.get("parameters"), unlabelled)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.record} is missing or damaged: it says which dataset the run was trained on"
                f" ({type(error).__name__}: {error})"
            ) from error

    def write_record(self, record: Record) -> None:
        """Write what the run is trained on and how; the dataset's path becomes absolute.

        Raises:
            InputError: The file cannot be written.
        """
        value = {**asdict(record), "data": str(record.data.resolve())}
        value["unlabelled"] = str(record.unlabelled.resolve()) if record.unlabelled else None
        write_atomically(self.record, json.dumps(value, indent=2).encode())

    def read_history(self) -> list[Row]:
        """Read the validations so far, while the run still trains or later.

        Raises:
            InputError: The file is missing or damaged, or holds no validation yet.
        """
        try:
            rows = list(csv.DictReader(self.history.read_text("utf-8").splitlines()))
            history = [{name: float(value) if value else None for name, value in row.items()} for row in rows]
            _ = [(row["val_miou"], row["train_loss"]) for row in history]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.history} is missing or damaged ({type(error).__name__}: {error})") from error
        if not history:
            raise InputError(f"{self.history} holds no validation yet: wait for the first one")
        return history

    def write_history(self, history: Sequence[Row]) -> None:
        """Write the validations so far; the last row has all columns.

        Raises:
            InputError: The file cannot be written.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(history[-1]))  # the first may be of an older cookseg
        writer.writeheader()
        writer.writerows(history)
        write_atomically(self.history, text.getvalue().encode())


def best_row(history: Sequence[Row]) -> Row:
    """Return the row whose weights `Run.best` has.

    It is the first with the highest validation mIoU, unless the last weights were kept; in a run without labels it is
    the last whose weights were ``kept``.
    """
    if kept := [row for row in history if row.get("kept")]:
        return kept[-1]
    return max(history, key=lambda row: row["val_miou"] or 0.0)


def flattened(value: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """Bring nested settings to one level, with dotted names.

    >>> flattened({"lr": 0.1, "augment": {"zoom": 0.25}})
    {'lr': 0.1, 'augment.zoom': 0.25}
    """
    flat: dict[str, Any] = {}
    for name, setting in value.items():
        flat |= flattened(setting, f"{start}{name}.") if isinstance(setting, Mapping) else {start + name: setting}
    return flat
