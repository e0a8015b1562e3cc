"""Counters: brushed steel that glares across its grain, wood, stone, glass and tiles, and where they end."""

import math
from typing import Literal, get_args

import cv2
import numpy as np

from cookseg.data.synthetic import planes
from cookseg.data.synthetic.light import Normal, Room, tilted
from cookseg.data.synthetic.optics import View, heading
from cookseg.data.synthetic.planes import Image, Plane, any_color, bell, gradient, step
from cookseg.data.synthetic.solids import BACKGROUND, Canvas, Material, Shape, ellipse

Counter = Literal["steel", "wood", "granite", "marble", "glass", "tiles", "plain"]
COUNTERS: tuple[Counter, ...] = get_args(Counter)

_TAPS = (-1.5, -0.5, 0.5, 1.5)
"""Tilts, in grooves' slopes, at which a brushed surface mirrors the room."""


def counter(view: View, room: Room, kind: Counter, rng: np.random.Generator) -> Image:
    """Return the surface on which everything stands, float32 (H, W, 3)."""
    x, y = view.plane(0.0)
    turn = rng.normal(0, 0.3) + rng.choice([0, math.pi / 2])
    c, s = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    x, y = x * c + y * s, y * c - x * s
    if kind == "steel":
        return _steel(view, room, x, y, (c, s), rng)
    color = _counter_color(kind, x, y, rng)
    dirt = planes.sample(planes.texture(5, rng, 5), x, y)
    stains = 1 - rng.uniform(0, 0.25) * step(dirt, 0.4, 2)
    gloss = {"wood": 0.03, "glass": rng.uniform(0.05, 0.4)}.get(kind, rng.uniform(0, 0.25))
    bend = 0.002 if kind == "glass" else 0.01
    normal = tilted(bend * dirt, bend * planes.sample(planes.texture(7, rng, 3), x, y))
    seen = room.mirror(view, normal, rng.uniform(0.1, 0.9))
    lit = planes.shade(color, room.diffuse(normal) * stains)
    glare = seen * np.float32(gloss) if kind == "glass" else cv2.multiply(seen, color * np.float32(gloss))
    return lit + glare


def _steel(
    view: View, room: Room, x: Plane, y: Plane, turn: tuple[np.floating, np.floating], rng: np.random.Generator
) -> Image:
    """Return sheet steel: grooves along x draw each lamp out across them; it is dented, wet and scratched."""
    brushed = planes.sample(planes.texture(110, rng, 1, stretch=24), x, y)
    fine = planes.sample(planes.texture(80, rng, 2), x, y)
    dents = planes.sample(planes.texture(4, rng, 3), x, y)
    dirt = planes.sample(planes.texture(5, rng, 5), x, y)
    marks = _marks(x, y, rng)
    bend, groove = math.exp(rng.uniform(-5, -2.2)), math.exp(rng.uniform(-3.5, -1.2))
    c, s = turn
    seen = np.zeros((view.height, view.width, 3), np.float32)
    across = bend * dirt + np.float32(0.25) * marks + np.float32(0.15 * groove) * brushed
    rough = rng.uniform(0.3, 0.95)
    for tap in _TAPS:
        slope = across + np.float32(tap * groove)
        seen += room.mirror(view, _turned(bend * dents, slope, c, s), rough)
    grain = rng.uniform(0.03, 0.12) * brushed + 0.03 * fine + rng.uniform(0, 0.12) * dirt
    tone = np.float32(rng.uniform(0.55, 0.95)) * np.clip(1 + grain + 0.3 * marks, 0.05, 1.6)
    flat = room.diffuse(_turned(bend * dents, across, c, s)) * np.float32(rng.uniform(0.15, 0.35))
    tint = np.array([1, 1, rng.uniform(0.97, 1.03)], np.float32)
    shine = rng.uniform(0.7, 1.3) / len(_TAPS)
    return planes.shade(seen * np.float32(shine) + flat[..., None], np.asarray(tone, np.float32)) * tint


def _turned(along: Plane, across: Plane, c: np.floating, s: np.floating) -> Normal:
    """Return the normals of slopes along and across grooves that are turned by an angle of cosine c and sine s."""
    return tilted(along * c - across * s, along * s + across * c)


def _marks(x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
    """Return scratches, and drops and puddles of water, -1..1."""
    drawn = np.full((512, 512), 128, np.uint8)
    for _ in range(int(rng.integers(0, 40))):
        start = rng.uniform(0, 512, 2)
        end = start + rng.uniform(4, 60) * heading(rng.normal(0, 0.7))[:2]
        first, last = start.astype(int).tolist(), end.astype(int).tolist()
        cv2.line(drawn, first, last, int(rng.choice([60, 100, 170])), 1, cv2.LINE_AA)
    for _ in range(int(rng.integers(5, 90) * (rng.random() < 0.5))):
        middle, size = rng.integers(0, 512, 2).tolist(), 1 + 4 * rng.random() ** 3
        axes = (round(size * rng.uniform(1, 1.6)), round(size))
        cv2.ellipse(drawn, middle, axes, rng.uniform(0, 180), 0, 360, 170, -1, cv2.LINE_AA)
        cv2.ellipse(drawn, middle, axes, rng.uniform(0, 180), 0, 200, 60, 1, cv2.LINE_AA)
    tile = cv2.resize(drawn, (256, 256), interpolation=cv2.INTER_AREA).astype(np.float32)
    return planes.sample((tile - 128) * np.float32(1 / 128), x, y)


def _counter_color(kind: Counter, x: Plane, y: Plane, rng: np.random.Generator) -> Image:
    fine = planes.sample(planes.texture(60, rng, 2), x, y)
    coarse = planes.sample(planes.texture(3, rng, 4), x, y)
    if kind == "wood":
        return _planks(x, y, rng)
    if kind == "marble":
        veins = cv2.exp(-np.abs(coarse) * 9) * step(planes.sample(planes.texture(2, rng, 1), x, y), -0.5, 1)
        return gradient(1 - 0.5 * veins + 0.03 * fine, (0.42, 0.42, 0.44), (0.86, 0.85, 0.83))
    if kind == "granite":
        dark, bright = sorted((any_color(rng), any_color(rng)))
        return gradient(0.45 + 0.22 * fine + 0.08 * coarse, dark, bright)
    if kind == "tiles":
        return _tiles(x, y, fine, rng)
    color = (0.04, 0.04, 0.045) if kind == "glass" else any_color(rng)
    return planes.tinted(1 + 0.04 * coarse + 0.03 * fine, color)


def _planks(x: Plane, y: Plane, rng: np.random.Generator) -> Image:
    row = y * np.float32(rng.uniform(1, 4)) + 64
    tone = rng.uniform(-0.18, 0.18, 128).astype(np.float32)[np.floor(row).astype(np.int64) % 128]
    grain = planes.sample(planes.texture(40, rng, 2, stretch=12), x, y)
    rings = np.sin(60 * (y + 0.06 * planes.sample(planes.texture(3, rng, 2, stretch=4), x, y)))
    color = 0.5 + tone + 0.1 * rings + 0.14 * grain - 0.8 * bell(row % 1, 0, 0.03)
    wood = planes.vary((0.66, 0.46, 0.28), rng, 0.2)
    return gradient(color, planes.mix((0, 0, 0), wood, 0.5), planes.mix(wood, (1, 1, 1), 0.2))


def _tiles(x: Plane, y: Plane, fine: Plane, rng: np.random.Generator) -> Image:
    size = np.float32(rng.uniform(0.6, 2))
    u, v = x * size + 64, y * size + 64
    seam = np.minimum(np.abs(u % 1 - 0.5), np.abs(v % 1 - 0.5))
    tone = rng.normal(1, 0.06, (16, 16)).astype(np.float32)
    each = tone[(u + 0.5).astype(np.int64) % 16, (v + 0.5).astype(np.int64) % 16]
    grout = 1 - step(seam, 0.01, 0.03)
    tiles = planes.tinted(each + 0.02 * fine, any_color(rng))
    return planes.blend(planes.tinted(np.ones_like(seam), any_color(rng)), tiles, grout)


def put_edge(canvas: Canvas, rng: np.random.Generator) -> None:
    """Let the counter end somewhere: a folded edge, and another surface beyond it."""
    view = canvas.view
    x, y = view.plane(0.0)
    angle, away = rng.uniform(0, 2 * math.pi), rng.uniform(1.2, 2.6)
    across = x * np.float32(math.cos(angle)) + y * np.float32(math.sin(angle))
    beyond = np.clip((across - np.float32(away)) * np.float32(view.unit) + 0.5, 0, 1)
    if not beyond.any():
        return
    surface = counter(view, canvas.room, rng.choice(COUNTERS), rng) * np.float32(rng.uniform(0.3, 1.0))
    canvas.paint(surface, beyond, BACKGROUND)
    place = away
    for _ in range(int(rng.integers(1, 7))):  # folds of sheet metal, ledges, seams and the lights on them
        place -= rng.uniform(-0.2, 0.3)
        wide = rng.uniform(0.006, 0.04) if rng.random() < 0.7 else rng.uniform(0.05, 0.2)
        fold = np.clip((wide - np.abs(across - np.float32(place))) * np.float32(view.unit) + 0.5, 0, 1)
        tone = rng.uniform(0, 1.3) * (1 + 0.4 * bell(across, place + rng.normal(0, wide), wide))
        tone *= 1 + rng.uniform(-0.5, 0.5) * np.clip((across - np.float32(place)) * np.float32(1 / wide), -1, 1)
        streaks = 1 + rng.uniform(0, 0.3) * planes.sample(planes.texture(6, rng, 3), x, y)
        cover = fold * np.float32(rng.uniform(0.4, 1))
        canvas.paint(planes.tinted(tone * streaks, (0.8, 0.8, 0.82)), cover, BACKGROUND)


def put_slots(canvas: Canvas, rng: np.random.Generator) -> None:
    """Punch a strip of holes into the counter, as drains and ventilation have."""
    start = np.array([*canvas.view.somewhere(1.2, rng), 0.0])
    angle = rng.uniform(0, 2 * math.pi)
    along, across = heading(angle), heading(angle + math.pi / 2)
    hole = ellipse(0.018, 0.018, points=8)
    for row in range(int(rng.integers(2, 5))):
        for column in range(int(rng.integers(20, 40))):
            middle = start + along * (0.07 * column) + across * (0.07 * row)
            canvas.put([Shape(hole + middle, Material((0.02, 0.02, 0.02), 0, 0, 1, 0))], BACKGROUND, rng)
