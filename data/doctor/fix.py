"""A fixed copy of a dataset in the standard layout, and a log of everything that is different in it.

Colours go to the nearest class, EXIF is applied, masks are brought to their image's size where both have one shape, and
files are plain JPEGs and PNGs. What only a person can fix is left out. Labels themselves are never touched.
"""

import csv
import functools
import io
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from cookseg.data.doctor.masks import is_scaled, measure_mask
from cookseg.data.doctor.reading import Record
from cookseg.data.doctor.survey import Survey
from cookseg.data.standard import require_new_set, with_ignore_color, write_classes, write_image, write_mask
from cookseg.runtime.errors import MaskError
from cookseg.runtime.files import new_folder, write_atomically
from cookseg.runtime.imaging.images import UInt8Array, turn
from cookseg.runtime.imaging.masks import read_mask
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import IGNORE, ClassTable
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.scoring.dataset import Layout
from cookseg.runtime.stream.parallel import map_on_cores

LOG = "changes.csv"
"""In the fixed copy's folder: file, action (``changed`` or ``left out``) and details, a line for each change."""


Action = Literal["changed", "left out"]


@dataclass(frozen=True)
class Change:
    """A file that is different in the copy, or not in it, and how or why."""

    file: Path
    action: Action
    details: str

    def to_dict(self, root: Path) -> dict[str, str]:
        """Return the change as JSON values, and a line of the log; files are named below the dataset's folder."""
        return {**vars(self), "file": self.file.relative_to(root).as_posix()}


@dataclass(frozen=True)
class FixedCopy:
    """A fixed copy of a dataset.

    Attributes:
        source: Folder of the dataset.
        out: Folder of the copy.
        changes: All that is different in it, as it is written to `LOG`.
    """

    source: Path
    out: Path
    changes: tuple[Change, ...]

    def count(self, action: Action) -> int:
        """Return how many changes are of a kind."""
        return sum(change.action == action for change in self.changes)


@checked_keywords
def fix(survey: Survey, out: str | Path, *, progress: Progress = silent) -> FixedCopy:
    """Write a fixed copy of a dataset, with a log of what is different.

    >>> fix(survey("data/sets/mine"), "data/sets/fixed").count("left out")  # doctest: +SKIP
    3

    Args:
        survey: The dataset as it was found.
        out: Folder of the copy; new, and not inside the dataset.
        progress: Is told how far it is.

    Raises:
        InputError: The folder holds something, lies inside the dataset, or cannot be written.
    """
    out = Path(out)
    require_new_set(out, survey.root)
    table = survey.classes
    if any(record.truth and record.truth.ignored for record in survey.records):
        table = with_ignore_color(table)
    changes = [Change(path, "left out", why) for path, why in _lost(survey)]
    lost = {change.file for change in changes}
    complete = []
    for record in survey.records:
        if {record.image, record.mask} & lost:
            halves = {path for path in (record.image, record.mask) if path} - lost
            changes += [Change(path, "left out", "its other half has the name of another file") for path in halves]
        else:
            complete.append(record)
    with new_folder(out) as folder:
        work = functools.partial(_fix, folder=folder, classes=survey.classes, table=table, layout=survey.layout)
        for found in progress(map_on_cores(work, complete), "fixing", len(complete)):
            changes += found
        write_classes(folder, table)
        write_atomically(folder / LOG, _as_csv(changes, survey.root))
    return FixedCopy(survey.root, out, tuple(changes))


def _lost(survey: Survey) -> list[tuple[Path, str]]:
    lost = []
    for listing in survey.listings.values():
        lost += [(path, "no mask") for path in listing.images_alone]
        lost += [(path, "no image") for path in listing.masks_alone]
        for one, other in listing.clashes:
            lost += [(one, f"has the name of {other.name}"), (other, f"has the name of {one.name}")]
    return lost + [(path, "no command reads it") for path in survey.foreign]


def _fix(record: Record, folder: Path, classes: ClassTable, table: ClassTable, layout: Layout) -> list[Change]:
    if record.unreadable:
        why = "; ".join(
            f"{path.name} {text.removeprefix(str(path)).strip(' :')}" for path, text in record.unreadable.items()
        )
        return _leave_out(record, why)
    split = folder / record.split
    changes: list[Change] = []
    if record.mask:
        try:
            class_map, changes = _fix_mask(record, record.mask, classes, layout)
        except MaskError as error:
            return _leave_out(record, str(error).removeprefix(str(record.mask)).strip(" :"))
        target = split / "masks" / f"{record.name}.png"
        if changes or layout.mask_format == "index":
            write_mask(class_map, split / "masks", record.name, table)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(record.mask, target)
    header = record.image_header
    write_image(record.image, split / "images", record.name)
    if header and not header.is_plain:
        applied = f", EXIF orientation {header.orientation} applied" if header.orientation != 1 else ""
        changes.append(Change(record.image, "changed", f"{header} became an 8-bit PNG{applied}"))
    return changes


def _fix_mask(record: Record, mask: Path, classes: ClassTable, layout: Layout) -> tuple[UInt8Array, list[Change]]:
    """Return a mask's class map at its image's size, and what had to be changed for it.

    Raises:
        MaskError: Only a person can fix it.
    """
    details = []
    header, size = record.mask_header, record.size
    if header is None or size is None or record.truth is None:
        raise MaskError("it was not read")
    class_map, measures = measure_mask(mask, classes, layout)
    if class_map is None:
        other = replace(layout, mask_format="color" if layout.mask_format == "index" else "index")
        class_map, _ = read_mask(mask, classes, other.mask_format)
        if (class_map == IGNORE).any() or len(np.unique(class_map)) < 2:
            raise MaskError("its values do not tell classes apart: 255 is not a class")
        details.append(f"was read as `mask_format={other.mask_format!r}`")
    if not any(measures.pixels) and not details:
        raise MaskError("no pixel is labelled")
    for off in measures.off_colors:
        name = "ignored" if off.nearest == IGNORE else classes.names[off.nearest]
        details.append(f"{off.pixels} pixels of {off.color} became {name}, {off.distance:.0f} away")
    if rest := measures.off_pixels - sum(off.pixels for off in measures.off_colors):
        details.append(f"{rest} pixels of rarer colours became the nearest class")
    orientation = record.image_header.orientation if record.image_header else 1
    drawn_before = class_map.shape != size and turn(class_map, orientation).shape == size
    if drawn_before or (record.label and record.label.is_rotated):
        class_map = turn(class_map, orientation)
        details.append(f"rotated as EXIF orientation {orientation} rotates the image")
    if class_map.shape != size:
        (rows, columns), (height, width) = class_map.shape, size
        if not is_scaled(size, (rows, columns)):
            raise MaskError(f"{columns}x{rows} for an image of {width}x{height}: another shape")
        class_map = np.asarray(cv2.resize(class_map, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
        details.append(f"scaled from {columns}x{rows} to {width}x{height} by nearest neighbour")
    if not header.is_plain or header.lossy:
        details.append(f"{header} became an 8-bit RGB PNG")
    return class_map, [Change(mask, "changed", text) for text in details]


def _leave_out(record: Record, why: str) -> list[Change]:
    return [Change(path, "left out", why) for path in (record.image, record.mask) if path]


def _as_csv(changes: list[Change], root: Path) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["file", "action", "details"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(change.to_dict(root) for change in changes)
    return text.getvalue().encode()
