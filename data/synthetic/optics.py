"""The camera's pose, and the point of the kitchen that each pixel sees.

The world's unit is the radius of the pan. x points right in the image, y down in it along the counter (z = 0) and z up.
The camera looks at a target from the side of positive y, tilted from the vertical.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from cookseg.data.synthetic.planes import Plane, fractal

Contour = NDArray[np.float64]
"""Points (N, 2) in the image or (N, 3) in the world."""

FRACTION_BITS = 4  # of the fixed-point coordinates that cv2 draws with


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with radial distortion.

    Attributes:
        target: The point (x, y, z) in the middle of the frame.
        distance: From there to the camera.
        tilt: Angle between its axis and the vertical, radians.
        roll: Rotation about its axis, radians.
        focal: Focal length in halves of the frame's shorter side.
        distortion: Distortion of the lens, k1: negative is a barrel.
    """

    target: tuple[float, float, float]
    distance: float
    tilt: float
    roll: float
    focal: float
    distortion: float

    @cached_property
    def axes(self) -> NDArray[np.float64]:
        """Unit vectors right, down and forward, the rows of (3, 3)."""
        s, c = math.sin(self.tilt), math.cos(self.tilt)
        right, down, forward = np.array([1.0, 0, 0]), np.array([0, c, -s]), np.array([0, -s, -c])
        a, b = math.cos(self.roll), math.sin(self.roll)
        return np.stack([a * right + b * down, a * down - b * right, forward])

    @cached_property
    def eye(self) -> NDArray[np.float64]:
        """The camera's place (3,)."""
        return np.asarray(self.target - self.distance * self.axes[2])

    def project(self, points: Contour) -> tuple[Contour, NDArray[np.float64]]:
        """Map points (..., 3) to the image (..., 2), in halves of its shorter side, and the size of a unit there."""
        local = (points - self.eye) @ self.axes.T
        size = self.focal / np.maximum(local[..., 2], 0.2)
        flat = local[..., :2] * size[..., None]
        away = np.minimum((flat**2).sum(-1, keepdims=True), 5)  # far outside the frame the polynomial would turn back
        return flat * (1 + self.distortion * away), size


@dataclass(frozen=True)
class View:
    """A frame, or a window of one.

    Attributes:
        camera: The camera.
        height: Rows.
        width: Columns.
        scale: Pixels in half the shorter side of the full frame.
        origin: Column and row of the full frame's middle.
    """

    camera: Camera
    height: int
    width: int
    scale: float
    origin: tuple[float, float]

    @classmethod
    def full(cls, size: tuple[int, int], camera: Camera) -> Self:
        """Return the view of a full frame of height and width."""
        height, width = size
        return cls(camera, height, width, min(size) / 2, ((width - 1) / 2, (height - 1) / 2))

    @property
    def unit(self) -> float:
        """Pixels that a unit of the world has at the camera's target."""
        return self.scale * self.camera.focal / self.camera.distance

    def window(self, points: Contour, margin: float) -> tuple[Self, tuple[slice, slice]]:
        """Return the window that holds image points (N, 2) and a margin, and its rows and columns."""
        pixels = points * self.scale + self.origin
        low, high = pixels.min(0) - margin * self.scale - 2, pixels.max(0) + margin * self.scale + 3
        left, right = (min(max(int(v), 0), self.width) for v in (low[0], high[0]))
        top, bottom = (min(max(int(v), 0), self.height) for v in (low[1], high[1]))
        origin = (self.origin[0] - left, self.origin[1] - top)
        part = replace(self, height=bottom - top, width=right - left, origin=origin)
        return part, (slice(top, bottom), slice(left, right))

    def grid(self) -> tuple[Plane, Plane]:
        """Return x and y in the image of every pixel's centre, float32 (1, W) and (H, 1)."""
        x = (np.arange(self.width, dtype=np.float32) - np.float32(self.origin[0])) / np.float32(self.scale)
        y = (np.arange(self.height, dtype=np.float32) - np.float32(self.origin[1])) / np.float32(self.scale)
        return x[None, :], y[:, None]

    @cached_property
    def rays(self) -> tuple[Plane, Plane, Plane]:
        """The direction in which each pixel looks, not normalised, float32 (H, W) each."""
        x, y = np.broadcast_arrays(*self.grid())
        k = np.float32(self.camera.distortion)
        bent = k * (x * x + y * y)
        inverse = 1 - bent
        for _ in range(3):  # Newton's method for inverse * (1 + bent * inverse**2) = 1
            inverse -= (inverse * (1 + bent * inverse**2) - 1) / (1 + 3 * bent * inverse**2)
        right, down, forward = self.camera.axes.astype(np.float32)
        x, y, f = x * inverse, y * inverse, np.float32(self.camera.focal)
        dx, dy, dz = (x * r + y * d + f * w for r, d, w in zip(right, down, forward, strict=True))
        return dx, dy, np.minimum(dz, -0.05 * f)

    def plane(self, z: float | Plane) -> tuple[Plane, Plane]:
        """Return x and y of the point of height z that each pixel sees, float32 (H, W)."""
        (dx, dy, dz), eye = self.rays, self.camera.eye.astype(np.float32)
        t = (np.float32(z) - eye[2]) / dz if isinstance(z, float) else (z - eye[2]) / dz
        return eye[0] + t * dx, eye[1] + t * dy

    def somewhere(self, away: float, rng: np.random.Generator) -> tuple[float, float]:
        """Return a point (x, y) of the counter in the frame, at least so far from the pan's middle if there is one."""
        x = y = 0.0
        for _ in range(20):
            pixel = rng.uniform(0, 1, 2) * (self.width - 1, self.height - 1)
            across, down, forward = self.camera.axes
            u, v = (pixel - self.origin) / self.scale
            ray = u * across + v * down + self.camera.focal * forward
            x, y = (self.camera.eye - ray * self.camera.eye[2] / min(ray[2], -0.05))[:2].tolist()
            if math.hypot(x, y) > away:
                break
        return x, y

    def noise(self, waves: float, rng: np.random.Generator, octaves: int = 3) -> Plane:
        """Return fractal noise in the image, float32 (H, W), with so many waves over half the shorter side."""
        cells = (waves * self.height / self.scale, waves * self.width / self.scale)
        return fractal((self.height, self.width), cells, rng, octaves)

    def fixed(self, points: Contour) -> NDArray[np.int32]:
        """Return image points (..., 2) as the fixed-point pixels that cv2 draws."""
        pixels: Contour = (points * self.scale + self.origin) * 2**FRACTION_BITS
        return np.rint(np.clip(pixels, -(2**18), 2**18)).astype(np.int32)


def fill(canvas: NDArray[np.uint8], contours: list[NDArray[np.int32]], value: tuple[float, ...]) -> None:
    """Draw an anti-aliased polygon; what an even number of contours encloses is a hole."""
    cv2.fillPoly(canvas, contours, value, cv2.LINE_AA, FRACTION_BITS)


def heading(angle: float) -> Contour:
    """Return the unit vector (3,) along the counter with an angle to x."""
    return np.array([math.cos(angle), math.sin(angle), 0.0])


def rotated(points: Contour, angle: float) -> Contour:
    """Rotate points (N, 3) about the vertical."""
    c, s = math.cos(angle), math.sin(angle)
    return np.asarray(points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))
