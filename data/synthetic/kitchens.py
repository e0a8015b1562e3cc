"""Surroundings of the pan: hobs, bowls, cloths, taps, cables, tools that are not stirrers, and the cook."""

import itertools
import math
from typing import Literal, get_args

import numpy as np

from cookseg.data.synthetic import planes
from cookseg.data.synthetic.optics import Contour, heading, rotated
from cookseg.data.synthetic.planes import any_color, bell
from cookseg.data.synthetic.solids import BACKGROUND, Canvas, Material, Shape, at, bar, ellipse, line
from cookseg.data.synthetic.vessels import Finish, Vessel

Hob = Literal["none", "induction", "grate", "burner"]
HOBS: tuple[Hob, ...] = get_args(Hob)

STEEL = Material((0.72, 0.72, 0.73), 0.95, 0, 0.35, 0.02)
BLACK = Material((0.05, 0.05, 0.055), 0, 0.06, 0.5, 0.03)


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
        spoke = at(rotated(bar(start, end, width), turn + arm * 2 * math.pi / arms), 0, 0, 0.06)
        canvas.shadow([Shape(spoke, iron)], 0.0)
        canvas.put([Shape(spoke, iron, bevel=0.04)], BACKGROUND, rng)
    if kind == "grate":
        half = end * 0.95
        corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
        for (ax, ay), (bx, by) in itertools.pairwise(corners):
            frame = rotated(line((ax, ay, 0.06), (bx, by, 0.06)), turn)
            canvas.put([Shape(frame, iron, radius=0.04)], BACKGROUND, rng)


def put_flames(canvas: Canvas, radius: float, rng: np.random.Generator) -> None:
    """Paint gas flames on one to three rings."""
    color = planes.mix((0.12, 0.3, 1.0), (0.35, 0.65, 1.0), rng.random())
    blue, star = Material(color, 0, 0, 1, 0.3), rng.choice([0, 0.3])
    for ring in radius * np.array([1, 0.62, 0.25])[: int(rng.integers(1, 4))]:
        for angle in np.arange(0, 2 * math.pi, rng.uniform(0.15, 0.3) / ring):
            size, turn = rng.uniform(0.03, 0.07), np.linspace(0, 2 * math.pi, 40, endpoint=False)
            jets = ellipse(size, size) * (0.75 + star * np.cos(8 * turn))[:, None]
            flame = at(jets, ring * math.cos(angle), ring * math.sin(angle), 0.02)
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
    kind = rng.choice(["board", "cloth", "box", "bottle", "knob", "knife", "tap", "cable", "pole"])
    turn = rng.uniform(0, 2 * math.pi)
    metal = rng.random() < 0.3
    stuff = STEEL if metal else Material(any_color(rng), 0, rng.uniform(0, 0.1), rng.uniform(0.2, 0.9), 0.03)
    if kind in ("bottle", "knob"):
        radius, height = (rng.uniform(0.12, 0.25), rng.uniform(0.3, 1.0)) if kind == "bottle" else (0.12, 0.15)
        body = Shape(line((x, y, radius), (x, y, height)), stuff, radius)
        lid = at(ellipse(radius * 0.5, radius * 0.5, height + radius), x, y)
        shapes = [body, Shape(lid, Material(any_color(rng)), bevel=0.05)]
    elif kind == "tap":
        out = heading(turn) * rng.uniform(0.6, 1.4)
        way = line((x, y, 0.1), (x, y, 1.3), (x + out[0], y + out[1], 0.8))
        foot = Shape(at(ellipse(0.2, 0.2, 0.06), x, y), STEEL, bevel=0.08)
        shapes = [foot, Shape(way, STEEL, rng.uniform(0.05, 0.1))]
    elif kind == "cable":
        ends = [(x, y, 0.03) + heading(turn + bend) * rng.uniform(0.8, 4) for bend in (0, rng.uniform(1.5, 4.5))]
        way = line(tuple(ends[0].tolist()), (x, y, 0.03), tuple(ends[1].tolist()), count=20)
        shapes = [Shape(way, Material(any_color(rng), 0, 0.04, 0.6, 0), rng.uniform(0.015, 0.04))]
    elif kind == "pole":  # a rail, a pipe or a bar that runs past both edges of the frame
        way = rotated(line((-9, 0, 0.1), (9, 0, 0.1), count=30), turn)
        shapes = [Shape(at(way, x, y), stuff, rng.uniform(0.03, 0.15))]
    elif kind == "cloth":
        angle = np.linspace(0, 2 * math.pi, 40, endpoint=False)
        radius_at = 0.55 + 0.1 * sum(np.cos(k * angle + rng.uniform(0, 6)) * rng.normal(0, 0.6) for k in (2, 3, 4, 6))
        outline = np.stack([radius_at * np.cos(angle), radius_at * np.sin(angle), 0 * angle + 0.02], 1)
        shapes = [Shape(at(outline, x, y), Material(stuff.color, 0, 0, 1, 0.15), bevel=0.15)]
        for stripe in rng.uniform(-0.35, 0.35, int(rng.choice([0, 0, 2, 4]))):
            band = rotated(at(bar(-0.4, 0.4, rng.uniform(0.02, 0.08)), 0, stripe, 0.03), turn)
            shapes.append(Shape(at(band, x, y), Material(any_color(rng), 0, 0, 1, 0.15)))
    elif kind == "knife":
        outline = np.array([[0, -0.09, 0.01], [1.0, -0.05, 0.01], [1.2, 0.08, 0.01], [0, 0.09, 0.01]])
        blade = at(rotated(outline, turn), x, y)
        grip = at(rotated(bar(-0.6, 0.02, 0.13), turn), x, y, 0.03)
        shapes = [Shape(blade, STEEL, bevel=0.02), Shape(grip, BLACK, bevel=0.05)]
    else:
        wide, high = rng.uniform(0.3, 1.1), rng.uniform(0.2, 0.7)
        top = rng.uniform(0.03, 0.3) if kind == "box" else 0.04
        corners = np.array([[-wide, -high, top], [wide, -high, top], [wide, high, top], [-wide, high, top]])
        shapes = [Shape(at(rotated(corners, turn), x, y), stuff, bevel=0.04)]
    canvas.shadow(shapes, 0.0)
    canvas.put(shapes, BACKGROUND, rng)


def put_cook(canvas: Canvas, x: float, y: float, rng: np.random.Generator) -> None:
    """Paint the cook's apron where it leans in, beyond a point that is seen."""
    angle = math.atan2(y, x)
    middle = np.array([x, y, 0.5]) + heading(angle) * 1.0
    wide = rotated(ellipse(rng.uniform(0.8, 1.1), rng.uniform(0.8, 2.0)), angle)
    cloth = Shape(wide + middle, Material(any_color(rng), 0, 0, 1, 0.15), bevel=0.4)
    canvas.shadow([cloth], 0.0)
    canvas.put([cloth], BACKGROUND, rng)


def put_thermometer(canvas: Canvas, place: Contour, angle: float, rng: np.random.Generator) -> None:
    """Paint a thermometer that points against ``angle``: an infrared gun with its display, or a probe of steel."""
    case, trim = any_color(rng) if rng.random() < 0.5 else BLACK.color, rng.uniform(0, 1)
    warn = Material((0.95, 0.25 + 0.6 * trim, 0.08), 0, 0.05)
    shell = Material(case, 0, 0.06)
    if rng.random() < 0.25:
        needle = line((-0.8, 0, -0.2), (0, 0, 0.05))
        parts = [Shape(needle, STEEL, 0.018), Shape(ellipse(0.1, 0.1, 0.08), shell, bevel=0.05)]
        screen = Shape(ellipse(0.07, 0.07, 0.1), Material((0.8, 0.82, 0.78), 0, 0.05))
    else:
        size = rng.uniform(0.8, 1.2)
        muzzle = Shape(size * bar(-0.42, -0.1, 0.17, 0.22), shell, bevel=0.07)
        body = Shape(size * (at(bar(-0.28, 0.24, 0.24, 0.3), 0, 0, 0.02)), warn, bevel=0.06)
        back = Shape(size * (at(bar(-0.06, 0.22, 0.2, 0.22), 0, 0, 0.04)), shell, bevel=0.04)
        keys = [Shape(size * (at(ellipse(0.03, 0.03, 0.06), -0.12, y)), shell) for y in (-0.06, 0.0, 0.06)]
        parts = [muzzle, body, back, *keys]
        glow = rng.choice(np.array([(0.15, 0.95, 0.5), (0.3, 0.8, 1.0), (0.7, 0.8, 0.6), (0.9, 0.3, 0.2)]))
        screen = Shape(size * (at(bar(-0.02, 0.17, 0.14), 0, 0, 0.07)), Material(tuple(glow.tolist()), 0, 0, 1, 0))
    shapes = [part.moved(rotated(part.points, angle) + place, ()) for part in [*parts, screen]]
    canvas.shadow(shapes[:2], 0.2)
    canvas.put(shapes, BACKGROUND, rng)
