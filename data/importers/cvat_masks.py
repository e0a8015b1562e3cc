"""CVAT "Segmentation mask 1.1": https://docs.cvat.ai/docs/dataset_management/formats/format-smask/.

A Pascal VOC folder as Datumaro writes it (compared with 1.13.12): masks in the colours of ``labelmap.txt``, and lists
of images, each named after a subset. Shapes are drawn already, by their ``z_order``. An image without a shape has no
mask: nobody has annotated it yet. Lines, points and cuboids are not in this export at all.
"""

from collections import defaultdict
from pathlib import Path
from typing import ClassVar

from cookseg.data.importers.importer import Request
from cookseg.data.importers.labels import LabelledImage, Labels, composed, split_in
from cookseg.data.importers.tables import is_cvat_table, read_table
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError
from cookseg.runtime.scoring.dataset import list_images
from cookseg.runtime.walk import list_files

_MASKS, _IMAGES, _TABLE, _LISTS = "SegmentationClass", "JPEGImages", "labelmap.txt", "ImageSets/Segmentation"


class CvatMasks:
    """Folders with masks of one colour for each label; the names of the lists of images tell the splits."""

    name: ClassVar[str] = "cvat-masks"
    suffixes: ClassVar[tuple[str, ...]] = (".txt",)

    def claims(self, path: Path) -> bool:
        """Return whether a file is the table of such a folder."""
        return path.name == _TABLE and path.is_file() and is_cvat_table(_lines(path))

    def read(self, request: Request) -> Labels:
        """Read all such folders."""
        source = request.source
        files = [source] if source.is_file() else list_files(source)
        roots = {path.parent for path in files if path.name == _TABLE}
        folders = {parent for path in files for parent in path.parents if parent.is_relative_to(source)}
        roots |= {folder.parent for folder in folders if folder.name == _MASKS}
        if not roots:
            raise InputError(f"{source}: no {_TABLE} or {_MASKS} here")
        found = Labels()
        for root in sorted(roots):
            table = request.table or root / _TABLE
            if not table.is_file():
                raise InputError(f"{root}: lacks {_TABLE}, which names the labels of the colours: give it with `table`")
            read_table(table).add_to(found, table)
            _read_folder(root, request, found)
        return found


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8-sig", errors="replace").splitlines()


def _read_folder(root: Path, request: Request, found: Labels) -> None:
    folder = request.images or root / _IMAGES
    images = _by_name(folder, found) if request.images or folder.is_dir() else {}
    masks = _by_name(root / _MASKS, found) if (root / _MASKS).is_dir() else {}
    listed = _listed(root)
    own = {} if request.images and listed else images  # a given folder may hold those of other exports, too
    for name in sorted({*own, *masks, *listed}):
        mask = masks.get(name)
        if name in images:
            for split in listed.get(name) or [request.split]:
                found.images.append(LabelledImage(split, name, images[name], mask=mask, annotated=bool(mask)))
        elif mask or images:
            what = mask or f"{root / _LISTS}: {name}"
            found.failures.append(f"{what}: no image of this name below {folder}: name its folder with `images`")


def _by_name(folder: Path, found: Labels) -> dict[str, Path]:
    """Return the images below a folder by their paths without suffix; two of one name are left out."""
    by_name = defaultdict(list)
    for path in list_images(folder):
        by_name[composed(path.relative_to(folder).with_suffix("").as_posix())].append(path)
    for name, paths in by_name.items():
        if len(paths) > 1:
            found.failures.append(f"{paths[0]} and {paths[1]}: which of them is {name}? Remove the other")
    return {name: paths[0] for name, paths in by_name.items() if len(paths) == 1}


def _listed(root: Path) -> dict[str, list[Split]]:
    """Return the splits of each image that is in a list; a list of another name, as ``default``, tells none."""
    found: dict[str, dict[Split, None]] = {}
    folder = root / _LISTS
    for path in list_files(folder, (".txt",)) if folder.is_dir() else []:
        split = split_in(path.stem)
        for name in filter(None, (line.strip().strip('"') for line in _lines(path))):
            found.setdefault(composed(name), {}).update({split: None} if split else {})
    return {name: [*splits] for name, splits in found.items()}
