"""From measures to findings: which files have what is in the catalogue."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookseg.data.doctor import duplicates
from cookseg.data.doctor.catalogue import KINDS, Kind
from cookseg.data.doctor.masks import Size
from cookseg.data.doctor.reading import Record
from cookseg.data.doctor.survey import LABELLED, SPLITS, Survey, class_pixels
from cookseg.runtime.model.contract import IGNORE

Cell = str | int | float

_DISAGREES = 0.02  # of the labelled pixels; what every model gets wrong along edges is below


@dataclass(frozen=True)
class Row:
    """A line of a finding's table; ``record`` is the frame that it is about, where it is about one."""

    cells: tuple[Cell, ...]
    record: Record | None = None


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a dataset: its name in the catalogue, and the table of where, worst first."""

    name: str
    rows: tuple[Row, ...]

    @property
    def kind(self) -> Kind:
        """What the catalogue says about it."""
        return KINDS[self.name]

    @property
    def is_error(self) -> bool:
        """Whether it spoils a run."""
        return self.kind.severity == "error"

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        rows = [dict(zip(self.kind.columns, row.cells, strict=True)) for row in self.rows]
        return {
            "name": self.name,
            "severity": self.kind.severity,
            "title": self.kind.title,
            "remedy": self.kind.remedy,
            "rows": rows,
        }


def diagnose(survey: Survey) -> list[Finding]:
    """Return everything that is wrong with a dataset, in the order of the catalogue."""
    rows: dict[str, list[tuple[float, Row]]] = defaultdict(list)
    for name, badness, row in _all(survey):
        rows[name].append((badness, row))
    return [
        Finding(name, tuple(row for _, row in sorted(rows[name], key=lambda entry: -entry[0])))
        for name in KINDS
        if name in rows
    ]


_Found = Iterator[tuple[str, float, Row]]
"""Name in the catalogue, how bad it is beside others of this name, and the row of the table."""


def _all(survey: Survey) -> _Found:
    yield from _files(survey)
    yield from _classes(survey)
    usual_blur = {
        session: statistics.median(looks)
        for session, group in _by_session(survey.records).items()
        if (looks := [record.look.blur for record in group if record.look])
    }
    for record in survey.records:
        for path, why in record.unreadable.items():
            yield "unreadable", 0, Row((_name(survey, path), why.removeprefix(str(path)).strip(" :")), record)
        yield from _storage(record, survey)
        yield from _mask(record, survey)
        usual = usual_blur.get(record.session, 0.0)
        yield from _frame(record, survey, usual)
        if record.look and not record.look.is_featureless and not record.look.is_blurred(usual):
            yield from _label(record, survey)
    yield from _sessions(survey)
    yield from _duplicates(survey)
    yield from _disagreement(survey)


def _files(survey: Survey) -> _Found:
    for split, listing in survey.listings.items():
        for path in listing.images_alone:
            yield "image-without-mask", 0, Row((_name(survey, path),))
        for path in listing.masks_alone:
            yield "mask-without-image", 0, Row((_name(survey, path),))
        for one, other in listing.clashes:
            yield "same-name", 0, Row((_name(survey, one), _name(survey, other)))
        if not listing.pairs and split in LABELLED:
            yield "empty-split", 0, Row((split, len(listing.images_alone), len(listing.masks_alone)))
    for path in survey.foreign:
        yield "unread-files", 0, Row((_name(survey, path),))


def _classes(survey: Survey) -> _Found:
    totals = class_pixels(survey)
    for split in LABELLED:
        for name, pixels in zip(survey.classes.names, totals[split], strict=True):
            if not pixels and survey.listings[split].pairs:
                yield f"class-not-in-{split}", 0, Row((name,))


def _storage(record: Record, survey: Survey) -> _Found:
    header = record.image_header
    if header and header.bits > 8:
        cells = (_name(survey, record.image), str(header), "the lower bits are dropped")
        yield "image-storage", 0, Row(cells, record)
    elif header and header.model in ("RGBA", "grey+alpha"):
        yield "image-storage", 0, Row((_name(survey, record.image), str(header), "alpha is dropped"), record)
    if record.mask and (header := record.mask_header) and (header.lossy or not header.is_plain):
        yield "mask-storage", 0, Row((_name(survey, record.mask), str(header)), record)


def _mask(record: Record, survey: Survey) -> _Found:
    truth, file = record.truth, _name(survey, record.mask)
    if not truth:
        return
    if record.size and record.size != truth.size:
        yield "size-differs", 0, Row((file, _text(truth.size), _text(record.size), _why(record)), record)
    if truth.error and not truth.off_colors:
        yield "wrong-values", 0, Row((file, truth.error.removeprefix(str(record.mask)).strip(" :")), record)
        return
    names = {**dict(enumerate(survey.classes.names)), IGNORE: "(ignored)"}
    if truth.error:
        for off in truth.off_colors:
            cells = (file, str(off.color), off.pixels, names[off.nearest], round(off.distance), truth.cause)
            yield "wrong-colors", off.pixels, Row(cells, record)
    elif truth.off_pixels:
        off = truth.off_colors[0]
        commonest = (str(off.color), off.pixels, names[off.nearest])
        yield "off-colors", truth.off_pixels, Row((file, truth.off_pixels, truth.cause, *commonest), record)
    if truth.blocks > 1:
        yield "scaled-up", truth.blocks, Row((file, f"{truth.blocks} pixels"), record)
    present = [name for name, pixels in zip(survey.classes.names, truth.pixels, strict=True) if pixels]
    if not present:
        yield "unlabelled", 0, Row((file,), record)
    elif len(present) == 1:
        yield "one-class", 0, Row((file, present[0]), record)


def _frame(record: Record, survey: Survey, usual_blur: float) -> _Found:
    look, file = record.look, _name(survey, record.image)
    if not look:
        return
    if look.is_black:
        yield "black", -look.brightest, Row((file, round(look.brightest)), record)
    elif look.is_blown_out:
        yield "blown-out", look.blown, Row((file, f"{look.blown:.0%}"), record)
    elif look.is_blurred(usual_blur):
        yield "blurred", look.blur, Row((file, round(look.blur, 2), round(usual_blur, 2)), record)


def _label(record: Record, survey: Survey) -> _Found:
    label, file = record.label, _name(survey, record.mask)
    if not label:
        return
    if label.is_turned and record.image_header:
        orientation = record.image_header.orientation
        yield "turned", label.turned_gain, Row((file, orientation, round(label.turned_gain, 2)), record)
        return
    if label.is_shifted:
        right, down = label.shift
        yield "shifted", label.shift_gain, Row((file, f"{right:+d},{down:+d}", round(label.shift_gain, 2)), record)
    if label.is_ragged:
        yield "ragged", label.smooth_gain, Row((file, f"{label.ragged:.0%}", round(label.smooth_gain, 2)), record)
    if label.specks:
        x, y, _, _ = label.specks[0]
        yield "specks", len(label.specks), Row((file, len(label.specks), f"{x},{y}"), record)


def _sessions(survey: Survey) -> _Found:
    for session, group in _by_session(survey.records).items():
        if session is None:
            continue
        splits = Counter(record.split for record in group)
        if len(splits) > 1:
            yield "session-in-splits", len(group), Row((session, *(splits[split] for split in SPLITS)))
        sizes = Counter(record.size for record in group if record.size)
        usual, times = sizes.most_common(1)[0] if sizes else (None, 0)
        if 2 * times <= sizes.total():
            continue  # nothing is usual
        for record in group:
            if record.size and record.size != usual:
                cells = (_name(survey, record.image), _text(record.size), _text(usual))
                yield "size-in-session", 0, Row(cells, record)


def _duplicates(survey: Survey) -> _Found:
    for record, other, bits in duplicates.across_splits(survey.records):
        names = (_name(survey, record.image), _name(survey, other.image))
        yield "near-duplicate", -bits, Row((*names, bits), record)
    for record, before, difference in duplicates.frozen(survey.records):
        names = (_name(survey, record.image), _name(survey, before.image))
        yield "frozen", -difference, Row((*names, round(difference, 2)), record)


def _disagreement(survey: Survey) -> _Found:
    judged = [(record.disagreement, record) for record in survey.records if record.disagreement is not None]
    if not judged:
        return
    median = statistics.median(share for share, _ in judged)
    spread = statistics.median(abs(share - median) for share, _ in judged)
    for share, record in judged:
        if share > max(_DISAGREES, median + 5 * spread):  # of a normal distribution, three and a half deviations
            yield "disagrees", share, Row((_name(survey, record.mask), f"{share:.1%}", f"{median:.1%}"), record)


def _by_session(records: Iterable[Record]) -> dict[str | None, list[Record]]:
    groups = defaultdict(list)
    for record in records:
        groups[record.session].append(record)
    return groups


def _why(record: Record) -> str:
    """Guess how a mask came by another size than its image."""
    if not (record.size and record.truth):
        return ""
    (height, width), (rows, columns) = record.size, record.truth.size
    if (rows, columns) == (width, height):
        exif = record.image_header is not None and record.image_header.orientation > 4
        return "drawn before EXIF turned the image" if exif else "turned by 90 degrees"
    return f"scaled by {rows / height:.3g}" if is_scaled(record.size, record.truth.size) else "of another image"


def is_scaled(size: Size, other: Size) -> bool:
    """Return whether two sizes, (height, width), are of one shape, give or take a pixel."""
    (height, width), (rows, columns) = size, other
    return abs(height * columns - width * rows) <= max(height, width, rows, columns)


def _name(survey: Survey, path: Path | None) -> str:
    return path.relative_to(survey.root).as_posix() if path else ""


def _text(size: Size | None) -> str:
    return f"{size[1]}x{size[0]}" if size else ""
