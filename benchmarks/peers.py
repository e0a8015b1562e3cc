"""The same model in the code that people usually write around it, to compare cookseg with.

Every pipeline starts from a JPEG's bytes, ends with the bytes of a PNG in the class colours, of the frame's size, and
runs the same network on the same device: what differs is everything around it. As usually written, normalisation is
outside the graph, which takes float32 and gives logits: such a graph is cut from the model. Pipelines take turns, so a
slow moment of the machine falls on all alike: trust the ratios.

A new peer is a function from a `Setting` to a `Pipeline`, and a line in `PEERS`.
"""

import functools
import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx

from cookseg.benchmarks.stages import Timing, segment
from cookseg.export.graph import with_input, with_outputs
from cookseg.export.latency import timed
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.imaging.png import encode_png
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.model.session import open_session

Pipeline = Callable[[bytes], Any]
Floats = npt.NDArray[np.float32]
PlainNetwork = Callable[[Floats], Floats]
"""Network as usually exported: normalised frames (N, 3, H, W) float32 to logits (N, C, H, W) float32."""

OURS = "cookseg"

_PAUSE = 0.05  # seconds after which the threads of the pipeline before no longer spin
_NORMALISATION = {"Reshape", "Cast", "Sub", "Div", "Transpose"}


@dataclass(frozen=True)
class Setting:
    """One network in all the forms that peers take.

    Attributes:
        segmenter: The model as cookseg runs it.
        plain: The same graph without normalisation and arg-max, in a session of the same settings.
        torch: The same in PyTorch, where a run was given.
    """

    segmenter: Segmenter
    plain: PlainNetwork
    torch: PlainNetwork | None

    @classmethod
    def of(cls, model: Path, engine: OnnxEngine, run: Path | None) -> "Setting":
        """Make all forms of a model; ``run`` is a run's folder or a checkpoint with its weights."""
        graph = without_normalisation(onnx.load(model))
        _, _, session = open_session(graph.SerializeToString(), str(model), engine.device, engine.settings)
        (tensor,) = session.get_inputs()
        half = tensor.type == "tensor(float16)"

        def plain(frames: Floats) -> Floats:
            return np.asarray(session.run(None, {tensor.name: frames.astype(np.float16) if half else frames})[0])

        return cls(Segmenter(engine.contract, engine), plain, _torch_network(run) if run else None)


def without_normalisation(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model from normalised frames (N, 3, H, W) to logits (N, C, H, W), cut from one that cookseg made."""
    model = onnx.shape_inference.infer_shapes(model)
    tensor = model.graph.input[0].name
    while True:
        users = [node for node in model.graph.node if tensor in node.input]
        if len(users) != 1 or users[0].op_type not in _NORMALISATION:
            return with_input(with_outputs(model, ["logits"]), tensor)
        tensor = users[0].output[0]


def compare(pipelines: dict[str, Pipeline], jpeg: bytes, iterations: Iterable[int]) -> dict[str, Timing]:
    """Time each pipeline in turn, in every iteration."""
    seconds: dict[str, list[float]] = {name: [] for name in pipelines}
    for _ in iterations:
        for name, work in pipelines.items():
            time.sleep(_PAUSE)
            work(jpeg)  # not counted: what ran before has filled the caches
            seconds[name].append(timed(work, jpeg)[1])
    return {name: Timing.of(values) for name, values in seconds.items()}


def _torch_network(run: Path) -> PlainNetwork:
    import torch  # noqa: PLC0415 - of the extra `train`

    from cookseg.training import checkpoint  # noqa: PLC0415
    from cookseg.training.models.network import enlarged  # noqa: PLC0415

    network, _ = checkpoint.load_network(checkpoint.find(run))
    network.normalised = lambda frames: frames  # type: ignore[method-assign]  # they come normalised

    @torch.inference_mode()
    def plain(frames: Floats) -> Floats:
        x = torch.from_numpy(frames)
        return np.asarray(enlarged(network.coarse_logits(x), x.shape[2:]).numpy())

    return plain


def _pil_torch(setting: Setting) -> Pipeline:
    from PIL import Image  # noqa: PLC0415 - comes with training's packages

    assert setting.torch
    contract, network = setting.segmenter.contract, setting.torch
    spec = contract.preprocessing

    def run(jpeg: bytes) -> bytes:
        image = Image.open(io.BytesIO(jpeg)).convert("RGB")
        frame = np.array(image.resize((spec.width, spec.height), Image.Resampling.BILINEAR))
        classes = _enlarged(network(_normalised(frame, setting))[0], image.size).argmax(axis=0)
        mask = np.zeros((*classes.shape, 3), np.uint8)
        for value, color in enumerate(contract.classes.colors):
            mask[classes == value] = color
        file = io.BytesIO()
        Image.fromarray(mask).save(file, "PNG")
        return file.getvalue()

    return run


def _opencv_onnxruntime(setting: Setting) -> Pipeline:
    contract = setting.segmenter.contract
    spec = contract.preprocessing

    def run(jpeg: bytes) -> bytes:
        image = cv2.cvtColor(_decoded(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        frame = np.asarray(cv2.resize(image, (spec.width, spec.height), interpolation=cv2.INTER_AREA), np.uint8)
        logits = setting.plain(_normalised(frame, setting))[0]
        classes = _enlarged(logits, (image.shape[1], image.shape[0])).argmax(axis=0)
        return _opencv_png(np.array(contract.classes.colors, np.uint8)[classes])

    return run


def _opencv_with_care(setting: Setting) -> Pipeline:
    contract, engine = setting.segmenter.contract, setting.segmenter.engine
    spec = contract.preprocessing

    def run(jpeg: bytes) -> bytes:
        image = _decoded(jpeg, cv2.IMREAD_COLOR_RGB)
        frame = np.asarray(cv2.resize(image, (spec.width, spec.height), interpolation=cv2.INTER_LINEAR), np.uint8)
        classes = engine(frame[None])[0][0]
        classes = np.asarray(cv2.resize(classes, image.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
        return _opencv_png(colorize(classes, contract.classes))

    return run


def _cookseg(setting: Setting) -> Pipeline:
    return functools.partial(segment, setting.segmenter)


def _palette(setting: Setting) -> Pipeline:
    segmenter = setting.segmenter

    def run(jpeg: bytes) -> bytes:
        frame = decode_frame(jpeg, "image", segmenter.contract.preprocessing)
        return encode_png(segmenter.predict(frame).class_map, segmenter.contract.classes.colors)

    return run


def _nearest_palette(setting: Setting) -> Pipeline:
    ours = setting.segmenter
    nearest = Segmenter(ours.contract, ours.engine, upsample="nearest")
    return _palette(Setting(nearest, setting.plain, setting.torch))


def _opencv_files(setting: Setting) -> Pipeline:
    @functools.cache
    def answer(jpeg: bytes) -> UInt8Array:
        return np.asarray(cv2.cvtColor(_mask(jpeg, setting), cv2.COLOR_RGB2BGR), np.uint8)

    def run(jpeg: bytes) -> bytes:
        image, mask = _decoded(jpeg, cv2.IMREAD_COLOR), answer(jpeg)
        assert image.shape == mask.shape
        return cv2.imencode(".png", mask)[1].tobytes()

    return run


def _cookseg_files(setting: Setting) -> Pipeline:
    answer = functools.cache(functools.partial(_mask, setting=setting))

    def run(jpeg: bytes) -> bytes:
        decode_frame(jpeg, "image", setting.segmenter.contract.preprocessing)
        return encode_png(answer(jpeg))

    return run


PEERS: dict[str, Callable[[Setting], Pipeline]] = {
    "PIL + torch, as usually written": _pil_torch,
    "OpenCV + numpy + onnxruntime, as usually written": _opencv_onnxruntime,
    "OpenCV with care": _opencv_with_care,
    OURS: _cookseg,
    "cookseg, --png palette": _palette,
    "cookseg, --png palette --upsample nearest": _nearest_palette,
    "only decode and encode: OpenCV": _opencv_files,
    "only decode and encode: cookseg": _cookseg_files,
}
"""Each peer by the name that the table has for it."""


def pipelines(setting: Setting) -> dict[str, Pipeline]:
    """Return the pipeline of each peer; that of PyTorch only where there is a network of it."""
    return {name: peer(setting) for name, peer in PEERS.items() if setting.torch or peer is not _pil_torch}


def _decoded(jpeg: bytes, flags: int) -> UInt8Array:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), flags), np.uint8)


def _opencv_png(mask: UInt8Array) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(mask, cv2.COLOR_RGB2BGR))[1].tobytes()


def _mask(jpeg: bytes, setting: Setting) -> UInt8Array:
    segmenter = setting.segmenter
    return segmenter.predict(decode_frame(jpeg, "image", segmenter.contract.preprocessing)).color


def _normalised(frame: UInt8Array, setting: Setting) -> Floats:
    """Normalise (h, w, 3) uint8 to (1, 3, h, w) float32."""
    spec = setting.segmenter.contract.preprocessing
    mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
    scaled = (frame.astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def _enlarged(logits: Floats, size: tuple[int, int]) -> Floats:
    """Scale logits (C, h, w) to a (width, height)."""
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in logits])
