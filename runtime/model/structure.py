"""Structure of a model file, checked before onnxruntime reads it: it may hold only what cook-export writes.

A file from elsewhere could name weights in other files, run operators of loaded libraries, or claim tensors that no
memory holds. The check walks over the protobuf message itself (field numbers from
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) and needs no ONNX library. It does not bound what a network
computes: `installation` tries a model in a process with a limit, and a signature says whose it is.
"""

import math
from collections.abc import Iterator
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from cookseg.runtime.errors import ModelError

MOST_BYTES = 1 << 30

# fmt: off
_OPERATORS = frozenset({
    "Add", "ArgMax", "Cast", "Clip", "Concat", "Constant", "Conv", "ConvTranspose", "DequantizeLinear", "Div",
    "Exp", "Gather", "GlobalAveragePool", "HardSigmoid", "HardSwish", "Identity", "MaxPool", "Mul",
    "QuantizeLinear", "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize", "Round", "Shape",
    "Sigmoid", "Slice", "Softmax", "Squeeze", "Sub", "Transpose", "Unsqueeze",
})
# fmt: on
_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64}  # TensorProto.DataType
_MOST_NODES, _MOST_ATTRIBUTES, _MOST_DIMENSIONS = 10_000, 32, 8
_METADATA = 14  # field of a ModelProto
_MOST_INTEGER = 1 << 16  # of a kernel, a stride, a padding, an axis


def require_plain(content: bytes, name: str) -> None:
    """Refuse a model that holds something cook-export never writes.

    Args:
        content: The bytes of a model file.
        name: Its name, for the error.

    Raises:
        ModelError: It does, or is not an ONNX model at all.
    """
    try:
        fault = next(_model_faults(content), None)
    except (DecodeError, AttributeError, TypeError, ValueError) as error:
        fault = f"it is damaged, or not an ONNX model ({error})"
    if fault:
        raise ModelError(f"{name}: {fault}; cook-export writes no such file")


def metadata(content: bytes) -> dict[str, str]:
    """Return the metadata of a model that is plain: texts by their keys, of which the last one counts."""
    return {_text(value, 1): _text(value, 2) for number, value in _fields(content) if number == _METADATA}


def _model_faults(content: bytes) -> Iterator[str]:
    """Name the faults of a ModelProto."""
    graphs = 0
    for number, value in _fields(content):
        if number == 7:
            graphs += 1
            yield from _graph_faults(value)
        elif number == 8 and (domain := _text(value, 1)) not in {"", "ai.onnx"}:
            yield f"it needs operators of {domain!r}"
        elif number == _METADATA:
            _text(value, 1), _text(value, 2)  # onnxruntime hands metadata on without a look at their encoding
        elif number in {20, 25}:
            yield "it holds training information or functions"
    if graphs != 1:
        yield f"it holds {graphs} graphs" if graphs else "it is damaged, or not an ONNX model: it holds no graph"


def _graph_faults(graph: bytes) -> Iterator[str]:
    nodes = 0
    for number, value in _fields(graph):
        if number == 1:
            nodes += 1
            if nodes > _MOST_NODES:
                yield f"it has more than {_MOST_NODES:,} nodes"
                return
            yield from _node_faults(value)
        elif number == 5:
            yield from _tensor_faults(value)
        elif number in {11, 12}:
            _text(value, 1)  # the names of inputs and outputs, likewise
        elif number == 15:
            yield "it holds sparse weights"


def _node_faults(node: bytes) -> Iterator[str]:
    if (domain := _text(node, 7)) not in {"", "ai.onnx"} or (kind := _text(node, 4)) not in _OPERATORS:
        yield f"it has an operator {f'{domain}.' if domain else ''}{_text(node, 4)!r}"
        return
    attributes = [value for number, value in _fields(node) if number == 5]
    if len(attributes) > _MOST_ATTRIBUTES:
        yield f"its {kind} has {len(attributes)} attributes"
    for attribute in attributes[:_MOST_ATTRIBUTES]:
        for number, value in _fields(attribute):
            if number == 5:
                yield from _tensor_faults(value)
            elif number in {6, 10, 11, 14, 15, 22, 23}:  # graphs, lists of tensors, sparse tensors, types
                yield f"its {kind} holds a graph, or tensors that no such operator has"
            elif number in {3, 8}:
                for integer in _integers(value):
                    if abs(integer) > _MOST_INTEGER:
                        yield f"its {kind} has a parameter of {integer}"


def _tensor_faults(tensor: bytes) -> Iterator[str]:
    dims: list[int] = []
    kind = raw = typed = 0
    what = "a tensor"
    for number, value in _fields(tensor):
        if number == 1:
            dims += _integers(value)
        elif number == 2:
            kind = value
        elif number == 8:
            what = f"its tensor {value.decode()!r}"
        elif number == 9:
            raw += len(value)
        elif number in _TYPED:
            typed += len(value) if isinstance(value, bytes) else 1
        elif number in {13, 14} and value not in {0, b""}:
            yield f"{what} lies in another file"
    if kind not in _BITS:
        yield f"{what} is of type {kind}"
        return
    if len(dims) > _MOST_DIMENSIONS or min(dims, default=0) < 0:
        yield f"{what} has {len(dims)} dimensions, the smallest {min(dims)}"
        return
    elements = math.prod(dims)
    if (raw and raw * 8 != elements * _BITS[kind]) or (not raw and typed < elements):
        yield f"{what} is of shape {dims}, but holds {raw or typed} bytes"


_TYPED = {4, 5, 7, 10, 11}  # float, int32, int64, double and uint64 data, at least a byte for each element


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field: bytes, or an unsigned integer."""
    for field in UnknownFieldSet(Empty.FromString(message)):
        yield field.field_number, field.data


def _text(message: bytes, wanted: int) -> str:
    """Return a text field of a message; the last one counts, as in every protobuf reader."""
    values = [value for number, value in _fields(message) if number == wanted]
    return values[-1].decode() if values else ""


def _integers(value: bytes | int) -> list[int]:
    """Return the signed integers of a repeated field, packed or not."""
    if isinstance(value, int):
        return [value - (1 << 64) if value >> 63 else value]
    numbers, number, shift = [], 0, 0
    for byte in value:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers += _integers(number & (1 << 64) - 1)
            number, shift = 0, 0
        elif shift > 63:
            raise ValueError("a number of more than 64 bits")
    return numbers
