"""The shapes of pieces of food: outlines of many at once, and the layers that make a solid of one.

Lengths are shares of the radius of the vessel that the food lies in; colours are RGB, 0..1.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cookseg.data.synthetic.optics import Contour
from cookseg.data.synthetic.planes import Color

Layer = tuple[float, float, int]
"""One outline of a piece of food: its share of the piece's size, its tone, its height (0..255)."""

FOOT = 60
"""Height of the lowest layer of a piece of food, 0..255."""

Shape = Literal["cube", "chunk", "disc", "blob", "leaf", "bubble", "grain", "strip", "noodle", "tube", "sheet"]
LINES = ("grain", "strip", "noodle", "tube")


@dataclass(frozen=True)
class Pieces:
    """Many pieces of one food.

    Attributes:
        shape: The kind of outline.
        raw: Colour at progress 0.
        cooked: Colour at progress 1.
        size: Length.
        count: How many.
        added: Progress from which they are in the pan.
        edge: Tone of their edges, 1 being as bright as their middles.
        yolk: Colour of the yolk, for eggs.
    """

    shape: Shape
    raw: Color
    cooked: Color
    size: float
    count: int
    added: float = 0.08
    edge: float = 0.62
    yolk: Color | None = None


def random_circles(radius: float, rng: np.random.Generator, count: int) -> Contour:
    """Return circles (count, 24, 2) that are not quite round."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    wobble = 1 + 0.06 * np.cos(2 * angle + rng.uniform(0, 6, (count, 1))) + 0.04 * np.cos(3 * angle)
    return radius * np.stack([wobble * np.cos(angle), wobble * np.sin(angle)], 2)


def random_lines(pieces: Pieces, count: int, rng: np.random.Generator) -> Contour:
    """Return lines (count, P, 2) around the origin: straight for grains and tubes, bent for strips and noodles."""
    bends = {"strip": np.linspace(-1, 1, 5), "noodle": np.linspace(-2.2, 2.2, 10)}.get(pieces.shape, np.zeros(2))
    heading = rng.uniform(0, 2 * np.pi, (count, 1)) + rng.normal(0, 1, (count, 1)) * bends
    points = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 2), 1) * pieces.size / (len(bends) - 1)
    return np.asarray(points - points.mean(1, keepdims=True))


_CORNERS = {
    "cube": (4, 0.08),
    "chunk": (9, 0.17),
    "leaf": (9, 0.3),
    "disc": (20, 0.02),
    "bubble": (20, 0.02),
    "blob": (48, 0.14),
    "sheet": (64, 0.06),
}
"""Number of corners of an outline, and how irregular it is."""


def random_outlines(pieces: Pieces, count: int, rng: np.random.Generator) -> Contour:
    """Return closed outlines (count, P, 2) around the origin."""
    corners, wild = _CORNERS[pieces.shape]
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    orders = np.arange(1, 6)[:, None]
    waves = np.cos(orders * angle + rng.uniform(0, 6, (count, 5, 1))) / orders
    wobble = (waves * rng.normal(0, wild, (count, 5, 1))).sum(1)
    radius, rotated = (1 + wobble) * pieces.size / 2, angle + rng.uniform(0, 6, (count, 1))
    return np.stack([radius * np.cos(rotated), radius * np.sin(rotated)], 2)


def layers(pieces: Pieces) -> list[Layer]:
    """Return the layers of a piece from the bottom up."""
    if pieces.shape == "cube":
        return [(1.0, pieces.edge, FOOT), (0.84, 0.98, 225), (0.6, 1.05, 245)]
    if pieces.shape == "blob":
        return [(1.0, 0.72, FOOT), (0.97, 0.92, 80), (0.93, 1.0, 100)]
    if pieces.shape == "sheet":
        return [(1.0, pieces.edge, FOOT), (0.97, 0.95, 80), (0.9, 1.0, 95), (0.75, 1.02, 100)]
    if pieces.shape == "leaf":
        return [(1.0, 0.85, FOOT), (0.8, 1.0, 100)]
    if pieces.shape == "bubble":
        return dome(4, pieces.edge, (FOOT, 110))
    return dome(3 + round(18 * pieces.size), pieces.edge, (FOOT, 255))


def dome(steps: int, edge: float, heights: tuple[int, int]) -> list[Layer]:
    """Return the layers of a half ball: its edge dark, its top slightly brighter than the food's colour."""
    foot, top = heights
    return [
        (math.sqrt(1 - t * t), edge + (1.04 - edge) * min(1.0, 1.8 * t), round(foot + (top - foot) * t))
        for t in np.linspace(0, 0.9, steps).tolist()
    ]
