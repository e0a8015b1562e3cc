"""The `Segmenter`: from a frame of any size to its class map of the same size.

Frame -> resize by the contract -> engine -> scores back to the frame's size -> arg-max. Scores are scaled, not class
indices: edges stay smooth where nearest-neighbour up-scaling of the class map would make them jagged (aliasing).
"""

import functools
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, get_args

import cv2
import numpy as np

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Frame, Size
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.imaging.preprocess import fit, fitted_size, read_frame
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import Contract
from cookseg.runtime.model.engine import Engine, OnnxEngine
from cookseg.runtime.model.session import Mode, Settings

Upsample = Literal["smooth", "nearest"]


@checked_keywords
@dataclass(frozen=True)
class Segmentation:
    """The result for one frame.

    Attributes:
        class_map: (H, W) uint8, index of the most probable class of each pixel.
        contract: The model's contract, with names and colours of the classes.
        scores: (C, h, w) uint8, probability of each class times 255, at the network's size.
    """

    class_map: UInt8Array
    contract: Contract
    scores: UInt8Array = field(repr=False)

    @functools.cached_property
    def confidence(self) -> UInt8Array:
        """The probability of each pixel's class times 255, (H, W) uint8."""
        size = (self.class_map.shape[0], self.class_map.shape[1])
        return functools.reduce(np.maximum, (_scaled(score, size) for score in self.scores))

    @property
    def color(self) -> UInt8Array:
        """The class map in the colours of the classes, (H, W, 3) uint8 RGB."""
        return colorize(self.class_map, self.contract.classes)


class Segmenter:
    """Segments frames with one model.

    >>> import numpy as np
    >>> from cookseg.runtime import STARTER, Segmenter
    >>> segmenter = Segmenter.load(STARTER, device="cpu", mode="latency")
    >>> segmentation = segmenter.predict(np.zeros((480, 640, 3), np.uint8))  # or the path of an image
    >>> segmentation.class_map.shape, segmentation.color.shape
    ((480, 640), (480, 640, 3))

    Calls from several threads at once are safe, and each gives what it would give alone: onnxruntime's sessions are
    made for that, and buffers are each thread's own. After `os.fork` the child does not have the session's threads:
    calls there raise a `CooksegError`, and the remedy is to load the model again in the child, or to start processes
    with ``multiprocessing.get_context("spawn")``. The parent goes on as before.

    Attributes:
        contract: Classes, input and origin of the model.
        engine: What computes the network.
        upsample: How masks get a frame's size.
    """

    @checked_keywords
    def __init__(self, contract: Contract, engine: Engine, upsample: Upsample = "smooth") -> None:
        """Join a contract and what computes the network. Most callers want `Segmenter.load`.

        Raises:
            InputError: There is no such way to upsample.
        """
        if upsample not in get_args(Upsample):
            raise InputError(f"`upsample={upsample!r}`: give one of {', '.join(get_args(Upsample))}")
        self.contract = contract
        self.engine = engine
        self.upsample: Upsample = upsample
        self._buffers = threading.local()

    @classmethod
    @checked_keywords
    def load(
        cls,
        model: Path | str,
        device: str = "auto",
        mode: Mode | Settings = "latency",
        *,
        upsample: Upsample = "smooth",
        public_key: Path | str | None = None,
    ) -> Self:
        """Load a model that `cook-export` made.

        Args:
            model: Path of the ONNX file.
            device: ``auto``, ``cpu``, ``cuda``, ``tensorrt``, ``openvino``, ``coreml``, ``directml``, or the
                name of another of onnxruntime's execution providers.
            mode: What to be good at: ``latency`` of a frame, ``throughput`` of calls from several threads, or
                ``background``, which leaves processor and memory to others; or `Settings` of your own.
            upsample: How masks get a frame's size: ``smooth`` scales scores, ``nearest`` class indices.
            public_key: File of the Ed25519 public key (PEM) that the model must be signed for; None takes any model.

        Raises:
            ModelError: The file is missing, damaged or not cookseg's, or lacks the signature asked for.
            DeviceError: The device is not available or would not be used.
            InputError: An argument is of another type, or not one of those that there are.
            MissingExtraError: onnxruntime is not installed.
        """
        engine = OnnxEngine(model, device, mode, public_key=public_key)
        return cls(engine.contract, engine, upsample)

    @checked_keywords
    def predict(self, frame: UInt8Array | Frame | Path | str) -> Segmentation:
        """Segment one frame.

        Args:
            frame: (H, W, 3) uint8 RGB, any size; a `Frame`, whose class map has its size; or the path of an image file.
                OpenCV's own readers give BGR: convert it with ``cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)``, or give the
                path.

        Raises:
            InputError: The frame has another type or shape, or the file cannot be decoded.
            CooksegError: The process was forked since the model was loaded.
        """
        size: Size | None = None
        if isinstance(frame, Path | str):
            frame = read_frame(frame, self.contract.preprocessing)
        if isinstance(frame, Frame):
            size = frame.size
            frame = frame.pixels
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            got = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
            raise InputError(f"a frame must be a uint8 array of shape (height, width, 3), RGB; this one is {got}")
        if 0 in frame.shape:
            raise InputError(f"a frame needs at least one pixel; this one has shape {frame.shape}")
        classes, scores = self.engine(self.prepare(frame)[None])
        return self.finish(classes[0], scores[0], size or (frame.shape[0], frame.shape[1]))

    def prepare(self, frame: UInt8Array) -> UInt8Array:
        """Resize a frame (H, W, 3) to the network's input (h, w, 3), uint8 RGB."""
        return np.ascontiguousarray(fit(frame, self.contract.preprocessing))

    def finish(self, classes: UInt8Array, scores: UInt8Array, size: Size) -> Segmentation:
        """Bring the network's answer to a frame's size.

        Args:
            classes: (h, w) uint8.
            scores: (C, h, w) uint8.
            size: The frame's height and width.
        """
        rows, columns = fitted_size(*size, self.contract.preprocessing)
        classes, scores = classes[:rows, :columns], scores[:, :rows, :columns]
        if size == (rows, columns):
            class_map = classes  # exact to the last tie, which 8-bit scores are not
        elif self.upsample == "nearest":
            nearest = cv2.INTER_NEAREST_EXACT  # INTER_NEAREST takes the corner of each cell, and shifts the mask
            class_map = np.asarray(cv2.resize(classes, size[::-1], interpolation=nearest), np.uint8)
        else:
            class_map = _argmax(scores, *self._planes(size))
        return Segmentation(class_map, self.contract, scores)

    def _planes(self, size: Size) -> tuple[UInt8Array, UInt8Array, UInt8Array]:
        """Return three planes (H, W) for work in between, the same ones for all frames of a size and thread."""
        planes: tuple[UInt8Array, UInt8Array, UInt8Array] | None = getattr(self._buffers, "planes", None)
        if planes is None or planes[0].shape != size:
            planes = np.empty(size, np.uint8), np.empty(size, np.uint8), np.empty(size, np.uint8)
            self._buffers.planes = planes
        return planes


def _argmax(scores: UInt8Array, best: UInt8Array, plane: UInt8Array, above: UInt8Array) -> UInt8Array:
    """Scale scores (C, h, w) to the size of three planes (H, W), which are overwritten; return the largest's index."""
    size = (best.shape[0], best.shape[1])
    index = np.zeros(size, np.uint8)
    _scaled(scores[0], size, best)
    for value, score in enumerate(scores[1:], start=1):
        np.greater(_scaled(score, size, plane), best, out=above.view(np.bool_))
        np.bitwise_and(np.negative(above, out=above), value, out=above)  # 1 became 255, and 255 the value
        np.maximum(index, above, out=index)  # the value exceeds all given so far
        np.maximum(best, plane, out=best)
    return index


def _scaled(score: UInt8Array, size: Size, target: UInt8Array | None = None) -> UInt8Array:
    """Scale the scores of a class (h, w) to a size, into memory that is there already or new."""
    shrinks = size[0] * size[1] < score.size
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(score), size[::-1], target, interpolation=how), np.uint8)
