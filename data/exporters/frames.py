"""Frames on their way out: what a dataset holds, read, cut into regions, and the images copied."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from cookseg.data.exporters.exporter import ExportedFrame, Label, Shapes
from cookseg.data.exporters.regions import Region, outlined_regions, whole_region
from cookseg.data.standard import BACKGROUNDS, LABELLED, SPLITS, Split, write_image
from cookseg.runtime.errors import DatasetError, InputError
from cookseg.runtime.imaging.images import UInt8Array, read_image
from cookseg.runtime.model.contract import IGNORE, ClassTable
from cookseg.runtime.scoring.dataset import Layout, Pair, list_images, list_split, read_pair

_UNWRITABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Source:
    """A frame to export; ``mask`` is None where it has none."""

    split: Split
    name: str
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class Job:
    """What is done with every frame.

    Attributes:
        folder: Folder of the export.
        images: Folder of a split's images below that.
        classes: The dataset's class table.
        layout: The dataset's layout.
        labels: The labels to export.
        shapes: What regions are written as.
    """

    folder: Path
    images: str
    classes: ClassTable
    layout: Layout
    labels: tuple[Label, ...]
    shapes: Shapes


@dataclass(frozen=True)
class Failure:
    """Reason why a frame could not be exported; a line that names its file."""

    why: str


def list_sources(root: Path, layout: Layout) -> tuple[list[Source], list[str]]:
    """List the frames of all splits, or of a folder that is one pool, which becomes train.

    Returns:
        The frames, and a line for each file that is not exported.

    Raises:
        DatasetError: There are none.
    """
    places: list[tuple[Split, Path]] = [(split, root / split) for split in SPLITS if (root / split).is_dir()]
    sources: list[Source] = []
    failures: list[str] = []
    for split, folder in places or [("train", root)]:
        if split not in LABELLED and not (folder / layout.masks).is_dir():
            found, clashes = _unlabelled(split, list_images(folder / layout.images), folder / layout.images)
            sources += found
            failures += clashes
            continue
        listing = list_split(folder.parent, folder.name, layout)
        sources += [Source(split, pair.name, pair.image, pair.mask) for pair in listing.pairs]
        failures += [f"{one} and {other} have the same stem: rename or remove one" for one, other in listing.clashes]
        failures += [f"{mask}: has no image of its name" for mask in listing.masks_alone]
        if split in LABELLED:
            failures += [f"{image}: has no mask of its name" for image in listing.images_alone]
        else:
            sources += _unlabelled(split, listing.images_alone, folder / layout.images)[0]
    if not sources:
        raise DatasetError(f"{root}: no frames to export{''.join(f'; {line}' for line in failures[:1])}")
    return sources, failures


def _unlabelled(split: Split, images: list[Path], base: Path) -> tuple[list[Source], list[str]]:
    """Return images without masks as frames, and a line for each whose name another one has."""
    found: dict[str, Source] = {}
    clashes = []
    for image in images:
        name = image.relative_to(base).with_suffix("").as_posix()
        first = found.setdefault(name, Source(split, name, image, None)).image
        if first != image:
            clashes.append(f"{first} and {image} have the same stem: rename or remove one")
    return [*found.values()], clashes


def labels_of(classes: ClassTable, background: bool) -> tuple[Label, ...]:
    """Return the labels to export.

    Where pixels without a shape are background, those to ignore are a label too, the last one; where every class is
    exported, they are what has no shape.

    Raises:
        InputError: The name of a class cannot be written.
    """
    for name in classes.names:
        _require_text(name, "rename the class in classes.json")
    rest = None if background else next((name for name in BACKGROUNDS if name in classes.names), None)
    pairs = zip(classes.names, classes.colors, strict=True)
    labels = [Label(name, value, color) for value, (name, color) in enumerate(pairs) if name != rest]
    if rest:
        name = next(name for name in ("ignore", "ignored", "void", "unlabelled") if name not in classes.names)
        labels.append(Label(name, IGNORE, classes.ignore_color or (0, 0, 0)))
    return tuple(labels)


def _require_text(name: str, remedy: str) -> None:
    """Refuse a name that XML and YAML cannot hold: a single one would make a file of all labels unreadable.

    Raises:
        InputError: It holds a control character, or is not UTF-8 on this disk.
    """
    if wrong := _UNWRITABLE.search(name):
        raise InputError(f"{name!r} holds {wrong[0]!r}, which files of labels cannot hold: {remedy}")


def export_frame(source: Source, job: Job) -> ExportedFrame | Failure:
    """Write a frame's image and find its regions; a frame that cannot be read says why."""
    regions: tuple[Region, ...] | None
    try:
        _require_text(source.name, "rename the image and its mask")
        if source.mask:
            pair = Pair(source.name, source.image, source.mask)
            truth = read_pair(pair, job.classes, job.layout).truth
            regions, size = regions_of(truth, job.labels, job.shapes), truth.shape
        else:
            regions, size = None, read_image(source.image).shape
        place = PurePosixPath(job.images.format(split=source.split))
        written = write_image(source.image, job.folder / place, source.name)
    except (InputError, OSError) as error:
        return Failure(str(error) if str(source.image) in str(error) else f"{source.image}: {error}")
    name = written.relative_to(job.folder / place).as_posix()
    return ExportedFrame(source.split, place / name, name, (size[0], size[1]), regions)


def regions_of(class_map: UInt8Array, labels: tuple[Label, ...], shapes: Shapes) -> tuple[Region, ...]:
    """Cut a class map, (H, W) uint8, into regions: one a label, or an outline for each part of it."""
    cut = whole_region if shapes == "rle" else outlined_regions
    return tuple(region for label in labels for region in cut(label.name, np.equal(class_map, label.value)))
