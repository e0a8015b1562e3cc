"""From a torch network to one self-contained ONNX file: convert, simplify, and write contract and provenance into it.

The graph takes frames as a camera gives them and holds normalisation and arg-max; the batch is dynamic, height and
width are the contract's. Opset 18 and IR 8 are read by every onnxruntime since 1.14 (early 2023).
"""

import logging
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError

from cookseg.runtime.contract import METADATA_KEY, Contract
from cookseg.runtime.engine import OUTPUTS
from cookseg.runtime.errors import CooksegError
from cookseg.training.model import Answer, UNet

OPSET, IR_VERSION = 18, 8
LOGITS = "logits"
"""An inner tensor, float32 (N, C, H, W), that the consistency check reads; not an output of the finished file."""


_SIMPLIFIER = """
import sys, onnx, onnxsim
onnx.save(onnxsim.simplify(onnx.load(sys.argv[1]), check_n=0)[0], sys.argv[2])
"""
_PATIENCE = 600  # seconds; the largest network takes ten


class SimplifierError(CooksegError):
    """onnxsim did not do its work; the unsimplified graph is as right."""


def to_onnx(network: UNet, contract: Contract) -> onnx.ModelProto:
    """Convert a network in evaluation mode; the outputs are those of the runtime and the logits."""
    spec = contract.preprocessing
    frames = torch.zeros(2, spec.height, spec.width, 3, dtype=torch.uint8)  # a batch of 1 would be taken as fixed
    # says of every operator of a torchvision that is not installed that it is skipped
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's deprecations are between torch's own modules
        program = torch.onnx.export(
            Answer(network).eval(),
            (frames,),
            input_names=["frames"],
            output_names=[*OUTPUTS, LOGITS],
            dynamic_shapes={"frames": {0: torch.export.Dim("batch")}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,  # weights inside the file, not in a second one that stays behind
            verbose=False,
        )
    if program is None:
        raise CooksegError("torch.onnx.export returned nothing")
    model: onnx.ModelProto = program.model_proto
    model.ir_version = IR_VERSION
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
        command = [sys.executable, "-c", _SIMPLIFIER, str(raw), str(simplified)]
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


def finish(model: onnx.ModelProto, contract: Contract) -> onnx.ModelProto:
    """Return the finished model: the runtime's outputs alone, with the contract as its only metadata."""
    finished = onnx.ModelProto()
    finished.CopyFrom(model)
    for output in [o for o in finished.graph.output if o.name not in OUTPUTS]:
        finished.graph.output.remove(output)
    finished.producer_name, finished.producer_version = (
        "cookseg",
        str(contract.provenance.get("versions", {}).get("cookseg")),
    )
    finished.doc_string = "frames: uint8 (batch, height, width, 3) RGB -> classes: uint8 (batch, height, width)"
    del finished.metadata_props[:]  # onnxsim's notes to itself
    for node in finished.graph.node:
        del node.metadata_props[:]  # the exporter's stack traces: paths of the training machine
        node.doc_string = ""
    onnx.helper.set_model_props(finished, {METADATA_KEY: contract.to_json()})
    onnx.checker.check_model(finished, full_check=True)
    return finished


def with_metadata(model: onnx.ModelProto, key: str, value: str) -> onnx.ModelProto:
    """Return a model with one more entry in its metadata."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    extended.metadata_props.add(key=key, value=value)
    return extended


def expose_logits(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a finished model with the logits as an output again, for the check."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    exposed.graph.output.append(onnx.helper.make_tensor_value_info(LOGITS, onnx.TensorProto.FLOAT, None))
    return exposed


def describe(model: onnx.ModelProto) -> dict[str, Any]:
    """Count a model's nodes, kinds of operators, parameters and bytes."""
    return {
        "nodes": len(model.graph.node),
        "operators": len({node.op_type for node in model.graph.node}),
        "parameters": sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer),
        "bytes": model.ByteSize(),
    }
