"""The self-test: frames that a model carries, with the class maps that it gave them when it was exported.

They prove on the very device, engine and driver of an appliance that the model still gives the right answer there.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cookseg.runtime.errors import ImageError, ModelError
from cookseg.runtime.imaging.images import UInt8Array, decode_image
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.engine import OnnxEngine


@dataclass(frozen=True)
class GoldenVector:
    """A frame at the network's size, (H, W, 3) uint8 RGB, and its expected class map, (H, W) uint8."""

    frame: UInt8Array
    class_map: UInt8Array


@dataclass(frozen=True)
class Outcome:
    """What became of a golden vector: ``counts[i, j]`` pixels of class i came out as class j, (C, C) int64."""

    counts: npt.NDArray[np.int64]

    @property
    def agreement(self) -> float:
        """Share of the pixels that came out as expected, 0..1."""
        return float(np.trace(self.counts) / self.counts.sum())


def pack(vectors: Iterable[GoldenVector]) -> str:
    """Return golden vectors as the text that a model's metadata hold: frames as lossless WebP, class maps as PNG."""
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101]
    return json.dumps(
        [
            {
                "frame": _encoded(".webp", cv2.cvtColor(vector.frame, cv2.COLOR_RGB2BGR), lossless),
                "classes": _encoded(".png", vector.class_map, []),
            }
            for vector in vectors
        ]
    )


def unpack(text: str) -> list[GoldenVector]:
    """Read what `pack` wrote.

    Raises:
        ModelError: It is damaged.
    """
    try:
        return [
            GoldenVector(_decoded(entry["frame"]), np.ascontiguousarray(_decoded(entry["classes"])[..., 0]))
            for entry in json.loads(text)
        ]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error, ImageError) as error:
        raise ModelError(f"the model's golden vectors are damaged: {error}") from error


@checked_keywords
def selftest(engine: OnnxEngine) -> list[Outcome]:
    """Run a model on the golden vectors that it carries.

    Raises:
        ModelError: It carries none, or they are damaged or of another size.
    """
    vectors = unpack(engine.golden)
    if not vectors:
        raise ModelError("the model carries no golden vectors: export it again")
    spec, classes = engine.contract.preprocessing, len(engine.contract.classes)
    outcomes = []
    for vector in vectors:
        if vector.frame.shape[:2] != (spec.height, spec.width) or vector.class_map.shape != (spec.height, spec.width):
            raise ModelError("the model's golden vectors are not of its input's size: export it again")
        found = engine(vector.frame[None])[0][0].astype(np.int64)
        pairs = np.bincount((vector.class_map.astype(np.int64) * 256 + found).ravel(), minlength=256 * 256)
        outcomes.append(Outcome(pairs.reshape(256, 256)[:classes, :classes]))
    return outcomes


def _encoded(suffix: str, pixels: npt.NDArray[np.generic], options: list[int]) -> str:
    return base64.b64encode(cv2.imencode(suffix, pixels, options)[1].tobytes()).decode()


def _decoded(text: str) -> UInt8Array:
    return decode_image(base64.b64decode(text, validate=True), "a golden vector")
