"""Search for the first layer where torch and an ONNX graph differ, by comparing all of them.

Nodes are named after the torch modules that they came from (`cookseg.export.convert`), and keep these names through
simplification and quantisation.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import torch

from cookseg.export.check import open_session
from cookseg.export.graph import with_outputs
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.training.models.network import Network


@dataclass(frozen=True)
class Layer:
    """A layer's largest difference, and the largest value that torch computed there."""

    module: str
    kind: str
    difference: float
    scale: float


def describe(network: Network, model: onnx.ModelProto, batch: UInt8Array, tolerance: float = 1e-3) -> str:
    """Say in a sentence at which layer a model parts from torch.

    Args:
        network: The torch network.
        model: An ONNX model of it, with named nodes.
        batch: Frames (N, H, W, 3) uint8 on which the two differ.
        tolerance: Largest difference of a layer that is still equal, as a share of its largest value.
    """
    layers = compare_layers(network, model, batch)
    for number, layer in enumerate(layers):
        if not layer.difference <= tolerance * max(layer.scale, 1e-6):
            before = f"after {layers[number - 1].module}, which still agrees" if number else "at the first layer"
            return (
                f"torch and ONNX part at {layer.module} ({layer.kind}), {before}: its output differs by"
                f" {layer.difference:.2g} where the largest value is {layer.scale:.2g}"
            )
    return (
        f"all {len(layers)} layers agree: torch and ONNX part after the last of them, in the up-sampling or the answer"
    )


def compare_layers(network: Network, model: onnx.ModelProto, batch: UInt8Array) -> list[Layer]:
    """Compare the output of every torch layer that the graph still has, in the order in which torch runs them."""
    expected = _torch_outputs(network, batch)
    tensors = {}
    for node in model.graph.node:
        module = node.name.rpartition("/")[0]
        if module in expected:
            tensors[module] = node.output[0]  # the last one of a module is what it returns
    session = open_session(with_outputs(model, list(tensors.values())))
    got = dict(zip(tensors, session.run(None, {"frames": batch}), strict=True))
    return [
        Layer(
            module,
            type(network.get_submodule(module)).__name__,
            float(np.abs(value - got[module]).max()) if value.shape == got[module].shape else np.inf,
            float(np.abs(value).max()),
        )
        for module, value in expected.items()
        if module in got
    ]


def _torch_outputs(network: Network, batch: UInt8Array) -> dict[str, npt.NDArray[np.float32]]:
    """Run the network and return what each of its layers gave, in order."""
    outputs: dict[str, npt.NDArray[np.float32]] = {}
    handles = [
        module.register_forward_hook(
            lambda _module, _inputs, output, name=name: outputs.update(
                {name: output.numpy().copy()}
            )  # ReLU is in place
        )
        for name, module in network.named_modules()
        if name and not list(module.children())
    ]
    try:
        with torch.inference_mode():
            network(torch.from_numpy(batch))
    finally:
        for handle in handles:
            handle.remove()
    return outputs
