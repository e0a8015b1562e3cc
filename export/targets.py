"""Processors that int8 and float16 are for, and which of them this machine is."""

import logging
import platform
from dataclasses import dataclass
from pathlib import Path

from onnxruntime.quantization import QuantType

from cookseg.export.config import Settings, Target
from cookseg.runtime.errors import DeviceError
from cookseg.runtime.model.session import PROVIDERS, import_onnxruntime

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arithmetic:
    """Arithmetic that a kind of processor wants.

    Attributes:
        activations: Type of the activations; U8S8 is up to three times as fast as S8S8 where there is VNNI.
        reduce_range: Whether weights take 7 bits: AVX2 adds pairs of products in 16 bits, which 8 would overflow.
        symmetric: Whether 0 is the middle of every range of activations, as TensorRT demands.
        half: Whether float16 is worth trying; on a CPU it gains nothing.
    """

    activations: QuantType
    reduce_range: bool = False
    symmetric: bool = False
    half: bool = False


TARGETS: dict[Target, Arithmetic] = {
    "x86": Arithmetic(QuantType.QUInt8),
    "avx2": Arithmetic(QuantType.QUInt8, reduce_range=True),
    "arm": Arithmetic(QuantType.QInt8),
    "cuda": Arithmetic(QuantType.QInt8, symmetric=True, half=True),
}


@dataclass(frozen=True)
class Place:
    """A target, and the device of this machine that models for it are proven on, ``cpu`` or ``cuda``."""

    target: Target
    device: str

    @property
    def arithmetic(self) -> Arithmetic:
        """Its arithmetic."""
        return TARGETS[self.target]


def native_target() -> Target:
    """Return the name of this machine's processor in `TARGETS`."""
    if platform.machine().lower() in {"arm64", "aarch64"}:
        return "arm"
    try:
        return "x86" if "_vnni" in Path("/proc/cpuinfo").read_text("utf-8") else "avx2"
    except OSError:
        return "x86"  # not Linux; the check on the validation set tells if it is wrong


def find(settings: Settings) -> Place:
    """Return the target that settings ask for.

    Raises:
        DeviceError: The precision is to be chosen by latency, for a processor that this machine does not have.
    """
    target = native_target() if settings.target == "auto" else settings.target
    cuda = PROVIDERS["cuda"] in import_onnxruntime().get_available_providers()
    native = cuda if target == "cuda" else target == native_target()
    if settings.precision == "auto" and not native:
        raise DeviceError(
            f"`precision='auto'` chooses by latency, and this machine is not of `target={target!r}`: run it there, or"
            " name a precision"
        )
    if not native:
        _log.info("this machine is not of `target=%r`: the model is proven on its CPU", target)
    return Place(target, "cuda" if target == "cuda" and cuda else "cpu")
