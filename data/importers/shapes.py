"""Shapes: labelled regions, and the polygons and run lengths that they are made of.

A shape that has no area, or is damaged, is kept as what it is: a label, its bounds and why it cannot be drawn.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.limits import MAX_PIXELS

Segmentation = list[list[float]] | dict[str, Any]
"""As in COCO: polygons, each x, y, x, y, ... in pixels with (0, 0) the outer corner of the first one; or a mask as
``{"size": [height, width], "counts": ...}``, run lengths down the columns, as a list or compressed."""

NO_LABEL = "no_label"
"""Label of what somebody drew and gave none."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom; infinite where only the frame's edge is a bound."""


@dataclass(frozen=True)
class Shape:
    """A labelled region.

    Attributes:
        label: Its label.
        segmentation: Its area, or None if it cannot be drawn.
        where: File, image and annotation that it comes from, for messages.
        box: Bounds of what cannot be drawn, or None if they follow from the area, or are unknown.
        why: Reason why it cannot be drawn.
    """

    label: str
    segmentation: Segmentation | None
    where: str = ""
    box: Box | None = None
    why: str = ""

    @property
    def bounds(self) -> Box | None:
        """Bounds: those that were given, else of its polygons."""
        if self.box or not isinstance(self.segmentation, list):
            return self.box
        return bounds([value for points in self.segmentation for value in points])

    def undrawn(self, why: object) -> "Shape":
        """Return it as one that cannot be drawn."""
        return Shape(self.label, None, self.where, self.bounds, str(why))


def bounds(points: Any) -> Box | None:
    """Return the bounds of points, however they are nested.

    An axis along which a coordinate is unknown reaches from edge to edge of the frame.

    Returns:
        The box, or None if there are no points, or both axes are unknown.
    """
    flat = [number(value) for value in _flat(points)]
    if not flat or len(flat) % 2:
        return None
    low, high = [], []
    for values in (flat[::2], flat[1::2]):
        known = all(map(math.isfinite, values))
        low.append(min(values) if known else -math.inf)
        high.append(max(values) if known else math.inf)
    return None if math.isinf(low[0]) and math.isinf(low[1]) else (low[0], low[1], high[0], high[1])


def tighter(box: Box | None, other: Box | None) -> Box | None:
    """Return what is in both boxes, or the one that there is."""
    if box is None or other is None:
        return box or other
    left, top, right, bottom = (
        choose(pair) for choose, pair in zip((max, max, min, min), zip(box, other, strict=True), strict=True)
    )
    return (left, top, right, bottom)


def _flat(points: Any) -> list[Any]:
    if isinstance(points, list | tuple | np.ndarray):
        return [value for point in points for value in _flat(point)]
    return [points]


def number(value: Any) -> float:
    """Return a number, or NaN if it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def polygon(points: Any) -> list[float]:
    """Return the coordinates of a polygon, flat.

    Raises:
        InputError: They are not finite numbers, or fewer than three points.
    """
    try:
        flat = np.asarray(points, np.float64).ravel()
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"a polygon has coordinates that are not numbers: {str(points)[:60]}") from error
    if len(flat) < 6 or len(flat) % 2:
        raise InputError(f"a polygon has {len(flat)} coordinates; three points, which are six, are needed")
    if not np.isfinite(flat).all():
        raise InputError(f"a polygon has a coordinate of {flat[~np.isfinite(flat)][0]}")
    return flat.tolist()


def ellipse(center: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0) -> list[float]:
    """Return an ellipse as a polygon of 96 points; angles run clockwise, as y runs down."""
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    with np.errstate(invalid="ignore"):  # what is not finite is refused in the end
        points = np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], axis=1)
    return rotated(points, center, degrees)


def box(left: float, top: float, right: float, bottom: float, degrees: float = 0.0) -> list[float]:
    """Return a box, rotated around its centre, as a polygon."""
    x, y = (right - left) / 2, (bottom - top) / 2
    return rotated(np.array([[-x, -y], [x, -y], [x, y], [-x, y]]), (left + x, top + y), degrees)


def rotated(points: Any, center: tuple[float, float], degrees: float) -> list[float]:
    """Rotate points, (N, 2), clockwise around the origin, move that to the centre, and return them flat."""
    with np.errstate(invalid="ignore"):  # what is not finite is refused in the end
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return polygon(np.asarray(points) @ np.array([[cos, sin], [-sin, cos]]) + center)


def require_size(size: Size) -> None:
    """Refuse a size, which a file of labels states, that no frame has: nothing is made as large as that.

    Raises:
        InputError: It is none.
    """
    height, width = size
    if min(size) < 1 or height * width > MAX_PIXELS:
        raise InputError(f"it is said to be in an image of {width}x{height}, a size that none has")


def placed(mask: Any, left: int, top: int, size: Size) -> Segmentation:
    """Return a small mask, (h, w), as part of a frame; run lengths down the columns, as COCO counts.

    Raises:
        InputError: No frame has that size.
    """
    require_size(size)
    whole = np.zeros(size, bool)
    mask = np.asarray(mask, bool)
    rows, columns = slice(max(0, top), top + mask.shape[0]), slice(max(0, left), left + mask.shape[1])
    whole[rows, columns] = mask[max(0, -top) :, max(0, -left) :][
        : whole[rows, columns].shape[0], : whole[rows, columns].shape[1]
    ]
    flat = whole.ravel(order="F")
    borders = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *borders, flat.size]).tolist()
    return {"size": list(size), "counts": [0, *counts] if flat[0] else counts}
