"""Surroundings of the pan: counters, hobs, bowls, cloths, tools that are not stirrers, and the cook's hands."""

import itertools
import math
from typing import Literal, get_args

import cv2
import numpy as np

from cookseg.data.synthetic import planes
from cookseg.data.synthetic.light import Room, tilted
from cookseg.data.synthetic.optics import Contour, View
from cookseg.data.synthetic.planes import Color, Image, Plane, bell, gradient, step
from cookseg.data.synthetic.solids import BACKGROUND, Canvas, Material, Shape, at, bar, ellipse, line
from cookseg.data.synthetic.vessels import Finish, Vessel

Counter = Literal["steel", "wood", "granite", "marble", "glass", "tiles", "plain"]
COUNTERS: tuple[Counter, ...] = get_args(Counter)
Hob = Literal["none", "induction", "grate", "burner"]
HOBS: tuple[Hob, ...] = get_args(Hob)

STEEL = Material((0.72, 0.72, 0.73), 0.95, 0, 0.35, 0.02)
BLACK = Material((0.05, 0.05, 0.055), 0, 0.06, 0.5, 0.03)
SKINS: tuple[Color, ...] = ((0.86, 0.66, 0.54), (0.74, 0.53, 0.40), (0.56, 0.37, 0.26), (0.36, 0.23, 0.16))
GLOVES: tuple[Color, ...] = ((0.12, 0.22, 0.5), (0.08, 0.08, 0.09), (0.88, 0.88, 0.86))


def any_color(rng: np.random.Generator) -> Color:
    """Return the colour of something bought: mostly grey, white, black or muted, sometimes bright."""
    grey = rng.uniform(0.03, 0.9)
    chroma = rng.choice([0.02, 0.08, 0.25], p=[0.55, 0.3, 0.15])
    red, green, blue = np.clip(grey + chroma * rng.normal(0, 1, 3), 0.02, 0.95).tolist()
    return red, green, blue


# --- counters


def counter(view: View, room: Room, kind: Counter, rng: np.random.Generator) -> Image:
    """Return the surface on which everything stands, float32 (H, W, 3)."""
    x, y = view.plane(0.0)
    turn = rng.normal(0, 0.3) + rng.choice([0, math.pi / 2])
    c, s = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    x, y = x * c + y * s, y * c - x * s
    color = _counter_color(kind, x, y, rng)
    dirt = planes.sample(planes.texture(5, rng, 5), x, y)
    stains = 1 - rng.uniform(0, 0.25) * step(dirt, 0.4, 2)
    metal, gloss = (0.75, 0.1) if kind == "steel" else (0, rng.uniform(0, 0.25) if kind != "wood" else 0.03)
    bend = math.exp(rng.uniform(-4.5, -1.8)) if kind == "steel" else 0.01
    normal = tilted(bend * dirt, bend * planes.sample(planes.texture(7, rng, 3), x, y))
    seen = room.mirror(view, normal, rng.uniform(0.1, 0.9))
    lit = planes.shade(color, room.diffuse(normal) * stains * np.float32(1 - 0.8 * metal))
    smear = 1 + 0.35 * dirt if kind == "steel" else 1
    return lit + cv2.multiply(seen, planes.shade(color, metal * stains * smear + gloss))


def _counter_color(kind: Counter, x: Plane, y: Plane, rng: np.random.Generator) -> Image:
    fine = planes.sample(planes.texture(60, rng, 2), x, y)
    coarse = planes.sample(planes.texture(3, rng, 4), x, y)
    if kind == "steel":
        brushed = planes.sample(planes.texture(120, rng, 1, stretch=20), x, y)
        return gradient(0.75 + 0.07 * brushed + 0.05 * fine + 0.06 * coarse, (0.1, 0.1, 0.1), (0.95, 0.95, 0.97))
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
    along, across = _heading(angle), _heading(angle + math.pi / 2)
    hole = ellipse(0.018, 0.018, points=8)
    for row in range(int(rng.integers(2, 5))):
        for column in range(int(rng.integers(20, 40))):
            middle = start + along * (0.07 * column) + across * (0.07 * row)
            canvas.put([Shape(hole + middle, Material((0.02, 0.02, 0.02), 0, 0, 1, 0))], BACKGROUND, rng)


# --- hobs


def put_hob(canvas: Canvas, kind: Hob, lit: bool, rng: np.random.Generator) -> None:
    """Paint what heats the pan, which stands in its middle."""
    if kind == "induction":
        x, y = canvas.view.plane(0.0)
        r = np.hypot(x, y)
        for radius in rng.uniform(0.7, 1.6, int(rng.integers(1, 4))):
            ring = bell(r, float(radius), 0.012) * np.float32(rng.uniform(0.3, 1))
            canvas.paint(planes.tinted(np.ones_like(r), planes.vary((0.6, 0.6, 0.62), rng)), ring, BACKGROUND)
        return
    if kind == "none":
        return
    iron = Material((0.06, 0.06, 0.06), 0, 0.05, 0.7, 0.1)
    if kind == "burner":
        reach = rng.uniform(0.8, 1.15)
        iron_ring = Shape(ellipse(reach, reach, 0.0), iron, bevel=0.1, holes=(ellipse(0.55, 0.55, 0.0),))
        canvas.put([Shape(ellipse(0.5, 0.5, -0.02), BLACK, bevel=0.2), iron_ring], BACKGROUND, rng)
        if lit:
            put_flames(canvas, rng.uniform(0.4, 0.7), rng)
    arms, turn = int(rng.integers(3, 9)), rng.uniform(0, 2 * math.pi)
    start, end, width = rng.uniform(0.1, 0.9), rng.uniform(1.05, 1.35), rng.uniform(0.06, 0.14)
    for arm in range(arms):
        spoke = at(_rotated(bar(start, end, width), turn + arm * 2 * math.pi / arms), 0, 0, 0.06)
        canvas.shadow([Shape(spoke, iron)], 0.0)
        canvas.put([Shape(spoke, iron, bevel=0.04)], BACKGROUND, rng)
    if kind == "grate":
        half = end * 0.95
        corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
        for (ax, ay), (bx, by) in itertools.pairwise(corners):
            frame = _rotated(line((ax, ay, 0.06), (bx, by, 0.06)), turn)
            canvas.put([Shape(frame, iron, radius=0.04)], BACKGROUND, rng)


def put_flames(canvas: Canvas, radius: float, rng: np.random.Generator) -> None:
    """Paint gas flames on one to three rings."""
    color = planes.mix((0.12, 0.3, 1.0), (0.35, 0.65, 1.0), rng.random())
    blue = Material(color, 0, 0, 1, 0.3)
    for ring in radius * np.array([1, 0.62, 0.25])[: int(rng.integers(1, 4))]:
        for angle in np.arange(0, 2 * math.pi, rng.uniform(0.15, 0.3) / ring):
            size = rng.uniform(0.03, 0.07)
            flame = at(ellipse(size, size), ring * math.cos(angle), ring * math.sin(angle), 0.02)
            canvas.put([Shape(flame, blue, bevel=size)], BACKGROUND, rng)


# --- clutter


def bowl(x: float, y: float, rng: np.random.Generator) -> Vessel:
    """Return a bowl or a plate."""
    metal = rng.random() < 0.5
    stuff = STEEL if metal else Material(any_color(rng), 0, rng.uniform(0, 0.12), 0.3, 0.01)
    if rng.random() < 0.3:
        return Vessel(x, y, 0, rng.uniform(0.4, 0.8), 0.08, 0.7, 1, Finish(stuff, 0.005, 0.01, 0), stuff)
    radius = rng.uniform(0.2, 0.55)
    return Vessel(x, y, 0, radius, radius * rng.uniform(0.4, 0.9), 0.5, 0.8, Finish(stuff, 0.01, 0.02, 4), stuff)


def put_clutter(canvas: Canvas, x: float, y: float, rng: np.random.Generator) -> None:
    """Put something flat or upright onto the counter: a board, cloth, box, bottle or phone."""
    kind = rng.choice(["board", "cloth", "box", "bottle", "knob", "knife"])
    turn = rng.uniform(0, 2 * math.pi)
    metal = rng.random() < 0.3
    stuff = STEEL if metal else Material(any_color(rng), 0, rng.uniform(0, 0.1), rng.uniform(0.2, 0.9), 0.03)
    if kind in ("bottle", "knob"):
        radius, height = (rng.uniform(0.12, 0.25), rng.uniform(0.3, 1.0)) if kind == "bottle" else (0.12, 0.15)
        body = Shape(line((x, y, radius), (x, y, height)), stuff, radius)
        lid = at(ellipse(radius * 0.5, radius * 0.5, height + radius), x, y)
        shapes = [body, Shape(lid, Material(any_color(rng)), bevel=0.05)]
    elif kind == "cloth":
        angle = np.linspace(0, 2 * math.pi, 40, endpoint=False)
        radius_at = 0.55 + 0.1 * sum(np.cos(k * angle + rng.uniform(0, 6)) * rng.normal(0, 0.6) for k in (2, 3, 4, 6))
        outline = np.stack([radius_at * np.cos(angle), radius_at * np.sin(angle), 0 * angle + 0.02], 1)
        shapes = [Shape(at(outline, x, y), Material(stuff.color, 0, 0, 1, 0.15), bevel=0.15)]
    elif kind == "knife":
        outline = np.array([[0, -0.09, 0.01], [1.0, -0.05, 0.01], [1.2, 0.08, 0.01], [0, 0.09, 0.01]])
        blade = at(_rotated(outline, turn), x, y)
        grip = at(_rotated(bar(-0.6, 0.02, 0.13), turn), x, y, 0.03)
        shapes = [Shape(blade, STEEL, bevel=0.02), Shape(grip, BLACK, bevel=0.05)]
    else:
        wide, high = rng.uniform(0.3, 1.1), rng.uniform(0.2, 0.7)
        top = rng.uniform(0.03, 0.3) if kind == "box" else 0.04
        corners = np.array([[-wide, -high, top], [wide, -high, top], [wide, high, top], [-wide, high, top]])
        shapes = [Shape(at(_rotated(corners, turn), x, y), stuff, bevel=0.04)]
    canvas.shadow(shapes, 0.0)
    canvas.put(shapes, BACKGROUND, rng)


# --- hands


def put_hand(
    canvas: Canvas, grip: Contour, heading: float, skin: Color, sleeve: Color, rng: np.random.Generator
) -> None:
    """Paint a fist around a point (3,), its forearm coming from the direction ``heading`` (radians in x and y)."""
    size = rng.uniform(0.8, 1.1)
    stuff = Material(skin, 0, 0.02, 0.8, 0.04)
    back, side = _heading(heading), _heading(heading + math.pi / 2)
    up = np.array([0, 0, 1.0])
    wrist = grip + back * 0.3 * size + up * 0.1
    elbow = wrist + back * 3 + up * 0.3
    forearm = Shape(np.linspace(wrist, elbow, 8), stuff, (0.13 * size, 0.26 * size))
    cuff_way = np.linspace(wrist + back * (0.12 + rng.uniform(0, 0.8) ** 2), elbow, 8)
    cuff = Shape(cuff_way, Material(sleeve, 0, 0, 1, 0.1), (0.2 * size, 0.36 * size))
    palm = Shape(np.linspace(grip - back * 0.05, wrist, 5), stuff, (0.17 * size, 0.15 * size))
    fingers = [
        Shape(line(*(tuple((grip + back * (0.13 * f - 0.16) * size + side * v * size + up * h).tolist()) for v, h in
              ((0.17, 0.05), (0, 0.17), (-0.16, 0.04)))), stuff, 0.055 * size)
        for f in range(4)
    ]  # fmt: skip
    thumb = Shape(np.linspace(wrist + side * 0.1, grip - back * 0.22 * size + side * 0.08, 5), stuff, 0.06 * size)
    shapes = [forearm, palm, thumb, *fingers, cuff]
    canvas.shadow([forearm, palm], 0.1)
    canvas.put(shapes, BACKGROUND, rng)


def put_cook(canvas: Canvas, x: float, y: float, rng: np.random.Generator) -> None:
    """Paint the cook's apron where it leans in, beyond a point that is seen."""
    angle = math.atan2(y, x)
    middle = np.array([x, y, 0.5]) + _heading(angle) * 1.0
    wide = _rotated(ellipse(rng.uniform(0.8, 1.1), rng.uniform(0.8, 2.0)), angle)
    cloth = Shape(wide + middle, Material(any_color(rng), 0, 0, 1, 0.15), bevel=0.4)
    canvas.shadow([cloth], 0.0)
    canvas.put([cloth], BACKGROUND, rng)


def put_thermometer(canvas: Canvas, place: Contour, heading: float, rng: np.random.Generator) -> None:
    """Paint an infrared thermometer that points against ``heading``, with its display."""
    case, trim = any_color(rng), rng.choice(np.array([(0.95, 0.5, 0.1), (0.9, 0.8, 0.1), (0.8, 0.1, 0.1)]))
    body = _rotated(bar(-0.35, 0.25, 0.22, 0.28), heading) + place
    band = _rotated(bar(-0.1, 0.12, 0.3), heading) + place
    screen = at(_rotated(bar(0.0, 0.16, 0.15), heading) + place, 0, 0, 0.02)
    glow = rng.choice(np.array([(0.2, 0.9, 0.6), (0.4, 0.8, 1.0), (0.7, 0.8, 0.6)]))
    lit = Material(tuple(glow.tolist()), 0, 0, 1, 0)
    shapes = [Shape(body, Material(case, 0, 0.06), bevel=0.06), Shape(band, Material(tuple(trim.tolist())), bevel=0.04)]
    canvas.shadow(shapes, 0.2)
    canvas.put([*shapes, Shape(screen, lit, bevel=0.01)], BACKGROUND, rng)


def _heading(angle: float) -> Contour:
    return np.array([math.cos(angle), math.sin(angle), 0.0])


def _rotated(points: Contour, angle: float) -> Contour:
    """Rotate points (N, 3) about the vertical."""
    c, s = math.cos(angle), math.sin(angle)
    return np.asarray(points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))
