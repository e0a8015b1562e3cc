"""Masks: from the colours or indices on disk to class maps, and from class maps to masks and overlays.

A class map is (H, W) uint8: 0 to C - 1 are the classes of a `ClassTable`, 255 (`IGNORE`) has no ground truth.
"""

import math
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from cookseg.runtime.errors import MaskError
from cookseg.runtime.imaging.images import UInt8Array, read_mask_image
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import IGNORE, ClassTable, Color

MaskFormat = Literal["color", "index"]

STRAY_SHARE, STRAY_PIXELS = 0.005, 8
"""Limits of colours that belong to no class: a fraction of a mask's off-colour pixels, and pixels of one colour.

Measured on masks saved as JPEG at qualities 50 to 95, 96x128 to 480x640: nearly every pixel is slightly off, up to
0.24 % are off by more than the tolerance, and no such colour occurs on more than 3 pixels. Where somebody painted a
class that the table lacks, one colour covers them all.
"""

_UNKNOWN = 254  # a ClassTable has at most 254 classes, so no class has this index


def read_mask(path: Path, classes: ClassTable, mask_format: MaskFormat = "color") -> tuple[UInt8Array, int]:
    """Read a ground-truth mask.

    Args:
        path: A PNG (or other lossless image) in the class colours, or of class indices.
        classes: The class table that the mask uses.
        mask_format: ``color`` or ``index``.

    Returns:
        The class map, (H, W) uint8, and the number of pixels whose colour was off and went to the nearest class.

    Raises:
        ImageError: The file cannot be decoded.
        MaskError: A colour or index is of no class; the message names the file, the values and their pixels.
    """
    return to_class_map(read_mask_image(path, indices=mask_format == "index"), path, classes, mask_format)


def to_class_map(
    pixels: UInt8Array, path: Path, classes: ClassTable, mask_format: MaskFormat
) -> tuple[UInt8Array, int]:
    """Return what `read_mask` does, of the values that `read_mask_image` gave."""
    if mask_format == "index":
        return _from_indices(pixels, classes, path), 0
    if pixels.ndim == 3:
        return from_colors(pixels, classes, str(path))
    try:
        return from_colors(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), classes, str(path))
    except MaskError as error:
        raise MaskError(
            f"{path}: this mask is grey (values {_listed(np.unique(pixels))}), but a colour-coded one is expected;"
            " if its values are class indices, pass `mask_format='index'`; if they are the colours of two classes,"
            " black and white, name them in classes.json"
        ) from error


def from_colors(rgb: UInt8Array, classes: ClassTable, name: str, *, any_color: bool = False) -> tuple[UInt8Array, int]:
    """Turn a colour-coded mask into a class map.

    Args:
        rgb: (H, W, 3) uint8 RGB.
        classes: The class table.
        name: The mask's name, for errors.
        any_color: Take the nearest class however far it is.

    Returns:
        The class map, (H, W) uint8, and the number of pixels whose colour was not exact.

    Raises:
        MaskError: Pixels are further than `ClassTable.tolerance` from every class colour, and not just strays.
    """
    class_map = np.zeros(rgb.shape[:2], np.uint8)
    palette = _palette(classes)
    codes = cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA).view(np.uint32)[..., 0]  # three times faster than cv2.inRange
    for value, color in palette:  # what no colour sets stays 0, and becomes `_UNKNOWN` below
        code = np.array([*color, 255], np.uint8).view(np.uint32)[0]
        class_map |= (codes == code).view(np.uint8) * np.uint8(value ^ _UNKNOWN)
    class_map ^= np.uint8(_UNKNOWN)
    off = class_map == _UNKNOWN
    count = int(np.count_nonzero(off))
    if count:
        class_map[off] = _nearest(rgb[off], palette, math.inf if any_color else classes.tolerance, name)
    return class_map, count


def packed(rgb: UInt8Array) -> npt.NDArray[np.int64]:
    """Return colours as one integer each, 0xRRGGBB: (..., 3) uint8 RGB becomes (...) int64.

    >>> hex(packed(np.array([255, 128, 0], np.uint8)))
    '0xff8000'
    """
    red, green, blue = (rgb[..., channel].astype(np.int64) for channel in range(3))
    return red << 16 | green << 8 | blue


def unpacked(codes: npt.NDArray[np.integer]) -> UInt8Array:
    """Return the colours that `packed` packed: (...) integers become (..., 3) uint8 RGB."""
    return np.stack([codes >> 16 & 255, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)


def nearest_class(color: Color, classes: ClassTable) -> tuple[int, float]:
    """Return the class of the nearest colour (`IGNORE` for the ignore colour), and its distance in RGB.

    Args:
        color: RGB, each 0..255.
        classes: The class table.
    """
    value, nearest = min(_palette(classes), key=lambda entry: math.dist(entry[1], color))
    return value, math.dist(nearest, color)


@checked_keywords
def colorize(class_map: UInt8Array, classes: ClassTable) -> UInt8Array:
    """Paint a class map in the colours of its classes.

    Args:
        class_map: (H, W) uint8; 255 is painted in the ignore colour, or black.
        classes: The class table.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    table = np.zeros((256, 1, 3), np.uint8)
    table[: len(classes), 0] = classes.colors
    if classes.ignore_color:
        table[IGNORE, 0] = classes.ignore_color
    return cv2.applyColorMap(class_map, table)  # ten times faster than table[class_map]


@checked_keywords
def overlay(frame: UInt8Array, class_map: UInt8Array, classes: ClassTable, opacity: float = 0.45) -> UInt8Array:
    """Blend the class colours over a frame.

    Args:
        frame: (H, W, 3) uint8 RGB.
        class_map: (H, W) uint8, of the frame's size; 255 is painted in the ignore colour, or black.
        classes: The class table.
        opacity: Of the colours, 0..1.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    return cv2.addWeighted(frame, 1 - opacity, colorize(class_map, classes), opacity, 0)


def _from_indices(indices: UInt8Array, classes: ClassTable, path: Path) -> UInt8Array:
    if indices.ndim == 3:
        raise MaskError(
            f"{path}: this mask is a colour image, but one of class indices is expected; if its colours are those of"
            " the classes, pass `mask_format='color'`"
        )
    table = np.full(256, _UNKNOWN, np.uint8)
    table[: len(classes)] = np.arange(len(classes))
    table[[classes.ignore_index, IGNORE]] = IGNORE
    class_map = table[indices]
    wrong = class_map == _UNKNOWN
    if wrong.any():
        values, counts = np.unique(indices[wrong], return_counts=True)
        raise MaskError(
            f"{path}: {counts.sum()} pixels have values of no class ({_listed(values)}); with {len(classes)} classes"
            f" 0 to {len(classes) - 1} and {classes.ignore_index} (ignored) are allowed: fix the mask, or list all"
            " classes in classes.json"
        )
    return class_map


def _palette(classes: ClassTable) -> list[tuple[int, Color]]:
    """Return the value in a class map, and the colour, of all that a mask may show."""
    return [*enumerate(classes.colors), *([(IGNORE, classes.ignore_color)] if classes.ignore_color else [])]


def _nearest(rgb: UInt8Array, palette: list[tuple[int, Color]], tolerance: float, name: str) -> UInt8Array:
    """Give each of (N, 3) colours the value of its nearest palette entry, or raise if one is too far from all."""
    codes, inverse, counts = np.unique(packed(rgb), return_inverse=True, return_counts=True)
    colors = unpacked(codes)
    distances = np.linalg.norm(colors[:, None] - np.array([color for _, color in palette]), axis=2)
    far = distances.min(axis=1) > tolerance
    if counts[far].sum() > STRAY_SHARE * counts.sum() or counts[far].max(initial=0) > STRAY_PIXELS:
        worst = np.flatnonzero(far)[np.argsort(-counts[far], kind="stable")]
        listed = ", ".join(f"{tuple(colors[i].tolist())} on {counts[i]} pixels" for i in worst[:3])
        more = f" and {len(worst) - 3} more colours" if len(worst) > 3 else ""
        raise MaskError(
            f"{name}: colours of no class: {listed}{more}; further than {tolerance} in RGB from each of"
            f" {', '.join(str(color) for _, color in palette)}: fix the mask, or name the colour in classes.json"
        )
    values = np.array([value for value, _ in palette], np.uint8)
    return values[distances.argmin(axis=1)][inverse.ravel()]


def _listed(values: UInt8Array, most: int = 6) -> str:
    shown = ", ".join(str(value) for value in values[:most])
    return shown if len(values) <= most else f"{shown}, ... {values[-1]}"
