"""What computes the network behind a `Segmenter`: a model that `cook-export` made, read with care, in a session."""

import os
from pathlib import Path
from typing import Any, Protocol

from cookseg.runtime.errors import CooksegError, InputError, ModelError
from cookseg.runtime.files import read_regular
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import GOLDEN_KEY, METADATA_KEY, Contract
from cookseg.runtime.model.seal import is_sealed, require_signed, require_unbroken
from cookseg.runtime.model.session import Mode, Settings, open_session
from cookseg.runtime.model.structure import MOST_BYTES, metadata, require_plain

OUTPUTS = ("classes", "scores")
"""Outputs of every model: class map uint8 (N, H, W), class probabilities times 255 uint8 (N, C, H, W)."""

STARTER = Path(__file__).parents[1] / "starter.onnx"
"""The model that comes with cookseg, trained on synthetic scenes only: masks before there is a label."""


class Engine(Protocol):
    """What computes the network: onnxruntime on the appliance, torch during training."""

    def __call__(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array]:
        """Map frames (N, H, W, 3) uint8 RGB to classes (N, H, W) uint8 and scores (N, C, H, W) uint8."""
        ...


class OnnxEngine:
    """An onnxruntime session of a model that `cook-export` made.

    Attributes:
        contract: What the model says of itself.
        device: Name of the device in use, one of `cookseg.runtime.model.session.PROVIDERS`.
        reason: Why this device was chosen; for the user's eyes.
        settings: How it uses the machine.
    """

    @checked_keywords
    def __init__(
        self,
        model: Path | str | bytes,
        device: str = "auto",
        mode: Mode | Settings = "latency",
        *,
        public_key: Path | str | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: Path of an ONNX file, or its bytes.
            device: A name of `session.DEVICES`; ``auto`` is CUDA where it works and the CPU elsewhere.
            mode: A name of `cookseg.runtime.model.session.MODES`, or `Settings` of your own.
            public_key: File of the Ed25519 public key (PEM) that the model must be signed for; None takes any model.

        Raises:
            ModelError: The file is missing, damaged, not ONNX, has no valid contract, or not the signature asked for.
            DeviceError: The device is not available, or the session would not use it.
            InputError: An argument is of another type, or not one of those that there are.
            MissingExtraError: onnxruntime is not installed.
        """
        self.settings = Settings.of(mode)
        source, name = _read(model)
        if not isinstance(public_key, Path | str | None):
            raise InputError(f"`public_key={public_key!r}`: give the path of a PEM file")
        if public_key:
            require_signed(source, Path(public_key), name)
        if is_sealed(source):
            require_unbroken(source, name)  # before anything else reads it
        require_plain(source, name)
        self._process = os.getpid()
        self.device, self.reason, self._session = open_session(source, name, device, self.settings)
        self.contract = _contract(self._session, name)
        if not is_sealed(source):
            require_unbroken(source, name)  # cookseg's, as its contract says, and therefore of no use

    def __call__(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array]:
        """Run the network; see `Engine`.

        Raises:
            InputError: The frames are of another shape or type.
            ModelError: onnxruntime cannot run the model.
            CooksegError: The process was forked since the model was loaded.
        """
        if os.getpid() != self._process:  # the session's threads were not forked with it: it may wait for them for ever
            raise CooksegError(
                "this model was loaded before the process was forked: load it again in the child, or start processes"
                ' with multiprocessing.get_context("spawn")'
            )
        try:
            classes, scores = self._session.run(OUTPUTS, {"frames": frames})
        except Exception as error:  # onnxruntime's own have no common base
            raise self._run_error(frames, error) from error
        return classes, scores

    @property
    def golden(self) -> str:
        """The model's golden vectors, as `selftest.unpack` reads them; an empty list where it has none."""
        return str(self._session.get_modelmeta().custom_metadata_map.get(GOLDEN_KEY, "[]"))

    def _run_error(self, frames: UInt8Array, error: Exception) -> CooksegError:
        spec = self.contract.preprocessing
        size = (spec.height, spec.width, 3)
        if getattr(frames, "dtype", None) != "uint8" or frames.shape[1:] != size:
            got = f"{frames.dtype} {frames.shape}" if hasattr(frames, "shape") else type(frames).__name__
            wanted = f"(batch, {', '.join(map(str, size))})"
            return InputError(f"the network takes frames of uint8, {wanted}; these are {got}")
        return ModelError(f"onnxruntime cannot run this model on {self.device}: {' '.join(str(error).split())}")


@checked_keywords
def read_contract(model: Path | str | bytes) -> Contract:
    """Read the contract of a model that `cook-export` made, without loading the model: no onnxruntime is needed.

    >>> read_contract(STARTER).classes.names
    ('stirrer', 'pan+background', 'food')

    Args:
        model: Path of an ONNX file, or its bytes.

    Raises:
        ModelError: The file is missing, damaged, not ONNX, or has no valid contract.
        InputError: The argument is of another type.
    """
    source, name = _read(model)
    require_unbroken(source, name)
    require_plain(source, name)
    return _parsed(metadata(source).get(METADATA_KEY), name)


def _read(model: Path | str | bytes) -> tuple[bytes, str]:
    """Return the bytes of a model and what messages call it."""
    if isinstance(model, bytes):
        return model, "model"
    if not isinstance(model, Path | str):
        raise InputError(f"`model={model!r}`: give the path of an ONNX file")
    try:
        return read_regular(Path(model), MOST_BYTES), str(model)
    except InputError as error:
        raise ModelError(f"{error}; `cook-export RUN -o {model}` makes a model") from error


def _parsed(text: str | None, name: str) -> Contract:
    if text is None:
        raise ModelError(f"{name}: this ONNX model was not made by cook-export: it carries no cookseg contract")
    try:
        return Contract.from_json(text)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error


def _contract(session: Any, name: str) -> Contract:
    contract = _parsed(session.get_modelmeta().custom_metadata_map.get(METADATA_KEY), name)
    inputs = [(i.name, i.type) for i in session.get_inputs()]
    outputs = {o.name for o in session.get_outputs()}
    if inputs != [("frames", "tensor(uint8)")] or not outputs.issuperset(OUTPUTS):
        raise ModelError(
            f"{name}: inputs {inputs} and outputs {sorted(outputs)} are not those of a cookseg model (frames, uint8;"
            f" {', '.join(OUTPUTS)})"
        )
    return contract
