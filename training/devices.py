"""Devices to train on, and what suits each: processes that augment, and the precision to compute in."""

import os
from typing import Literal

import torch

from cookseg.runtime.cores import cores
from cookseg.runtime.errors import DeviceError, InputError

Device = Literal["auto", "cpu", "cuda"]


def find_device(name: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        DeviceError: It is not available.
        InputError: It has another name.
    """
    if name not in {"auto", "cpu", "cuda"}:
        raise InputError(f"`device={name!r}`: it must be one of auto, cpu, cuda")
    available = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if available else "cpu"
    if name == "cuda" and not available:
        raise DeviceError(
            f"`device='cuda'` is not available: torch {torch.__version__} sees no NVIDIA GPU; use `device='cpu'`, or"
            " install a CUDA build of torch and a driver"
        )
    return name


def default_workers(device: str) -> int:
    """Return how many processes augment: on a CPU none, they would take the cores from the one that trains."""
    processors = cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(8, max(1, processors)) if device == "cuda" else 0


def autocast_dtype(device: torch.device) -> torch.dtype:
    """Return the half precision that a device computes fast, or float32 where it has none."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return torch.bfloat16
    return torch.float32
