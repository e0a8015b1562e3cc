"""Augmentation for a camera above a round pan, on uint8 frames as the camera gives them.

From above a pan has no up or down, so flips and rotations are frames that could have been; but a rig is fixed, and its
camera often looks in a little from the side, so rotation and zoom are moderate. Light in a kitchen changes in
brightness, contrast and colour temperature, steam rises, lamps glare, lenses fog, sensors are noisy and streams are
compressed.

Own code on OpenCV because the maintained libraries do not fit: they bring a second OpenCV into the environment or work
on float tensors after the point at which the contract wants uint8.
"""

from dataclasses import dataclass, fields

import cv2
import numpy as np
import numpy.typing as npt

from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import IGNORE
from cookseg.training.fields import fit_types, require_range

Pixels = tuple[UInt8Array, UInt8Array]
"""Frame (H, W, 3) uint8 RGB and class map (H, W) uint8."""


@checked_keywords
@dataclass(frozen=True)
class AugmentConfig:
    """Ranges of the random changes; 0 switches one off.

    Attributes:
        rotation: Largest rotation in degrees, either way.
        zoom: Largest zoom in or out, as the natural logarithm of the factor.
        shift: Largest shift, as a fraction of the frame's size.
        flip: Probability of a horizontal flip.
        vertical_flip: Probability of a vertical flip, independent of it.
        paste: Probability that a class of another frame is pasted in.
        light: Largest relative change of brightness, contrast, gamma and of the red and blue gains.
        steam: Probability of drifts of steam.
        glare: Probability of a bright spot, a lamp's reflection.
        blur: Probability of a defocus blur.
        noise: Probability of sensor noise.
        jpeg: Probability of compression artefacts.
    """

    rotation: float = 30.0
    zoom: float = 0.25
    shift: float = 0.1
    flip: float = 0.5
    vertical_flip: float = 0.5
    paste: float = 0.5
    light: float = 0.2
    steam: float = 0.1
    glare: float = 0.1
    blur: float = 0.15
    noise: float = 0.2
    jpeg: float = 0.15

    def __post_init__(self) -> None:
        fit_types(self, "augment.")
        require_range(self, ["rotation"], 0, 180, "augment.")
        fractions = [field.name for field in fields(self) if field.name != "rotation"]
        require_range(self, fractions, 0, 1, "augment.")


def augment(
    sample: Pixels,
    donor: Pixels,
    config: AugmentConfig,
    rng: np.random.Generator,
    window: tuple[int, int] | None = None,
) -> Pixels:
    """Change a frame and its class map the way another frame of the rig could be.

    Args:
        sample: Frame (H, W, 3) uint8 RGB and class map (H, W) uint8.
        donor: Another frame, of the same size, and its class map.
        config: Ranges of the changes.
        rng: The only source of chance.
        window: Height and width of a random window to cut out, H and W at most; None for the whole frame.

    Returns:
        The changed frame and class map, of the window's size.
    """
    height, width = window or sample[1].shape
    frame, truth = move(sample, (height, width), config, rng)
    if rng.random() < config.paste:
        frame, truth = _paste((frame, truth), move(donor, (height, width), config, rng), rng)
    return disturb(frame, config, rng), truth


def move(sample: Pixels, window: tuple[int, int], config: AugmentConfig, rng: np.random.Generator) -> Pixels:
    """Rotate, zoom, shift and flip a frame and its class map, and cut out a window of a height and width."""
    frame, truth = sample
    matrix = _affine(frame.shape[0], frame.shape[1], config, rng)
    size = window[::-1]
    if window != truth.shape:
        matrix[:, 2] -= rng.integers(0, np.subtract(truth.shape, window) + 1)[::-1]
    # reflection keeps the statistics of the frame where black corners would teach a shortcut
    frame = cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    truth = cv2.warpAffine(truth, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
    return frame, truth


def disturb(frame: UInt8Array, config: AugmentConfig, rng: np.random.Generator) -> UInt8Array:
    """Change the light, the air and the camera's faults of a frame; every pixel stays where it is."""
    return _degrade(_veil(_relight(frame, config, rng), config, rng), config, rng)


def _paste(sample: Pixels, donor: Pixels, rng: np.random.Generator) -> Pixels:
    """Lay the pixels of one class of the donor over a sample (copy-paste, Ghiasi et al., arXiv:2012.07177).

    It teaches that a ladle is a ladle wherever it lies: in a few hundred frames of a fixed rig it often lies in few
    places. Never pasted is what fills most of the donor, which would replace the sample.
    """
    (frame, truth), (other, labels) = sample, donor
    counts = np.bincount(labels[labels != IGNORE], minlength=1)
    values = [value for value in np.flatnonzero(counts) if value != counts.argmax()]
    if not values:
        return sample
    mask = np.uint8(labels == rng.choice(values))
    soft = cv2.GaussianBlur(mask * np.float32(1), (0, 0), 1)[..., None]  # hard seams would be a clue
    blended = frame + soft * (other.astype(np.float32) - frame)
    return blended.astype(np.uint8), np.where(mask, labels, truth)


def _affine(height: int, width: int, config: AugmentConfig, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    angle = rng.uniform(-config.rotation, config.rotation)
    factor = np.exp(rng.uniform(-config.zoom, config.zoom))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, factor)
    matrix[:, 2] += rng.uniform(-config.shift, config.shift, 2) * (width, height)
    for row, (extent, probability) in enumerate(((width, config.flip), (height, config.vertical_flip))):
        if rng.random() < probability:
            matrix[row] = -matrix[row]
            matrix[row, 2] += extent - 1
    return matrix


def _relight(frame: UInt8Array, config: AugmentConfig, rng: np.random.Generator) -> UInt8Array:
    brightness, contrast, gamma, warmth, tint = rng.uniform(-config.light, config.light, 5)
    levels = np.linspace(0, 1, 256) ** np.exp(gamma)
    levels = (levels - 0.5) * (1 + contrast) + 0.5 + brightness / 2
    gains = np.exp([warmth / 2, tint / 4, -warmth / 2])  # red against blue is the colour temperature
    table = np.clip(levels[:, None] * gains * 255, 0, 255).astype(np.uint8)
    return cv2.LUT(frame, table[:, None])


def _veil(frame: UInt8Array, config: AugmentConfig, rng: np.random.Generator) -> UInt8Array:
    height, width = frame.shape[:2]
    light = np.zeros((height, width), np.float32)  # 0 leaves the frame, 1 is white
    if rng.random() < config.steam:
        drifts = rng.random((4, 4), np.float32) * rng.uniform(0.2, 0.7)
        light += cv2.resize(drifts, (width, height), interpolation=cv2.INTER_CUBIC)
    if rng.random() < config.glare:
        y, x = (np.arange(size, dtype=np.float32) - rng.uniform(0, size) for size in (height, width))
        radii = rng.uniform(0.02, 0.15, 2) * max(height, width)
        light += np.exp(-((y[:, None] / radii[0]) ** 2) - (x / radii[1]) ** 2) * rng.uniform(0.4, 1.2)
    if not light.any():
        return frame
    return (frame + np.clip(light, 0, 1)[..., None] * (255 - frame)).astype(np.uint8)


def _degrade(frame: UInt8Array, config: AugmentConfig, rng: np.random.Generator) -> UInt8Array:
    if rng.random() < config.blur:
        frame = cv2.GaussianBlur(frame, (0, 0), rng.uniform(0.5, 1.5))
    if rng.random() < config.noise:
        noise = rng.normal(0, rng.uniform(2, 10), frame.shape)
        frame = np.clip(frame + noise, 0, 255).astype(np.uint8)
    if rng.random() < config.jpeg:
        _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 90))])
        frame = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8)
    return frame
