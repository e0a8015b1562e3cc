"""Edits of ONNX graphs: metadata in, notes of the tools out, inputs and outputs chosen, size counted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from cookseg.runtime.model.contract import METADATA_KEY, Contract


@dataclass(frozen=True)
class Size:
    """Size of a graph; ``macs`` are the multiplications and additions of its convolutions for one frame."""

    nodes: int
    operators: int
    macs: int
    bytes: int


def finish(model: onnx.ModelProto, contract: Contract, outputs: Collection[str]) -> onnx.ModelProto:
    """Return the finished model: the outputs asked for, and the contract as its only metadata."""
    finished = with_outputs(model, [output.name for output in model.graph.output if output.name in outputs])
    finished.producer_name = "cookseg"
    finished.producer_version = str(contract.provenance.get("versions", {}).get("cookseg"))
    finished.doc_string = "frames: uint8 (batch, height, width, 3) RGB -> classes: uint8 (batch, height, width)"
    del finished.metadata_props[:]  # onnxsim's notes to itself
    for node in finished.graph.node:
        del node.metadata_props[:]  # the exporter's stack traces: paths of the training machine
        node.doc_string = ""
    onnx.helper.set_model_props(finished, {METADATA_KEY: contract.to_json()})
    onnx.checker.check_model(finished, full_check=True)
    return finished


def with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Return a model with other tensors as its outputs, and without the nodes and weights that none of them needs."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    known = {value.name: value for value in [*model.graph.output, *model.graph.value_info]}
    del graph.output[:]
    for name in names:
        graph.output.append(known.get(name) or onnx.ValueInfoProto(name=name))
    needed = set(names)
    for node in reversed(list(graph.node)):  # nodes stand in the order in which they run
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(node.input)
    for tensor in [t for t in graph.initializer if t.name not in needed]:
        graph.initializer.remove(tensor)
    for value in [v for v in graph.value_info if v.name not in needed or v.name in names]:
        graph.value_info.remove(value)
    return changed


def with_input(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Return a model with an inner tensor, whose type it states, as its only input, and without the nodes before it."""
    (value,) = (value for value in model.graph.value_info if value.name == name)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    graph.input.remove(graph.input[0])
    graph.input.append(value)
    graph.node.remove(next(node for node in graph.node if name in node.output))
    for known in [known for known in graph.value_info if known.name == name]:
        graph.value_info.remove(known)
    return with_outputs(changed, [output.name for output in graph.output])


def with_metadata(model: onnx.ModelProto, key: str, value: str) -> onnx.ModelProto:
    """Return a model with one more entry in its metadata."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    extended.metadata_props.add(key=key, value=value)
    return extended


def measure(model: onnx.ModelProto) -> Size:
    """Count a model's nodes, kinds of operators, multiply-accumulates and bytes."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]  # the batch is 1
        for value in [*graph.input, *graph.output, *graph.value_info]
    }
    shapes.update({tensor.name: list(tensor.dims) for tensor in graph.initializer})
    macs = 0
    for node in graph.node:
        if node.op_type in {"Conv", "ConvTranspose"}:
            pixels = shapes[node.output[0] if node.op_type == "Conv" else node.input[0]]  # (N, channels, H, W)
            macs += int(np.prod(pixels) * np.prod(shapes[node.input[1]][1:]))
    return Size(len(graph.node), len({node.op_type for node in graph.node}), macs, model.ByteSize())
