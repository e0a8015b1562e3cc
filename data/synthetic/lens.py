"""The camera's imperfections: what stands between a scene and the file that a camera delivers."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cookseg.data.synthetic import planes
from cookseg.data.synthetic.optics import View
from cookseg.data.synthetic.planes import Image

UInt8Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Lens:
    """A camera's lens, sensor and encoder, as they are through a session.

    Attributes:
        warmth: White balance, -1 blue to 1 yellow.
        tint: White balance, -1 green to 1 magenta.
        exposure: Factor.
        auto: How far automatic exposure brings the frame's mean brightness to a middle grey, 0..1.
        clipped: Whether highlights are cut off rather than rolled off.
        saturation: Factor of the colours' distance from grey.
        contrast: Exponent of the tone curve.
        vignette: How much darker the corners are.
        steam: Density of steam above the pan.
        veil: Fog on the lens, 0..1.
        grease: Number of smeared spots.
        flare: Strength of a lamp's glow.
        blur: Defocus in 1/480 of the frame's shorter side.
        sharpen: Strength of the camera's own sharpening.
        noise: Standard deviation of the sensor's noise at mid grey, 0..1.
        blotches: Standard deviation of what the encoder leaves of the colours' noise: coarse spots, 0..1.
        smooth: Whether the camera removes noise, and fine texture with it.
        bayer: Whether colours are interpolated from a Bayer pattern.
        resolution: Share of the pixels, along a side, that the sensor really has.
        quality: Quality of the JPEG, 1..100.
    """

    warmth: float
    tint: float
    exposure: float
    auto: float
    clipped: bool
    saturation: float
    contrast: float
    vignette: float
    steam: float
    veil: float
    grease: int
    flare: float
    blur: float
    sharpen: float
    noise: float
    blotches: float
    smooth: bool
    bayer: bool
    resolution: float
    quality: int

    @property
    def gains(self) -> list[float]:
        """Factors of red, green and blue."""
        red, green, blue = (
            0.12 * self.warmth + 0.05 * self.tint,
            -0.05 * self.tint,
            -0.16 * self.warmth + 0.05 * self.tint,
        )
        return [self.exposure * (1 + change) for change in (red, green, blue)]


def make_lens(rng: np.random.Generator) -> Lens:
    """Return a random camera: most have few faults, some have many."""

    def sometimes(probability: float, high: float) -> float:
        return float(rng.uniform(0, high)) if rng.random() < probability else 0.0

    return Lens(
        warmth=rng.normal(0, 0.5) * (1 + sometimes(0.3, 2)),
        tint=rng.normal(0, 0.3) * (1 + sometimes(0.3, 2)),
        exposure=math.exp(rng.normal(0.0, 0.25)),
        auto=sometimes(0.6, 1.0),
        clipped=bool(rng.random() < 0.4),
        saturation=rng.uniform(0.65, 1.35),
        contrast=rng.uniform(0.8, 1.35),
        vignette=sometimes(0.6, 0.35),
        steam=sometimes(0.35, 0.8),
        veil=sometimes(0.25, 0.35),
        grease=int(rng.integers(1, 6)) if rng.random() < 0.15 else 0,
        flare=sometimes(0.2, 0.5),
        blur=0.3 + sometimes(0.7, 1.5),
        sharpen=sometimes(0.5, 1.0) * (1 + sometimes(0.3, 1.5)),
        noise=0.003 + sometimes(0.6, 0.03),
        blotches=sometimes(0.4, 0.025),
        smooth=bool(rng.random() < 0.3),
        bayer=bool(rng.random() < 0.3),
        resolution=float(rng.choice([1.0, 0.7, 0.5], p=[0.7, 0.18, 0.12])),
        quality=int(rng.integers(30, 96)),
    )


def photograph(
    view: View, color: Image, lens: Lens, progress: float, chance: tuple[np.random.Generator, np.random.Generator]
) -> UInt8Image:
    """Return the scene as the camera delivers it, uint8 (H, W, 3) RGB.

    Args:
        view: The view of the camera.
        color: The scene's light, float32 (H, W, 3).
        lens: The camera.
        progress: The time, 0..1, with which steam drifts.
        chance: What stays the same through a session, such as grease, and what changes with every frame: noise.
    """
    air, moment = chance
    gains = np.array(lens.gains, np.float32) * _metered(color, lens.auto)
    seen = _atmosphere(view, color * gains, lens, progress, air)
    if lens.clipped:
        seen = np.clip(seen * np.float32(1.05), 0, 0.955)
    else:  # a film's curve: linear in the shadows, never quite white
        seen = 1 - cv2.exp(np.float32(-1.7) * np.maximum(seen, 0))
    grey = cv2.transform(seen, np.full((3, 3), 1 / 3, np.float32))
    seen = np.maximum(cv2.addWeighted(seen, lens.saturation, grey, 1 - lens.saturation, 0), 0)
    levels = cv2.convertScaleAbs(cv2.pow(seen, lens.contrast), alpha=268)
    if lens.grease:
        levels = _smear(view, levels, lens.grease, air)
    levels = _sensor(view, levels, lens, moment)
    _, file = cv2.imencode(".jpg", levels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, lens.quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1])


def _metered(color: Image, auto: float) -> np.float32:
    """Return the factor by which automatic exposure brightens a dark frame, or darkens a bright one."""
    brightness = float(np.minimum(color, 2).mean())
    return np.float32(min(3.0, max(0.4, 0.38 / (brightness + 1e-3))) ** auto)


def _atmosphere(view: View, seen: Image, lens: Lens, progress: float, rng: np.random.Generator) -> Image:
    """Add vignetting, steam in layers, fog on the lens and a lamp's glow."""
    x, y = view.grid()
    r = x * x + y * y
    fog = np.full((view.height, view.width), np.float32(lens.veil))
    if lens.steam:
        across, down = np.broadcast_arrays(x, y)
        for waves, speed in ((6, 60), (11, 110)):  # a layer near the food, a faster one above
            drift = np.float32(speed * progress), np.float32(speed * 0.4 * progress)
            cloud = planes.sample(planes.texture(waves, rng, 4), across + drift[0], down + drift[1])
            rising = planes.step(cloud, -0.2, 2.2) * cv2.exp(-0.9 * np.asarray(r, np.float32))
            fog = 1 - (1 - fog) * (1 - np.float32(lens.steam / 1.5) * rising)
    if lens.veil:
        fog *= 0.6 + 0.4 * planes.step(view.noise(0.8, rng, 2), -1, 1)
    clear = (1 - fog) * (1 - np.float32(lens.vignette) * r / 2)
    bright = np.float32(lens.exposure * 0.75) * fog
    if lens.flare:
        cx, cy = rng.uniform(-1.2, 1.2, 2).astype(np.float32)
        bright = bright + np.float32(lens.flare) * cv2.exp(-np.asarray((x - cx) ** 2 + (y - cy) ** 2, np.float32) * 2)
    return planes.shade(seen, clear) + planes.merge([np.asarray(bright, np.float32)] * 3)


def _smear(view: View, levels: UInt8Image, spots: int, rng: np.random.Generator) -> UInt8Image:
    """Blur the frame where grease is on the lens."""
    small = cv2.resize(levels, (view.width // 4 + 1, view.height // 4 + 1), interpolation=cv2.INTER_AREA)
    soft = cv2.resize(cv2.GaussianBlur(small, (0, 0), 0.012 * view.scale + 0.3), (view.width, view.height))
    x, y = view.grid()
    cover = np.zeros((view.height, view.width), np.float32)
    for _ in range(spots):
        cx, cy = rng.uniform(-1.2, 1.2, 2).astype(np.float32)
        size = np.float32(rng.uniform(0.08, 0.35))
        cover = np.maximum(cover, planes.step(1.5 - np.hypot(x - cx, y - cy) / size, 0, 1))
    return planes.blend(soft.astype(np.float32) + 10, levels.astype(np.float32), cover).clip(0, 255).astype(np.uint8)


def _sensor(view: View, levels: UInt8Image, lens: Lens, rng: np.random.Generator) -> UInt8Image:
    """Blur, sample, add noise and sharpen."""
    size = (view.width, view.height)
    levels = cv2.GaussianBlur(levels, (0, 0), max(0.25, lens.blur * view.scale / 240))
    if lens.resolution < 1:
        fewer = (max(8, round(view.width * lens.resolution)), max(8, round(view.height * lens.resolution)))
        levels = cv2.resize(levels, fewer, interpolation=cv2.INTER_AREA)
    if lens.bayer:
        levels = _mosaic(levels)
    levels = _noisy(levels, lens.noise, rng)
    if lens.smooth:
        levels = np.asarray(cv2.medianBlur(levels, 3), np.uint8)
    if lens.blotches:
        spots = rng.spawn(1)[0].standard_normal((levels.shape[0] // 3 + 1, levels.shape[1] // 3 + 1, 3), np.float32)
        spots -= spots.mean(2, keepdims=True)
        coarse = cv2.resize(spots * np.float32(255 * lens.blotches), levels.shape[1::-1])
        levels = np.clip(levels + coarse, 0, 255).astype(np.uint8)
    if lens.resolution < 1:
        levels = cv2.resize(levels, size, interpolation=cv2.INTER_LINEAR)
    if lens.sharpen:
        soft = cv2.GaussianBlur(levels, (0, 0), 1.2)
        levels = cv2.addWeighted(levels, 1 + lens.sharpen, soft, -lens.sharpen, 0)
    return np.asarray(levels, np.uint8)


def _mosaic(levels: UInt8Image) -> UInt8Image:
    """Keep one colour of each pixel, as a Bayer filter does, and interpolate the others."""
    raw = levels[:, :, 1].copy()
    raw[::2, ::2] = levels[::2, ::2, 0]
    raw[1::2, 1::2] = levels[1::2, 1::2, 2]
    return np.asarray(cv2.cvtColor(raw, cv2.COLOR_BayerRGGB2RGB), np.uint8)


def _noisy(levels: UInt8Image, amount: float, rng: np.random.Generator) -> UInt8Image:
    """Add noise, half of it grey, stronger in bright pixels as photons are."""
    child = rng.spawn(1)[0]  # whatever is drawn later must not depend on the frame's size
    grey, colored = (child.standard_normal((*levels.shape[:2], n), np.float32) for n in (1, 3))
    strength = np.float32(255 * amount) * np.sqrt(levels.astype(np.float32) * np.float32(1 / 128) + np.float32(0.25))
    noise = strength * (grey * np.float32(0.75) + colored * np.float32(0.6))
    return np.asarray(np.clip(levels + noise, 0, 255), np.uint8)
