"""The onnxruntime session behind a `Segmenter`: loading a model and getting the device that was asked for, or an error.

onnxruntime falls back to the CPU without a word when an accelerator fails, and lists accelerators as available that are
not there. Here an explicit device is used or refused, and ``auto`` says what it chose and why.
"""

from pathlib import Path
from typing import Any, Protocol

from cookseg.runtime.contract import GOLDEN_KEY, METADATA_KEY, Contract
from cookseg.runtime.errors import CooksegError, DeviceError, InputError, MissingExtraError, ModelError
from cookseg.runtime.images import UInt8Array
from cookseg.runtime.seal import is_sealed, require_signed, require_unbroken
from cookseg.runtime.structure import MOST_BYTES, require_plain

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
"""Execution provider of each device name."""

DEVICES = ("auto", *PROVIDERS)
OUTPUTS = ("classes", "scores")
"""Outputs of every model: class map uint8 (N, H, W), class probabilities times 255 uint8 (N, C, H, W)."""

STARTER = Path(__file__).with_name("starter.onnx")
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
        device: Name of the device in use, one of `PROVIDERS`.
        reason: Why this device was chosen; for the user's eyes.
    """

    def __init__(
        self, model: Path | bytes, device: str = "auto", threads: int = 0, public_key: Path | None = None
    ) -> None:
        """Load a model.

        Args:
            model: Path of an ONNX file, or its bytes.
            device: A name of `PROVIDERS`, or ``auto`` for CUDA where it works and the CPU elsewhere.
            threads: Threads within an operator on the CPU; 0 leaves the choice to onnxruntime (one per core).
            public_key: File of the Ed25519 public key (PEM) that the model must be signed for; None takes any model.

        Raises:
            ModelError: The file is missing, damaged, not ONNX, has no valid contract, or not the signature asked for.
            DeviceError: The device is not available, or the session would not use it.
            MissingExtraError: onnxruntime is not installed.
        """
        name = str(model) if isinstance(model, Path) else "model"
        source = _read(model) if isinstance(model, Path) else model
        if public_key:
            require_signed(source, public_key, name)
        if is_sealed(source):
            require_unbroken(source, name)  # before anything else reads it
        require_plain(source, name)
        self.device, self.reason, self._session = _open(source, name, device, threads)
        self.contract = _contract(self._session, name)
        if not is_sealed(source):
            require_unbroken(source, name)  # cookseg's, as its contract says, and therefore of no use

    def __call__(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array]:
        """Run the network; see `Engine`."""
        try:
            classes, scores = self._session.run(OUTPUTS, {"frames": frames})
        except Exception as error:  # onnxruntime's own have no common base
            raise self._run_error(frames, error) from error
        return classes, scores

    @property
    def golden(self) -> str:
        """The model's golden vectors, as `cookseg.runtime.selftest` reads them; an empty list where it has none."""
        return str(self._session.get_modelmeta().custom_metadata_map.get(GOLDEN_KEY, "[]"))

    def _run_error(self, frames: UInt8Array, error: Exception) -> CooksegError:
        spec = self.contract.preprocessing
        size = (spec.height, spec.width, 3)
        if getattr(frames, "dtype", None) != "uint8" or frames.shape[1:] != size:
            got = f"{frames.dtype} {frames.shape}" if hasattr(frames, "shape") else type(frames).__name__
            wanted = f"(batch, {', '.join(map(str, size))})"
            return InputError(f"the network takes frames of uint8, {wanted}; these are {got}")
        return ModelError(f"onnxruntime cannot run this model on {self.device}: {' '.join(str(error).split())}")


def import_onnxruntime() -> Any:
    """Import onnxruntime, with its CUDA libraries where pip installed them.

    Raises:
        MissingExtraError: Neither onnxruntime nor onnxruntime-gpu is installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - the commands must say what is missing, not fail to start
    except ImportError as error:
        raise MissingExtraError(
            f"onnxruntime cannot be imported ({error}): `pip install 'cookseg[cpu]'`, or `pip install 'cookseg[gpu]'`"
            " on a machine with an NVIDIA GPU"
        ) from error
    return onnxruntime


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ModelError(f"{path} has {size / 1e9:.1f} GB: no model of cookseg is larger than 1 GB")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; `cook-export RUN -o {path}` makes a model") from error


def _open(source: bytes, name: str, device: str, threads: int) -> tuple[str, str, Any]:
    if device != "auto":
        return device, "as asked", _session(source, name, device, threads)
    listed = import_onnxruntime().get_available_providers()
    if PROVIDERS["cuda"] not in listed:
        return "cpu", "this onnxruntime has no CUDA", _session(source, name, "cpu", threads)
    try:
        return "cuda", "CUDA works", _session(source, name, "cuda", threads)
    except DeviceError as error:
        return "cpu", f"CUDA does not work: {error}", _session(source, name, "cpu", threads)


def _session(source: bytes, name: str, device: str, threads: int) -> Any:
    ort = import_onnxruntime()
    provider = PROVIDERS[device]
    if provider not in ort.get_available_providers():
        raise DeviceError(
            f"--device {device} is not available: onnxruntime {ort.__version__} here offers"
            f" {', '.join(n for n, p in PROVIDERS.items() if p in ort.get_available_providers())};"
            " `pip install 'cookseg[gpu]'` in an environment of its own brings CUDA"
        )
    if device in {"cuda", "tensorrt"} and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; warnings are for onnxruntime's developers
    providers = list(dict.fromkeys([provider, PROVIDERS["cpu"]]))  # operators the accelerator lacks run on the CPU
    try:
        session = ort.InferenceSession(source, options, providers=providers, enable_fallback=0)
    except Exception as error:
        raise _load_error(error, name, device) from error
    if session.get_providers()[0] != provider:
        raise DeviceError(
            f"--device {device} was asked for, but onnxruntime would use {session.get_providers()[0]}: its libraries"
            " or its driver do not load; the lines above say which"
        )
    return session


def _load_error(error: Exception, name: str, device: str) -> CooksegError:
    text = " ".join(str(error).split())
    if device != "cpu" and "Protobuf" not in type(error).__name__:
        return DeviceError(f"--device {device} cannot run {name}: {text}")
    return ModelError(f"{name}: onnxruntime cannot load this file ({text}): it is damaged, or not an ONNX model")


def _contract(session: Any, name: str) -> Contract:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(f"{name}: this ONNX model was not made by cook-export: it carries no cookseg contract")
    try:
        contract = Contract.from_json(text)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    inputs = [(i.name, i.type) for i in session.get_inputs()]
    outputs = {o.name for o in session.get_outputs()}
    if inputs != [("frames", "tensor(uint8)")] or not outputs.issuperset(OUTPUTS):
        raise ModelError(
            f"{name}: inputs {inputs} and outputs {sorted(outputs)} are not those of a cookseg model (frames, uint8;"
            f" {', '.join(OUTPUTS)})"
        )
    return contract
