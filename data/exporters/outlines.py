"""Outlines: polygons of the parts of a mask, which every tool draws as the same pixels again.

Tools differ in what a coordinate is. COCO's and CVAT's take pixels whose centre lies inside; LabelMe and Ultralytics
round corners down to pixels, and draw the border too. An outline here runs along the edges of its pixels, a quarter of
a pixel inside: both ways give the mask back. Thin parts keep an area, and holes stay holes.

A part is what touches, also by corners. It is one outline, since most formats have nothing else: ways of no width
lead to holes and over corners, there and back, through pixels of the part. Outer borders run clockwise as the frame is
seen, those of holes the other way round, for programs that count turns.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
_IntArray = npt.NDArray[np.int64]

_INSIDE = 0.25  # pixels between an outline and the edge of the pixels it runs along
_BEND = 0.809  # of a way: over a corner, its middle would be right on it, and Ultralytics puts points into middles
_TL, _TR, _BR, _BL = range(4)  # corners of a pixel
_ASIDE = {_TL: (-1, -1), _TR: (-1, 1), _BR: (1, 1), _BL: (1, -1)}  # rows and columns to the pixel beyond a corner


def outlines(mask: npt.NDArray[np.bool_]) -> list[FloatArray]:
    """Return a closed outline of each part of a mask.

    Args:
        mask: (H, W) bool.

    Returns:
        (N, 2) float64 each: x and y in pixels, (0, 0) being the outer corner of the first one.
    """
    borders = _borders(np.pad(mask, 1))
    joints = _Joints(borders)
    for hole, edge, place in _ways_to_holes(borders):
        joints.add(hole, edge, place)
    for one, other in _touching_corners(borders):
        joints.add(one, other)
    joints.make()
    return [np.array(points) for points in _cycles(borders)]


@dataclass
class _Borders:
    """Borders of a mask that has one pixel of margin: points, each of which leads to the next.

    Attributes:
        mask: The mask.
        points: x and y of each point.
        after: The next point of each.
        corner: The point in each corner of each pixel, (4, H, W), or -1.
        ring: The border of each point, by a number.
    """

    mask: npt.NDArray[np.bool_]
    points: list[tuple[float, float]]
    after: list[int]
    corner: _IntArray
    ring: list[int]


def _borders(mask: npt.NDArray[np.bool_]) -> _Borders:
    """Follow the borders of the pixels that touch by edges."""
    corner = np.full((4, *mask.shape), -1, np.int64)
    found = []
    for number, (down, across) in _ASIDE.items():
        vertical, horizontal = (np.roll(mask, step, axis) for step, axis in ((-down, 0), (-across, 1)))
        diagonal = np.roll(mask, (-down, -across), (0, 1))
        turns = mask & ((~vertical & ~horizontal) | (vertical & horizontal & ~diagonal))
        rows, columns = np.nonzero(turns)
        found.append(np.stack([np.full_like(rows, number), rows, columns]))
    which, row, column = np.concatenate(found, axis=1)
    corner[which, row, column] = np.arange(len(which))
    lower, right = np.isin(which, (_BR, _BL)), np.isin(which, (_TR, _BR))
    x = column - 1 + np.where(right, 1 - _INSIDE, _INSIDE)  # without the margin
    y = row - 1 + np.where(lower, 1 - _INSIDE, _INSIDE)
    after = np.empty(len(which), np.int64)
    # along a line, every two points are the ends of an edge; the mask lies to the right of who walks along it
    for line, along, backwards in ((2 * row + lower, x, lower), (2 * column + right, y, ~right)):
        one, other = np.lexsort((along, line)).reshape(-1, 2).T
        back = backwards[one]
        after[np.where(back, other, one)] = np.where(back, one, other)
    steps = after.tolist()
    return _Borders(mask, list(zip(x.tolist(), y.tolist(), strict=True)), steps, corner, _numbered(steps))


def _numbered(after: list[int]) -> list[int]:
    """Give the points of each closed way a number of its own."""
    numbers = [-1] * len(after)
    for start in range(len(after)):
        at = start
        while numbers[at] < 0:
            numbers[at] = start
            at = after[at]
    return numbers


def _touching_corners(borders: _Borders) -> Iterator[tuple[int, int]]:
    """Return the points on both sides where pixels touch by a corner alone."""
    mask, corner = borders.mask, borders.corner
    left_up, up, left, here = mask[:-1, :-1], mask[:-1, 1:], mask[1:, :-1], mask[1:, 1:]
    for one, other, touch in (
        (corner[_BR, :-1, :-1], corner[_TL, 1:, 1:], left_up & here & ~up & ~left),
        (corner[_BL, :-1, 1:], corner[_TR, 1:, :-1], up & left & ~left_up & ~here),
    ):
        yield from zip(one[touch].tolist(), other[touch].tolist(), strict=True)


def _ways_to_holes(borders: _Borders) -> Iterator[tuple[int, int, float]]:
    """Return ways to holes, each along a row of pixels from the next border to the left of the hole.

    Returns:
        The points after which the ways leave the hole's border and reach the other one, and their y.
    """
    points, after = np.array(borders.points).reshape(-1, 2), np.array(borders.after, np.int64)
    x, y = points.T
    turned = np.bincount(borders.ring, x * y[after] - x[after] * y, minlength=len(points))
    order = np.lexsort((y, x))  # the upper end of a hole's leftmost edge comes first
    rings, first = np.unique(np.array(borders.ring, np.int64)[order], return_index=True)
    up = np.flatnonzero((x == x[after]) & (y > y[after]))  # edges with the part to their right
    for hole in order[first[turned[rings] < 0]].tolist():
        level = np.floor(y[hole] + 0.5) + 0.5
        outside = ~borders.mask[int(level) + 1, : int(x[hole]) + 2]
        start = np.flatnonzero(outside)[-1] + _INSIDE
        (edge,) = up[(x[up] == start) & (y[up] > level) & (y[after[up]] < level)]
        yield hole, int(edge), float(level)


class _Joints:
    """Ways between borders, chosen so that there is one from any border of a part to any other."""

    def __init__(self, borders: _Borders) -> None:
        self._borders = borders
        self._group = [*range(len(borders.after))]
        self._ways: list[tuple[int, int]] = []
        self._added: dict[int, list[int]] = {}

    def add(self, one: int, other: int, level: float | None = None) -> None:
        """Add a way, unless there is one already: between points, or between the edges that begin there, at a y."""
        rings = [self._root(self._borders.ring[point]) for point in (one, other)]
        if rings[0] == rings[1]:
            return
        self._group[rings[1]] = rings[0]
        ends = (one, other) if level is None else (self._on_edge(one, level), self._on_edge(other, level))
        self._ways.append(ends)

    def make(self) -> None:
        """Lead all borders over the ways."""
        points, after = self._borders.points, self._borders.after
        for start, added in self._added.items():
            falling = points[after[start]][1] < points[start][1]
            then = after[start]
            for point in sorted(added, key=lambda point: points[point][1], reverse=not falling):
                after[point] = then
                then = point
            after[start] = then
        for one, other in self._ways:
            (x, y), (u, v) = points[one], points[other]
            bend = (x + _BEND * (u - x), y + _BEND * (v - y))
            there, at_other, back, at_one = range(len(points), len(points) + 4)
            points.extend([bend, (u, v), bend, (x, y)])
            after.extend([at_other, after[other], at_one, after[one]])
            after[one], after[other] = there, back

    def _root(self, ring: int) -> int:
        while self._group[ring] != ring:
            self._group[ring] = ring = self._group[self._group[ring]]
        return ring

    def _on_edge(self, start: int, level: float) -> int:
        """Add a point on an upright edge."""
        borders = self._borders
        borders.points.append((borders.points[start][0], level))
        borders.after.append(-1)
        self._added.setdefault(start, []).append(len(borders.after) - 1)
        return len(borders.after) - 1


def _cycles(borders: _Borders) -> Iterator[list[tuple[float, float]]]:
    seen = [False] * len(borders.after)
    for start in range(len(seen)):
        at, found = start, []
        while not seen[at]:
            seen[at] = True
            found.append(borders.points[at])
            at = borders.after[at]
        if found:
            yield found
