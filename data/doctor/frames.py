"""Measures of a frame: exposure, sharpness, and a fingerprint by which it is recognised in another file."""

from dataclasses import dataclass

import cv2
import numpy as np

from cookseg.runtime.imaging.images import UInt8Array

SIDE = 640
"""Longest side at which frames are measured, so that figures of different cameras compare."""

BITS = 256
"""Length of a fingerprint."""

_BLACK = 16  # grey value
_BLOWN_OUT = 0.5  # share of white pixels


@dataclass(frozen=True)
class FrameMeasures:
    """Measures of a frame.

    Attributes:
        brightest: Grey value that 99 % of the pixels do not exceed, 0..255.
        blown: Share of the pixels that are white, 0..1.
        blur: Blur effect, 0 (sharp) to 1.
        fingerprint: Perceptual hash, 32 bytes.
    """

    brightest: float
    blown: float
    blur: float
    fingerprint: bytes

    @property
    def is_black(self) -> bool:
        """Whether next to nothing can be seen."""
        return self.brightest < _BLACK

    @property
    def is_blown_out(self) -> bool:
        """Whether most of the frame is white."""
        return self.blown > _BLOWN_OUT

    @property
    def is_featureless(self) -> bool:
        """Whether there is too little to see for a comparison."""
        return self.is_black or self.is_blown_out

    def is_blurred(self, usual: float) -> bool:
        """Whether the frame is blurred beyond doubt, or clearly more than is usual for its session."""
        return self.blur > 0.7 or self.blur > max(0.5, usual + 0.15)


def measure_frame(frame: UInt8Array) -> FrameMeasures:
    """Measure a frame, (H, W, 3) uint8 RGB."""
    grey = shrink(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    return FrameMeasures(
        brightest=float(np.percentile(grey, 99)),
        blown=float(np.mean(grey >= 250)),
        blur=_blur_effect(grey),
        fingerprint=_fingerprint(grey),
    )


def shrink(grey: UInt8Array, side: int = SIDE) -> UInt8Array:
    """Scale a frame down so that its longest side is ``side``; smaller ones stay as they are."""
    scale = side / max(grey.shape[:2])
    return grey if scale >= 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _fingerprint(grey: UInt8Array) -> bytes:
    """Hash the low frequencies: DCT coefficients above or below their median (Zauner 2010, pHash)."""
    small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:16, :16].ravel()
    return np.packbits(low > np.median(low[1:])).tobytes()


def _blur_effect(grey: UInt8Array) -> float:
    """Return how little more blur changes a frame (Crété-Roffet et al. 2007, "The blur effect")."""
    pixels = grey.astype(np.float32)
    effects = []
    for axis, kernel in ((0, (1, 11)), (1, (11, 1))):
        before = np.abs(np.diff(pixels, axis=axis))
        after = np.abs(np.diff(cv2.blur(pixels, kernel), axis=axis))
        total = float(before.sum())
        effects.append(1 - float(np.maximum(before - after, 0).sum()) / total if total else 0.0)
    return max(effects)
