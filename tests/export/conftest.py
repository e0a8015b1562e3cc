"""What the tests of the export share: a small network, its graphs, and a way to corrupt them."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from cookseg.export import check, convert, graph
from cookseg.runtime.model.contract import Contract, Preprocessing
from cookseg.runtime.model.engine import OUTPUTS
from cookseg.training.models.unet import UNet, UNetConfig


@pytest.fixture(scope="session")
def network():
    """A network whose norms have statistics of their own: with 0 and 1 a folding bug would hide."""
    torch.manual_seed(0)
    net = UNet(UNetConfig(widths=(8, 16), stem=2), 3, Preprocessing(32, 48))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.uniform_(-1, 1)
    return net.eval()


@pytest.fixture(scope="session")
def contract():
    return Contract(preprocessing=Preprocessing(32, 48), provenance={"versions": {"cookseg": "test"}})


@pytest.fixture(scope="session")
def raw(network, contract):
    return convert.to_onnx(network, contract)


@pytest.fixture(scope="session")
def inputs(contract):
    rng = np.random.default_rng(0)
    return check.check_inputs(contract, rng.integers(0, 256, (3, 20, 30, 3), np.uint8))


def _edited(model, kind, change):
    """Return a copy of a model with a change applied to the largest of the float tensors that ``kind`` accepts."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensors = [t for t in copy.graph.initializer if t.data_type == onnx.TensorProto.FLOAT and kind(t)]
    tensor = max(tensors, key=lambda t: np.prod(t.dims))
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), tensor.name))
    return copy


@pytest.fixture(scope="session")
def simplified(raw):
    return convert.simplify(raw)


@pytest.fixture(scope="session")
def sealed(simplified, contract):
    return graph.finish(simplified, contract, OUTPUTS)


@pytest.fixture(scope="session")
def edited():
    """A function that corrupts a model."""
    return _edited
