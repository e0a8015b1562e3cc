"""Exporter: writes labels as one tool reads them. Each is a class in `cookseg.data.exporters.registry`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal, Protocol

from cookseg.data.exporters.regions import Region
from cookseg.data.standard import Split
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.model.contract import Color

Shapes = Literal["rle", "polygons"]
"""What regions are written as: masks, which are exact in every tool, or outlines, which can be edited by points."""


@dataclass(frozen=True)
class Label:
    """A label of the exported set.

    Attributes:
        name: Its name: that of a class, or that of pixels to ignore.
        value: The class index, or `IGNORE`.
        color: RGB.
    """

    name: str
    value: int
    color: Color

    @property
    def hexadecimal(self) -> str:
        """Its colour, as ``#rrggbb``."""
        return "#{:02x}{:02x}{:02x}".format(*self.color)


@dataclass(frozen=True)
class ExportedFrame:
    """A frame whose image was written.

    Attributes:
        split: Its split.
        file: The image, below the folder of the export.
        name: Path below the split's folder of images, with the suffix of the image.
        size: Height and width.
        regions: What is labelled in it; None if it has no mask.
    """

    split: Split
    file: PurePosixPath
    name: str
    size: Size
    regions: tuple[Region, ...] | None


class Exporter(Protocol):
    """Writes the labels of one format.

    Attributes:
        name: What the format is called by those who choose it.
        shapes: What it can hold; the first is the default.
        images: Folder of a split's images, below that of the export, with ``{split}`` in place of the split.
        ignored: What its readers make of pixels to ignore, for a note; they are a label of their own.
        bare: Whether a frame without a region reads as one that nobody has annotated.

    >>> class Counts:
    ...     name, shapes, images, ignored, bare = "counts", ("rle",), "{split}", "", False
    ...
    ...     def write(self, frames, folder, labels):
    ...         lines = [f"{frame.name} {len(frame.regions or ())}" for frame in frames]
    ...         (folder / "counts.txt").write_text(";".join(lines))
    """

    name: ClassVar[str]
    shapes: ClassVar[tuple[Shapes, ...]]
    images: ClassVar[str]
    ignored: ClassVar[str]
    bare: ClassVar[bool]

    def write(self, frames: Iterable[ExportedFrame], folder: Path, labels: tuple[Label, ...]) -> None:
        """Write the labels of all frames, which come split by split, into the folder of the export.

        A region with an outline is written as that, another one as its mask.
        """
        ...
