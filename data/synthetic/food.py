"""Food, painted: sauces, and pieces that are scattered, brown and shrink while a recipe goes on.

Lengths are shares of the radius of the vessel that the food lies in; colours are RGB, 0..1.
"""

import math
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from cookseg.data.synthetic import planes
from cookseg.data.synthetic.dishes import Recipe, Sauce, Serving
from cookseg.data.synthetic.light import Normal, relief
from cookseg.data.synthetic.optics import FRACTION_BITS, Contour, View, fill
from cookseg.data.synthetic.pieces import (
    FOOT,
    LINES,
    Layer,
    Pieces,
    dome,
    layers,
    random_circles,
    random_lines,
    random_outlines,
)
from cookseg.data.synthetic.planes import Color, Image, Plane, mix
from cookseg.data.synthetic.solids import BACKGROUND, FOOD, Canvas
from cookseg.data.synthetic.vessels import Inside, Vessel

_RISE = 0.16  # height of the highest layer of any piece, as a share of the vessel's radius


def put_food(canvas: Canvas, inside: Inside, serving: Serving, progress: float, rng: np.random.Generator) -> None:
    """Paint what is in a vessel by now; the canvas must be the window that the inside was found for."""
    recipe, view = serving.recipe, inside.view
    if not recipe.pieces:
        return
    # a generator for each part, so that what comes later does not move what is there
    pouring, splashing, lighting, *scattering = rng.spawn(3 + len(recipe.pieces))
    sauce = recipe.sauce if recipe.sauce and progress >= recipe.sauce.added else None
    base = _pour(canvas, inside, serving, sauce, progress, pouring) if sauce else np.zeros_like(inside.cover)
    dish = _Dish.of(view, inside.vessel, mix(recipe.pieces[0].raw, recipe.pieces[0].cooked, progress))
    for pieces, chance in zip(recipe.pieces, scattering, strict=True):
        if progress >= pieces.added:
            _scatter(dish, serving, pieces, progress, chance)
    if sauce and sauce.is_food:
        _splash(dish, mix(sauce.raw, sauce.cooked, progress), splashing)
    rise = dish.canvas[:, :, 3]
    if not rise.any():
        return
    cover = np.minimum(rise.astype(np.float32) * np.float32(1 / FOOT), 1) * inside.cover
    unit = view.unit * inside.vessel.radius
    bumps = cv2.GaussianBlur(rise, (0, 0), 0.006 * unit + 0.3).astype(np.float32) * np.float32(_RISE / 255)
    _cast(canvas, cover, bumps, unit)
    color = _lit_pieces(canvas, dish, bumps + base, recipe, progress, lighting)
    canvas.paint(planes.shade(color, 1 - _shade(canvas, inside)), cover, FOOD)


def _shade(canvas: Canvas, inside: Inside) -> Plane:
    """Return how much of the light the rim keeps away, (H, W)."""
    return np.asarray((1 - canvas.room.ambient) * inside.shadow(canvas.room))


def _pour(
    canvas: Canvas, inside: Inside, serving: Serving, sauce: Sauce, progress: float, rng: np.random.Generator
) -> Plane:
    """Paint the sauce, a puddle with a ragged edge and a rounded lip; return its height, (H, W)."""
    view, vessel = inside.view, inside.vessel
    poured = min(1.0, 0.6 + 4 * (progress - sauce.added))
    reach = min(0.93, sauce.fill * poured * (1 - 0.08 * progress))
    level = vessel.level(reach) + 0.03 * vessel.radius
    x, y = vessel.local(view, level)
    shift = 0.3 if vessel.base > 0.4 else 0.0
    away = np.hypot(x - np.float32(shift * serving.x), y - np.float32(shift * serving.y))
    ragged, lumps = view.noise(2.5, rng, 4), view.noise(9 * vessel.radius**-0.5, rng)
    field = np.float32(reach) + np.float32(0.03 if sauce.clear else 0.045) * ragged - away
    t = np.clip(field * np.float32(1 / 0.08), 0, 1)
    height = vessel.radius * (0.03 * np.sqrt(t * (2 - t)) + sauce.lumps * t * lumps)
    normal = relief(view, height)
    color = mix(sauce.raw, sauce.cooked, progress)
    tone = canvas.room.diffuse(normal) * (1 + (0.03 + 0.05 * progress) * lumps)
    surface = planes.tinted(tone, color)
    if sauce.clear:
        through = planes.shade(canvas.color, np.full_like(t, 0.9)) * np.array(color, np.float32) * np.float32(1.1)
        surface = surface + (through - surface) * np.float32(sauce.clear)
    surface = planes.shade(surface, 1 - _shade(canvas, inside))
    surface += canvas.room.mirror(view, normal, 0.1) * np.float32(sauce.gloss)
    cover = planes.coverage(field) * inside.cover
    canvas.paint(surface, cover, FOOD if sauce.is_food else BACKGROUND)
    return height


def _cast(canvas: Canvas, cover: Plane, bumps: Plane, unit: float) -> None:
    """Darken what lies beside the pieces, away from the light."""
    x, y, z = canvas.room.key
    far = min(0.12, 0.05 / z) * unit
    moved = cv2.warpAffine(cover, np.array([[1, 0, -x * far], [0, 1, -y * far]]), cover.shape[::-1])
    soft = cv2.GaussianBlur(np.maximum(moved, 0.7 * cover), (0, 0), (0.012 + 0.05 * canvas.room.softness) * unit + 0.4)
    canvas.darken(np.asarray(soft * np.float32(0.8)))


def _lit_pieces(
    canvas: Canvas, dish: "_Dish", height: Plane, recipe: Recipe, progress: float, rng: np.random.Generator
) -> Image:
    """Return the lit surface of the pieces, float32 (H, W, 3)."""
    view, room = canvas.view, canvas.room
    normal: Normal = relief(view, height)
    unit = dish.vessel.radius * view.unit
    valleys = cv2.GaussianBlur(height, (0, 0), 0.03 * unit + 0.5) - height
    light = room.diffuse(normal) * np.clip(1 - np.float32(9 / dish.vessel.radius) * valleys, 0.45, 1.15)
    mottled = light * (1 + np.float32(0.04 + 0.06 * progress) * view.noise(12, rng))
    color = planes.shade(dish.canvas[:, :, :3].astype(np.float32) * np.float32(1 / 255), mottled)
    if brown := recipe.spots * min(1.0, max(0.0, 1.4 * progress - 0.2)):
        burnt = np.float32(brown) * planes.step(view.noise(14, rng, 2), 0.3, 1.6)
        color *= 1 - planes.merge([burnt * np.float32(share) for share in (0.45, 0.65, 0.9)])
    if recipe.gloss:
        color += room.mirror(view, normal, 0.35) * np.float32(recipe.gloss)
    return color


@dataclass(frozen=True)
class _Dish:
    """The canvas that pieces are drawn on: uint8 (H, W, 4), RGB and height.

    The lowest layer of every piece has the height FOOT: a lower pixel is covered by that share only.
    """

    view: View
    vessel: Vessel
    canvas: NDArray[np.uint8]

    @classmethod
    def of(cls, view: View, vessel: Vessel, ground: Color) -> Self:
        canvas = np.empty((view.height, view.width, 4), np.uint8)
        canvas[:] = _bytes(ground, 0)
        return cls(view, vessel, canvas)

    def polygons(self, middles: Contour, outlines: Contour, colors: list[Color], profile: list[Layer]) -> None:
        """Draw pieces (N, P, 2) around their middles (N, 2), each as a stack of ever smaller outlines."""
        size = float(np.linalg.norm(outlines[0], axis=-1).mean()) * self.vessel.radius
        stacks = []
        for share, _, height in profile:  # each layer is nearer to the camera than the one below
            rise = min(0.6 * size, 0.12 * self.vessel.radius) * (height - FOOT) / 255
            points = self.vessel.place(middles[:, None] + outlines * share, rise)
            stacks.append(self.view.fixed(self.view.camera.project(points)[0]))
        for piece, color in zip(zip(*stacks, strict=True), colors, strict=True):
            for contour, (_, tone, height) in zip(piece, profile, strict=True):
                fill(self.canvas, [contour], _bytes(color, height, tone))

    def strokes(self, lines: Contour, width: float, color: Color, edge: float) -> None:
        """Draw lines (N, P, 2) as round bodies: stacks of ever thinner lines."""
        placed = list(self.view.fixed(self.view.camera.project(self.vessel.place(lines))[0]))
        for share, tone, height in ((1.3, edge, FOOT), (0.9, 0.95, 190), (0.45, 1.06, 250)):
            pixels = max(1, round(width * share * self.vessel.radius * self.view.unit))
            value = _bytes(color, height, tone)
            cv2.polylines(self.canvas, placed, False, value, pixels, cv2.LINE_AA, FRACTION_BITS)


def _scatter(dish: _Dish, serving: Serving, pieces: Pieces, progress: float, rng: np.random.Generator) -> None:
    """Draw the pieces that are in the pan by now."""
    count = math.ceil(pieces.count * min(1.0, 0.4 + 6 * (progress - pieces.added)))
    color, shrink = mix(pieces.raw, pieces.cooked, progress), 1 - 0.2 * progress
    reach = max(0.05, min(serving.reach, 0.9) - pieces.size / 2)
    middles = _stirred(_middles(pieces.count, reach, rng)[:count], progress, rng) + np.array([serving.x, serving.y])
    middles *= np.minimum(1, 0.9 / (np.linalg.norm(middles, axis=1, keepdims=True) + pieces.size / 3))
    if pieces.shape in LINES:
        width = pieces.size * {"grain": 0.34, "strip": 0.11, "noodle": 0.045, "tube": 0.3}[pieces.shape]
        lines = middles[:, None] + random_lines(pieces, pieces.count, rng)[:count] * shrink
        for start in range(12):  # twelve tones, twelve calls: a call for each of 2000 grains would be slow
            dish.strokes(lines[start::12], width, mix((0, 0, 0), color, rng.normal(1, 0.08)), pieces.edge)
        return
    colors = [mix((0, 0, 0), color, tone) for tone in rng.normal(1, 0.07, pieces.count)[:count]]
    dish.polygons(middles, random_outlines(pieces, pieces.count, rng)[:count] * shrink, colors, layers(pieces))
    if pieces.yolk:
        around = middles + rng.normal(0, 0.08 * pieces.size, middles.shape)
        circle = random_circles(pieces.size * 0.2, rng, count)
        dish.polygons(around, circle, [pieces.yolk] * count, dome(7, 0.85, (140, 255)))


def _splash(dish: _Dish, color: Color, rng: np.random.Generator) -> None:
    """Draw drops that cling to the wall."""
    count = int(60 * max(0, rng.uniform(-1, 1)) ** 2)
    if not count:
        return
    angle, radius = rng.uniform(0, 2 * np.pi, count), 0.97 - 0.4 * rng.random(count) ** 2
    middles = np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]
    sizes = 0.008 + 0.035 * rng.random((count, 1, 1)) ** 2
    dish.polygons(middles, random_circles(1, rng, count) * sizes, [color] * count, [(1.0, 0.8, FOOT), (0.7, 1.0, 90)])


def _middles(count: int, reach: float, rng: np.random.Generator) -> Contour:
    """Return where pieces lie, (count, 2): a heap that is not quite round."""
    angle = rng.uniform(0, 2 * np.pi, count)
    lobes = 0.88 + 0.12 * np.sin(angle * rng.integers(1, 4) + rng.uniform(0, 6))
    radius = reach * lobes * np.sqrt(rng.uniform(0, 1, count))
    return np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]


def _stirred(middles: Contour, progress: float, rng: np.random.Generator) -> Contour:
    """Return where pieces (N, 2) are after so much stirring: each goes around and in and out at a pace of its own."""
    pace, start, depth = rng.normal(1, 0.5, len(middles)), rng.uniform(0, 6, len(middles)), rng.uniform(0, 0.25)
    turn = 6 * rng.normal(0, 1) * progress + 2.5 * progress * pace
    breath = 1 - depth + depth * np.sin(start + 14 * progress * pace)
    c, s = np.cos(turn) * breath, np.sin(turn) * breath
    return np.stack([c * middles[:, 0] - s * middles[:, 1], s * middles[:, 0] + c * middles[:, 1]], 1)


def _bytes(color: Color, height: int, tone: float = 1.0) -> tuple[float, ...]:
    return (*(min(255.0, max(0.0, 255 * tone * c)) for c in color), float(height))
