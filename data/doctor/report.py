"""The doctor's report: as text for people, and as JSON values."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cookseg.data.doctor.findings import Cell, Finding, diagnose
from cookseg.data.doctor.survey import LABELLED, SPLITS, Survey, class_pixels, survey
from cookseg.data.sessions import DEFAULT_PATTERN, compile_pattern
from cookseg.runtime.errors import CheckFailedError
from cookseg.runtime.model.contract import Preprocessing
from cookseg.runtime.results import grid, listed
from cookseg.runtime.scoring.dataset import Layout

_MOST = 20  # rows of a table in the text


def as_json(survey: Survey, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the report as JSON values: what each split holds, and all findings with all their rows."""
    pixels = class_pixels(survey)
    splits = {}
    for split in SPLITS:
        records = [record for record in survey.records if record.split == split]
        sizes = Counter(record.size for record in records if record.size)
        splits[split] = {
            "frames": len(records),
            "sessions": len({record.session for record in records if record.session}),
            "sizes": {f"{size[1]}x{size[0]}": count for size, count in sizes.most_common() if size},
        }
        if any(record.mask for record in records) or split in LABELLED:
            splits[split]["pixels"] = dict(zip(survey.classes.names, pixels[split], strict=True))
    return {"dataset": str(survey.root), "splits": splits, "findings": [finding.to_dict() for finding in findings]}


def as_text(value: dict[str, Any], findings: Sequence[Finding]) -> str:
    """Return the report as text: a table of the splits, and one of each finding, long ones cut."""
    names = list(value["splits"]["train"]["pixels"])
    rows = [
        [split, *_counts(held), *_shares(held.get("pixels", {}))]
        for split, held in value["splits"].items()
        if held["frames"] or "pixels" in held
    ]
    parts = [grid(rows, ["split", "frames", "sessions", "size", *names])]
    for finding in findings:
        kind = finding.kind
        cells = [[_text(cell) for cell in row.cells] for row in finding.rows[:_MOST]]
        lines = [f"{kind.severity}: {kind.title} ({len(finding.rows)})", f"  {kind.remedy}", ""]
        lines += [f"  {line}" for line in grid(cells, kind.columns).splitlines()]
        if (more := len(finding.rows) - _MOST) > 0:
            lines.append(f"  and {more} more; --json has all")
        parts.append("\n".join(lines))
    return "\n\n".join(parts if findings else [*parts, "nothing found"])


def require_sound(root: Path, layout: Layout, spec: Preprocessing | None = None) -> Survey:
    """Refuse a dataset that would spoil a training run: the quick part of the doctor.

    Returns:
        The survey; with ``spec``, what a network is given of each frame is kept in it.

    Raises:
        CheckFailedError: Something would; the message lists the files.
        DatasetError: The folder, or one of a labelled split, does not exist.
        InputError: ``classes.json`` is not valid.
    """
    found = survey(root, layout, compile_pattern(DEFAULT_PATTERN), quick=True, spec=spec)
    findings = diagnose(found)
    if bad := [finding for finding in findings if finding.is_error]:
        lines = [
            f"{finding.kind.title}: " + ", ".join(str(cell) for cell in row.cells if cell != "")
            for finding in bad
            for row in finding.rows
        ]
        raise CheckFailedError(
            f"{root}: {len(lines)} faults would spoil the run; `cook-data doctor {root}` says what to do about them,"
            f" --no-check trains all the same\n{listed(lines)}"
        )
    return found


def summary(findings: Sequence[Finding]) -> str:
    """Say in a line how much was found of what."""
    listed = [f"{len(finding.rows)} {finding.name}" for finding in findings]
    return ", ".join(listed) or "nothing"


def _counts(held: dict[str, Any]) -> list[str]:
    sizes = list(held["sizes"])
    size = sizes[0] if len(sizes) == 1 else f"{len(sizes) or 'no'} sizes"
    return [str(held["frames"]), str(held["sessions"] or "-"), size]


def _shares(pixels: dict[str, int]) -> list[str]:
    total = max(1, sum(pixels.values()))
    return [f"{count / total:.2%}" for count in pixels.values()]


def _text(cell: Cell) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
