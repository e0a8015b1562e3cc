"""Checkpoints: everything that rebuilds a model or continues a run; complete, or not written at all.

A checkpoint holds tensors and plain values only, so that loading one cannot run code (``weights_only``).
"""

import hashlib
import io
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from cookseg.evaluation.run import Run, flattened
from cookseg.runtime.errors import InputError, ModelError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.model.contract import Contract
from cookseg.training import fields
from cookseg.training.config import TrainConfig
from cookseg.training.models import PRESETS, Preset, architecture, build
from cookseg.training.models.network import Network

VERSION = 1
_PARTS = {"contract": str, "network": dict, "weights": dict, "run": dict}
_OF_A_RUN = ("config", "progress", "trained", "updates", "optimizers", "scaler")


def save(path: Path, contract: Contract, network: nn.Module, **run: Any) -> None:
    """Write a checkpoint by rename; ``run`` is what a resumed run needs, tensors and plain values.

    Raises:
        InputError: The file cannot be written (disk full, say); the previous checkpoint is intact.
    """
    value = {
        "cookseg": VERSION,
        "contract": contract.to_json(),
        "architecture": cast(Network, network).architecture,
        "network": asdict(cast(Network, network).config),
        "weights": network.state_dict(),
        "run": run,
    }
    data = io.BytesIO()
    torch.save(value, data)
    write_atomically(path, data.getbuffer())


def save_half(run: Path, output: Path) -> None:
    """Write the best weights of a run in float16, to ship them for fine-tuning: half the size, nothing to resume from.

    `load_network` gives them back in float32.

    Raises:
        ModelError: As `load`.
        InputError: As `save`.
    """
    network, contract = load_network(find(run))
    save(output, contract, network.half())


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint as a dictionary with the keys that `save` writes; tensors come to the CPU.

    Raises:
        ModelError: The file is missing, damaged, of another program or of an unknown version.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint; `cook-train DATA -o {path.parent}` makes one")
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, LookupError) as error:
        raise ModelError(
            f"{path}: damaged, or not a checkpoint ({str(error).partition(chr(10))[0] or type(error).__name__})"
        ) from error
    version = value.get("cookseg") if isinstance(value, dict) else None
    if version != VERSION:
        raise ModelError(
            f"{path}: not a checkpoint that this cookseg reads (version {version!r}, expected {VERSION}): train again,"
            " or use the cookseg that wrote it"
        )
    if wrong := [name for name, kind in _PARTS.items() if not isinstance(value.get(name), kind)]:
        raise ModelError(f"{path}: damaged: it lacks {', '.join(wrong)}, or holds another kind of value there")
    return value


def load_run(path: Path) -> dict[str, Any]:
    """Read a checkpoint from which a run can be resumed.

    Raises:
        ModelError: As `load`, or it holds the weights alone.
    """
    value = load(path)
    if missing := [name for name in _OF_A_RUN if name not in value["run"]]:
        raise ModelError(
            f"{path}: a run cannot be resumed from it: it lacks {', '.join(missing)}, as a checkpoint of weights alone"
            " does; to train these on, give the file as `init` to a new run"
        )
    return value


def load_network(path: Path) -> tuple[Network, Contract]:
    """Rebuild the network of a checkpoint, in evaluation mode on the CPU, and its contract.

    Raises:
        ModelError: As `load`, or the weights do not fit the network.
    """
    value = load(path)
    contract = Contract.from_json(value["contract"])
    try:
        network = build(_shape(value), len(contract.classes), contract.preprocessing)
        network.load_state_dict(value["weights"])
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise ModelError(f"{path}: the weights do not fit the network: {error}") from error
    return network.eval(), contract


def stored_config(path: Path) -> TrainConfig:
    """Return the configuration of the run that wrote a checkpoint.

    Raises:
        ModelError: As `load_run`, or it has a configuration that this cookseg does not know.
    """
    config = load_run(path)["run"]["config"]
    try:
        return fields.changed(TrainConfig(), flattened(config))
    except (InputError, AttributeError) as error:
        raise ModelError(f"{path}: its configuration is not one of this cookseg: {error}") from error


def preset_of(path: Path) -> str:
    """Return the name of the preset that a checkpoint's network has.

    Raises:
        ModelError: As `load`.
        InputError: It has none of them.
    """
    shape = _shape(load(path))
    for name, known in PRESETS.items():
        if shape.architecture == known.architecture and _config(shape) == _config(known):
            return name
    raise InputError(f"{path}: its network is none of {', '.join(PRESETS)} but {_config(shape)}: choose another `init`")


def digest(path: Path) -> str:
    """Return the SHA-256 of a checkpoint's file.

    Raises:
        ModelError: It is not there.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; `cook-train DATA -o {path.parent}` makes a checkpoint") from error


def find(run: Path) -> Path:
    """Return the checkpoint that a run's folder or a checkpoint's own path stands for: the best one."""
    return Run(run).best if run.is_dir() else run


def _shape(value: dict[str, Any]) -> Preset:
    """Return the shape of a checkpoint's network; the first checkpoints named no architecture, there was one."""
    return Preset(value.get("architecture", "unet"), value["network"])


def _config(preset: Preset) -> Any:
    return architecture(preset.architecture).Config(**preset.options)
