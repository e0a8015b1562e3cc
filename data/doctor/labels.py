"""Measures of a mask against its frame, which show likely label faults.

Everything here is evidence and no proof, so a mask is only reported where the frame speaks clearly against it. The
limits were set on exact synthetic masks, which give none of these, and on the same masks with faults planted.
"""

import functools
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cookseg.runtime.imaging.images import UInt8Array, turn
from cookseg.runtime.model.contract import IGNORE

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]

_REACH = 8  # largest shift that is tried, in pixels along both axes
_SMOOTHING = 9  # side of the median filter that a ragged outline is compared with
_SHORT = 50  # pixels of outline, from which nothing can be told
_LARGEST_SPECK = 5e-4  # of the frame
_ISOLATED = 8  # pixels between a speck and the next larger region of its class
_INVISIBLE = 4.0  # grey levels between a speck and what surrounds it


@dataclass(frozen=True)
class LabelMeasures:
    """Measures of a mask against its frame.

    Attributes:
        specks: Boxes (x, y, width, height) of tiny, isolated regions where the frame shows nothing.
        shift: Offset (x, y) in pixels at which the mask's outlines lie on the frame's edges best.
        shift_gain: How many times stronger the frame's edges are there than where the outlines lie now.
        on_edges: How many times stronger than on average the frame's edges are there.
        ragged: Length of outline that strays from the smoothed mask's, as a share of the whole.
        smooth_gain: How many times stronger the frame's edges are along the smoothed mask's outline beside it.
        rotated_gain: How many times stronger the frame's edges are along the outlines of the mask rotated as the image.
    """

    specks: tuple[Box, ...] = ()
    shift: tuple[int, int] = (0, 0)
    shift_gain: float = 1.0
    on_edges: float = 1.0
    ragged: float = 0.0
    smooth_gain: float = 1.0
    rotated_gain: float = 1.0

    @property
    def is_rotated(self) -> bool:
        """Whether the frame's edges say clearly that the mask was drawn on the image as it is stored."""
        return self.rotated_gain >= 1.5

    @property
    def is_shifted(self) -> bool:
        """Whether the frame's edges say clearly that the mask lies beside what it should cover."""
        return max(map(abs, self.shift)) >= 2 and self.shift_gain >= 1.2 and self.on_edges >= 1.5

    @property
    def is_ragged(self) -> bool:
        """Whether a smoother outline would follow the frame's edges clearly better."""
        return self.ragged >= 0.4 and self.smooth_gain >= 1.15


def measure_label(frame: UInt8Array, class_map: UInt8Array, orientation: int = 1) -> LabelMeasures:
    """Measure a class map, (H, W) uint8, against its upright frame, (H, W, 3) uint8 RGB, of that EXIF orientation."""
    edges, outline = edge_strength(frame), outlines(class_map)
    specks = _specks(frame, class_map)
    if np.count_nonzero(outline) < _SHORT:
        return LabelMeasures(specks)
    rotated = turn(outline, orientation)
    rotated_gain = (
        _ratio(float(edges[rotated].mean()), float(edges[outline].mean())) if rotated.shape == edges.shape else 1.0
    )
    best_shift = _best_shift(edges, outline)
    raggedness = _raggedness(edges, outline, outlines(cv2.medianBlur(class_map, _SMOOTHING)))
    return LabelMeasures(specks, *best_shift, *raggedness, rotated_gain)


def edge_strength(frame: UInt8Array) -> FloatArray:
    """Return the gradient of the channel in which it is largest, (H, W) float32, without its highest peaks."""
    blurred = cv2.GaussianBlur(frame, (0, 0), 1.0)
    slopes = (cv2.magnitude(*(cv2.Scharr(c, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0))) for c in cv2.split(blurred))
    strength = functools.reduce(cv2.max, slopes)
    peak = np.percentile(strength[::4, ::4], 98)  # a sixteenth of the pixels tells as much
    return np.asarray(cv2.min(strength, float(peak)), np.float32)


def outlines(class_map: UInt8Array) -> BoolArray:
    """Mark, (H, W) bool, the pixels to the right of which or below which another class begins."""
    known = class_map != IGNORE
    marked = np.zeros(class_map.shape, bool)
    marked[:, :-1] |= (class_map[:, 1:] != class_map[:, :-1]) & known[:, 1:] & known[:, :-1]
    marked[:-1] |= (class_map[1:] != class_map[:-1]) & known[1:] & known[:-1]
    return marked


def _best_shift(edges: FloatArray, outline: BoolArray) -> tuple[tuple[int, int], float, float]:
    """Return the best shift, and how the edges there compare to those of no shift, and of the whole frame."""
    height, width = edges.shape
    ys, xs = np.nonzero(outline[_REACH : height - _REACH, _REACH : width - _REACH])
    if len(ys) < _SHORT:
        return (0, 0), 1.0, 1.0
    step = max(1, len(ys) // 4000)
    points = (ys[::step] + _REACH) * width + xs[::step] + _REACH
    offsets = range(-_REACH, _REACH + 1)
    strength = {(dx, dy): float(edges.ravel()[points + (dy * width + dx)].mean()) for dy in offsets for dx in offsets}
    best = max(strength, key=lambda offset: strength[offset])
    return best, _ratio(strength[best], strength[0, 0]), _ratio(strength[best], float(edges.mean()))


def _raggedness(edges: FloatArray, outline: BoolArray, smooth: BoolArray) -> tuple[float, float]:
    """Return the share of the outline that strays from the smooth one, and how much better that lies on edges.

    What is further away than the filter reaches belongs to thin things that it wiped out, and does not count.
    """
    from_smooth, from_outline = (
        cv2.distanceTransform((~lines).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3) for lines in (smooth, outline)
    )
    strays = outline & (from_smooth > 1.5) & (from_smooth < 6)
    instead = smooth & (from_outline > 1.5) & (from_outline < 6)
    if min(np.count_nonzero(strays), np.count_nonzero(instead)) < 20:
        return 0.0, 1.0
    share = np.count_nonzero(strays) / np.count_nonzero(smooth)
    return share, _ratio(float(edges[instead].mean()), float(edges[strays].mean()))


def _specks(frame: UInt8Array, class_map: UInt8Array) -> tuple[Box, ...]:
    boxes: list[Box] = []
    for index in np.unique(class_map[class_map != IGNORE]):
        members = (class_map == index).astype(np.uint8)
        _, regions, stats, _ = cv2.connectedComponentsWithStats(members, connectivity=8)
        areas = stats[:, cv2.CC_STAT_AREA]
        tiny = areas <= max(4, _LARGEST_SPECK * class_map.size)
        tiny[0] = False  # all other classes
        if not tiny.any():
            continue
        larger = ~tiny
        larger[0] = False
        distance = cv2.distanceTransform((~larger[regions]).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
        for label in np.flatnonzero(tiny & (areas > 1)):
            x, y, width, height = (int(value) for value in stats[label, :4])
            window = np.s_[max(0, y - 6) : y + height + 6, max(0, x - 6) : x + width + 6]
            speck = regions[window] == label
            if distance[window][speck].min() >= _ISOLATED and _is_invisible(frame[window], class_map[window], speck):
                boxes.append((x, y, width, height))
    return tuple(boxes)


def _is_invisible(frame: UInt8Array, class_map: UInt8Array, speck: BoolArray) -> bool:
    """Return whether a frame has the same mean colour in a speck and around it, where a single other class is."""
    near, touching = (cv2.dilate(speck.astype(np.uint8), np.ones((side, side), np.uint8)) > 0 for side in (9, 3))
    around = near & ~touching
    if not around.any() or len(np.unique(class_map[around])) > 1:
        return False
    contrast = np.abs(frame[speck].mean(axis=0) - frame[around].mean(axis=0)).max()
    return bool(contrast <= _INVISIBLE)


def _ratio(value: float, base: float) -> float:
    return value / base if base > 0 else 1.0
