"""Solid objects, tubes and plates in space, and the canvas that everything is painted on.

An object is drawn by its outline in the image and shaded as if it swelled from its edge inwards. Every object is
painted with its coverage (how much of each pixel it takes), and the same coverage updates the share of the pixel that
each class has; the class map holds the class with the largest share, so its edges lie on the visible edges.
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from cookseg.data.synthetic import planes
from cookseg.data.synthetic.light import Room, relief
from cookseg.data.synthetic.optics import Camera, Contour, View, fill
from cookseg.data.synthetic.planes import Color, Image, Plane

STIRRER, BACKGROUND, FOOD = range(3)


@dataclass(frozen=True)
class Material:
    """The material of an object.

    Attributes:
        color: Colour that it scatters, or that a metal mirrors.
        metal: 1 mirrors and scatters little, 0 scatters only.
        gloss: How much of the room it mirrors on top, as lacquer, plastic or water do.
        rough: 0 polished to 1 matt.
        grain: Contrast of its texture.
    """

    color: Color
    metal: float = 0
    gloss: float = 0.05
    rough: float = 0.5
    grain: float = 0.03


@dataclass(frozen=True)
class Shape:
    """A part of an object, in the world.

    Attributes:
        points: The middle line of a tube or the outline of a plate, (N, 3).
        material: Its material.
        radius: Half the width of a tube, or its two ends'; 0 for a plate.
        bevel: Width of its rounded edge.
        hollow: Whether it is dished, as a ladle is.
        holes: Outlines (N, 3) cut out of a plate.
    """

    points: Contour
    material: Material
    radius: float | tuple[float, float] = 0
    bevel: float = 0.03
    hollow: bool = False
    holes: tuple[Contour, ...] = ()

    def outline(self, camera: Camera) -> list[Contour]:
        """Return the outlines in the image, (N, 2) each; the first is the outer one."""
        line, size = camera.project(self.points)
        if self.radius == 0:
            return [line, *(camera.project(hole)[0] for hole in self.holes)]
        start, end = self.radius if isinstance(self.radius, tuple) else (self.radius, self.radius)
        return [_ribbon(line, size * np.linspace(start, end, len(line)))]

    def moved(self, points: Contour, holes: tuple[Contour, ...]) -> "Shape":
        """Return the shape with other points."""
        return Shape(points, self.material, self.radius, self.bevel, self.hollow, holes)


def _ribbon(line: Contour, half: NDArray[np.float64]) -> Contour:
    """Return the outline (M, 2) of a line (N, 2) with round ends and half widths (N,)."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    across = np.stack([-along[:, 1], along[:, 0]], 1)
    side = across * half[:, None]
    turn = np.linspace(0, np.pi, 7)[1:-1, None]
    end = line[-1] + half[-1] * (np.cos(turn) * across[-1] + np.sin(turn) * along[-1])
    start = line[0] + half[0] * (-np.cos(turn) * across[0] - np.sin(turn) * along[0])
    return np.concatenate([line + side, end, (line - side)[::-1], start])


def ellipse(a: float, b: float, z: float = 0, points: int = 40) -> Contour:
    """Return an ellipse (points, 3) around the origin with half axes a and b, at a height."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([a * np.cos(angle), b * np.sin(angle), np.full(points, z)], 1)


def bar(start: float, end: float, width: float, tip: float | None = None) -> Contour:
    """Return a flat bar (12, 3) along x, as wide at its start as width and as tip at its end."""
    half, tip = width / 2, (width if tip is None else tip) / 2
    x, share = np.linspace(start, end, 6), np.linspace(0, 1, 6)
    y = half + (tip - half) * share
    upper, lower = np.stack([x, y, 0 * x], 1), np.stack([x, -y, 0 * x], 1)
    return np.concatenate([upper, lower[::-1]])


def line(*points: tuple[float, float, float], count: int = 12) -> Contour:
    """Return a smooth line (count, 3) through points: a quadratic curve if there are three."""
    t = np.linspace(0, 1, count)[:, None]
    first, *middle, last = (np.asarray(p, float) for p in points)
    if not middle:
        return first + (last - first) * t
    return (1 - t) ** 2 * first + 2 * t * (1 - t) * middle[0] + t**2 * last


def at(points: Contour, x: float, y: float, z: float = 0) -> Contour:
    """Return points (N, 3) moved to a place."""
    return points + np.array([x, y, z])


@dataclass(frozen=True)
class Canvas:
    """A frame being painted.

    Attributes:
        view: The part of the frame that it shows.
        room: The lights.
        color: float32 (H, W, 3).
        share: How much of each pixel is of each class, float32 (3, H, W).
    """

    view: View
    room: Room
    color: Image
    share: Plane

    @classmethod
    def of(cls, view: View, room: Room, color: Image) -> Self:
        """Return a canvas that is background throughout."""
        share = np.zeros((3, view.height, view.width), np.float32)
        share[BACKGROUND] = 1
        return cls(view, room, color, share)

    def copy(self) -> "Canvas":
        """Return a canvas to paint on without changing this one."""
        return Canvas(self.view, self.room, self.color.copy(), self.share.copy())

    def part(self, contours: list[Contour], margin: float) -> "Canvas":
        """Return the window around image contours; what is painted on it is painted on the canvas."""
        view, (rows, columns) = self.view.window(np.concatenate(contours), margin)
        return Canvas(view, self.room, self.color[rows, columns], self.share[:, rows, columns])

    def within(self, view: View) -> "Canvas":
        """Return the window that a view shows."""
        left, top = (round(whole - part) for whole, part in zip(self.view.origin, view.origin, strict=True))
        rows, columns = slice(top, top + view.height), slice(left, left + view.width)
        return Canvas(view, self.room, self.color[rows, columns], self.share[:, rows, columns])

    @property
    def is_empty(self) -> bool:
        """Whether it lies outside the frame."""
        return min(self.view.height, self.view.width) < 2

    def paint(self, color: Image, cover: Plane, label: int) -> None:
        """Lay a surface over what is there."""
        self.color[:] = planes.blend(color, self.color, cover)
        self.share[:] *= 1 - cover
        self.share[label] += cover

    def darken(self, cover: Plane) -> None:
        """Take the key light from where it is covered, (H, W)."""
        self.color[:] = planes.shade(self.color, 1 - np.float32(1 - self.room.ambient) * cover)

    def classes(self) -> NDArray[np.uint8]:
        """Return the class with the largest share of each pixel, uint8 (H, W)."""
        stirrer, background, food = self.share  # far faster than argmax along the first axis
        behind = np.where(food > background, np.uint8(FOOD), np.uint8(BACKGROUND))
        return np.where(stirrer > np.maximum(food, background), np.uint8(STIRRER), behind)

    # --- objects

    def shadow(self, shapes: list[Shape], floor: float) -> None:
        """Cast the shadow of shapes onto a floor of a height."""
        for shape in shapes:
            fallen = shape.moved(self.room.drop(shape.points, floor), ())
            contours = fallen.outline(self.view.camera)
            rise = max(0.01, float(shape.points[:, 2].mean()) - floor)
            blur = min(0.25, self.room.softness * rise) * self.view.unit / self.view.scale
            part = self.part(contours, 2 * blur)
            if part.is_empty:
                continue
            drawn = np.zeros((part.view.height, part.view.width), np.uint8)
            fill(drawn, [part.view.fixed(contours[0])], (255,))
            sigma = blur * self.view.scale + 0.5
            part.darken(_soft(drawn, sigma))

    def put(
        self, shapes: list[Shape], label: int, rng: np.random.Generator, motion: tuple[float, float] = (0, 0)
    ) -> None:
        """Paint shapes from the bottom up; ``motion`` is how far they move while the shutter is open (image units)."""
        blur = float(np.hypot(*motion))
        for shape in shapes:
            contours = shape.outline(self.view.camera)
            part = self.part(contours, 0.02 + blur)
            if part.is_empty:
                continue
            color, cover = _surface(part.view, self.room, shape, contours, rng)
            if blur * self.view.scale > 1:
                color, cover = moved(color, cover, np.array(motion) * self.view.scale)
            part.paint(color, cover, label)


def _surface(
    view: View, room: Room, shape: Shape, contours: list[Contour], rng: np.random.Generator
) -> tuple[Image, Plane]:
    """Return a shape's lit surface, float32 (H, W, 3), and its coverage, float32 (H, W)."""
    drawn = np.zeros((view.height, view.width), np.uint8)
    fill(drawn, [view.fixed(contour) for contour in contours], (255,))
    inside = cv2.distanceTransform((drawn > 127).astype(np.uint8), cv2.DIST_L2, 5)
    half = np.max(shape.radius) if shape.radius else shape.bevel
    t = np.clip(inside * np.float32(1 / (view.unit * half + 0.5)), 0, 1)
    height = np.float32(half) * np.sqrt(t * (2 - t))
    soft = cv2.GaussianBlur(-0.7 * height if shape.hollow else height, (0, 0), 0.006 * view.unit + 0.3)
    return lit(view, room, shape.material, soft, rng), drawn.astype(np.float32) * np.float32(1 / 255)


def lit(view: View, room: Room, stuff: Material, height: Plane, rng: np.random.Generator) -> Image:
    """Return the lit surface of a material with a height map (H, W) in units of the world, float32 (H, W, 3)."""
    normal = relief(view, height)
    diffuse = room.diffuse(normal)
    if stuff.grain:
        diffuse = diffuse * (1 + stuff.grain * view.noise(12, rng, 2))
    color = planes.tinted(diffuse * np.float32(1 - 0.85 * stuff.metal), stuff.color)
    if stuff.metal or stuff.gloss:
        seen = room.mirror(view, normal, stuff.rough)
        tint = [stuff.metal * c + stuff.gloss for c in stuff.color] if stuff.metal else [stuff.gloss] * 3
        color += seen * np.array(tint, np.float32)
    return color


def moved(color: Image, cover: Plane, way: NDArray[np.float64]) -> tuple[Image, Plane]:
    """Smear a surface over the way (x, y) in pixels that it goes while the shutter is open."""
    reach = np.abs(way) / 2
    rows, columns = (2 * int(np.ceil(v)) + 1 for v in reach[::-1])
    kernel = np.zeros((rows, columns), np.uint8)
    middle = np.array([columns // 2, rows // 2])
    start, end = (np.rint((middle + sign * way / 2) * 16).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 255, 1, cv2.LINE_AA, 4)
    weights = kernel.astype(np.float32) / max(1.0, float(kernel.sum()))
    smeared = cv2.filter2D(cover, cv2.CV_32F, weights)
    mixed = cv2.filter2D(planes.shade(color, cover), cv2.CV_32F, weights)
    return planes.shade(mixed, 1 / (smeared + 1e-4)), smeared


def _soft(drawn: NDArray[np.uint8], sigma: float) -> Plane:
    """Blur a drawn shape, (H, W) float32 0..1; wide blurs are made on a quarter of the size."""
    if sigma < 4 or min(drawn.shape) < 16:
        blurred = cv2.GaussianBlur(drawn, (0, 0), sigma)
    else:
        size = (drawn.shape[1] // 4 + 1, drawn.shape[0] // 4 + 1)
        small = cv2.GaussianBlur(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / 4)
        blurred = cv2.resize(small, drawn.shape[::-1])
    return blurred.astype(np.float32) * np.float32(1 / 255)
