"""Check: one kind of fault that the doctor looks for. Each is a class in `cookseg.data.doctor.checks`."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from cookseg.data.doctor.reading import Record
from cookseg.data.doctor.survey import Survey
from cookseg.runtime.results import Table

Severity = Literal["error", "warning"]
Cell = str | int | float


@dataclass(frozen=True)
class Row:
    """A line of a finding's table; ``record`` is the frame that it is about, where it is about one."""

    cells: tuple[Cell, ...]
    record: Record | None = None


Found = Iterable[tuple[float, Row]]
"""Each case as its badness beside the others of its kind, and its row of the table."""


class Check(ABC):
    """Look for one kind of fault.

    Attributes:
        name: What ``--json`` calls it.
        severity: Errors break a training run or make its outcome worthless; warnings make it worse, or its score less
            than it seems.
        title: What is wrong, in words.
        remedy: What to do about it.
        columns: Headings of the table that shows where.
        doubts_score: Whether it makes the score on val doubtful; `cook-train` warns of it too.

    >>> class Tiny(Check):
    ...     name, severity, title = "tiny", "warning", "frames of less than 64x64 pixels"
    ...     remedy, columns = "record them larger", ("file",)
    ...
    ...     def find(self, survey):
    ...         for record in survey.records:
    ...             if record.size and max(record.size) < 64:
    ...                 yield 0, Row((survey.name(record.image),), record)
    """

    name: ClassVar[str]
    severity: ClassVar[Severity]
    title: ClassVar[str]
    remedy: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    doubts_score: ClassVar[bool] = False

    @abstractmethod
    def find(self, survey: Survey) -> Found:
        """Yield all cases of the fault in a dataset."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a dataset: what was looked for, and the table of where it is, worst first."""

    check: Check
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, check: Check, survey: Survey) -> "Finding":
        """Run a check."""
        found = sorted(check.find(survey), key=lambda case: -case[0])
        return cls(check, tuple(row for _, row in found))

    @property
    def name(self) -> str:
        """Name of the check."""
        return self.check.name

    @property
    def is_error(self) -> bool:
        """Whether it breaks a training run."""
        return self.check.severity == "error"

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {
            "name": self.name,
            "severity": self.check.severity,
            "title": self.check.title,
            "remedy": self.check.remedy,
            "rows": [dict(zip(self.check.columns, row.cells, strict=True)) for row in self.rows],
        }

    def summary(self) -> str:
        """Return the first case in a line, how many more there are, and what to do about it."""
        cells = ", ".join(f"{name} {cell}" for name, cell in zip(self.check.columns, self.rows[0].cells, strict=True))
        more = f", and {len(self.rows) - 1} more" if len(self.rows) > 1 else ""
        return f"{cells}{more}; {self.check.remedy}"

    def table(self, most: int | None = None) -> Table:
        """Return the finding for people, with ``most`` rows at most."""
        more = len(self.rows) - len(self.rows[:most])
        return Table(
            self.check.columns,
            [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row.cells] for row in self.rows[:most]],
            title=f"{self.check.severity}: {self.check.title} ({len(self.rows)})",
            above=f"{self.check.remedy}\n",  # and an empty line
            below=f"and {more} more; `to_dict` has all" if more else "",
        )
