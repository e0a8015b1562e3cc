"""The same model in the code that people usually write around it, to hold cookseg against.

Every pipeline starts from a JPEG's bytes, ends with the bytes of a PNG in the class colours, of the frame's size, and
runs the same session: what differs is everything around it. Pipelines take turns, so a slow moment of the machine
falls on all alike: trust the ratios.
"""

import io
import time
from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
from PIL import Image

from cookseg.benchmarks.latency import Timing, segment
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.imaging.png import encode_png
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.model.engine import Engine
from cookseg.runtime.model.segmenter import Segmenter

Pipeline = Callable[[bytes], Any]

OURS = "cookseg"

_PAUSE = 0.05  # seconds after which the threads of the pipeline before no longer spin


def pipelines(segmenter: Segmenter, torch_engine: Engine | None) -> dict[str, Pipeline]:
    """Return each pipeline by its name; ``torch_engine`` computes the same network in PyTorch, where it is there."""
    nearest = Segmenter(segmenter.contract, segmenter.engine, upsample="nearest")
    found: dict[str, Pipeline] = {}
    if torch_engine:
        found["PIL + torch, as usually written"] = lambda jpeg: _pil_torch(jpeg, torch_engine, segmenter)
    return found | {
        "OpenCV + numpy + onnxruntime, as usually written": lambda jpeg: _usual(jpeg, segmenter),
        "OpenCV with care": lambda jpeg: _careful(jpeg, segmenter),
        OURS: lambda jpeg: segment(segmenter, jpeg),
        "cookseg, --png palette": lambda jpeg: _palette(jpeg, segmenter),
        "cookseg, --png palette --upsample nearest": lambda jpeg: _palette(jpeg, nearest),
        "only decode and encode: OpenCV": _opencv_alone(segmenter),
        "only decode and encode: cookseg": _cookseg_alone(segmenter),
    }


def compare(pipelines: dict[str, Pipeline], jpeg: bytes, iterations: Iterable[int]) -> dict[str, Timing]:
    """Time each pipeline in turn, in every iteration."""
    seconds: dict[str, list[float]] = {name: [] for name in pipelines}
    for _ in iterations:
        for name, work in pipelines.items():
            time.sleep(_PAUSE)
            work(jpeg)  # not counted: what ran before has filled the caches
            start = time.perf_counter()
            work(jpeg)
            seconds[name].append(time.perf_counter() - start)
    return {name: Timing.of(values) for name, values in seconds.items()}


def _pil_torch(jpeg: bytes, engine: Engine, segmenter: Segmenter) -> bytes:
    spec, colors = segmenter.contract.preprocessing, segmenter.contract.classes.colors
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    frame = np.array(image.resize((spec.width, spec.height), Image.Resampling.BILINEAR))
    _normalised(frame, segmenter)
    scores = engine(frame[None])[1][0].astype(np.float32)
    mask = _enlarged(scores, image.size).argmax(axis=0)
    picture = np.zeros((*mask.shape, 3), np.uint8)
    for value, color in enumerate(colors):
        picture[mask == value] = color
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def _usual(jpeg: bytes, segmenter: Segmenter) -> bytes:
    spec = segmenter.contract.preprocessing
    image = cv2.cvtColor(_decoded(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    frame = np.asarray(cv2.resize(image, (spec.width, spec.height), interpolation=cv2.INTER_AREA), np.uint8)
    _normalised(frame, segmenter)
    scores = segmenter.engine(frame[None])[1][0].astype(np.float32)
    mask = _enlarged(scores, (image.shape[1], image.shape[0])).argmax(axis=0)
    picture = np.array(segmenter.contract.classes.colors, np.uint8)[mask]
    return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


def _careful(jpeg: bytes, segmenter: Segmenter) -> bytes:
    spec = segmenter.contract.preprocessing
    image = _decoded(jpeg, cv2.IMREAD_COLOR_RGB)
    frame = np.asarray(cv2.resize(image, (spec.width, spec.height), interpolation=cv2.INTER_LINEAR), np.uint8)
    classes = segmenter.engine(frame[None])[0][0]
    mask = np.asarray(cv2.resize(classes, image.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    picture = colorize(mask, segmenter.contract.classes)
    return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


def _palette(jpeg: bytes, segmenter: Segmenter) -> bytes:
    frame = decode_frame(jpeg, "image", segmenter.contract.preprocessing)
    return encode_png(segmenter.predict(frame).class_map, segmenter.contract.classes.colors)


def _opencv_alone(segmenter: Segmenter) -> Pipeline:
    found: list[UInt8Array] = []

    def run(jpeg: bytes) -> bytes:
        image = _decoded(jpeg, cv2.IMREAD_COLOR)
        picture = found[0] if found else cv2.cvtColor(_answer(jpeg, segmenter), cv2.COLOR_RGB2BGR)
        found.append(np.asarray(picture, np.uint8))
        assert image.shape == picture.shape
        return cv2.imencode(".png", picture)[1].tobytes()

    return run


def _cookseg_alone(segmenter: Segmenter) -> Pipeline:
    found: list[UInt8Array] = []

    def run(jpeg: bytes) -> bytes:
        decode_frame(jpeg, "image", segmenter.contract.preprocessing)
        found.append(found[0] if found else _answer(jpeg, segmenter))
        return encode_png(found[0])

    return run


def _decoded(jpeg: bytes, flags: int) -> UInt8Array:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), flags), np.uint8)


def _answer(jpeg: bytes, segmenter: Segmenter) -> UInt8Array:
    return segmenter.predict(decode_frame(jpeg, "image", segmenter.contract.preprocessing)).color


def _normalised(frame: UInt8Array, segmenter: Segmenter) -> Any:
    """Normalise (h, w, 3) to (1, 3, h, w) float32; the graphs of others need it outside."""
    spec = segmenter.contract.preprocessing
    mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
    scaled = (frame.astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def _enlarged(scores: Any, size: tuple[int, int]) -> Any:
    """Scale float32 scores (C, h, w) to a (width, height), as logits usually are."""
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in scores])
