"""The standard layout, written: plain JPEG or PNG images, masks as PNGs in the class colours, ``classes.json``.

<set>/{train,val,test}/images/<name>.{jpg,png}
<set>/{train,val,test}/masks/<name>.png
<set>/classes.json                              unless the classes are the three cooking ones
"""

import dataclasses
import itertools
import json
import shutil
from pathlib import Path
from typing import Literal

from cookseg.runtime.errors import InputError
from cookseg.runtime.files import require_unused, write_atomically
from cookseg.runtime.imaging.headers import read_header
from cookseg.runtime.imaging.images import UInt8Array, read_image
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.model.contract import COOKING, ClassTable
from cookseg.runtime.scoring.dataset import Layout

Split = Literal["train", "val", "test"]

LABELLED: tuple[Split, ...] = ("train", "val")
"""Splits in which every image needs a mask."""

SPLITS: tuple[Split, ...] = (*LABELLED, "test")
"""The splits of a dataset; test may be without masks."""

STANDARD = Layout()

BACKGROUNDS = ("pan+background", "background")
"""Names of a class that pixels without a shape belong to, in the files of labelling tools."""


def require_new_set(out: Path, root: Path) -> None:
    """Refuse a folder for a dataset made from another one that holds something, or lies inside that.

    Raises:
        InputError: It does.
    """
    if root.resolve() in (out.resolve(), *out.resolve().parents):
        raise InputError(f"{out} lies inside the dataset {root}, which is not changed: name another folder")
    require_unused(out)


def write_classes(root: Path, classes: ClassTable) -> None:
    """Write ``classes.json`` into a dataset's folder where the classes are not the default."""
    if classes != COOKING:
        write_atomically(root / "classes.json", json.dumps(classes.to_dict(), indent=2).encode())


def write_image(source: Path, folder: Path, name: str) -> Path:
    """Copy an image byte for byte if any reader sees in it what cookseg sees, or else write its pixels as a PNG.

    Args:
        source: An image that `read_image` can decode.
        folder: Folder of the split's images.
        name: Path below that folder, without suffix.

    Returns:
        The file written: rotated upright, 8 bits, no alpha, with the suffix that its content has.

    Raises:
        ImageError: The source cannot be decoded.
        InputError: The file cannot be written.
    """
    header = read_header(source)
    target = folder / f"{name}{'.jpg' if header.kind == 'JPEG' and header.is_plain else '.png'}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if header.is_plain:
        shutil.copyfile(source, target)
    else:
        write_png(target, read_image(source))
    return target


def write_mask(class_map: UInt8Array, folder: Path, name: str, classes: ClassTable) -> Path:
    """Write a class map, (H, W) uint8, in the class colours.

    Where it may have pixels to ignore, the table needs an ignore colour: see `with_ignore_color`.

    Raises:
        InputError: The file cannot be written.
    """
    target = folder / f"{name}.png"
    write_png(target, colorize(class_map, classes))
    return target


def with_ignore_color(classes: ClassTable) -> ClassTable:
    """Give a table a colour for unlabelled pixels where it has none: black, or the first grey that no class has."""
    if classes.ignore_color:
        return classes
    grey = next(value for value in itertools.count() if (value, value, value) not in classes.colors)
    return dataclasses.replace(classes, ignore_color=(grey, grey, grey))
