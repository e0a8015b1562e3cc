"""Food: sauces, and pieces that are scattered, brown and shrink while a recipe goes on.

Lengths are in units of half the frame's shorter side, as in `cookseg.data.synthetic.materials`; colours are RGB, 0..1.
"""

import math
from dataclasses import dataclass
from typing import Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from cookseg.data.synthetic.materials import (
    FRACTION_BITS,
    Color,
    Contour,
    Image,
    Pan,
    Plane,
    View,
    coverage,
    ellipse,
    fill,
    merge,
    mix,
    noise,
    relief,
    shade,
)

Layer = tuple[float, float, int]
"""One outline of a piece of food: its share of the piece's size, its tone, its height (0..255)."""

_FOOT = 60  # height of the lowest layer of a piece of food, 0..255

Shape = Literal["cube", "chunk", "disc", "blob", "leaf", "bubble", "grain", "strip"]


@dataclass(frozen=True)
class Pieces:
    """Many pieces of one food.

    Attributes:
        shape: The kind of outline.
        raw: Colour at progress 0.
        cooked: Colour at progress 1.
        size: Length in pan radii.
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


@dataclass(frozen=True)
class Sauce:
    """What the pieces lie in: colours raw and cooked, height of lumps (units), gloss, radius (pan radii)."""

    raw: Color
    cooked: Color
    lumps: float
    gloss: float
    fill: float
    added: float = 0.05


@dataclass(frozen=True)
class Recipe:
    """What is cooked: a sauce, pieces in the order in which they are drawn, or both."""

    name: str
    sauce: Sauce | None
    pieces: tuple[Pieces, ...]


def food(view: View, pan: Pan, recipe: Recipe, progress: float, rng: np.random.Generator) -> tuple[Image, Plane]:
    """Return the food's lit surface, float32 (H, W, 3), and its coverage, float32 (H, W)."""
    body, cover = _sauce(view, pan, recipe.sauce, progress, rng)
    first = recipe.sauce or recipe.pieces[0]
    dish = _Dish.of(view, pan, mix(first.raw, first.cooked, progress))
    for pieces in recipe.pieces:
        if progress >= pieces.added:
            _scatter(dish, pieces, progress, rng)
    rise = dish.canvas[:, :, 3]
    bumps = cv2.GaussianBlur(rise, (0, 0), 0.007 * view.scale + 0.3).astype(np.float32) / 255
    diffuse, glint = relief(view, body + 0.055 * bumps, recipe.sauce.gloss if recipe.sauce else 0.25)
    mottled = diffuse * (1 + (0.04 + 0.08 * progress) * noise(view, 9, rng))
    color = shade(dish.canvas[:, :, :3].astype(np.float32) / 255, mottled)
    pieces_cover = np.minimum(rise.astype(np.float32) / _FOOT, 1)
    return color + merge([glint] * 3), np.maximum(cover, pieces_cover) * pan.cover(view, 0.95)


def _sauce(view: View, pan: Pan, sauce: Sauce | None, progress: float, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Return the height and the coverage of the sauce: a puddle with a ragged edge and a rounded lip."""
    ragged, lumps = noise(view, 1.2, rng, 4), noise(view, 6, rng)
    if sauce is None or progress < sauce.added:
        return np.zeros_like(lumps), np.zeros_like(lumps)
    poured = min(1.0, 0.6 + 4 * (progress - sauce.added))
    field = sauce.fill * poured * (1 - 0.08 * progress) + 0.055 * ragged - np.hypot(*pan.local(view))
    t = np.clip(field / 0.08, 0, 1)
    return 0.03 * np.sqrt(t * (2 - t)) + sauce.lumps * t * lumps, coverage(field)


@dataclass(frozen=True)
class _Dish:
    """What pieces are drawn on: uint8 (H, W, 4), RGB and height.

    The lowest layer of every piece has the height _FOOT: a lower pixel is covered by that share only.
    """

    view: View
    pan: Pan
    canvas: NDArray[np.uint8]

    @classmethod
    def of(cls, view: View, pan: Pan, ground: Color) -> Self:
        canvas = np.empty((view.height, view.width, 4), np.uint8)
        canvas[:] = _bytes(ground, 0)
        return cls(view, pan, canvas)

    def polygons(self, middles: Contour, outlines: Contour, colors: list[Color], profile: list[Layer]) -> None:
        """Draw pieces (N, P, 2) around their middles (N, 2), each as a stack of ever smaller outlines."""
        shares = np.array([share for share, _, _ in profile])[None, :, None, None]
        stacks = self.view.fixed(self.pan.place(middles[:, None, None] + outlines[:, None] * shares))
        for stack, color in zip(stacks, colors, strict=True):
            for contour, (_, tone, height) in zip(stack, profile, strict=True):
                fill(self.canvas, [contour], _bytes(color, height, tone))

    def strokes(self, lines: Contour, width: float, color: Color, edge: float) -> None:
        """Draw lines (N, P, 2) as round bodies: stacks of ever thinner lines."""
        placed = list(self.view.fixed(self.pan.place(lines)))
        for share, tone, height in ((1.3, edge, _FOOT), (0.9, 0.95, 190), (0.45, 1.06, 250)):
            pixels = max(1, round(width * share * self.pan.radius * self.view.scale))
            value = _bytes(color, height, tone)
            cv2.polylines(self.canvas, placed, False, value, pixels, cv2.LINE_AA, FRACTION_BITS)


def _scatter(dish: _Dish, pieces: Pieces, progress: float, rng: np.random.Generator) -> None:
    """Draw the pieces that are in the pan by now."""
    count = math.ceil(pieces.count * min(1.0, 0.4 + 6 * (progress - pieces.added)))
    color, shrink = mix(pieces.raw, pieces.cooked, progress), 1 - 0.2 * progress
    middles = _middles(count, 0.86 - pieces.size / 2, rng)
    if pieces.shape in ("grain", "strip"):
        width = pieces.size * (0.34 if pieces.shape == "grain" else 0.11)
        lines = middles[:, None] + _lines(pieces, count, rng) * shrink
        for start in range(12):  # twelve tones, twelve calls: a call for each of 2000 grains would be slow
            dish.strokes(lines[start::12], width, mix((0, 0, 0), color, rng.normal(1, 0.08)), pieces.edge)
        return
    colors = [mix((0, 0, 0), color, tone) for tone in rng.normal(1, 0.07, count)]
    dish.polygons(middles, _outlines(pieces, count, rng) * shrink, colors, _profile(pieces))
    if pieces.yolk:
        yolks = np.repeat(ellipse(0.16, 0.16)[None], count, 0)
        dish.polygons(middles, yolks, [pieces.yolk] * count, _dome(7, 0.85, (140, 255)))


def _middles(count: int, reach: float, rng: np.random.Generator) -> Contour:
    """Return where pieces lie, (count, 2) relative to the pan: a heap that is not quite round."""
    angle = rng.uniform(0, 2 * np.pi, count)
    radius = reach * (0.92 + 0.08 * np.sin(angle * 2 + rng.uniform(0, 6))) * np.sqrt(rng.uniform(0, 1, count))
    return np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]


def _lines(pieces: Pieces, count: int, rng: np.random.Generator) -> Contour:
    """Return lines (count, P, 2) around the origin: straight for grains, bent for strips."""
    bends = np.linspace(-1, 1, 5) if pieces.shape == "strip" else np.zeros(2)
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
}
"""How many corners an outline has, and how wild it is."""


def _outlines(pieces: Pieces, count: int, rng: np.random.Generator) -> Contour:
    """Return closed outlines (count, P, 2) around the origin."""
    corners, wild = _CORNERS[pieces.shape]
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    orders = np.arange(1, 6)[:, None]
    waves = np.cos(orders * angle + rng.uniform(0, 6, (count, 5, 1))) / orders
    wobble = (waves * rng.normal(0, wild, (count, 5, 1))).sum(1)
    radius, turned = (1 + wobble) * pieces.size / 2, angle + rng.uniform(0, 6, (count, 1))
    return np.stack([radius * np.cos(turned), radius * np.sin(turned)], 2)


def _profile(pieces: Pieces) -> list[Layer]:
    """Return the layers of a piece from the bottom up."""
    if pieces.shape == "cube":
        return [(1.0, pieces.edge, _FOOT), (0.84, 0.98, 225), (0.6, 1.05, 245)]
    if pieces.shape == "blob":
        return [(1.0, 0.72, _FOOT), (0.97, 0.92, 80), (0.93, 1.0, 100)]
    if pieces.shape == "leaf":
        return [(1.0, 0.85, _FOOT), (0.8, 1.0, 100)]
    if pieces.shape == "bubble":
        return _dome(4, pieces.edge, (_FOOT, 110))
    return _dome(3 + round(18 * pieces.size), pieces.edge, (_FOOT, 255))


def _dome(steps: int, edge: float, heights: tuple[int, int]) -> list[Layer]:
    """Return the layers of a half ball: its edge dark, its top slightly brighter than the food's colour."""
    foot, top = heights
    return [
        (math.sqrt(1 - t * t), edge + (1.04 - edge) * min(1.0, 1.8 * t), round(foot + (top - foot) * t))
        for t in np.linspace(0, 0.9, steps).tolist()
    ]


def _bytes(color: Color, height: int, tone: float = 1.0) -> tuple[float, ...]:
    return (*(min(255.0, max(0.0, 255 * tone * c)) for c in color), float(height))
