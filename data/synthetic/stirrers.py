"""Stirrers: motor-driven arms, spatulas, ladles, spoons, whisks and tongs, and how they are held, laid and moved.

A tool is built with its head in the origin and its handle along +x; a pose puts it into the kitchen.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from cookseg.data.synthetic.optics import Contour, View
from cookseg.data.synthetic.solids import Material, Shape, at, bar, ellipse, line
from cookseg.data.synthetic.vessels import Vessel

Tool = Literal["motor", "spatula", "turner", "ladle", "spoon", "whisk", "tongs"]
TOOLS: tuple[Tool, ...] = get_args(Tool)

_STEEL = Material((0.72, 0.72, 0.74), 0.95, 0, 0.3, 0.02)


@dataclass(frozen=True)
class Pose:
    """Position and direction of a tool.

    Attributes:
        x: Middle of its head.
        y: Middle of its head.
        z: Height of its head.
        angle: Direction of the handle on the counter, radians.
        rise: Angle between handle and counter, radians.
    """

    x: float
    y: float
    z: float
    angle: float
    rise: float = 0

    def place(self, points: Contour) -> Contour:
        """Return points (N, 3) of a tool in the world; what lies behind the head rises with the handle."""
        along = np.maximum(points[:, 0] - 0.1, 0)
        x = points[:, 0] + along * (math.cos(self.rise) - 1)
        z = points[:, 2] + along * math.sin(self.rise)
        c, s = math.cos(self.angle), math.sin(self.angle)
        return np.stack([self.x + c * x - s * points[:, 1], self.y + s * x + c * points[:, 1], self.z + z], 1)

    def put(self, tool: list[Shape]) -> list[Shape]:
        """Return a tool's shapes in the world."""
        return [shape.moved(self.place(shape.points), tuple(map(self.place, shape.holes))) for shape in tool]


def any_material(rng: np.random.Generator) -> Material:
    """Return what a stirrer may be made of: metal, wood, nylon or silicone."""
    kind = rng.random()
    if kind < 0.45:
        tone = rng.uniform(0.45, 0.8)
        return replace(_STEEL, color=(tone, tone, tone * rng.uniform(0.95, 1.03)), rough=rng.uniform(0.05, 0.8))
    if kind < 0.7:
        wood = np.array([0.74, 0.53, 0.33]) * rng.uniform(0.5, 1.2) * rng.normal(1, 0.05, 3)
        return Material(tuple(wood.clip(0, 1).tolist()), 0, 0.01, 0.9, 0.1)
    if kind < 0.85:
        tone = rng.uniform(0.03, 0.2)
        return Material((tone, tone, tone), 0, 0.07, 0.4, 0.02)
    return Material(tuple(rng.uniform(0.05, 0.85, 3).tolist()), 0, 0.05, 0.5, 0.02)


def make_tool(kind: Tool, rng: np.random.Generator) -> list[Shape]:
    """Return a tool's shapes from the bottom up, of random proportions and materials; most ladles are of steel."""
    stuff = any_material(rng)
    if kind in ("ladle", "turner", "tongs") and rng.random() < 0.55:
        tone = rng.uniform(0.4, 0.8)
        stuff = replace(_STEEL, color=(tone, tone, tone * rng.uniform(0.95, 1.03)), rough=rng.uniform(0.05, 0.95))
    if kind == "motor":
        return _motor(stuff, rng)
    grip = stuff if rng.random() < 0.5 else any_material(rng)
    return [*_head(kind, stuff, rng), *_handle(kind, stuff, grip, rng)]


def _handle(kind: Tool, stuff: Material, grip: Material, rng: np.random.Generator) -> list[Shape]:
    length, thick = rng.uniform(1.7, 3.8), rng.uniform(0.028, 0.075)
    if kind in ("ladle", "turner"):
        thick *= rng.uniform(1, 1.5)
    start = {"whisk": 0.75, "tongs": 1.6}.get(kind, 0.18)
    if kind == "tongs":
        return [Shape(at(ellipse(0.09, 0.1), start, 0, 0.04), stuff, bevel=0.05)]
    bent = start + 0.5 * (length - start), rng.normal(0, 0.05), rng.normal(0, 0.06)
    shaft = Shape(line((start, 0, 0.03), bent, (length, 0, 0.03)), stuff, (thick, thick * rng.uniform(0.7, 1.6)))
    held = length * rng.uniform(0.45, 0.75)
    end = Shape(line((held, 0, 0.05), (length + 0.1, 0, 0.05)), grip, thick * rng.uniform(1.0, 1.7))
    return [shaft, end] if rng.random() < 0.6 else [shaft]


def _head(kind: Tool, stuff: Material, rng: np.random.Generator) -> list[Shape]:
    size = rng.uniform(0.8, 1.35)
    if kind in ("spatula", "turner"):
        wide = 0.17 * size * (1.4 if kind == "turner" else 1)
        count = int(rng.choice([0, 3, 4]))
        slots = tuple(at(bar(-0.2 * size, 0.1 * size, 0.03), 0, y * wide, 0.02) for y in np.linspace(-0.6, 0.6, count))
        blade = at(bar(-0.28 * size, 0.2, 2 * wide, 1.3 * wide), 0, 0, 0.02)
        return [Shape(blade, stuff, bevel=0.03, hollow=kind == "turner", holes=slots)]
    if kind == "ladle":
        a, b, deep = 0.26 * size, 0.24 * size, 0.14 * size
    else:
        a, b, deep = 0.24 * size, 0.15 * size, 0.04
    if kind in ("ladle", "spoon"):
        body = Shape(ellipse(a, b, deep), stuff, bevel=0.12)
        hollow = Shape(ellipse(a * 0.9, b * 0.88, deep + 0.005), stuff, bevel=b, hollow=True)
        return [body, hollow] if rng.random() < 0.8 else [replace(body, bevel=b)]  # or seen from its back
    if kind == "whisk":
        wire, loops = 0.012 * size, int(rng.integers(3, 6))
        turns = np.linspace(0, math.pi, loops, endpoint=False)
        return [Shape(_loop(0.24 * size, float(turn)), _STEEL, wire) for turn in turns]
    gap = rng.uniform(0.08, 0.3)
    arms = [line((-0.2, side * gap, 0.02), (0.6, side * gap * 1.5, 0.06), (1.6, 0, 0.04)) for side in (-1, 1)]
    tips = [at(ellipse(0.16, 0.08), -0.2, side * gap, 0.04) for side in (-1, 1)]
    return [*(Shape(arm, stuff, (0.05, 0.07)) for arm in arms), *(Shape(tip, stuff, bevel=0.05) for tip in tips)]


def _loop(wide: float, turn: float) -> Contour:
    """Return a wire of a whisk: a drop-shaped loop, rotated about the handle."""
    t = np.linspace(-1, 1, 24)
    x, across = 0.75 - 1.0 * (1 - t * t) ** 0.7, wide * np.sin(math.pi * t) * 1.1
    return np.stack([x, across * math.cos(turn), 0.2 + across * math.sin(turn)], 1)


def _motor(stuff: Material, rng: np.random.Generator) -> list[Shape]:
    """Return two to four arms with slanted paddles, and the hub."""
    arms, slant = int(rng.integers(2, 5)), rng.uniform(-1.2, 1.2)
    thick, wide = rng.uniform(0.03, 0.06), rng.uniform(0.05, 0.12)
    shapes = []
    for arm in range(arms):
        turn = Pose(0, 0, 0, arm * 2 * math.pi / arms + rng.normal(0, 0.1))
        reach = rng.uniform(0.35, 0.8)
        long = rng.uniform(0.1, 0.24)
        paddle = Pose(reach, 0, 0.1, slant).place(bar(-long, long, wide))
        shapes += [Shape(turn.place(paddle), stuff, bevel=0.03)]
        shapes += [Shape(turn.place(line((0, 0, 0.2), (reach + 0.02, 0, 0.2))), stuff, thick)]
    hub = rng.uniform(0.08, 0.16)
    dark = Material((0.12, 0.12, 0.13), 0, 0.08, 0.3, 0.01)
    shapes += [
        Shape(ellipse(hub, hub, 0.3), dark, bevel=0.06),
        Shape(ellipse(hub / 2, hub / 2, 0.34), _STEEL, bevel=0.03),
    ]
    return shapes


def drive(rng: np.random.Generator) -> list[Shape]:
    """Return the arm that holds a motor over the pan's middle; it does not rotate with the paddles."""
    tone = rng.uniform(0.04, 0.7)
    stuff = replace(_STEEL, color=(tone, tone, tone), metal=0.95 if tone > 0.3 else 0.1)
    return [
        Shape(line((0, 0, 0.9), (4, 0, 0.9)), stuff, rng.uniform(0.06, 0.16)),
        Shape(ellipse(0.2, 0.2, 1.0), stuff, bevel=0.08),
    ]


def stir(pan: Vessel, turn: float, rng: np.random.Generator) -> tuple[Pose, bool]:
    """Return the pose of a tool whose head is in the pan, and whether it is held rather than leaning on the rim."""
    reach = rng.uniform(0.05, 0.6)
    x, y = reach * math.cos(turn), reach * math.sin(turn)
    angle = turn + rng.normal(0, 0.9)
    held = bool(rng.random() < 0.6)
    z = pan.level(reach) + 0.02
    # where the handle crosses the rim it must be above it
    c, s = math.cos(angle), math.sin(angle)
    along = -(x * c + y * s) + math.sqrt(max(0.05, 1 - (x * s - y * c) ** 2))
    rise = math.atan2(pan.rim + 0.06 - z, along)
    return Pose(pan.x + x, pan.y + y, z, angle, rise + (rng.uniform(0.05, 0.7) if held else 0)), held


def lie(view: View, rng: np.random.Generator) -> Pose:
    """Return the pose of a tool that lies on the counter, past the pan, often half out of the frame."""
    x, y = view.somewhere(1.15, rng)
    around = math.atan2(y, x)
    angle = around + rng.choice([-1, 1]) * rng.uniform(0.5, 1.8)
    back = rng.uniform(0, 2.5)  # which part of the tool lies there
    if rng.random() < 0.5:
        angle, back = angle + math.pi, 2.5 - back
    return Pose(x - back * math.cos(angle), y - back * math.sin(angle), 0.02, angle, 0.02)


def lift(turn: float, rng: np.random.Generator) -> Pose:
    """Return the pose of a tool that is lifted out of the pan."""
    reach = rng.uniform(0, 0.7)
    return Pose(reach * math.cos(turn), reach * math.sin(turn), rng.uniform(0.5, 1.1), turn, rng.uniform(0, 0.5))
