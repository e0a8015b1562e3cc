"""Scores at the edges of the ground truth: mIoU without them, and how well a prediction follows them.

Outlines are drawn by hand, and are a few pixels off. Without the pixels beside them, IoU says how much of what is
certain was found; the boundary F-score says how well outlines agree, whatever area they enclose.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import IGNORE, ClassTable
from cookseg.runtime.results import Table
from cookseg.runtime.scoring.metrics import ConfusionMatrix, format_score

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_NONE = 254  # no class's index, and not `IGNORE`


@checked_keywords
@dataclass(frozen=True)
class EdgeRules:
    """Distances of the scores at edges, in pixels of the ground truth.

    Attributes:
        margin: Pixels on either side of an edge that do not count in the IoU without edges; 0 leaves none out.
        tolerance: Distance within which boundaries agree; 0 is the same pixel.
    """

    margin: int = 2
    tolerance: float = 2.0

    def __post_init__(self) -> None:
        for name in ("margin", "tolerance"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"`{name}={getattr(self, name)!r}`: it must be a number of pixels, 0 or more")


@checked_keywords
class EdgeCounts:
    """Sums over frames of what the scores at edges are made of; of bounded size, however many frames there are.

    The boundary F-score is that of Csurka, Larlus and Perronnin, https://doi.org/10.5244/C.27.32, with a tolerance in
    pixels: of each class in each frame, precision is the fraction of the predicted boundary's pixels within the
    tolerance of the true boundary, recall the fraction of the true boundary's within it of the predicted one, and the
    score their harmonic mean. A class's score is the mean over frames.

    - A boundary is made of a class's pixels that have a pixel of another class above, below, left or right; the border
      of the frame is none.
    - Where there is no truth there is no boundary, and boundaries within the tolerance of it do not count: the true
      one may be there.
    - A frame counts for a class if truth or prediction has a boundary of it there; with one alone, its score is 0.
    - A class without a boundary in the truth of any frame has no score (None), and takes no part in the mean.

    >>> truth, found = np.zeros((2, 4, 9), np.uint8)
    >>> truth[:, 4:], found[:, 5:] = 1, 1
    >>> counts = EdgeCounts(2, EdgeRules(margin=1, tolerance=0))
    >>> counts.update(truth, found)
    >>> counts.boundary_f1()
    [0.0, 0.0]
    >>> counts = EdgeCounts(2, EdgeRules(margin=1, tolerance=1))
    >>> counts.update(truth, found)
    >>> counts.boundary_f1()
    [1.0, 1.0]
    """

    def __init__(self, classes: int, rules: EdgeRules | None = None) -> None:
        self.rules = rules or EdgeRules()
        self.near = ConfusionMatrix(classes)  # of the pixels within the margin
        self.sums = np.zeros(classes)  # of each class's boundary F-scores
        self.frames = np.zeros(classes, np.int64)  # that have one
        self.occurs = np.zeros(classes, np.bool_)  # whether the truth has a boundary of a class
        self._margin, self._tolerance = _disc(self.rules.margin), _disc(self.rules.tolerance)

    def update(self, truth: UInt8Array, predicted: UInt8Array) -> None:
        """Count one frame.

        Args:
            truth: (H, W) uint8: 0 to C - 1, or 255 for pixels without truth.
            predicted: (H, W) uint8, 0 to C - 1.
        """
        near = near_change(truth, self._margin)
        self.near.update(truth[near], predicted[near])
        known = truth != IGNORE
        complete = bool(known.all())
        if not complete:
            predicted = np.where(known, predicted, truth)
        drawn = [self._draw(class_map, _boundary(class_map, known)) for class_map in (predicted, truth)]
        self.occurs |= self._counted(drawn[1].labels) > 0
        offsets = self._offsets(truth.shape[1])
        totals, hits = np.zeros((2, 2, len(self.sums)))
        for which, (boundary, other) in enumerate(zip(drawn, drawn[::-1], strict=True)):
            at, labels = boundary.at, boundary.labels
            if not complete:
                far = ~_near(self._padded(truth), at, offsets, IGNORE)
                at, labels = at[far], labels[far]
            totals[which] = self._counted(labels)
            hits[which] = self._counted(labels[_near(other.values, at, offsets, labels)])
        counts = totals.any(axis=0)
        self.sums[counts] += _f1(hits, totals)[counts]
        self.frames += counts

    def inside(self, matrix: ConfusionMatrix) -> ConfusionMatrix:
        """Return the counts of the pixels beyond the margin, given those of all pixels of the same frames."""
        return ConfusionMatrix.of(matrix.counts - self.near.counts)

    def boundary_f1(self) -> list[float | None]:
        """Return the boundary F-score of each class, 0..1; None for a class without a boundary in the truth."""
        rows = zip(self.sums, self.frames, self.occurs, strict=True)
        return [float(total / frames) if occurs and frames else None for total, frames, occurs in rows]

    @property
    def mean_boundary_f1(self) -> float | None:
        """Mean boundary F-score over the classes that have one; None without any."""
        defined = [score for score in self.boundary_f1() if score is not None]
        return float(np.mean(defined)) if defined else None

    def _counted(self, labels: UInt8Array) -> npt.NDArray[np.int64]:
        return np.bincount(labels, minlength=len(self.sums))

    def _padded(self, values: UInt8Array) -> UInt8Array:
        """Return (H, W) values row by row, with a border as wide as the tolerance in which nothing is."""
        pad = len(self._tolerance) // 2
        return cv2.copyMakeBorder(values, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=_NONE).ravel()

    def _draw(self, class_map: UInt8Array, at: npt.NDArray[np.intp]) -> "_Boundary":
        """Return a boundary with a border around the frame, given where it is in a class map."""
        height, width = class_map.shape
        pad = len(self._tolerance) // 2
        values = np.full((height + 2 * pad) * (width + 2 * pad), _NONE, np.uint8)
        labels = class_map.ravel()[at]
        at = at + pad * (width + 2 * pad + 1) + 2 * pad * (at // width)
        values[at] = labels
        return _Boundary(at, labels, values)

    def _offsets(self, width: int) -> npt.NDArray[np.intp]:
        """Return the steps in padded values from a pixel to those within the tolerance of it."""
        pad = len(self._tolerance) // 2
        y, x = (along - pad for along in np.nonzero(self._tolerance))
        return y * (width + 2 * pad) + x


@dataclass(frozen=True)
class EdgeScores:
    """Scores at edges, as a result.

    Attributes:
        counts: The counts that they are made of.
        matrix: Counts of all pixels of the same frames.
        classes: The classes.
    """

    counts: EdgeCounts
    matrix: ConfusionMatrix
    classes: ClassTable

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON values."""
        inside, rules = self.counts.inside(self.matrix), self.counts.rules
        rows = zip(self.classes.names, inside.scores(), self.counts.boundary_f1(), strict=True)
        return {
            "margin": rules.margin,
            "tolerance": rules.tolerance,
            "pixel_accuracy": inside.pixel_accuracy,
            "mean_iou": inside.mean_iou,
            "boundary_f1": self.counts.mean_boundary_f1,
            "classes": {name: {"iou": scores.iou, "boundary_f1": f1} for name, scores, f1 in rows},
        }

    def tables(self) -> Iterator[Table]:
        """Return them for people."""
        value = self.to_dict()
        names = ("iou", "boundary_f1")
        rows = [[name, *(format_score(found[key]) for key in names)] for name, found in value["classes"].items()]
        means = ["mean", format_score(value["mean_iou"]), format_score(value["boundary_f1"])]
        margin, tolerance = (f"{value[name]:g} px" for name in ("margin", "tolerance"))
        yield Table(["class", f"IoU without {margin} at edges", f"boundary F1 within {tolerance}"], [*rows, means])


def near_change(truth: UInt8Array, around: UInt8Array) -> npt.NDArray[np.bool_]:
    """Return which pixels of a class map lie near a change of class.

    Args:
        truth: (H, W) uint8.
        around: (K, K) uint8: a pixel's surroundings, in which another class is near.

    Returns:
        (H, W) bool; a pixel without truth counts as another class.
    """
    return np.asarray(cv2.morphologyEx(truth, cv2.MORPH_GRADIENT, around) > 0)


class _Boundary(NamedTuple):
    """Pixels of boundaries: their places, their classes, and all of the frame row by row, `_NONE` elsewhere."""

    at: npt.NDArray[np.intp]
    labels: UInt8Array
    values: UInt8Array


def _boundary(class_map: UInt8Array, known: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return the places, row by row, of the pixels beside one of another class.

    Args:
        class_map: (H, W) uint8, 255 where there is no truth, which is no class.
        known: (H, W): whether there is.
    """
    highest = cv2.dilate(class_map * known, _CROSS)  # no truth is 0 here, and no neighbour's highest
    lowest = cv2.erode(class_map, _CROSS)  # and 255 here, and none's lowest
    at = np.flatnonzero(highest != lowest)
    return at[known.ravel()[at]]


def _near(
    values: UInt8Array, at: npt.NDArray[np.intp], offsets: npt.NDArray[np.intp], wanted: UInt8Array | int
) -> npt.NDArray[np.bool_]:
    """Return at which pixels one of those around them has a wanted value, which may be another for each."""
    found = np.zeros(len(at), np.bool_)
    for offset in offsets:
        found |= values[at + offset] == wanted
    return found


def _f1(hits: npt.NDArray[np.float64], totals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (C) harmonic means of the two rates of hits, (2, C); where one has no total, the other one."""
    with np.errstate(invalid="ignore"):
        rates = hits / totals
        rates = np.where(np.isnan(rates), rates[::-1], rates)
        return np.nan_to_num(2 * rates.prod(axis=0) / rates.sum(axis=0))


def _disc(radius: float) -> UInt8Array:
    """Return 1 for the pixels within a distance of the middle one, 0 for others, as (K, K) uint8."""
    offsets = np.arange(-int(radius), int(radius) + 1)
    return (np.hypot(*np.meshgrid(offsets, offsets)) <= radius).astype(np.uint8)
