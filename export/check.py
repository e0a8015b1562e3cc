"""The consistency check: does the exported model answer what the torch network answers?

Three things are compared with torch: the raw ONNX graph, the simplified one, and the finished file with its weights as
they are written. Inputs are real validation frames and what kitchens rarely show: black, dark, bright, noise, batches,
frames of odd size. A pixel may change its class only where torch itself saw a tie within the tolerance.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from cookseg.export.convert import LOGITS
from cookseg.runtime.contract import Contract
from cookseg.runtime.engine import OUTPUTS, import_onnxruntime
from cookseg.runtime.errors import CheckFailedError
from cookseg.runtime.images import UInt8Array, fit
from cookseg.runtime.metrics import ConfusionMatrix
from cookseg.training.model import Answer, UNet

Arrays = Sequence[npt.NDArray[Any]]


@dataclass(frozen=True)
class Gates:
    """What a model may differ by.

    Attributes:
        atol: Largest absolute difference of a logit.
        agreement: Smallest share of pixels with the same class.
        iou: Largest difference of a class's IoU on the validation set.
    """

    atol: float = 1e-3
    agreement: float = 0.9999
    iou: float = 0.001


@dataclass(frozen=True)
class Comparison:
    """How a stage differs from torch on one kind of input.

    Attributes:
        stage: ``raw``, ``simplified`` or ``file``.
        inputs: Name of the kind of input.
        max_difference: Largest absolute difference of a logit.
        mean_difference: Mean absolute difference of the logits.
        agreement: Share of pixels with the same class.
        faults: What breaks a gate, in words; empty if nothing does.
    """

    stage: str
    inputs: str
    max_difference: float
    mean_difference: float
    agreement: float
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
    return {
        "validation frames": real,
        "noise, batch of 4": noise,
        "noise, odd-sized": fit(odd, spec)[None],
        "dark": real[:1] // 16,
        "bright": 255 - (255 - real[:1]) // 8,
        "black": np.zeros_like(real[:1]),
        "white": np.full_like(real[:1], 255),
    }


def compare(
    network: UNet, stages: Mapping[str, onnx.ModelProto], inputs: Mapping[str, UInt8Array], gates: Gates
) -> list[Comparison]:
    """Compare every stage with torch on every kind of input.

    Args:
        network: The torch network.
        stages: ONNX models with the outputs classes, scores and logits.
        inputs: Batches (N, H, W, 3) uint8.
        gates: The limits.
    """
    answer = Answer(network).eval()
    rows = []
    for stage, model in stages.items():
        ort = import_onnxruntime()
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        for name, batch in inputs.items():
            with torch.inference_mode():
                expected = [tensor.numpy() for tensor in answer(torch.from_numpy(batch))]
            got = session.run([*OUTPUTS, LOGITS], {"frames": batch})
            rows.append(_comparison(stage, name, expected, got, gates))
    return rows


def iou_faults(expected: ConfusionMatrix, got: ConfusionMatrix, names: Iterable[str], limit: float) -> list[str]:
    """Return in words which classes' IoU differs by more than the limit between torch and the exported file."""
    faults = []
    for name, before, after in zip(names, expected.scores(), got.scores(), strict=True):
        if before.iou is not None and after.iou is not None and abs(before.iou - after.iou) > limit:
            faults.append(f"the IoU of {name} is {after.iou:.4f} instead of {before.iou:.4f}")
    return faults


def require_passed(rows: Iterable[Comparison], faults: Iterable[str]) -> None:
    """Stop unless every gate holds.

    Raises:
        CheckFailedError: With every fault in a line of its own.
    """
    lines = [f"  {row.stage}, {row.inputs}: {fault}" for row in rows for fault in row.faults]
    lines += [f"  {fault}" for fault in faults]
    if lines:
        raise CheckFailedError("the exported model does not answer as torch does:\n" + "\n".join(lines))


def _comparison(stage: str, name: str, expected: Arrays, got: Arrays, gates: Gates) -> Comparison:
    if mismatch := [
        f"{output} is {b.dtype} {b.shape} instead of {a.dtype} {a.shape}"
        for output, a, b in zip([*OUTPUTS, LOGITS], expected, got, strict=True)
        if a.shape != b.shape or a.dtype != b.dtype
    ]:
        return Comparison(stage, name, np.inf, np.inf, 0.0, tuple(mismatch))
    difference = np.abs(expected[2] - got[2])
    agreement = float((expected[0] == got[0]).mean())
    row = Comparison(stage, name, float(difference.max()), float(difference.mean()), agreement, ())
    return replace(row, faults=tuple(_faults(row, expected, got, gates)))


def _faults(row: Comparison, expected: Arrays, got: Arrays, gates: Gates) -> Iterator[str]:
    if not np.isfinite(got[2]).all():
        yield "logits are not finite"
    if not row.max_difference <= gates.atol:
        yield f"a logit differs by {row.max_difference:.2g}, allowed is {gates.atol:g}"
    if row.agreement < gates.agreement:
        yield f"{row.agreement:.4%} of the pixels keep their class, {gates.agreement:.2%} must"
    scores = np.abs(expected[1].astype(np.int16) - got[1]).max()
    if scores > 1:  # 1 is where a probability falls on the other side of a rounding
        yield f"a score of 0 to 255 differs by {scores}, allowed is 1"
    margin = _margin(expected[2])[expected[0] != got[0]]
    if margin.size and margin.max() > 2 * gates.atol:
        yield f"a pixel changed its class where torch was sure by {margin.max():.2g} logits"


def _margin(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return by how much the best class leads, (N, H, W), of logits (N, C, H, W)."""
    top = np.partition(logits, -2, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0])
