"""The `Segmenter`: from a frame of any size to its class map of the same size.

Frame -> resize by the contract -> engine -> scores back to the frame's size -> arg-max. Scores are scaled, not class
indices: edges stay smooth where nearest-neighbour up-scaling of the class map would give stairs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from cookseg.runtime.contract import Contract
from cookseg.runtime.engine import Engine, OnnxEngine
from cookseg.runtime.errors import InputError
from cookseg.runtime.images import UInt8Array, fit, fitted_size
from cookseg.runtime.masks import colorize


@dataclass(frozen=True)
class Segmentation:
    """The answer for one frame.

    Attributes:
        class_map: (H, W) uint8, index of the most probable class of each pixel.
        confidence: (H, W) uint8, its probability times 255.
        contract: The model's contract, with names and colours of the classes.
    """

    class_map: UInt8Array
    confidence: UInt8Array
    contract: Contract

    @property
    def color(self) -> UInt8Array:
        """The class map in the colours of the classes, (H, W, 3) uint8 RGB."""
        return colorize(self.class_map, self.contract.classes)


class Segmenter:
    """Segments frames with one model.

    Calls from several threads at once are safe: onnxruntime's sessions are, and nothing here is changed by a call.
    After a fork, load it again in the child. The package's docstring has an example.
    """

    def __init__(self, contract: Contract, engine: Engine) -> None:
        """Join a contract and what computes the network. Most callers want `Segmenter.load`."""
        self.contract = contract
        self.engine = engine

    @classmethod
    def load(cls, model: Path | str, device: str = "auto", threads: int = 0, public_key: Path | None = None) -> Self:
        """Load a model that `cook-export` made.

        Args:
            model: Path of the ONNX file.
            device: ``auto``, ``cpu``, ``cuda``, ``tensorrt``, ``openvino``, ``coreml`` or ``directml``.
            threads: CPU threads within an operator; 0 means one per core.
            public_key: File of the Ed25519 public key (PEM) that the model must be signed for; None takes any model.

        Raises:
            ModelError: The file is missing, damaged or not cookseg's, or lacks the signature asked for.
            DeviceError: The device is not available or would not be used.
            MissingExtraError: onnxruntime is not installed.
        """
        engine = OnnxEngine(Path(model), device, threads, public_key)
        return cls(engine.contract, engine)

    def predict(self, frame: UInt8Array) -> Segmentation:
        """Segment one frame.

        Args:
            frame: (H, W, 3) uint8 RGB, any size. OpenCV's own readers give BGR: turn it with
                ``cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)`` or use `read_image`.

        Returns:
            Class map and confidence at the frame's size.

        Raises:
            InputError: The frame has another type or shape.
        """
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            got = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
            raise InputError(f"a frame must be a uint8 array of shape (height, width, 3), RGB; this one is {got}")
        if 0 in frame.shape:
            raise InputError(f"a frame needs at least one pixel; this one has shape {frame.shape}")
        classes, scores = self.engine(self.prepare(frame)[None])
        return self.finish(classes[0], scores[0], frame.shape[:2])

    def prepare(self, frame: UInt8Array) -> UInt8Array:
        """Resize a frame (H, W, 3) to the network's input (h, w, 3), uint8 RGB."""
        return np.ascontiguousarray(fit(frame, self.contract.preprocessing))

    def finish(self, classes: UInt8Array, scores: UInt8Array, size: tuple[int, int]) -> Segmentation:
        """Bring the network's answer to a frame's size.

        Args:
            classes: (h, w) uint8.
            scores: (C, h, w) uint8.
            size: The frame's height and width.
        """
        rows, columns = fitted_size(*size, self.contract.preprocessing)
        class_map, confidence = _argmax(scores[:, :rows, :columns], size)
        if size == (rows, columns):
            class_map = classes[:rows, :columns]  # exact to the last tie, which 8-bit scores are not
        return Segmentation(class_map, confidence, self.contract)


def _argmax(scores: UInt8Array, size: tuple[int, int]) -> tuple[UInt8Array, UInt8Array]:
    """Scale scores (C, h, w) to a size and return the index and the value of the largest, (H, W) uint8 each."""
    height, width = size
    shrinks = height * width < scores.shape[1] * scores.shape[2]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    planes = (cv2.resize(np.ascontiguousarray(s), (width, height), interpolation=interpolation) for s in scores)
    best = next(planes)
    index = np.zeros(size, np.uint8)
    for value, plane in enumerate(planes, start=1):
        index = np.maximum(index, np.uint8(value) * (plane > best))  # value exceeds every index given so far
        best = np.maximum(best, plane)
    return index, best
