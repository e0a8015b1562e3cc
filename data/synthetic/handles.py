"""Handles of pans: long ones, loops, ears, and wooden grips on a wire; they belong to the pan, so to the background."""

import math
from dataclasses import dataclass

import numpy as np

from cookseg.data.synthetic.optics import Contour
from cookseg.data.synthetic.planes import any_color, vary
from cookseg.data.synthetic.solids import BACKGROUND, Canvas, Material, Shape, at, line
from cookseg.data.synthetic.stirrers import Pose
from cookseg.data.synthetic.vessels import Vessel


@dataclass(frozen=True)
class Handles:
    """The handles of a pan, relative to the pan's foot.

    Attributes:
        shapes: From the bottom up.
        grips: Where a hand takes hold of them, (3,) each.
    """

    shapes: list[Shape]
    grips: tuple[Contour, ...]

    def at(self, pan: Vessel) -> "Handles":
        """Return them in the world."""
        pose = Pose(pan.x, pan.y, pan.floor, 0)
        grips = tuple(pose.place(grip[None])[0] for grip in self.grips)
        return Handles(pose.put(self.shapes), grips)


def make_handles(pan: Vessel, rng: np.random.Generator) -> Handles:
    """Return random handles for a pan."""
    kind = rng.choice(["none", "long", "wire", "loops", "both", "ears"], p=[0.12, 0.26, 0.2, 0.17, 0.17, 0.08])
    turn = rng.uniform(0, 2 * math.pi)
    shapes: list[Shape] = []
    grips: list[Contour] = []
    if kind in ("long", "both", "wire"):
        part, end = (_wire if kind == "wire" else _long)(pan, rng)
        shapes, grips = Pose(0, 0, 0, turn).put(part), [Pose(0, 0, 0, turn).place(end[None])[0]]
    for side in {"loops": [0, math.pi], "both": [math.pi], "wire": [math.pi] * bool(rng.random() < 0.5)}.get(kind, []):
        pose = Pose(0, 0, 0, turn + side)
        shapes += pose.put([_loop(pan, rng)])
        grips.append(pose.place(np.array([[1.2, 0, pan.depth]]))[0])
    if kind == "ears":
        tab = np.array([[0.98, -0.16, 0], [1.2, -0.12, 0.02], [1.25, 0, 0.03], [1.2, 0.12, 0.02], [0.98, 0.16, 0]])
        ears = [Shape(at(tab, 0, 0, pan.depth - 0.02), pan.outside, bevel=0.05)]
        shapes += [*Pose(0, 0, 0, turn).put(ears), *Pose(0, 0, 0, turn + math.pi).put(ears)]
        grips.append(Pose(0, 0, 0, turn).place(np.array([[1.2, 0, pan.depth]]))[0])
    return Handles(shapes, tuple(grips))


def put_handles(canvas: Canvas, handles: Handles, rng: np.random.Generator) -> None:
    """Paint handles that are in the world."""
    if handles.shapes:
        canvas.shadow(handles.shapes, 0.0)
        canvas.put(handles.shapes, BACKGROUND, rng)


def grip_material(rng: np.random.Generator) -> Material:
    """Return what a grip is made of: wood, steel, Bakelite, or something coloured."""
    kind = rng.random()
    if kind < 0.45:
        return Material(vary((0.78, 0.58, 0.36), rng, 0.25), 0, rng.uniform(0.01, 0.05), 0.7, 0.08)
    if kind < 0.7:
        tone = rng.uniform(0.45, 0.8)
        return Material((tone, tone, tone), 0.95, 0, rng.uniform(0.1, 0.8), 0.02)
    if kind < 0.9:
        tone = rng.uniform(0.03, 0.12)
        return Material((tone, tone, tone), 0, 0.07, 0.4, 0.02)
    return Material(any_color(rng), 0, 0.05, 0.5, 0.02)


def _long(pan: Vessel, rng: np.random.Generator) -> tuple[list[Shape], Contour]:
    """Return a neck riveted to the wall and a grip that may be of another material, and where it is held."""
    thick, end, rise = rng.uniform(0.05, 0.13), rng.uniform(1.6, 3.0), rng.uniform(0, 0.5)
    rim, grip = pan.depth, grip_material(rng)
    way = line((0.98, 0, rim - 0.1), (1.3, 0, rim + 0.05), (end, 0, rim + rise), count=20)
    first = int(rng.integers(3, 9))
    neck = Shape(way[: first + 2], pan.outside if rng.random() < 0.6 else grip, (0.08, 0.05))
    shapes = [neck, Shape(way[first:], grip, (thick, thick * rng.uniform(1, 1.4)))]
    if rng.random() < 0.3:  # a ring to hang it by, or a cap
        shapes.append(Shape(way[-2:], pan.outside, thick * 0.9))
    return shapes, way[int(rng.integers(10, 19))] + [0, 0, thick]


def _wire(pan: Vessel, rng: np.random.Generator) -> tuple[list[Shape], Contour]:
    """Return a wooden grip on a wire that is bent to a loop at the rim, as woks have, and where it is held."""
    rim, wide, out = pan.depth, rng.uniform(0.1, 0.24), rng.uniform(1.18, 1.45)
    rise, long, thick = rng.uniform(0.05, 0.4), rng.uniform(0.35, 0.8), rng.uniform(0.06, 0.1)
    steel = Material((0.5, 0.5, 0.5), 0.9, 0, 0.4, 0.02) if rng.random() < 0.6 else pan.outside
    tip = (out, 0, rim + rise / 3)
    wires = [
        Shape(line((0.96, side * wide, rim - 0.06), (out, side * wide * 1.4, rim), tip), steel, 0.028)
        for side in (-1, 1)
    ]
    start, end = np.array(tip), np.array([out + long, 0, rim + rise])
    wood = Material(vary((0.80, 0.60, 0.38), rng, 0.2), 0, rng.uniform(0.01, 0.06), 0.6, 0.06)
    stuff = wood if rng.random() < 0.75 else grip_material(rng)
    way = np.linspace(start, end, 12)
    collar = Shape(way[:2], stuff if rng.random() < 0.5 else steel, thick * 0.8)
    grip = Shape(way, stuff, (thick * 0.85, thick * rng.uniform(1, 1.3)))
    return [*wires, grip, collar], way[int(rng.integers(5, 11))] + [0, 0, thick]


def _loop(pan: Vessel, rng: np.random.Generator) -> Shape:
    arc, reach, wide = np.linspace(-1, 1, 12), rng.uniform(0.16, 0.4), rng.uniform(0.14, 0.3)
    points = np.stack([0.97 + reach * (1 - arc**4), wide * arc, pan.depth - 0.05 + 0.1 * (1 - arc**2)], 1)
    return Shape(points, pan.outside if rng.random() < 0.7 else grip_material(rng), rng.uniform(0.02, 0.05))
