"""Arithmetic on planes and images: noise, mixing, and textures that surfaces are sampled from.

Planes are float32 (H, W), images float32 (H, W, 3) RGB, 0..1 as displayed. Every texture grows from low-resolution
noise, so a scene looks the same at every size.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating[Any]]  # float32 throughout; the stubs of numpy and cv2 do not follow it that far
Image = NDArray[np.floating[Any]]
Color = tuple[float, float, float]

_TILE = 256
"""Texels along a side of a texture."""


def mix(first: Color, second: Color, share: float) -> Color:
    """Return the colour between two colours."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def vary(color: Color, rng: np.random.Generator, amount: float = 0.08) -> Color:
    """Return a colour of about the same hue: brightness and each channel moved by about the given share."""
    red, green, blue = (np.asarray(color) * rng.normal(1, amount) * rng.normal(1, amount / 2, 3)).clip(0.01, 1).tolist()
    return red, green, blue


def any_color(rng: np.random.Generator) -> Color:
    """Return the colour of something bought: mostly grey, white, black or muted, sometimes bright."""
    grey = rng.uniform(0.03, 0.9)
    chroma = rng.choice([0.02, 0.08, 0.25], p=[0.55, 0.3, 0.15])
    red, green, blue = np.clip(grey + chroma * rng.normal(0, 1, 3), 0.02, 0.95).tolist()
    return red, green, blue


def fractal(size: tuple[int, int], cells: tuple[float, float], rng: np.random.Generator, octaves: int = 3) -> Plane:
    """Return smooth noise of about unit variance, float32 of the size, with so many waves down and across."""
    total, child = np.zeros((2, 2), np.float32), _child(rng)
    for octave in range(octaves):
        rows, columns = (max(2, round(n * 2**octave)) for n in cells)
        detail = child.standard_normal((rows, columns), dtype=np.float32) * np.float32(0.55**octave)
        total = cv2.resize(total, (columns, rows), interpolation=cv2.INTER_CUBIC) + detail
    return np.asarray(cv2.resize(total, size[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def texture(waves: float, rng: np.random.Generator, octaves: int = 3, stretch: float = 1) -> Plane:
    """Return a square of noise to `sample` from; ``stretch`` above 1 draws it out along x: brushed metal, wood."""
    return fractal((_TILE, _TILE), (waves, waves / stretch), rng, octaves)


def sample(tile: Plane, x: Plane, y: Plane, extent: float = 4.0) -> Plane:
    """Return a texture at positions (H, W), a square of ``extent`` units of it mirrored without end."""
    scale = np.float32(_TILE / extent)
    return np.asarray(
        cv2.remap(tile, x * scale + _TILE / 2, y * scale + _TILE / 2, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT),
        np.float32,
    )


def _child(rng: np.random.Generator) -> np.random.Generator:
    """Return a generator of its own for what needs more numbers in a larger frame.

    Else everything that is drawn afterwards, such as the place of a bowl, would depend on the frame's size.
    """
    return rng.spawn(1)[0]


def merge(planes: list[Plane]) -> Image:
    """Return three planes (H, W) as an image (H, W, 3)."""
    return np.asarray(cv2.merge(planes), np.float32)


def tinted(plane: Plane, color: Color) -> Image:
    """Return a colour times a plane, (H, W, 3)."""
    return merge([plane * np.float32(c) for c in color])


def blend(over: Image, under: Image, cover: Plane) -> Image:
    """Return one image laid over another with its coverage (H, W)."""
    return np.asarray(cv2.blendLinear(over, under, cover, 1 - cover), np.float32)


def gradient(plane: Plane, dark: Color, bright: Color) -> Image:
    """Return the mix of two colours, plane 0 being the first and 1 the second, float32 (H, W, 3)."""
    return merge([np.float32(d) + plane * np.float32(b - d) for d, b in zip(dark, bright, strict=True)])


def shade(color: Image, plane: Plane) -> Image:
    """Return the colour times the plane."""
    return np.asarray(cv2.multiply(color, merge([plane] * 3)), np.float32)


def step(plane: Plane, low: float, high: float) -> Plane:
    """Return the smooth step from 0 at low to 1 at high."""
    t = np.clip((plane - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def bell(plane: Plane, middle: float, width: float) -> Plane:
    """Return a bell of height 1 around the middle: seams, rims, edges."""
    return np.asarray(cv2.exp(-(((plane - np.float32(middle)) * np.float32(1 / width)) ** 2)), np.float32)


def coverage(field: Plane) -> Plane:
    """Return how much of each pixel lies where the field is positive: an edge one pixel wide at any slope."""
    slope = cv2.magnitude(cv2.Sobel(field, cv2.CV_32F, 1, 0), cv2.Sobel(field, cv2.CV_32F, 0, 1)) / 8
    return np.clip(field / (slope + 1e-6) + 0.5, 0, 1)
