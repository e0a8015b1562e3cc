"""Shapes: labelled regions, and the polygons and run lengths that they are made of."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size

Segmentation = list[list[float]] | dict[str, Any]
"""As in COCO: polygons, each x, y, x, y, ... in pixels with (0, 0) the outer corner of the first one; or a mask as
``{"size": [height, width], "counts": ...}``, run lengths down the columns, as a list or compressed."""


@dataclass(frozen=True)
class Shape:
    """A labelled region."""

    label: str
    segmentation: Segmentation


def polygon(points: Any) -> list[float]:
    """Return the coordinates of a polygon, flat.

    Raises:
        InputError: They are not numbers, or fewer than three points.
    """
    try:
        flat = np.asarray(points, np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise InputError(f"a polygon has coordinates that are not numbers: {str(points)[:60]}") from error
    if len(flat) < 6 or len(flat) % 2:
        raise InputError(f"a polygon has {len(flat)} coordinates; three points, which are six, are needed")
    return flat.tolist()


def ellipse(center: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0) -> list[float]:
    """Return an ellipse as a polygon of 96 points; angles run clockwise, as y runs down."""
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    return rotated(np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], axis=1), center, degrees)


def box(left: float, top: float, right: float, bottom: float, degrees: float = 0.0) -> list[float]:
    """Return a box, rotated around its centre, as a polygon."""
    x, y = (right - left) / 2, (bottom - top) / 2
    return rotated(np.array([[-x, -y], [x, -y], [x, y], [-x, y]]), (left + x, top + y), degrees)


def rotated(points: Any, center: tuple[float, float], degrees: float) -> list[float]:
    """Rotate points, (N, 2), clockwise around the origin, move that to the centre, and return them flat."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return polygon(np.asarray(points) @ np.array([[cos, sin], [-sin, cos]]) + center)


def placed(mask: Any, left: int, top: int, size: Size) -> Segmentation:
    """Return a small mask, (h, w), as part of a frame; run lengths down the columns, as COCO counts."""
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
