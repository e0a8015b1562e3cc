"""A mended copy of a dataset in the standard layout, and a log of everything that is different in it.

Colours go to the nearest class, EXIF is applied, masks are brought to their image's size where both have one shape, and
files are plain JPEGs and PNGs. What only a person can mend is left out. Labels themselves are never touched.
"""

import csv
import functools
import io
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from cookseg.data.doctor.findings import is_scaled
from cookseg.data.doctor.masks import look_at_mask
from cookseg.data.doctor.reading import Record
from cookseg.data.doctor.survey import Survey
from cookseg.data.standard import require_new_set, with_ignore_color, write_classes, write_image, write_mask
from cookseg.runtime.errors import MaskError
from cookseg.runtime.files import new_folder, write_atomically
from cookseg.runtime.imaging.images import UInt8Array, turn
from cookseg.runtime.imaging.masks import read_mask
from cookseg.runtime.model.contract import IGNORE, ClassTable
from cookseg.runtime.scoring.dataset import Layout
from cookseg.runtime.stream.parallel import map_on_cores
from cookseg.runtime.terminal import console

LOG = "changes.csv"
"""In the mended copy's folder: file, action (``changed`` or ``left out``) and details, a line for each change."""


@dataclass(frozen=True)
class Change:
    """What became of a file: ``changed`` or ``left out``, and how or why."""

    file: Path
    action: str
    details: str

    def to_dict(self, root: Path) -> dict[str, str]:
        """Return the change as JSON values, and a line of the log; files are named below the dataset's folder."""
        return {**vars(self), "file": self.file.relative_to(root).as_posix()}


def mend(survey: Survey, out: Path) -> list[Change]:
    """Write a mended copy of a dataset, with a log of what is different.

    Args:
        survey: The dataset as it was found.
        out: Folder of the copy; new, and not inside the dataset.

    Returns:
        The log, as it is written to `LOG`.

    Raises:
        InputError: The folder holds something, lies inside the dataset, or cannot be written.
    """
    require_new_set(out, survey.root)
    table = survey.classes
    if any(record.truth and record.truth.ignored for record in survey.records):
        table = with_ignore_color(table)
    changes = [Change(path, "left out", why) for path, why in _lost(survey)]
    lost = {change.file for change in changes}
    whole = []
    for record in survey.records:
        if {record.image, record.mask} & lost:
            halves = {path for path in (record.image, record.mask) if path} - lost
            changes += [Change(path, "left out", "its other half has the name of another file") for path in halves]
        else:
            whole.append(record)
    with new_folder(out) as folder:
        work = functools.partial(_mend, folder=folder, classes=survey.classes, table=table, layout=survey.layout)
        with console.progress(map_on_cores(work, whole), "mending", len(whole)) as bar:
            changes += [change for found in bar for change in found]
        write_classes(folder, table)
        write_atomically(folder / LOG, _as_csv(changes, survey.root))
    return changes


def _lost(survey: Survey) -> list[tuple[Path, str]]:
    lost = []
    for listing in survey.listings.values():
        lost += [(path, "no mask") for path in listing.images_alone]
        lost += [(path, "no image") for path in listing.masks_alone]
        for one, other in listing.clashes:
            lost += [(one, f"has the name of {other.name}"), (other, f"has the name of {one.name}")]
    return lost + [(path, "no command reads it") for path in survey.foreign]


def _mend(record: Record, folder: Path, classes: ClassTable, table: ClassTable, layout: Layout) -> list[Change]:
    if record.unreadable:
        why = "; ".join(
            f"{path.name} {text.removeprefix(str(path)).strip(' :')}" for path, text in record.unreadable.items()
        )
        return _leave_out(record, why)
    split = folder / record.split
    changes: list[Change] = []
    if record.mask:
        try:
            class_map, changes = _mend_mask(record, record.mask, classes, layout)
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
        turned = f", EXIF orientation {header.orientation} applied" if header.orientation != 1 else ""
        changes.append(Change(record.image, "changed", f"{header} became an 8-bit PNG{turned}"))
    return changes


def _mend_mask(record: Record, mask: Path, classes: ClassTable, layout: Layout) -> tuple[UInt8Array, list[Change]]:
    """Return a mask's class map at its image's size, and what had to be changed for it.

    Raises:
        MaskError: Only a person can mend it.
    """
    details = []
    header, size = record.mask_header, record.size
    if header is None or size is None or record.truth is None:
        raise MaskError("it was not read")
    class_map, look = look_at_mask(mask, classes, layout)
    if class_map is None:
        other = replace(layout, mask_format="color" if layout.mask_format == "index" else "index")
        class_map, _ = read_mask(mask, classes, other.mask_format)
        if (class_map == IGNORE).any() or len(np.unique(class_map)) < 2:
            raise MaskError("its values do not tell classes apart: 255 is no class")
        details.append(f"was read as --mask-format {other.mask_format}")
    if not any(look.pixels) and not details:
        raise MaskError("no pixel is labelled")
    for off in look.off_colors:
        name = "ignored" if off.nearest == IGNORE else classes.names[off.nearest]
        details.append(f"{off.pixels} pixels of {off.color} became {name}, {off.distance:.0f} away")
    if rest := look.off_pixels - sum(off.pixels for off in look.off_colors):
        details.append(f"{rest} pixels of rarer colours became the nearest class")
    orientation = record.image_header.orientation if record.image_header else 1
    drawn_before = class_map.shape != size and turn(class_map, orientation).shape == size
    if drawn_before or (record.label and record.label.is_turned):
        class_map = turn(class_map, orientation)
        details.append(f"turned as EXIF orientation {orientation} turns the image")
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
