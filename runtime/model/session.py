"""onnxruntime sessions: what they are good at, and the device that was asked for, or an error.

onnxruntime falls back to the CPU without a word when an accelerator fails, lists accelerators as available that are not
there, and lets some compute in fewer bits than the model has. Here an explicit device is used or refused, ``auto`` says
what it chose and why, and fewer bits have to be asked for.
"""

import json
import os
from dataclasses import dataclass
from typing import Any, Literal

from cookseg.runtime.cores import threads_of_quota
from cookseg.runtime.errors import CooksegError, DeviceError, InputError, MissingExtraError, ModelError
from cookseg.runtime.keywords import checked_keywords

# From 1.29 on, onnxruntime keeps a device id and events below HOME and sends them to its maker; it reads this variable
# when it is imported. Every module of cookseg that imports it imports this package first. A value set before counts.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

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
"""Names of devices; any other execution provider has its own name, such as QNNExecutionProvider."""

MOST_THREADS = 1024

Mode = Literal["latency", "throughput", "background"]


@checked_keywords
@dataclass(frozen=True)
class Settings:
    """How a session uses the machine.

    Attributes:
        threads: Threads within an operator on the CPU; 0 is one per core: onnxruntime's choice, or that of a
            container's quota.
        spinning: Whether these threads wait for work in a loop. onnxruntime's own default: its part is done a tenth
            sooner, but OpenCV's parts wait for the cores meanwhile, and between frames the processor burns.
        arena: Whether memory is kept for the next frame.
        reduced_precision: Whether CUDA may multiply in TF32, TensorRT in float16 and OpenVINO in bfloat16.
    """

    threads: int = 0
    spinning: bool = False
    arena: bool = True
    reduced_precision: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.threads, int) or isinstance(self.threads, bool) or not 0 <= self.threads <= MOST_THREADS:
            raise InputError(f"`threads={self.threads!r}`: give a whole number, 0 for one thread per core")
        for name in ("spinning", "arena", "reduced_precision"):
            if not isinstance(value := getattr(self, name), bool):
                raise InputError(f"`{name}={value!r}`: give True or False")

    @classmethod
    def of(cls, mode: "Mode | Settings") -> "Settings":
        """Return the settings of a mode, or settings as they are.

        Raises:
            InputError: There is no such mode.
        """
        if isinstance(mode, Settings):
            return mode
        if not isinstance(mode, str) or mode not in MODES:
            raise InputError(f"`mode={mode!r}`: give one of {', '.join(MODES)}, or Settings(...)")
        return MODES[mode]


MODES: dict[Mode, Settings] = {
    "latency": Settings(),
    "throughput": Settings(threads=1),  # the parallel work is whole frames
    "background": Settings(threads=1, arena=False),
}


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


def open_session(source: bytes, name: str, device: str, settings: Settings) -> tuple[str, str, Any]:
    """Open a session.

    Args:
        source: The bytes of an ONNX file.
        name: What messages call it.
        device: A name of `DEVICES`, or of another execution provider.
        settings: How it uses the machine.

    Returns:
        The device, why it was chosen, and the session.

    Raises:
        ModelError: onnxruntime cannot load the model.
        DeviceError: The device is not available, or the session would not use it.
        InputError: The device is not a name.
        MissingExtraError: onnxruntime is not installed.
    """
    if not isinstance(device, str):
        raise InputError(f"`device={device!r}`: give one of {', '.join(DEVICES)}")
    if device != "auto":
        return device, "as asked", _session(source, name, device, settings)
    listed = import_onnxruntime().get_available_providers()
    if PROVIDERS["cuda"] not in listed:
        return "cpu", "this onnxruntime has no CUDA", _session(source, name, "cpu", settings)
    try:
        return "cuda", "CUDA works", _session(source, name, "cuda", settings)
    except DeviceError as error:
        return "cpu", f"CUDA does not work: {error}", _session(source, name, "cpu", settings)


def _session(source: bytes, name: str, device: str, settings: Settings) -> Any:
    ort = import_onnxruntime()
    provider = PROVIDERS.get(device, device)
    if provider not in ort.get_available_providers():
        raise DeviceError(
            f"`device={device!r}` is not available: onnxruntime {ort.__version__} here offers"
            f" {', '.join(n for n, p in PROVIDERS.items() if p in ort.get_available_providers())};"
            " `pip install 'cookseg[gpu]'` in an environment of its own brings CUDA, 'cookseg[openvino]' OpenVINO"
        )
    if device in {"cuda", "tensorrt"} and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads or threads_of_quota()
    options.enable_cpu_mem_arena = settings.arena
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(settings.spinning)))
    options.log_severity_level = 3  # errors; warnings are for onnxruntime's developers
    # operators that the accelerator lacks run on the CPU
    providers = {provider: _provider_options(device, settings), PROVIDERS["cpu"]: {}}
    try:
        session = ort.InferenceSession(source, options, providers=list(providers.items()), enable_fallback=0)
    except Exception as error:
        raise _load_error(error, name, device) from error
    if session.get_providers()[0] != provider:
        raise DeviceError(
            f"`device={device!r}` was asked for, but onnxruntime would use {session.get_providers()[0]}: its libraries"
            " or its driver do not load; the lines above say which"
        )
    return session


def _provider_options(device: str, settings: Settings) -> dict[str, str]:
    """Return what keeps an accelerator to the model's own precision, or lets it use less."""
    reduced = settings.reduced_precision
    if device == "cuda":
        return {"use_tf32": str(int(reduced))}
    if device == "tensorrt":
        return {"trt_fp16_enable": str(reduced)}
    if device == "openvino":
        hints: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "bf16" if reduced else "f32"}
        if settings.threads:
            hints["INFERENCE_NUM_THREADS"] = settings.threads
        return {"device_type": "CPU", "load_config": json.dumps({"CPU": hints})}
    return {}


def _load_error(error: Exception, name: str, device: str) -> CooksegError:
    text = " ".join(str(error).split())
    if device != "cpu" and "Protobuf" not in type(error).__name__:
        return DeviceError(f"`device={device!r}` cannot run {name}: {text}")
    return ModelError(f"{name}: onnxruntime cannot load this file ({text}): it is damaged, or not an ONNX model")
