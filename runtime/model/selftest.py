"""The self-test: frames inside a model, with the class maps that it gave for them when it was exported.

They prove on the very device, engine and driver of an appliance that the model still gives the right answer there.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cookseg.runtime.errors import CheckFailedError, ImageError, ModelError
from cookseg.runtime.imaging.images import UInt8Array, decode_image
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.results import Table


@dataclass(frozen=True)
class GoldenVector:
    """A frame at the network's size, (H, W, 3) uint8 RGB, and its expected class map, (H, W) uint8."""

    frame: UInt8Array
    class_map: UInt8Array


@dataclass(frozen=True)
class Outcome:
    """Result of one golden vector: ``counts[i, j]`` pixels of class i came out as class j, (C, C) int64."""

    counts: npt.NDArray[np.int64]

    @property
    def agreement(self) -> float:
        """Fraction of the pixels that came out as expected, 0..1."""
        return float(np.trace(self.counts) / self.counts.sum())


@dataclass(frozen=True)
class Change:
    """Pixels of a frame (the first is 1) that came out as another class than expected."""

    frame: int
    expected: str
    found: str
    pixels: int


@dataclass(frozen=True)
class SelfTest:
    """Result of a self-test.

    Attributes:
        device: Name of the device that it ran on.
        reduced_precision: Whether the device was allowed to compute in fewer bits than the model has.
        outcomes: One per golden vector.
        classes: Names of the classes.
    """

    device: str
    reduced_precision: bool
    outcomes: tuple[Outcome, ...]
    classes: tuple[str, ...]

    @property
    def agreement(self) -> float:
        """Agreement of the worst frame, 0..1."""
        return min(outcome.agreement for outcome in self.outcomes)

    @property
    def changes(self) -> list[Change]:
        """Pixels that came out as another class, frame by frame."""
        return [
            Change(number, self.classes[i], self.classes[j], int(outcome.counts[i, j]))
            for number, outcome in enumerate(self.outcomes, 1)
            for i, j in np.argwhere(outcome.counts)
            if i != j
        ]

    def require(self, min_agreement: float, name: str) -> None:
        """Refuse a model that does not give the right answer.

        Args:
            min_agreement: Fraction of each frame's pixels that must come out as expected, 0..1.
            name: The model's name, for the error.

        Raises:
            CheckFailedError: Less of a frame did.
        """
        if self.agreement < min_agreement:
            raise CheckFailedError(
                f"{name} on {self.device}: {self.agreement:.3%} of a frame came out as when it was exported, at least"
                f" {min_agreement:.3%} should: do not use it with this onnxruntime and driver"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "device": self.device,
            "reduced_precision": self.reduced_precision,
            "agreement": [outcome.agreement for outcome in self.outcomes],
            "changes": [asdict(change) for change in self.changes],
        }

    def tables(self) -> Iterator[Table]:
        """Return the agreement of each frame, and what changed if something did."""
        agreements = [
            (f"frame {number}", f"{outcome.agreement:.4%} as expected")
            for number, outcome in enumerate(self.outcomes, 1)
        ]
        precision = "TF32, float16, bfloat16 allowed" if self.reduced_precision else "the model's own"
        yield Table(rows=[("device", self.device), ("precision", precision), *agreements])
        if changes := self.changes:
            rows = [[str(cell) for cell in asdict(change).values()] for change in changes]
            yield Table(["frame", "expected", "found", "pixels"], rows)


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
def selftest(engine: OnnxEngine) -> SelfTest:
    """Run a model on its golden vectors.

    >>> from cookseg.runtime.model.engine import STARTER
    >>> selftest(OnnxEngine(STARTER, "cpu")).agreement > 0.99
    True

    Raises:
        ModelError: It carries none, or they are damaged or of another size.
    """
    vectors = unpack(engine.golden)
    if not vectors:
        raise ModelError("the model carries no golden vectors: export it again")
    spec, classes = engine.contract.preprocessing, engine.contract.classes
    outcomes = []
    for vector in vectors:
        if vector.frame.shape[:2] != (spec.height, spec.width) or vector.class_map.shape != (spec.height, spec.width):
            raise ModelError("the model's golden vectors are not of its input's size: export it again")
        found = engine(vector.frame[None])[0][0].astype(np.int64)
        pairs = np.bincount((vector.class_map.astype(np.int64) * 256 + found).ravel(), minlength=256 * 256)
        outcomes.append(Outcome(pairs.reshape(256, 256)[: len(classes), : len(classes)]))
    return SelfTest(engine.device, engine.settings.reduced_precision, tuple(outcomes), classes.names)


def _encoded(suffix: str, pixels: npt.NDArray[np.generic], options: list[int]) -> str:
    return base64.b64encode(cv2.imencode(suffix, pixels, options)[1].tobytes()).decode()


def _decoded(text: str) -> UInt8Array:
    return decode_image(base64.b64decode(text, validate=True), "a golden vector")
