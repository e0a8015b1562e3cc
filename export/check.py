"""The consistency check of an ONNX graph against the torch network.

Every graph on the way is compared with torch, as onnxruntime optimises it and as it stands, and in the end the finished
file with its weights as they are written. Inputs are real validation frames and what kitchens rarely show: black, dark,
bright, one bright pixel, noise, batches, frames of odd size. A pixel may change its class only where torch itself saw a
tie within the tolerance.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from cookseg.export.config import Gates
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.imaging.preprocess import fit
from cookseg.runtime.model.contract import Contract
from cookseg.runtime.model.session import import_onnxruntime
from cookseg.runtime.scoring.metrics import ConfusionMatrix
from cookseg.training.config import HEAD_OUTPUTS
from cookseg.training.models.network import InferenceHead, Network

REAL = "validation frames"
"""Name of the inputs that are not extremes."""

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Difference:
    """Difference of an output from torch's.

    Attributes:
        max: Largest absolute difference.
        mean: Mean absolute difference.
        relative: Norm of the difference by the norm of torch's output.
        cosine: Cosine of the angle between both outputs as vectors.
    """

    max: float
    mean: float
    relative: float
    cosine: float

    @classmethod
    def between(cls, expected: npt.NDArray[Any], got: npt.NDArray[Any]) -> "Difference":
        """Compare two arrays of one shape."""
        a, b = (array.astype(np.float64).ravel() for array in (expected, got))
        difference = np.abs(a - b)
        norms = float(np.linalg.norm(a)), float(np.linalg.norm(b))
        return cls(
            float(difference.max()),
            float(difference.mean()),
            float(np.linalg.norm(difference)) / max(norms[0], 1e-12),
            float(a @ b) / max(norms[0] * norms[1], 1e-12) if any(norms) else 1.0,
        )


@dataclass(frozen=True)
class Comparison:
    """Comparison of a stage with torch on one kind of input.

    Attributes:
        stage: Name of the graph.
        inputs: Name of the kind of input.
        agreement: Share of pixels with the same class, 0..1.
        outputs: The difference of each output.
        faults: Each breach of a gate, in words; empty if nothing does.
    """

    stage: str
    inputs: str
    agreement: float
    outputs: Mapping[str, Difference]
    faults: tuple[str, ...]


def check_inputs(contract: Contract, frames: Iterable[UInt8Array], seed: int = 0) -> dict[str, UInt8Array]:
    """Return batches (N, H, W, 3) uint8 by name, at the network's size.

    Args:
        contract: The contract of the model.
        frames: Validation frames (H, W, 3) uint8 RGB of any size.
        seed: Seeds the noise.
    """
    rng = np.random.default_rng(seed)
    spec = contract.preprocessing
    real = np.stack([fit(frame, spec) for frame in frames])
    noise = rng.integers(0, 256, (4, spec.height, spec.width, 3), np.uint8)
    odd = rng.integers(0, 256, (spec.height // 2 + 1, spec.width * 2 - 1, 3), np.uint8)
    pixel = np.zeros_like(real[:1])
    pixel[:, spec.height // 2, spec.width // 2] = 255
    return {
        REAL: real,
        **{f"noise, batch of {n}": noise[:n] for n in range(1, 5)},
        "noise, odd-sized": fit(odd, spec)[None],
        "dark": real[:1] // 16,
        "bright": 255 - (255 - real[:1]) // 8,
        "black": np.zeros_like(real[:1]),
        "white": np.full_like(real[:1], 255),
        "one pixel": pixel,
    }


def compare(
    network: Network, stage: str, model: onnx.ModelProto, inputs: Mapping[str, UInt8Array], gates: Gates | None
) -> list[Comparison]:
    """Compare a graph with torch on every kind of input, with onnxruntime's graph optimisations and without.

    Args:
        network: The torch network.
        stage: Name of the graph, for people.
        model: An ONNX model with outputs of `InferenceHead`, the logits among them.
        inputs: Batches (N, H, W, 3) uint8.
        gates: The limits, or None if only values that are not finite are a fault.
    """
    answer = InferenceHead(network).eval()
    names = [output.name for output in model.graph.output]
    sessions = {stage: open_session(model), f"{stage}, unoptimised": open_session(model, optimised=False)}
    rows = []
    for kind, batch in inputs.items():
        with torch.inference_mode():
            tensors = dict(zip(HEAD_OUTPUTS, answer(torch.from_numpy(batch)), strict=True))
        expected = {name: tensors[name].numpy() for name in names}
        for label, session in sessions.items():
            got = dict(zip(names, session.run(names, {"frames": batch}), strict=True))
            rows.append(_comparison(label, kind, expected, got, gates))
    return rows


def open_session(model: onnx.ModelProto, *, optimised: bool = True) -> Any:
    """Return a session on the CPU, with or without onnxruntime's graph optimisations."""
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def iou_faults(expected: ConfusionMatrix, got: ConfusionMatrix, names: Iterable[str], limit: float) -> list[str]:
    """Return in words which classes' IoU differs by more than the limit from torch's."""
    return [
        f"the IoU of {name} is {after:.4f} instead of {before:.4f}"
        for name, before, after in _ious(expected, got, names)
        if abs(before - after) > limit
    ]


def drop_faults(expected: ConfusionMatrix, got: ConfusionMatrix, names: Iterable[str], limit: float) -> list[str]:
    """Return in words which classes lose more IoU than the limit."""
    return [
        f"{name} loses {(before - after) * 100:.2f} points of IoU, allowed are {limit * 100:g}"
        for name, before, after in _ious(expected, got, names)
        if before - after > limit
    ]


def faults_of(rows: Iterable[Comparison]) -> list[str]:
    """Return every fault with the stage and the inputs that show it."""
    return [f"{row.stage}, {row.inputs}: {fault}" for row in rows for fault in row.faults]


def _ious(expected: ConfusionMatrix, got: ConfusionMatrix, names: Iterable[str]) -> Iterator[tuple[str, float, float]]:
    for name, before, after in zip(names, expected.scores(), got.scores(), strict=True):
        if before.iou is not None and after.iou is not None:
            yield name, before.iou, after.iou


def _comparison(stage: str, name: str, expected: Arrays, got: Arrays, gates: Gates | None) -> Comparison:
    if mismatch := [
        f"{output} is {b.dtype} {b.shape} instead of {a.dtype} {a.shape}"
        for output, a, b in ((output, expected[output], got[output]) for output in expected)
        if a.shape != b.shape or a.dtype != b.dtype
    ]:
        return Comparison(stage, name, 0.0, {}, tuple(mismatch))
    agreement = float((expected["classes"] == got["classes"]).mean())
    differences = {output: Difference.between(expected[output], got[output]) for output in expected}
    row = Comparison(stage, name, agreement, differences, ())
    if not np.isfinite(got["logits"]).all():
        return replace(row, faults=("logits are not finite",))
    return replace(row, faults=tuple(_faults(row, expected, got, gates))) if gates else row


def _faults(row: Comparison, expected: Arrays, got: Arrays, gates: Gates) -> Iterator[str]:
    if not row.outputs["logits"].max <= gates.atol:
        yield f"a logit differs by {row.outputs['logits'].max:.2g}, allowed is {gates.atol:g}"
    if row.inputs == REAL and row.agreement < gates.agreement:  # elsewhere ties are common, and any other flip is seen
        yield f"{row.agreement:.4%} of the pixels keep their class, {gates.agreement:.2%} must"
    for output in {"scores", "confidence"} & row.outputs.keys():
        if row.outputs[output].max > 1:  # 1 is where a probability falls on the other side of a rounding
            yield f"{output} of 0 to 255 differ by {row.outputs[output].max:.0f}, allowed is 1"
    margin = _margin(expected["logits"])[expected["classes"] != got["classes"]]
    if margin.size and margin.max() > 2 * gates.atol:
        yield f"a pixel changed its class where torch was sure by {margin.max():.2g} logits"


def _margin(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return by how much the best class leads, (N, H, W), of logits (N, C, H, W)."""
    top = np.partition(logits, -2, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0])
