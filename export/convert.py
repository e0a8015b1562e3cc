"""From a torch network to an ONNX graph: converted, with names that a person can read, and simplified.

The graph takes frames as a camera gives them and holds normalisation and arg-max; the batch is dynamic, height and
width are the contract's. A node is named after the torch module that it came from, and so is the tensor that it makes:
``encoder.0.1.0/Conv``.
"""

import ast
import logging
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError

from cookseg.export.config import OLDEST, versions
from cookseg.runtime.errors import CooksegError
from cookseg.runtime.model.contract import Contract
from cookseg.training.config import HEAD_OUTPUTS
from cookseg.training.models.network import InferenceHead, Network

_SCOPES = "pkg.torch.onnx.name_scopes"
_SIMPLIFIER = (sys.executable, "-m", "cookseg.export.simplifier")
_PATIENCE = 600  # seconds; the largest network takes ten


class SimplifierError(CooksegError):
    """onnxsim failed; the unsimplified graph computes the same."""


def to_onnx(network: Network, contract: Contract, min_ort: str = OLDEST) -> onnx.ModelProto:
    """Convert a network in evaluation mode.

    Args:
        network: The torch network.
        contract: Its contract; height and width of the input come from there.
        min_ort: Oldest onnxruntime that must read the file, such as 1.14; it chooses opset and IR version.

    Returns:
        A graph from ``frames`` to all outputs of `InferenceHead`.

    Raises:
        InputError: ``min_ort`` is not a version, or older than any that can be served.
    """
    opset, ir_version = versions(min_ort)
    spec = contract.preprocessing
    frames = torch.zeros(2, spec.height, spec.width, 3, dtype=torch.uint8)  # a batch of 1 would become a constant
    # it reports every operator of torchvision as skipped where torchvision is not installed
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they concern torch's own modules only
        program = torch.onnx.export(
            InferenceHead(network).eval(),
            (frames,),
            input_names=["frames"],
            output_names=list(HEAD_OUTPUTS),
            dynamic_shapes={"frames": {0: torch.export.Dim("batch")}},
            opset_version=opset,
            dynamo=True,
            external_data=False,  # weights inside the file, not in a second one that stays behind
            verbose=False,
        )
    if program is None:
        raise CooksegError("torch.onnx.export returned nothing")
    model: onnx.ModelProto = program.model_proto
    model.ir_version = ir_version
    _rename(model.graph)
    onnx.checker.check_model(model, full_check=True)
    return model


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold what onnxsim can fold, in a process of its own: its C++ core has crashed on other people's graphs.

    That the result computes the same is for `cookseg.export.check` to show.

    Raises:
        SimplifierError: onnxsim failed, crashed, hung, or wrote no valid graph.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw, simplified = Path(folder, "raw.onnx"), Path(folder, "simplified.onnx")
        onnx.save(model, raw)
        command = [*_SIMPLIFIER, str(raw), str(simplified)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE)  # noqa: S603
            result: onnx.ModelProto = onnx.load(simplified)
            onnx.checker.check_model(result, full_check=True)
        except subprocess.CalledProcessError as error:
            said = error.stderr.strip().splitlines()[-1:] or [f"it ended with {error.returncode}"]
            raise SimplifierError(f"onnxsim failed: {said[0]}") from error
        except (subprocess.TimeoutExpired, OSError, DecodeError, onnx.checker.ValidationError) as error:
            raise SimplifierError(f"onnxsim failed: {error}") from error
    return result


def _rename(graph: onnx.GraphProto) -> None:
    """Name nodes and inner tensors after the torch modules, which the exporter records at every node."""
    kept = {value.name for value in [*graph.input, *graph.output]}
    names = {t.name: t.name.removeprefix("network.") for t in graph.initializer}
    count: Counter[str] = Counter()
    for node in graph.node:
        scopes = next((ast.literal_eval(p.value) for p in node.metadata_props if p.key == _SCOPES), ["", ""])
        module = scopes[-2].removeprefix("network").lstrip(".")
        name = f"{module}/{node.op_type}" if module else node.op_type
        count[name] += 1
        node.name = name if count[name] == 1 else f"{name}_{count[name]}"
        for index, output in enumerate(node.output):
            if output not in kept:
                names[output] = f"{node.name}.{index}" if index else node.name
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in [*graph.initializer, *graph.value_info]:
        value.name = names.get(value.name, value.name)
