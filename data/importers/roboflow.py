"""Roboflow "Semantic Segmentation Masks": ``x_mask.png`` beside ``x.jpg``, and ``_classes.csv`` with the labels.

There is a folder for each split, ``train``, ``valid`` and ``test`` (https://roboflow.com/formats/segmentation-masks).
Roboflow has an image in an export only if somebody annotated it, or marked it as one without objects.
"""

from pathlib import Path
from typing import ClassVar

from cookseg.data.importers.importer import Request
from cookseg.data.importers.labels import LabelledImage, Labels, split_in
from cookseg.data.importers.tables import is_roboflow_table, read_table
from cookseg.runtime.errors import InputError
from cookseg.runtime.scoring.dataset import list_images
from cookseg.runtime.walk import list_files

_TABLE, _SUFFIX = "_classes.csv", "_mask"


class RoboflowMasks:
    """Folders with images, masks of indices beside them, and a table; the folders' names tell the splits."""

    name: ClassVar[str] = "roboflow-masks"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)

    def claims(self, path: Path) -> bool:
        """Return whether a file is the table of such a folder."""
        return path.name == _TABLE and path.is_file() and is_roboflow_table(_lines(path))

    def read(self, request: Request) -> Labels:
        """Read all such folders."""
        source = request.source
        tables = [source] if source.is_file() else list_files(source, self.suffixes)
        tables = [path for path in tables if self.claims(path)]
        if not tables:
            raise InputError(f"{source}: no {_TABLE} here; it names the labels of the masks' values")
        if request.images and request.images.resolve() != source.resolve():
            raise InputError(f"{source}: Roboflow's images lie beside their masks: leave out `images`")
        found = Labels()
        for path in tables:
            table = request.table or path
            read_table(table).add_to(found, table)
            below = path.parent if source.is_file() else path.parent.relative_to(source)
            _read_folder(path.parent, below, request, found)
        return found


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8-sig", errors="replace").splitlines()


def _read_folder(folder: Path, below: Path, request: Request, found: Labels) -> None:
    split = split_in(below.name) or request.split
    inside = Path() if request.source.is_file() else Path(*(part for part in below.parts if not split_in(part)))
    files = [path for path in list_images(folder) if path.parent == folder]
    masks = {path.stem.removesuffix(_SUFFIX): path for path in files if _is_mask(path)}
    images: dict[str, list[Path]] = {}
    for path in files:
        if not _is_mask(path):
            images.setdefault(path.stem, []).append(path)
    for stem, same in images.items():
        mask = masks.pop(stem, None)
        if len(same) > 1:
            found.failures.append(f"{same[0]} and {same[1]}: which of them is {stem}? Remove the other")
            continue
        name = (inside / stem).as_posix()
        found.images.append(LabelledImage(split, name, same[0], mask=mask, annotated=mask is not None))
    found.failures += [f"{path}: no image of this name beside it" for path in masks.values()]


def _is_mask(path: Path) -> bool:
    return path.suffix.lower() == ".png" and path.stem.endswith(_SUFFIX)
