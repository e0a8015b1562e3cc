"""All choices of an export as values; neither torch nor onnx, so that `--help` needs none."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from cookseg.runtime.errors import InputError
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.engine import OUTPUTS
from cookseg.training.config import HEAD_OUTPUTS

Precision = Literal["fp32", "fp16", "int8", "auto"]
Target = Literal["x86", "avx2", "arm", "cuda"]
"""Kind of processor: ``x86`` has VNNI, ``avx2`` is an older x86."""
Calibration = Literal["minmax", "entropy", "percentile"]

RELEASES = {(1, 14): (18, 8), (1, 15): (19, 9), (1, 17): (20, 9), (1, 18): (21, 10)}
"""Opset and IR version that onnxruntime reads since a release (https://onnxruntime.ai/docs/reference/compatibility.html).

Later opsets change no operator that a U-Net has.
"""
OLDEST = "1.14"

_CHOICES: dict[str, tuple[str, ...]] = {
    "precision": get_args(Precision),
    "target": ("auto", *get_args(Target)),
    "calibration": ("auto", *get_args(Calibration)),
}
_FEWEST = {"calibration_frames": 1, "frames": 1, "golden": 0}


@checked_keywords
@dataclass(frozen=True)
class Gates:
    """Limits on how a model may differ from torch.

    Attributes:
        atol: Largest absolute difference of a logit, of a model in float32.
        agreement: Smallest share of pixels of validation frames with the same class, of a model in float32.
        iou: Largest difference of a class's IoU on the validation set, 0..1, of a model in float32.
        drop: Largest loss of a class's IoU on the validation set, 0..1, of a model in float16 or int8.
    """

    atol: float = 1e-3
    agreement: float = 0.9999
    iou: float = 0.001
    drop: float = 0.005


@checked_keywords
@dataclass(frozen=True)
class Settings:
    """Choices of an export.

    Attributes:
        precision: ``fp32``, ``fp16``, ``int8``, or ``auto`` for the fastest one here that passes its gate.
        target: A name of `Target`, or ``auto`` for this machine's processor.
        calibration: A name of `Calibration`, or ``auto`` for the one with the smallest error.
        calibration_frames: Training frames that the ranges of int8 come from.
        frames: Validation frames that the outputs are compared on; the IoU takes all.
        golden: How many of them travel inside the file, so that it can be proven wherever it runs.
        simplify: Whether to run onnxsim.
        outputs: Outputs of the file, of `cookseg.training.config.HEAD_OUTPUTS`.
        min_ort: Oldest onnxruntime that must read the file.
        note: Warning to the model's user; it travels in the provenance.

    Raises:
        InputError: A field has a value that does not exist.
    """

    precision: Precision = "fp32"
    target: Target | Literal["auto"] = "auto"
    calibration: Calibration | Literal["auto"] = "auto"
    calibration_frames: int = 64
    frames: int = 16
    golden: int = 2
    simplify: bool = True
    outputs: tuple[str, ...] = OUTPUTS
    min_ort: str = OLDEST
    note: str = ""

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise InputError(f"`{name}={getattr(self, name)!r}`: give one of {', '.join(known)}")
        for name, fewest in _FEWEST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < fewest:
                raise InputError(f"`{name}={value!r}`: give a whole number from {fewest} on")
        if unknown := [name for name in self.outputs if name not in HEAD_OUTPUTS]:
            raise InputError(f"`outputs={self.outputs!r}`: {unknown[0]!r} is not among {', '.join(HEAD_OUTPUTS)}")
        versions(self.min_ort)


def versions(min_ort: str) -> tuple[int, int]:
    """Return the opset and IR version for an onnxruntime release such as 1.16 and all later ones.

    Raises:
        InputError: It is not a version, or too old.
    """
    match = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)?", min_ort)
    release = (int(match[1]), int(match[2])) if match else (0, 0)
    known = [since for since in RELEASES if since <= release]
    if not known:
        raise InputError(f"`min_ort={min_ort!r}`: name a release of onnxruntime from {OLDEST} on, such as 1.16")
    return RELEASES[max(known)]
