"""Datasets on disk: images, their masks, and the classes.

    <set>/{train,val}/{images,masks}/   images of any format and size, masks matched by stem
    <set>/test/images/                  images without masks
    <set>/classes.json                  optional; the three cooking classes otherwise

Other folder names, masks beside the images and masks of class indices are described by a `Layout`.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cookseg.runtime.errors import DatasetError, InputError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.imaging.images import IMAGE_SUFFIXES, UInt8Array, read_image
from cookseg.runtime.imaging.masks import MaskFormat, read_mask
from cookseg.runtime.imaging.preprocess import read_frame
from cookseg.runtime.model.contract import COOKING, ClassTable, Preprocessing


@dataclass(frozen=True)
class Layout:
    """Folders of images and masks inside a split's folder, and the format of the masks.

    Attributes:
        images: Folder of the images inside the split's folder; ``.`` is the split's folder itself.
        masks: Folder of the masks inside the split's folder; may be the same as ``images``.
        mask_suffix: End of a mask's stem that its image's does not have, such as ``_mask``.
        mask_format: ``color`` for class colours, ``index`` for class indices.
    """

    images: str = "images"
    masks: str = "masks"
    mask_suffix: str = ""
    mask_format: MaskFormat = "color"


@dataclass(frozen=True)
class Pair:
    """Paths of an image and its mask; ``name`` is the image's path below its folder, without the suffix."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class Sample:
    """A decoded pair.

    Attributes:
        frame: (H, W, 3) uint8 RGB; of the truth's size, or smaller where it is only for a network.
        truth: (H, W) uint8: the class map, 255 where there is no ground truth.
        off_colors: Number of the mask's pixels whose colours are not exactly a class's.
    """

    frame: UInt8Array
    truth: UInt8Array
    off_colors: int


@dataclass(frozen=True)
class Listing:
    """Content of a split: complete pairs, images without mask, masks without image, and files of one stem."""

    pairs: list[Pair]
    images_alone: list[Path]
    masks_alone: list[Path]
    clashes: list[tuple[Path, Path]]


def load_classes(root: Path) -> ClassTable:
    """Read ``classes.json`` of a dataset, or return the cooking classes where there is none.

    Raises:
        DatasetError: The dataset's folder does not exist.
        InputError: The file is not a valid class table.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such dataset folder; it should hold train/images, train/masks and so on")
    path = root / "classes.json"
    return read_classes(path) if path.exists() else COOKING


def read_classes(path: Path) -> ClassTable:
    """Read a class table.

    Raises:
        InputError: The file is not a valid class table.
    """
    try:
        return ClassTable.from_dict(json.loads(path.read_text("utf-8-sig")))
    except (InputError, ValueError, AttributeError, OSError) as error:
        raise InputError(f"{path}: {error}") from error


def list_images(folder: Path) -> list[Path]:
    """Return all images in a folder and its sub-folders, sorted; hidden files are left out.

    Links that lead nowhere, pipes and the like are listed too: reading them raises an error, so none is just missing.

    Raises:
        DatasetError: The folder does not exist, or it or a sub-folder cannot be read.
    """
    if not folder.is_dir():
        raise DatasetError(
            f"{folder}: no such folder of images; a dataset has train/images, val/images and so on;"
            " `cook-data split` makes them of one that is not split"
        )
    images: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(parent, name) for name in names if not name.startswith(".")]
        images += [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(images)


def _refuse(error: OSError) -> NoReturn:
    raise DatasetError(f"{error.filename}: {error.strerror}; make this folder readable") from error


def list_split(root: Path, split: str, layout: Layout) -> Listing:
    """Match the images of a split with its masks by stem.

    Raises:
        DatasetError: A folder is missing.
    """
    image_dir, mask_dir = (root / split / name for name in (layout.images, layout.masks))
    images = list_images(image_dir)
    if not mask_dir.is_dir():
        raise DatasetError(f"{mask_dir}: no such folder of masks; say with `masks` and `mask_suffix` where they are")
    masks = list_images(mask_dir)
    if image_dir.resolve() == mask_dir.resolve():
        masks = _masks_beside(images, layout)
        images = [path for path in images if path not in set(masks)]
    elif image_dir.resolve() in mask_dir.resolve().parents:
        images = [path for path in images if mask_dir.resolve() not in path.resolve().parents]
    elif mask_dir.resolve() in image_dir.resolve().parents:
        masks = [path for path in masks if image_dir.resolve() not in path.resolve().parents]
    image_of, image_clashes = _by_stem(images, image_dir, "")
    mask_of, mask_clashes = _by_stem(masks, mask_dir, layout.mask_suffix)
    return Listing(
        pairs=[Pair(name, image_of[name], mask_of[name]) for name in sorted(image_of.keys() & mask_of.keys())],
        images_alone=[path for name, path in image_of.items() if name not in mask_of],
        masks_alone=[path for name, path in mask_of.items() if name not in image_of],
        clashes=image_clashes + mask_clashes,
    )


def list_pairs(root: Path, split: str, layout: Layout) -> list[Pair]:
    """Return the pairs of a split where every image must have its mask.

    Raises:
        DatasetError: As `list_split`; or an image or mask is alone or has a double, or there are no pairs.
    """
    listing = list_split(root, split, layout)
    for one, other in listing.clashes:
        raise DatasetError(f"{one} and {other} have the same stem: rename or remove one of them")
    for paths, what in (
        (listing.images_alone, "images have no mask"),
        (listing.masks_alone, "masks have no image"),
    ):
        if paths:
            raise DatasetError(
                f"{root / split}: {len(paths)} {what} of the same name, such as {paths[0]}: add what is missing, or"
                f" say with `masks` and `mask_suffix` where masks are; `cook-data doctor {root}` lists all"
            )
    if not listing.pairs:
        raise DatasetError(
            f"{root / split / layout.images}: no images here (known: {', '.join(sorted(IMAGE_SUFFIXES))})"
        )
    return listing.pairs


def read_pair(pair: Pair, classes: ClassTable, layout: Layout, spec: Preprocessing | None = None) -> Sample:
    """Decode an image and its mask; with ``spec`` the image no larger than that network needs it.

    Raises:
        ImageError: A file cannot be decoded.
        MaskError: The mask holds values of no class.
        DatasetError: Image and mask differ in size.
    """
    frame = read_frame(pair.image, spec) if spec else Frame.of(read_image(pair.image))
    truth, off_colors = read_mask(pair.mask, classes, layout.mask_format)
    if frame.size != truth.shape:
        (height, width), (mask_height, mask_width) = frame.size, truth.shape
        raise DatasetError(
            f"{pair.mask}: the mask is {mask_width}x{mask_height}, but its image {pair.image} is {width}x{height};"
            " both must have the same size: export the mask again at the image's size"
        )
    return Sample(frame.pixels, truth, off_colors)


def _masks_beside(files: list[Path], layout: Layout) -> list[Path]:
    """Find the masks in a folder that holds images too: by their suffix, else the PNG of two files of one stem."""
    if layout.mask_suffix:
        return [path for path in files if path.stem.endswith(layout.mask_suffix)]
    others = {path.with_suffix("") for path in files if path.suffix.lower() != ".png"}
    return [path for path in files if path.suffix.lower() == ".png" and path.with_suffix("") in others]


def _by_stem(paths: list[Path], folder: Path, suffix: str) -> tuple[dict[str, Path], list[tuple[Path, Path]]]:
    """Return paths by their name below the folder without the suffixes, and pairs of paths of the same name."""
    found: dict[str, Path] = {}
    clashes = []
    for path in paths:
        if not path.stem.endswith(suffix):
            continue
        name = (path.parent.relative_to(folder) / path.stem.removesuffix(suffix)).as_posix()
        if name in found:
            clashes.append((found[name], path))
        else:
            found[name] = path
    return found, clashes
