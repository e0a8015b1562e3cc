"""What things look like: noise, relief, counters, pans, solid objects, and the camera that sees them.

Lengths are in units of half the frame's shorter side with the origin in the frame's middle, and every texture
grows from low-resolution noise, so a scene looks the same at every size. Colours are RGB, 0..1, as displayed.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating[Any]]  # float32 throughout; the stubs of numpy and cv2 do not follow it that far
Image = NDArray[np.floating[Any]]
Color = tuple[float, float, float]
Contour = NDArray[np.float64]
FRACTION_BITS = 4  # of the fixed-point coordinates that cv2 draws with


@dataclass(frozen=True)
class View:
    """A frame, or a window of one, and where the light comes from.

    Attributes:
        height: Rows.
        width: Columns.
        scale: Pixels per unit.
        origin: Column and row of the units' origin.
        light: Direction in the image towards the light, radians.
    """

    height: int
    width: int
    scale: float
    origin: tuple[float, float]
    light: float

    @classmethod
    def whole(cls, size: tuple[int, int], light: float) -> Self:
        """Return the view of a whole frame of height and width."""
        height, width = size
        return cls(height, width, min(size) / 2, ((width - 1) / 2, (height - 1) / 2), light)

    @property
    def towards_light(self) -> tuple[float, float]:
        """Unit vector towards the light."""
        return math.cos(self.light), math.sin(self.light)

    def window(self, points: Contour, margin: float) -> tuple[Self, tuple[slice, slice]]:
        """Return the window that holds the points (N, 2) and a margin in units, and its rows and columns."""
        pixels = points * self.scale + self.origin
        low, high = pixels.min(0) - margin * self.scale - 2, pixels.max(0) + margin * self.scale + 3
        left, right = (min(max(int(v), 0), self.width) for v in (low[0], high[0]))
        top, bottom = (min(max(int(v), 0), self.height) for v in (low[1], high[1]))
        origin = (self.origin[0] - left, self.origin[1] - top)
        part = replace(self, height=bottom - top, width=right - left, origin=origin)
        return part, (slice(top, bottom), slice(left, right))

    def grid(self) -> tuple[Plane, Plane]:
        """Return x and y of every pixel's centre, float32 (1, W) and (H, 1)."""
        x = (np.arange(self.width, dtype=np.float32) - np.float32(self.origin[0])) / np.float32(self.scale)
        y = (np.arange(self.height, dtype=np.float32) - np.float32(self.origin[1])) / np.float32(self.scale)
        return x[None, :], y[:, None]

    def fixed(self, points: Contour) -> NDArray[np.int32]:
        """Return points (..., 2) in units as the fixed-point pixels that cv2 draws."""
        pixels: Contour = (points * self.scale + self.origin) * 2**FRACTION_BITS
        return np.rint(pixels).astype(np.int32)


# --- noise, mixing and relief


def mix(first: Color, second: Color, share: float) -> Color:
    """Return the colour between two colours."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def noise(view: View, waves: float, rng: np.random.Generator, octaves: int = 3) -> Plane:
    """Return fractal noise of about unit variance, float32 (H, W), its largest waves 1/waves units long."""
    total, child = np.zeros((2, 2), np.float32), _child(rng)
    for octave in range(octaves):
        rows, columns = (max(2, round(waves * 2**octave * n / view.scale)) for n in (view.height, view.width))
        detail = child.standard_normal((rows, columns), dtype=np.float32) * np.float32(0.55**octave)
        total = cv2.resize(total, (columns, rows), interpolation=cv2.INTER_CUBIC) + detail
    return _stretch(total, view)


def streaks(view: View, lines: float, rng: np.random.Generator) -> Plane:
    """Return noise drawn out along x, float32 (H, W), so many lines per unit: brushed metal, wood grain."""
    sizes = (lines * view.height / view.scale, 2 * view.width / view.scale)
    rows, columns = (max(2, round(n)) for n in sizes)
    return _stretch(_child(rng).standard_normal((rows, columns), dtype=np.float32), view)


def _child(rng: np.random.Generator) -> np.random.Generator:
    """Return a generator of its own for what needs more numbers in a larger frame.

    Else everything that is drawn afterwards, such as the place of a bowl, would depend on the frame's size.
    """
    return rng.spawn(1)[0]


def _stretch(small: Plane, view: View) -> Plane:
    full = cv2.resize(small, (view.width, view.height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(full, np.float32)


def merge(planes: list[Plane]) -> Image:
    """Return three planes (H, W) as an image (H, W, 3)."""
    return np.asarray(cv2.merge(planes), np.float32)


def blend(over: Image, under: Image, cover: Plane) -> Image:
    """Return one image laid over another with its coverage (H, W)."""
    return np.asarray(cv2.blendLinear(over, under, cover, 1 - cover), np.float32)


def gradient(plane: Plane, dark: Color, bright: Color) -> Image:
    """Return the mix of two colours, plane 0 being the first and 1 the second, float32 (H, W, 3)."""
    return merge([d + plane * (b - d) for d, b in zip(dark, bright, strict=True)])


def shade(color: Image, plane: Plane) -> Image:
    """Return the colour times the plane."""
    return np.asarray(cv2.multiply(color, merge([plane] * 3)), np.float32)


def step(plane: Plane, low: float, high: float) -> Plane:
    """Return the smooth step from 0 at low to 1 at high."""
    t = np.clip((plane - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def coverage(field: Plane) -> Plane:
    """Return how much of each pixel lies where the field is positive: an edge one pixel wide at any slope."""
    slope = cv2.magnitude(cv2.Sobel(field, cv2.CV_32F, 1, 0), cv2.Sobel(field, cv2.CV_32F, 0, 1)) / 8
    return np.clip(field / (slope + 1e-6) + 0.5, 0, 1)


def relief(view: View, height: Plane, gloss: float) -> tuple[Plane, Plane]:
    """Return what the light does to a surface: a factor near 1, and the glint of wet or polished slopes."""
    x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=view.scale / 8)
    y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=view.scale / 8)
    light_x, light_y = (0.6 * v for v in view.towards_light)
    diffuse = np.clip((1 - x * light_x - y * light_y) / np.sqrt(1 + x * x + y * y), 0.25, 1.7)
    mirror = cv2.exp(-((x + light_x * 0.7) ** 2 + (y + light_y * 0.7) ** 2) / 0.03)
    return diffuse, gloss * mirror


def lit(color: Color, diffuse: Plane, glint: Plane) -> Image:
    """Return a surface of one colour in the light, float32 (H, W, 3)."""
    return merge([diffuse * c + glint for c in color])


# --- the counter

Counter = Literal["steel", "wood", "granite", "marble", "glass", "gas"]


def counter(view: View, kind: Counter, rng: np.random.Generator) -> Image:
    """Return the surface around the pan, float32 (H, W, 3)."""
    if kind == "steel":
        tone = 0.5 + 0.05 * streaks(view, 150, rng) + 0.15 * noise(view, 0.8, rng, 1)
        return gradient(tone, (0.36, 0.36, 0.36), (0.68, 0.69, 0.71))
    if kind == "wood":
        return _planks(view, rng)
    if kind == "marble":
        veins = cv2.exp(-np.abs(noise(view, 1.2, rng, 4)) * 9) * step(noise(view, 1.2, rng, 1), -0.5, 1)
        return gradient(1 - 0.5 * veins + 0.05 * noise(view, 3, rng), (0.42, 0.42, 0.44), (0.83, 0.82, 0.80))
    if kind == "granite":
        tone = 0.4 + 0.2 * noise(view, 24, rng) + 0.1 * noise(view, 2.4, rng)
        return gradient(tone, (0.17, 0.17, 0.18), (0.58, 0.54, 0.50))
    return _grate(view, rng) if kind == "gas" else _glass(view, rng)


def _grate(view: View, rng: np.random.Generator) -> Image:
    """Return steel with the cast-iron bars of a gas hob on it."""
    x, y = view.grid()
    reach = np.minimum(np.abs(x), np.abs(y))
    reach = np.minimum(reach, np.abs(np.maximum(np.abs(x), np.abs(y)) - 1.15))
    bars = 1 - step(reach, 0.035, 0.05)
    diffuse, glint = relief(view, 0.04 * (1 - step(reach, 0.0, 0.06)), 0.25)
    iron = lit((0.1, 0.1, 0.1), diffuse * (1 + 0.1 * noise(view, 24, rng)), glint)
    steel = shade(counter(view, "steel", rng), 1 - 0.6 * (1 - step(reach, 0.03, 0.14)))
    return blend(iron, steel, bars)


def _planks(view: View, rng: np.random.Generator) -> Image:
    _, y = view.grid()
    plank = np.floor(y * 2.2 + 7).astype(np.int64)
    tone = rng.uniform(-0.18, 0.18, 16).astype(np.float32)[plank]
    rings = np.sin(70 * (y + 0.05 * noise(view, 0.8, rng, 2)) + 3 * streaks(view, 12, rng))
    seam = 0.9 * np.exp(-(((y * 2.2 + 7) % 1) ** 2) / 0.0006)
    grain = 0.5 + tone + 0.14 * rings + 0.12 * streaks(view, 100, rng)
    return gradient(grain - seam, (0.36, 0.22, 0.12), (0.74, 0.54, 0.35))


def _glass(view: View, rng: np.random.Generator) -> Image:
    x, y = view.grid()
    ring = cv2.exp(-((np.hypot(x, y) - 1.08) ** 2) / 0.00006) * 0.35
    light_x, light_y = view.towards_light
    glare = 0.25 * step(noise(view, 0.8, rng, 1) + x * light_x + y * light_y, 0.2, 2.2)
    return gradient(0.1 + ring + glare, (0.05, 0.05, 0.06), (0.62, 0.64, 0.68))


# --- the pan


@dataclass(frozen=True)
class Metal:
    """A pan's surface: colour, strength of the highlight, roughness, radius of the base (rim 1)."""

    color: Color
    spun: float
    rough: float
    base: float = 0.82


METALS = {
    "stainless": Metal((0.62, 0.62, 0.63), 0.45, 0.03),
    "nonstick": Metal((0.13, 0.13, 0.14), 0.10, 0.02, 0.85),
    "iron": Metal((0.10, 0.095, 0.09), 0.05, 0.06, 0.86),
    "wok": Metal((0.27, 0.24, 0.22), 0.16, 0.05, 0.50),
    "enamel": Metal((0.80, 0.76, 0.68), 0.06, 0.01, 0.84),
}


@dataclass(frozen=True)
class Pan:
    """A pan: middle and radius in units, how much the camera's tilt flattens it, metal, handle's angle."""

    x: float
    y: float
    radius: float
    squash: float
    metal: str
    handle: float

    def local(self, view: View) -> tuple[Plane, Plane]:
        """Return x and y of every pixel where the rim is the unit circle, float32 (1, W) and (H, 1)."""
        x, y = view.grid()
        return (x - self.x) / self.radius, (y - self.y) / (self.radius * self.squash)

    def cover(self, view: View, reach: float = 1) -> Plane:
        """Return the coverage of the pan up to a share of its radius, float32 (H, W)."""
        return np.clip((reach - np.hypot(*self.local(view))) * (self.radius * view.scale) + 0.5, 0, 1)

    def place(self, points: Contour) -> Contour:
        """Return points (..., 2) relative to the pan in the view's units."""
        return points * [self.radius, self.radius * self.squash] + [self.x, self.y]


def pan_surface(view: View, pan: Pan, rng: np.random.Generator) -> Image:
    """Return the pan as seen from above, rim, wall and base, float32 (H, W, 3)."""
    metal, (x, y) = METALS[pan.metal], pan.local(view)
    light_x, light_y = view.towards_light
    r, to_light = np.hypot(x, y), x * light_x + y * light_y
    facing = to_light / (r + 1e-3)
    base = 1 - step(r, metal.base, metal.base + 0.025)
    wear = 0.04 * _rings(r, rng) + metal.rough * 2 * noise(view, 16, rng)
    corner = 0.12 * cv2.exp(-((r - metal.base) ** 2) / 0.0009)
    shadow = 0.32 * base * step(to_light, 0.25, 0.95)
    diffuse = np.clip(1 + base * wear - corner - shadow - (1 - base) * (0.38 * facing + 0.12), 0.2, 2)
    across = (y * light_x - x * light_y) / (r + 1e-3)
    fan = 0.62 * (facing * facing - across * across) - 1.2 * facing * across + 0.35 * cv2.exp(-4 * r * r)
    spun = base * np.clip(0.7 * fan, 0, 1) + (1 - base) * np.clip(-facing, 0, 1) ** 3 * 0.8
    rim = cv2.exp(-((r - 0.975) ** 2) / 0.0002) * (0.22 + 0.3 * facing * facing)
    return lit(metal.color, diffuse, metal.spun * spun + rim)


def _rings(r: Plane, rng: np.random.Generator) -> Plane:
    """Return concentric grooves, float32 (H, W)."""
    profile = rng.standard_normal((160, 1), dtype=np.float32)
    return np.asarray(cv2.remap(profile, np.zeros_like(r), r * 140, cv2.INTER_LINEAR), np.float32)


# --- solid objects: handles, stirrers, bowls, hands


@dataclass(frozen=True)
class Solid:
    """An object's material: colour, how it shines, how grainy it is, how far its edge is rounded (units)."""

    color: Color
    gloss: float
    grain: float
    bevel: float = 0.03
    hollow: bool = False


def ellipse(a: float, b: float) -> Contour:
    """Return an ellipse (48, 2) around the origin with half axes a and b."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([a * np.cos(angle), b * np.sin(angle)], 1)


def bar(start: float, end: float, width: float, tip: float | None = None) -> Contour:
    """Return a bar (4, 2) along x, as wide at its start as width, and as tip at its end."""
    half, tip = width / 2, (width if tip is None else tip) / 2
    return np.array([[start, -half], [end, -tip], [end, tip], [start, half]])


def solid(view: View, contours: list[Contour], material: Solid, rng: np.random.Generator) -> tuple[Image, Plane]:
    """Return an object's lit surface, float32 (H, W, 3), and its coverage, float32 (H, W)."""
    drawn = np.zeros((view.height, view.width), np.uint8)
    fill(drawn, [view.fixed(contour) for contour in contours], (255,))
    inside = cv2.distanceTransform((drawn > 127).astype(np.uint8), cv2.DIST_L2, 5)
    t = np.clip(inside / (view.scale * material.bevel), 0, 1)
    height = material.bevel * np.sqrt(t * (2 - t))
    soft = cv2.GaussianBlur(-0.6 * height if material.hollow else height, (0, 0), 0.006 * view.scale + 0.3)
    grain = 1 + material.grain * (streaks(view, 100, rng) + noise(view, 3, rng, 2))
    diffuse, glint = relief(view, soft, material.gloss)
    return lit(material.color, grain * diffuse, glint), drawn.astype(np.float32) / 255


def fill(canvas: NDArray[np.uint8], contours: list[NDArray[np.int32]], value: tuple[float, ...]) -> None:
    """Draw an anti-aliased polygon; what an even number of contours encloses is a hole."""
    cv2.fillPoly(canvas, contours, value, cv2.LINE_AA, FRACTION_BITS)


# --- the camera


@dataclass(frozen=True)
class Camera:
    """What stands between scene and file: colour temperature, exposure, steam, blur, noise, compression."""

    warmth: float
    exposure: float
    steam: float
    blur: float
    noise: float
    quality: int


def photograph(view: View, color: Image, camera: Camera, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the scene as the camera delivers it, uint8 (H, W, 3) RGB."""
    (x, y), (light_x, light_y) = view.grid(), view.towards_light
    pool = 1.06 - 0.16 * ((x - 0.3 * light_x) ** 2 + (y - 0.3 * light_y) ** 2)
    fog = camera.steam * step(noise(view, 1.2, rng, 4), -0.3, 2.5)
    gains = [camera.exposure * (1 + shift * camera.warmth) for shift in (0.12, 0.02, -0.16)]
    seen = cv2.multiply(color, merge([pool * (1 - fog) * gain for gain in gains]))
    added = 0.86 * fog + camera.noise * noise(view, 0.8 * view.scale, rng, 1)
    levels = cv2.convertScaleAbs(np.clip(seen + merge([added] * 3), 0, 1), alpha=255)
    sharp = cv2.cvtColor(cv2.GaussianBlur(levels, (0, 0), camera.blur), cv2.COLOR_RGB2BGR)
    _, file = cv2.imencode(".jpg", sharp, [cv2.IMWRITE_JPEG_QUALITY, camera.quality])
    frame = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(frame[:, :, ::-1])
