"""Pans, woks, pots, bowls and plates: surfaces of revolution, seen from any side.

Each pixel's ray is intersected with the profile of the wall, so base, near and far wall, rim and shadow lie where they
would.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from cookseg.data.synthetic import planes
from cookseg.data.synthetic.light import Normal, Room
from cookseg.data.synthetic.optics import Contour, View, fill
from cookseg.data.synthetic.planes import Color, Image, Plane
from cookseg.data.synthetic.solids import BACKGROUND, Canvas, Material, at, ellipse, lit

_BISECTIONS = 9  # the wall is found to 1/512 of the vessel's depth
_WEAR = 512  # texels along a side of what is drawn on the inside


@dataclass(frozen=True)
class Finish:
    """The inside of a vessel.

    Attributes:
        stuff: Its material.
        rings: Contrast of the grooves that turning leaves.
        patina: Contrast of stains and seasoning.
        scratches: How many.
        oil: Strength of the reflections in a film of oil.
        drops: How many drops of condensed water are on it.
    """

    stuff: Material
    rings: float = 0.02
    patina: float = 0.05
    scratches: int = 20
    oil: float = 0.0
    drops: int = 0


@dataclass(frozen=True)
class Vessel:
    """A round vessel.

    Attributes:
        x: Middle.
        y: Middle.
        floor: Height of its foot.
        radius: Radius of the rim.
        depth: Height of the rim above the foot.
        base: Radius of the flat base, as a share of the rim's.
        steep: Slope of the wall where it begins, as a share of its mean slope: 1 is a cone, 0 is round, 2 a pot.
        finish: Its inside.
        outside: Material of its outside.
    """

    x: float
    y: float
    floor: float
    radius: float
    depth: float
    base: float
    steep: float
    finish: Finish
    outside: Material

    @property
    def rim(self) -> float:
        """Height of the rim."""
        return self.floor + self.depth

    def height(self, r: Plane) -> Plane:
        """Return the height of the inside at a distance from the axis, as a share of the radius."""
        t = np.clip((r - np.float32(self.base)) * np.float32(1 / (1 - self.base)), 0, 1)
        return np.float32(self.floor) + np.float32(self.depth) * t * (
            np.float32(self.steep) + np.float32(1 - self.steep) * t
        )

    def level(self, r: float) -> float:
        """Return the height of the inside at a distance from the axis, as a share of the radius."""
        return float(self.height(np.array([r]))[0])

    def place(self, points: Contour, height: float = 0) -> Contour:
        """Return points (..., 2) relative to the vessel as points (..., 3) so high above its inside."""
        z = self.height(np.linalg.norm(points, axis=-1)) + height
        return np.concatenate([points * self.radius + [self.x, self.y], z[..., None]], -1)

    def circle(self, reach: float, z: float) -> Contour:
        """Return a circle (N, 3) about the axis, reach being a share of the radius."""
        return at(ellipse(reach * self.radius, reach * self.radius, z, 72), self.x, self.y)

    def local(self, view: View, z: float | Plane) -> tuple[Plane, Plane]:
        """Return where each pixel sees the plane of a height, relative to the vessel, (H, W)."""
        x, y = view.plane(z)
        inverse = np.float32(1 / self.radius)
        return (x - np.float32(self.x)) * inverse, (y - np.float32(self.y)) * inverse


@dataclass(frozen=True, eq=False)
class Inside:
    """The inside of a vessel as a view sees it; every plane is float32 (H, W).

    Attributes:
        vessel: The vessel.
        view: The view that sees it.
        x: Place relative to the vessel.
        y: Place relative to the vessel.
        cover: Coverage of the rim's opening.
    """

    vessel: Vessel
    view: View
    x: Plane = field(repr=False)
    y: Plane = field(repr=False)
    cover: Plane = field(repr=False)

    @classmethod
    def of(cls, view: View, vessel: Vessel) -> "Inside":
        """Find where each pixel's ray meets the inside: between the rim's plane and the base, by bisection."""
        low, high = np.float32(vessel.floor), np.float32(vessel.rim)
        x, y = vessel.local(view, vessel.rim)
        pixels = np.float32(vessel.radius * view.unit)
        cover = np.clip((1 - np.hypot(x, y)) * pixels * np.float32(0.8) + 0.5, 0, 1)
        below, above = vessel.local(view, vessel.floor)
        # along a ray, place and height are linear in each other
        step_x, step_y = x - below, y - above
        share = np.full(x.shape, 0.5, np.float32)
        for i in range(2, _BISECTIONS + 2):
            px, py = below + share * step_x, above + share * step_y
            inner = vessel.height(np.sqrt(px * px + py * py)) < low + share * (high - low)
            share += np.where(inner, np.float32(-(0.5**i)), np.float32(0.5**i))
        return cls(vessel, view, below + share * step_x, above + share * step_y, cover)

    @cached_property
    def r(self) -> Plane:
        """Distance from the axis, as a share of the radius."""
        return np.sqrt(self.x * self.x + self.y * self.y)

    @cached_property
    def normal(self) -> Normal:
        """Normals of the inside."""
        v = self.vessel
        t = np.clip((self.r - np.float32(v.base)) * np.float32(1 / (1 - v.base)), 0, 1)
        rise = np.float32(v.depth / v.radius / (1 - v.base)) * (v.steep + 2 * (1 - v.steep) * t) * (t > 0)
        rise = cv2.GaussianBlur(rise.astype(np.float32), (0, 0), 0.02 * self.view.unit * v.radius + 0.3)
        size = 1 / np.sqrt(1 + rise * rise)
        out = -rise * size / (self.r + 1e-4)
        return self.x * out, self.y * out, size

    def shadow(self, room: Room) -> Plane:
        """Return how far the rim keeps the key light from the inside, 0..1."""
        v = self.vessel
        rise = (np.float32(v.rim) - v.height(self.r)) * np.float32(1 / v.radius / room.key[2])
        beyond = np.hypot(self.x + rise * np.float32(room.key[0]), self.y + rise * np.float32(room.key[1]))
        return planes.step(beyond, 1 - 0.3 * room.softness, 1 + 0.1 + 0.6 * room.softness)


def put_vessel(canvas: Canvas, vessel: Vessel, rng: np.random.Generator) -> Inside | None:
    """Paint an empty vessel and its shadow; return its inside on the canvas's window, or None outside the frame."""
    camera = canvas.view.camera
    _shadow(canvas, vessel)
    hull = cv2.convexHull(
        np.concatenate(
            [
                camera.project(vessel.circle(1.035, vessel.rim))[0],
                camera.project(vessel.circle(vessel.base, vessel.floor))[0],
            ]
        ).astype(np.float32)
    )[:, 0].astype(np.float64)
    part = canvas.part([hull], 0.02)
    if part.is_empty:
        return None
    inside = Inside.of(part.view, vessel)
    part.paint(*_outside(part, hull, vessel, rng), BACKGROUND)
    part.paint(_finish(part, inside, rng), inside.cover, BACKGROUND)
    _rim(part, vessel)
    return inside


def _shadow(canvas: Canvas, vessel: Vessel) -> None:
    """Darken the counter where the vessel stands in the light, and around its foot."""
    room, view = canvas.room, canvas.view
    circles = [room.drop(vessel.circle(1.03, vessel.rim), 0), room.drop(vessel.circle(vessel.base, vessel.floor), 0)]
    hull = cv2.convexHull(np.concatenate([view.camera.project(c)[0] for c in circles]).astype(np.float32))[:, 0]
    blur = (0.03 + 0.5 * room.softness * vessel.rim) * view.unit / view.scale
    part = canvas.part([hull.astype(np.float64)], 2 * blur)
    if part.is_empty:
        return
    drawn = np.zeros((part.view.height, part.view.width), np.uint8)
    fill(drawn, [part.view.fixed(hull.astype(np.float64))], (255,))
    soft = cv2.blur(cv2.blur(drawn, (k := 1 + int(1.7 * blur * view.scale), k)), (k, k))
    part.darken(soft.astype(np.float32) * np.float32(1 / 255))


def _outside(canvas: Canvas, hull: Contour, vessel: Vessel, rng: np.random.Generator) -> tuple[Image, Plane]:
    """Return the outside, as far as the rim does not hide it: it looks towards the camera, so it mirrors the room."""
    view = canvas.view
    drawn = np.zeros((view.height, view.width), np.uint8)
    fill(drawn, [view.fixed(hull)], (255,))
    x, y = vessel.local(view, vessel.floor + vessel.depth / 2)
    bulge = np.float32(-0.6 * vessel.radius) * (x * x + y * y)
    color = lit(view, canvas.room, vessel.outside, bulge, rng) * np.float32(0.8)
    return color, drawn.astype(np.float32) * np.float32(1 / 255)


def _finish(canvas: Canvas, inside: Inside, rng: np.random.Generator) -> Image:
    """Return the lit inside, float32 (H, W, 3)."""
    view, room, finish = canvas.view, canvas.room, inside.vessel.finish
    stuff = finish.stuff
    nx, ny, nz = inside.normal
    stains = planes.sample(planes.texture(10, rng, 5), inside.x, inside.y)
    speckle = planes.sample(planes.texture(90, rng, 1), inside.x, inside.y)
    wear = _wear(inside, finish, rng)
    rings = _rings(inside.r, rng) * np.float32(finish.rings)
    tone = 1 + rings + np.float32(finish.patina) * stains + np.float32(stuff.grain) * speckle + 0.35 * wear
    bent = np.float32(0.35 * finish.rings + 0.02 * stuff.grain) * (stains + 0.5 * speckle)
    normal = (nx + bent, ny + bent * 0.7, nz)
    shadow = (1 - room.ambient) * inside.shadow(room)
    light = room.diffuse(normal) * (1 - shadow) * tone
    color = planes.tinted(light * np.float32(1 - 0.85 * stuff.metal), stuff.color)
    if finish.patina > 0.15:  # seasoning is brown where it is thick, and blue where the steel was hot
        hue = np.float32(0.8 * finish.patina) * planes.sample(planes.texture(4, rng, 3), inside.x, inside.y)
        color *= planes.merge([np.exp(0.7 * hue), np.ones_like(hue), np.exp(-hue)])
    rough = stuff.rough * (0.4 if finish.oil else 1)
    wet = stuff.gloss + finish.oil * planes.step(stains, -0.8, 0.6)
    seen = room.mirror(view, normal, rough)
    for channel, share in enumerate(stuff.color):
        color[:, :, channel] += (
            seen[:, :, channel] * (np.float32(stuff.metal * share) * tone + wet) * (1 - 0.5 * shadow)
        )
    return color


def _wear(inside: Inside, finish: Finish, rng: np.random.Generator) -> Plane:
    """Return scratches and drops, -1..1, drawn once on the flat and seen from the camera."""
    drawn = np.full((_WEAR, _WEAR), 128, np.uint8)
    for _ in range(finish.scratches):
        angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.9)
        start = _WEAR / 2 * (1 + radius * np.array([math.cos(angle), math.sin(angle)]))
        heading = angle + math.pi / 2 + rng.normal(0, 0.6)  # stirring goes around
        end = start + _WEAR * rng.uniform(0.02, 0.22) * np.array([math.cos(heading), math.sin(heading)])
        first, last = np.rint(np.stack([start, end]) * 16).astype(int).tolist()
        cv2.line(drawn, first, last, int(rng.choice([30, 90, 180, 235])), 1, cv2.LINE_AA, 4)
    for _ in range(finish.drops):
        middle, size = (_WEAR * rng.uniform(0.02, 0.98, 2)).astype(int).tolist(), int(rng.integers(1, 5))
        cv2.circle(drawn, middle, size, 60, -1, cv2.LINE_AA)
        cv2.circle(drawn, [middle[0] - 1, middle[1] - 1], max(1, size // 2), 250, -1, cv2.LINE_AA)
    tile = (drawn.astype(np.float32) - 128) * np.float32(1 / 128)
    return planes.sample(cv2.resize(tile, (256, 256), interpolation=cv2.INTER_AREA), inside.x, inside.y, 2.0)


def _rings(r: Plane, rng: np.random.Generator) -> Plane:
    """Return concentric grooves, float32 (H, W)."""
    profile = rng.standard_normal((180, 1), dtype=np.float32)
    return np.asarray(cv2.remap(profile, np.zeros_like(r), r * 140, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _rim(canvas: Canvas, vessel: Vessel) -> None:
    """Paint the rim, a ring that catches the light."""
    camera, view, room = canvas.view.camera, canvas.view, canvas.room
    outer, inner = (view.fixed(camera.project(vessel.circle(reach, vessel.rim))[0]) for reach in (1.035, 1.0))
    drawn = np.zeros((view.height, view.width), np.uint8)
    fill(drawn, [outer, inner], (255,))
    x, y = vessel.local(view, vessel.rim)
    facing = (x * np.float32(room.key[0]) + y * np.float32(room.key[1])) / (np.hypot(x, y) + 1e-3)
    color: Color = vessel.outside.color
    bright = 0.55 + 0.5 * vessel.outside.metal + (0.4 + vessel.outside.gloss) * facing * facing
    canvas.paint(
        planes.tinted(bright, color) + np.float32(0.08 * vessel.outside.gloss),
        drawn.astype(np.float32) / 255,
        BACKGROUND,
    )
