"""Versions of models in a folder, as results: what is installed, and what an installation did."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from cookseg.runtime.errors import CheckFailedError
from cookseg.runtime.results import Table
from cookseg.runtime.scoring.metrics import format_score


@dataclass(frozen=True)
class Version:
    """An installed version.

    Attributes:
        path: Its file.
        sha256: The digest in its seal.
        installed: Time when it was written to the folder, UTC.
        mean_iou: On its validation set, 0..1; None if it does not say.
        fault: The reason why it cannot be loaded now, None if it can.
    """

    path: Path
    sha256: str
    installed: datetime
    mean_iou: float | None
    fault: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "path": str(self.path), "installed": self.installed.isoformat()}


@dataclass(frozen=True)
class Status:
    """Versions in a folder: the one that runs and the one before it; None where there is none."""

    folder: Path
    current: Version | None
    previous: Version | None

    def require_intact(self) -> None:
        """Refuse a folder without a version that can run.

        Raises:
            CheckFailedError: None is installed, or its file is damaged.
        """
        if not self.current:
            raise CheckFailedError(f"{self.folder}: no model is installed")
        if self.current.fault:
            raise CheckFailedError(self.current.fault)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        versions = {"current": self.current, "previous": self.previous}
        return {name: version.to_dict() if version else None for name, version in versions.items()}

    def tables(self) -> Iterator[Table]:
        """Return a row per version."""
        rows = [
            [name, v.sha256[:12], v.installed.isoformat()[:19], format_score(v.mean_iou), v.fault or "intact"]
            for name, v in (("current", self.current), ("previous", self.previous))
            if v
        ]
        header = ["version", "sha256", "installed (UTC)", "val mIoU", "file"]
        yield Table(header, rows) if rows else Table(above="nothing is installed")


@dataclass(frozen=True)
class Installed:
    """Result of an installation.

    Attributes:
        model: The file that was to be installed.
        changed: False if this very version ran already.
        status: The versions in the folder now.
    """

    model: Path
    changed: bool
    status: Status

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"installed": self.changed, **self.status.to_dict()}

    def tables(self) -> Iterator[Table]:
        """Return what was done, and the versions."""
        done = "installed" if self.changed else "already runs; nothing was changed"
        yield Table(above=f"{self.model}: {done}")
        yield from self.status.tables()
