"""Light: a room of lamps, windows and dark corners that lights surfaces and is mirrored in them.

The room is a paraboloid map (Heidrich and Seidel, 1998): the direction (x, y, z) with z up lies at (x, y) / (1 + z) of
a disc. One lamp is the key light that casts shadows, so shadows and highlights agree.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cookseg.data.synthetic.optics import View
from cookseg.data.synthetic.planes import Image, Plane, fractal, mix, tinted

_SIDE = 128
_BLURS = (1.2, 4.0, 11.0)
"""Blur of the room in polished, satin and rough surfaces, in texels."""

Normal = tuple[Plane, Plane, Plane]
"""Unit vectors (x, y, z) of a surface, (H, W) each."""


@dataclass(frozen=True, eq=False)
class Room:
    """The lights of a kitchen.

    Attributes:
        mirrored: The room for each of `_BLURS`, float32 (3, _SIDE, _SIDE, 3).
        key: Unit vector towards the lamp that casts shadows.
        ambient: Share of the light that comes from everywhere, 0..1: shadows are this bright.
        softness: Width of a shadow's edge per height of what casts it.
    """

    mirrored: NDArray[np.float32]
    key: tuple[float, float, float]
    ambient: float
    softness: float

    def diffuse(self, normal: Normal) -> Plane:
        """Return how bright a matt surface is, 1 where it lies flat, (H, W)."""
        (nx, ny, nz), (x, y, z) = normal, self.key
        facing = np.maximum(nx * np.float32(x) + ny * np.float32(y) + nz * np.float32(z), 0)
        return np.asarray(self.ambient * (0.6 + 0.4 * nz) + (1 - self.ambient) / z * facing)

    def mirror(self, view: View, normal: Normal, roughness: float) -> Image:
        """Return what a surface mirrors of the room, (H, W, 3); ``roughness`` is 0 (polished) to 1."""
        (dx, dy, dz), (nx, ny, nz) = view.rays, normal
        length = 1 / np.sqrt(dx * dx + dy * dy + dz * dz)
        twice = 2 * (dx * nx + dy * ny + dz * nz)
        x, y, z = ((d - twice * n) * length for d, n in zip((dx, dy, dz), normal, strict=True))
        down = np.float32(_SIDE / 2) / (1.02 + np.maximum(z, -0.3))
        level = self.mirrored[min(len(_BLURS) - 1, int(roughness * len(_BLURS)))]
        middle = np.float32(_SIDE / 2 - 0.5)
        seen = cv2.remap(level, x * down + middle, y * down + middle, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen, np.float32)

    def drop(self, points: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
        """Return where the shadow of points (..., 3) falls on a floor of a height."""
        fall = np.maximum(points[..., 2:] - floor, 0) / self.key[2]
        return points - fall * np.array(self.key)


def make_room(rng: np.random.Generator) -> Room:
    """Return a random room: ceiling, walls, one to five lamps or windows, and what is dark."""
    tone = rng.uniform(0.15, 0.6)
    ceiling, wall = (tuple((tone * rng.uniform(0.5, 1.2) * rng.normal(1, 0.06, 3)).tolist()) for _ in range(2))
    y, x = np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j].astype(np.float32)
    edge = np.clip(np.hypot(x, y) + 0.25 * fractal((_SIDE, _SIDE), (3, 3), rng, 2), 0, 1)
    room = tinted(1 - edge, ceiling) + tinted(edge, wall)
    for _ in range(int(rng.integers(1, 5))):  # hoods, cupboards, the cook
        cv2.ellipse(room, _box(rng, (0.3, 0.95), (0.1, 0.5)), (0.04, 0.04, 0.05), -1)
    if rng.random() < 0.5:
        _spots(room, rng)
    lamps = [_lamp(room, rng) for _ in range(int(rng.integers(1, 6)))]
    a, b = lamps[-1]  # painted last, so nothing hides it
    size = 1 + a * a + b * b
    key = (2 * a / size, 2 * b / size, (2 - size) / size)
    levels = [cv2.GaussianBlur(room, (0, 0), sigma) for sigma in _BLURS]
    return Room(np.stack(levels), key, rng.uniform(0.35, 0.85), rng.choice([0.05, 0.15, 0.4]))


def _lamp(room: Image, rng: np.random.Generator) -> tuple[float, float]:
    """Paint a lamp or a window; return its place on the disc, which is never at the horizon."""
    box = _box(rng, (0, 0.62), (0.03, 0.22))
    glow = mix((1.0, 0.82, 0.6), (0.85, 0.94, 1.0), rng.random())
    strength = rng.uniform(2, 9)
    color = tuple(strength * c for c in glow)
    if rng.random() < 0.5:
        cv2.ellipse(room, box, color, -1)
    else:
        cv2.fillPoly(room, [np.rint(cv2.boxPoints(box)).astype(np.int32)], color)
    (column, row), _, _ = box
    return (column / _SIDE * 2 - 1, row / _SIDE * 2 - 1)


def _spots(room: Image, rng: np.random.Generator) -> None:
    """Paint rows of small lamps, or a long tube seen as one."""
    box = _box(rng, (0, 0.4), (0.3, 0.9))
    corner, right, *_, down = cv2.boxPoints(box)
    rows, columns = int(rng.integers(1, 4)), int(rng.integers(2, 6))
    strength, radius = rng.uniform(3, 12), int(rng.integers(1, 3))
    for row in range(rows):
        for column in range(columns):
            x, y = corner + (right - corner) * (column / columns) + (down - corner) * (row / rows)
            cv2.circle(room, (round(float(x)), round(float(y))), radius, (strength,) * 3, -1)


def _box(rng: np.random.Generator, reach: tuple[float, float], size: tuple[float, float]) -> cv2.typing.RotatedRect:
    """Return a rotated rectangle in texels: its middle so far from the disc's, its sides so long."""
    angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(*reach)
    middle = ((1 + radius * math.cos(angle)) * _SIDE / 2, (1 + radius * math.sin(angle)) * _SIDE / 2)
    width, height = (max(3.0, v) for v in (rng.uniform(*size, 2) * _SIDE).tolist())
    return (middle, (width, height), float(rng.uniform(0, 180)))


def tilted(slope_x: Plane, slope_y: Plane) -> Normal:
    """Return the normals of a surface with the slopes dz/dx and dz/dy."""
    size = 1 / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    return -slope_x * size, -slope_y * size, size


def relief(view: View, height: Plane) -> Normal:
    """Return the normals of a height map (H, W) in units of the world, as seen in the image."""
    scale = view.unit / 8
    x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=scale)
    y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=scale)
    return tilted(x, y)
