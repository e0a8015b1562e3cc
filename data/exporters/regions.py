"""Regions: the pixels of one label in a frame, as a mask or as an outline."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cookseg.data.exporters.outlines import FloatArray, outlines

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Region:
    """Pixels of one label.

    Attributes:
        label: The label's name.
        mask: (h, w) bool: the pixels in their bounds.
        left: Column of the bounds in the frame.
        top: Row of the bounds in the frame.
        outline: (N, 2) float64, x and y in pixels of the frame, as `outlines` draws it; None if a mask is wanted.
    """

    label: str
    mask: BoolArray
    left: int
    top: int
    outline: FloatArray | None = None

    @property
    def pixels(self) -> int:
        """Number of its pixels."""
        return int(np.count_nonzero(self.mask))

    def placed(self, size: tuple[int, int]) -> BoolArray:
        """Return its pixels in a frame of a height and width."""
        whole = np.zeros(size, bool)
        height, width = self.mask.shape
        whole[self.top : self.top + height, self.left : self.left + width] = self.mask
        return whole


def whole_region(label: str, mask: BoolArray) -> Iterator[Region]:
    """Return all pixels of a label as one region; none if it has none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows):
        top, bottom, left, right = (int(value) for value in (rows[0], rows[-1], columns[0], columns[-1]))
        yield Region(label, mask[top : bottom + 1, left : right + 1], left, top)


def outlined_regions(label: str, mask: BoolArray) -> Iterator[Region]:
    """Return the parts of a label's pixels, what touches by a corner being one part, each with its outline."""
    count, parts, bounds, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    for part in range(1, count):
        left, top, width, height = (int(value) for value in bounds[part, :4])
        own = parts[top : top + height, left : left + width] == part
        (outline,) = outlines(own)
        yield Region(label, own, left, top, outline + np.array((left, top)))


def run_lengths(flat: BoolArray) -> list[int]:
    """Return how many values in a row are the same, (N,) bool, beginning with those that are False: maybe none."""
    counts = np.diff([0, *(np.flatnonzero(np.diff(flat)) + 1), flat.size]).tolist()
    return [0, *counts] if flat.size and flat[0] else counts
