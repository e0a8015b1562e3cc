"""Measures of a mask, however wrong it is: classes, colours that no class has and where they may come from."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from cookseg.data.doctor.labels import BoolArray, outlines
from cookseg.runtime.errors import MaskError
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.headers import Header, header_of
from cookseg.runtime.imaging.images import UInt8Array, decode_mask_image, read_file
from cookseg.runtime.imaging.masks import colorize, from_colors, nearest_class, packed, to_class_map
from cookseg.runtime.model.contract import IGNORE, ClassTable, Color
from cookseg.runtime.scoring.dataset import Layout

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class OffColor:
    """A colour of no class in a mask: on how many pixels, the nearest class, and how far that is in RGB."""

    color: Color
    pixels: int
    nearest: int
    distance: float


@dataclass(frozen=True)
class MaskMeasures:
    """Measures of a mask.

    Attributes:
        size: Height and width.
        pixels: Pixels of each class.
        ignored: Pixels without ground truth.
        error: Why training would refuse the mask, or None.
        off_pixels: Pixels whose colour is not exactly a class's.
        off_colors: The commonest of their colours.
        cause: What the off colours look like.
        blocks: Side in pixels of the squares that the mask is made of; 1 for a mask drawn at its own size.
    """

    size: Size
    pixels: tuple[int, ...]
    ignored: int
    error: str | None = None
    off_pixels: int = 0
    off_colors: tuple[OffColor, ...] = ()
    cause: str = ""
    blocks: int = 1

    @property
    def is_of_other_format(self) -> bool:
        """Whether the values say nothing: indices where colours are expected, or the reverse."""
        return self.error is not None and not self.off_colors


def measure_mask(
    path: Path, classes: ClassTable, layout: Layout, data: bytes | None = None
) -> tuple[UInt8Array | None, MaskMeasures]:
    """Read a mask, however wrong its colours are; ``data`` is the file's bytes, where they are read already.

    Returns:
        The class map, (H, W) uint8, or None where the mask's values say nothing; and its measures.

    Raises:
        ImageError: The file cannot be decoded.
        MaskError: A value does not fit into 8 bits.
    """
    data = read_file(path) if data is None else data
    pixels = decode_mask_image(data, str(path), indices=layout.mask_format == "index")
    size = (pixels.shape[0], pixels.shape[1])
    try:
        if layout.mask_format == "index" or pixels.ndim == 2:
            class_map, off_pixels = to_class_map(pixels, path, classes, layout.mask_format)
        else:
            class_map, off_pixels = from_colors(pixels, classes, str(path))
        error = None
    except MaskError as refused:
        error = str(refused)
        if layout.mask_format == "index" or pixels.ndim == 2:
            return None, MaskMeasures(size, (0,) * len(classes), 0, error)
        class_map, off_pixels = from_colors(pixels, classes, str(path), any_color=True)
    shares = tuple(_count(class_map, value) for value in range(len(classes)))
    off_colors: tuple[OffColor, ...] = ()
    cause = ""
    if off_pixels:
        if pixels.ndim == 2:
            pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
        off = (pixels != colorize(class_map, classes)).any(axis=2)
        codes, repeats = np.unique(packed(pixels[off]), return_counts=True)
        off_colors = _commonest(codes, repeats, classes)
        cause = _cause(off, len(codes), class_map, header_of(data, str(path)))
    return class_map, MaskMeasures(
        size, shares, _count(class_map, IGNORE), error, off_pixels, off_colors, cause, _block_side(class_map)
    )


def _count(class_map: UInt8Array, value: int) -> int:
    return int(np.count_nonzero(class_map == value))  # for a few classes five times faster than np.bincount


def _commonest(codes: IntArray, repeats: IntArray, classes: ClassTable, most: int = 3) -> tuple[OffColor, ...]:
    found = []
    for i in np.argsort(-repeats, kind="stable")[:most]:
        color = (int(codes[i]) >> 16, int(codes[i]) >> 8 & 255, int(codes[i]) & 255)
        found.append(OffColor(color, int(repeats[i]), *nearest_class(color, classes)))
    return tuple(found)


def _cause(off: BoolArray, colors: int, class_map: UInt8Array, header: Header) -> str:
    """Guess how a mask came by colours that no class has.

    Resizing and anti-aliasing mix colours along the edges only; JPEG spreads them over whole blocks of 8 or 16 pixels.
    """
    if header.lossy:
        return f"stored as {header.kind}"
    if colors <= 3:
        return "painted"
    from_outline = cv2.distanceTransform((~outlines(class_map)).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    return "was a JPEG once" if np.mean(from_outline[off] > 3) > 0.2 else "resized or anti-aliased"


def _block_side(class_map: UInt8Array) -> int:
    """Return the side of the squares that a mask consists of where it was scaled up by repeating pixels, or 1."""
    sides = []
    for axis in (0, 1):
        changes = np.flatnonzero((np.diff(class_map, axis=axis) != 0).any(axis=1 - axis))
        if len(changes) < 16:
            return 1
        sides.append(int(np.diff(changes).min()))
    return min(sides)


def is_scaled(size: Size, other: Size) -> bool:
    """Return whether two sizes, (height, width), are of one shape, give or take a pixel."""
    (height, width), (rows, columns) = size, other
    return abs(height * columns - width * rows) <= max(height, width, rows, columns)
