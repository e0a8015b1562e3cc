"""int8 by static quantisation with onnxruntime (QDQ, weights per channel), and float16.

Ranges of activations come from training frames. The layers that lose most by int8 stay in float, as many as are needed
for the gate on the validation set to hold, and no more than half of them.
"""

import contextlib
import copy
import functools
import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process

from cookseg.export.check import open_session
from cookseg.export.config import Calibration
from cookseg.export.targets import Arithmetic
from cookseg.runtime.errors import CheckFailedError
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.results import listed

_log = logging.getLogger(__name__)


METHODS: dict[Calibration, CalibrationMethod] = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}

_OPERATORS = ["Conv", "Relu", "Clip", "Add", "MaxPool", "Concat", "Resize"]  # what onnxruntime computes in int8
_ACTIVATIONS = {"Relu", "Clip"}
_NORMALISATION = {"Cast", "Sub", "Div"}


@dataclass(frozen=True)
class Quantized:
    """An int8 model, how it was calibrated, and the layers that stayed in float."""

    model: onnx.ModelProto
    method: Calibration
    errors: dict[Calibration, float]
    """Mean absolute difference of the logits by calibration method, everything in int8."""
    in_float: tuple[str, ...]


class Quantizer:
    """Quantises one float32 model for one target."""

    def __init__(self, model: onnx.ModelProto, frames: UInt8Array, target: Arithmetic) -> None:
        """Prepare a model.

        Args:
            model: A simplified float32 model with the output ``logits``.
            frames: Calibration frames (N, H, W, 3) uint8 at the network's size; every fourth is held out to compare
                the methods on.
            target: What to quantise for.
        """
        self.target = target
        held_out = np.arange(len(frames)) % 4 == 3
        self.calibration: UInt8Array = frames[~held_out]
        self.probe: UInt8Array = frames[held_out] if held_out.any() else frames
        self.model = _prepared(model)
        self.layers = [node.name for node in self.model.graph.node if node.op_type == "Conv"]
        self._of_logits = _last(self.model)
        self._expected = self._logits(self.model)

    def ranges(self, method: Calibration) -> Any:
        """Return the range of every activation, by a method of `METHODS`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            onnx.save(self.model, path)
            calibrator = create_calibrator(
                path,
                _OPERATORS,
                augmented_model_path=str(Path(folder, "augmented.onnx")),
                calibrate_method=METHODS[method],
                extra_options={"symmetric": self.target.symmetric},
            )
            with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
                for frame in self.calibration:  # one at a time: it keeps every activation of what it reads at once
                    calibrator.collect_data(_Reader([frame[None]]))
                return calibrator.compute_data()

    def quantized(self, ranges: Any, in_float: Sequence[str] = ()) -> onnx.ModelProto:
        """Return the model in int8, but for some layers."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        quantizer = QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=self.target.reduce_range,
            weight_qType=QuantType.QInt8,
            activation_qType=self.target.activations,
            tensors_range=copy.deepcopy(ranges),  # it takes a Relu's range for the convolution before it
            nodes_to_quantize=[],
            nodes_to_exclude=[*self._with_neighbours(in_float), *self._of_logits],
            op_types_to_quantize=_OPERATORS,
            extra_options={"ActivationSymmetric": self.target.symmetric},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        result: onnx.ModelProto = quantizer.model.model
        return result

    def _with_neighbours(self, layers: Sequence[str]) -> list[str]:
        """Return layers, and what only hands values on beside them: rounded there, they would be lost all the same."""
        kept = set(layers)
        tensors: set[str] = set()  # what the layers in float read and make
        for node in self.model.graph.node:
            if node.name in kept or (node.op_type in _ACTIVATIONS and node.input[0] in tensors):
                kept.add(node.name)
                tensors.update([node.input[0], node.output[0]])
        beside = {
            node.name
            for node in self.model.graph.node
            if node.op_type in _OPERATORS and node.op_type != "Conv" and tensors & {*node.input, *node.output}
        }
        return [*kept, *beside - kept]

    def error(self, model: onnx.ModelProto) -> float:
        """Return the mean absolute difference of a model's logits on the frames held out."""
        return float(np.abs(self._logits(model) - self._expected).mean())

    def by_damage(self, ranges: Any) -> list[str]:
        """Return the layers, first the one that by itself in int8 changes the logits most."""
        damage = {}
        for layer in self.layers:
            damage[layer] = self.error(self.quantized(ranges, [other for other in self.layers if other != layer]))
        return sorted(self.layers, key=lambda layer: -damage[layer])

    def _logits(self, model: onnx.ModelProto) -> npt.NDArray[np.float32]:
        session = open_session(model)
        return np.concatenate([session.run(["logits"], {"frames": frame[None]})[0] for frame in self.probe])


def to_int8(
    quantizer: Quantizer, method: Calibration | Literal["auto"], holds: Callable[[onnx.ModelProto], list[str]]
) -> Quantized:
    """Quantise, and leave as few layers in float as a gate needs to hold.

    Args:
        quantizer: The model.
        method: A name of `METHODS`, or ``auto`` for the one with the smallest error that holds.
        holds: The gate: returns what is wrong with a model, in words.

    Raises:
        CheckFailedError: The gate does not hold with half of the layers in float either.
    """
    methods = list(METHODS) if method == "auto" else [method]
    ranges = {name: quantizer.ranges(name) for name in methods}
    errors = {name: quantizer.error(quantizer.quantized(ranges[name])) for name in methods}
    methods.sort(key=lambda name: errors[name])

    def attempt(method: Calibration, in_float: tuple[str, ...]) -> Quantized | list[str]:
        model = quantizer.quantized(ranges[method], in_float)
        return holds(model) or Quantized(model, method, errors, in_float)

    for name in methods:
        result = attempt(name, ())
        if isinstance(result, Quantized):
            return result
        _log.info("int8 throughout, calibrated by %s, does not hold: %s", name, result[0])
    _log.info("measuring which layers lose most ...")
    best = methods[0]
    return _fewest_in_float(quantizer.by_damage(ranges[best]), functools.partial(attempt, best))


def _fewest_in_float(order: list[str], attempt: Callable[[tuple[str, ...]], Quantized | list[str]]) -> Quantized:
    """Return the model with the fewest layers in float, taken in order, for which the gate holds."""
    failing, count = 0, 1
    while isinstance(result := attempt(tuple(order[:count])), list):  # twice as many until it holds ...
        if count >= len(order) // 2:
            raise CheckFailedError(
                f"int8 does not hold with {count} of {len(order)} layers in float either:\n{listed(result)}\n"
                "fine-tune the run with `qat=True`, or export with `precision='fp32'`"
            )
        failing, count = count, min(2 * count, len(order) // 2)
    while count - failing > 1:  # ... then as few as hold
        middle = (count + failing) // 2
        fewer = attempt(tuple(order[:middle]))
        if isinstance(fewer, Quantized):
            result, count = fewer, middle
        else:
            failing = middle
    return result


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model that computes in float16 from the normalised frame on; inputs and outputs keep their types."""
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415 - slow to import

    kept = [node.name for node in model.graph.node[:6] if node.op_type in _NORMALISATION]
    kept += [node.name for node in model.graph.node if node.op_type in {"Exp", "ReduceSum"}]  # float16 ends at e^-17
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    result = ONNXModel(convert_float_to_float16(plain, keep_io_types=True, node_block_list=kept))
    result.topological_sort()
    half: onnx.ModelProto = result.model
    return half


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Feeds batches to a calibrator."""

    def __init__(self, batches: Sequence[UInt8Array]) -> None:
        self._batches: Iterator[UInt8Array] = iter(batches)

    def get_next(self) -> dict[str, UInt8Array] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"frames": batch}


def _last(model: onnx.ModelProto) -> list[str]:
    """Return what stays in float: what enlarges the logits, where rounding costs time and detail, and what follows.

    Nodes are in an order in which each comes after those that it reads from.
    """
    found, tensors = [], {"logits"}
    for node in model.graph.node:
        if tensors & {*node.input} or ("logits" in node.output and node.op_type == "Resize"):
            found.append(node.name)
            tensors.update(node.output)
    return found


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with the shape of every tensor, as the quantiser wants it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "prepared.onnx")
        quant_pre_process(model, str(path), skip_optimization=True, skip_symbolic_shape=True)
        return onnx.load(path)
