"""The doctor's report: the content of each split, and everything that is wrong with it."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookseg.data.doctor.check import Finding
from cookseg.data.doctor.checks import CHECKS
from cookseg.data.doctor.fix import LOG, FixedCopy
from cookseg.data.doctor.survey import Survey, class_pixels, size_text, survey
from cookseg.data.standard import LABELLED, SPLITS, STANDARD, Split
from cookseg.runtime.errors import CheckFailedError
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.results import Table, listed
from cookseg.runtime.scoring.dataset import Layout

_log = logging.getLogger(__name__)

_MOST = 20  # rows of a finding's table in the text


@dataclass(frozen=True)
class SplitContent:
    """The content of a split.

    Attributes:
        frames: How many frames.
        sessions: Cooking sessions that their names tell.
        sizes: Frames of each size, commonest first.
        pixels: Labelled pixels of each class, or None for a split without masks.
    """

    frames: int
    sessions: int
    sizes: dict[str, int]
    pixels: dict[str, int] | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def cells(self) -> list[str]:
        """Return it as cells of a table."""
        size = next(iter(self.sizes)) if len(self.sizes) == 1 else f"{len(self.sizes) or 'no'} sizes"
        pixels = self.pixels or {}
        total = max(1, sum(pixels.values()))
        shares = [f"{count / total:.2%}" for count in pixels.values()]
        return [str(self.frames), str(self.sessions or "-"), size, *shares]


@dataclass(frozen=True)
class Report:
    """All findings of the doctor.

    Attributes:
        dataset: Folder of the dataset.
        splits: Content of each split.
        findings: Everything that is wrong, errors first.
        fixed: The fixed copy, where one was written.
        notes: Lines to put below, for people only.
    """

    dataset: Path
    splits: dict[Split, SplitContent]
    findings: tuple[Finding, ...]
    fixed: FixedCopy | None = None
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that would break a training run."""
        return tuple(finding for finding in self.findings if finding.is_error)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values, with all rows of all findings."""
        value = {
            "dataset": str(self.dataset),
            "splits": {split: held.to_dict() for split, held in self.splits.items()},
            "findings": [finding.to_dict() for finding in self.findings],
        }
        if self.fixed:
            value["changes"] = [change.to_dict(self.fixed.source) for change in self.fixed.changes]
        return value

    def tables(self) -> Iterator[Table]:
        """Return a table of the splits, and one of each finding, long ones cut."""
        names = list(self.splits["train"].pixels or {})
        rows = [[split, *held.cells()] for split, held in self.splits.items() if held.frames or held.pixels is not None]
        yield Table(["split", "frames", "sessions", "size", *names], rows)
        yield from (finding.table(_MOST) for finding in self.findings)
        if not self.findings:
            yield Table(above="nothing found")
        yield from (Table(above=note) for note in self.notes)
        if self.fixed:
            yield Table(
                above=f"{self.fixed.out}: the fixed copy; {self.fixed.count('changed')} changes and"
                f" {self.fixed.count('left out')} files left out are listed in {self.fixed.out / LOG}"
            )


@checked_keywords
def diagnose(survey: Survey) -> Report:
    """Return everything that is wrong with a dataset.

    >>> report = diagnose(survey("data/sets/mine"))  # doctest: +SKIP
    >>> [finding.name for finding in report.errors]  # doctest: +SKIP
    ['image-without-mask']
    """
    found = [Finding.of(check, survey) for check in CHECKS.values()]
    return Report(survey.root, _contents(survey), tuple(finding for finding in found if finding.rows))


@checked_keywords
def require_sound(data: str | Path | Survey, layout: Layout = STANDARD) -> Survey:
    """Refuse a dataset that would break a training run, and warn of sessions that make its score doubtful.

    It is the quick part of the doctor.

    >>> require_sound("data/sets/mine")  # doctest: +SKIP

    Args:
        data: Folder of the dataset, or a survey of it; a quick one is enough.
        layout: Where in the folder images and masks lie.

    Returns:
        The survey.

    Raises:
        CheckFailedError: Something would; the message lists the files.
        DatasetError: The folder, or one of a labelled split, does not exist.
        InputError: ``classes.json`` is not valid.
    """
    found = data if isinstance(data, Survey) else survey(data, layout, quick=True)
    report = diagnose(found)
    for finding in report.findings:
        if finding.check.doubts_score:
            _log.warning("%s: %s", finding.check.title, finding.summary())
    if report.errors:
        lines = [
            f"{finding.check.title}: " + ", ".join(str(cell) for cell in row.cells if cell != "")
            for finding in report.errors
            for row in finding.rows
        ]
        raise CheckFailedError(
            f"{found.root}: {len(lines)} faults would break the run; `cook-data doctor {found.root}` says what to do"
            f" about them, `check=False` trains all the same\n{listed(lines)}"
        )
    return found


def summary(findings: Sequence[Finding]) -> str:
    """Say in a line how much was found of what."""
    return ", ".join(f"{len(finding.rows)} {finding.name}" for finding in findings) or "nothing"


def _contents(survey: Survey) -> dict[Split, SplitContent]:
    pixels = class_pixels(survey)
    contents = {}
    for split in SPLITS:
        records = [record for record in survey.records if record.split == split]
        sizes = Counter(record.size for record in records if record.size)
        labelled = split in LABELLED or any(record.mask for record in records)
        contents[split] = SplitContent(
            len(records),
            len({record.session for record in records if record.session}),
            {size_text(size): count for size, count in sizes.most_common()},
            dict(zip(survey.classes.names, pixels[split], strict=True)) if labelled else None,
        )
    return contents
