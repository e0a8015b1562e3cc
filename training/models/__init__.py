"""The models that can be trained, by name; no torch until one is built, so that `--help` needs none.

A new architecture is a module here, with a `Network`, and a line in `ARCHITECTURES`; a new size of one is a line in
`PRESETS`. Checkpoints name the architecture, and nothing else knows which there are.
"""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cookseg.runtime.errors import ModelError
from cookseg.runtime.model.contract import Preprocessing

if TYPE_CHECKING:
    from cookseg.training.models.network import Network

ARCHITECTURES = {
    "unet": "cookseg.training.models.unet:UNet",
    "encoder-unet": "cookseg.training.models.encoder_unet:EncoderUNet",
}
"""Where the `Network` of each architecture is."""


@dataclass(frozen=True)
class Preset:
    """A size of an architecture: a name of `ARCHITECTURES`, and the fields of its configuration."""

    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)


PRESETS = {
    # the paper's, padded and with batch norm: 31 M parameters
    "classic": Preset("unet", {"widths": (64, 128, 256, 512, 1024), "transposed": True}),
    # full-resolution stages cost most: there are none
    "edge": Preset("unet", {"widths": (16, 32, 64, 128, 256), "stem": 2}),
    # nor any at half of it, which pays for width: dense convolutions of 32 channels and more fill a processor's vectors
    "edge-s": Preset("unet", {"widths": (32, 64, 128, 256), "stem": 4}),
    "edge-m": Preset("unet", {"widths": (48, 96, 192, 384), "stem": 4}),
    "edge-l": Preset("unet", {"widths": (64, 128, 256, 512), "stem": 4}),
    # encoders that have seen photographs; without its last stage, which has most of the weights, one is small
    "lite-s": Preset("encoder-unet", {"encoder": "efficientnet-lite0", "stages": 4, "widths": (16, 32, 48, 64)}),
    "lite-m": Preset("encoder-unet", {"encoder": "efficientnet-lite0", "stages": 5, "widths": (32, 48, 64, 96, 96)}),
    "lite-l": Preset("encoder-unet", {"encoder": "efficientnet-lite2", "stages": 5, "widths": (48, 64, 96, 128, 128)}),
}


def architecture(name: str) -> type["Network"]:
    """Return the class of an architecture's networks.

    Raises:
        ModelError: There is no such architecture.
    """
    if name not in ARCHITECTURES:
        raise ModelError(f"there is no architecture {name!r}, only {', '.join(ARCHITECTURES)}: update cookseg")
    found: type[Network] = pkgutil.resolve_name(ARCHITECTURES[name])
    return found


def build(preset: Preset, classes: int, spec: Preprocessing) -> "Network":
    """Build a network with random weights, which torch's generator gives.

    Args:
        preset: A value of `PRESETS`, or another size.
        classes: How many classes it tells apart.
        spec: Mean and standard deviation for its normalisation.

    Raises:
        ModelError: There is no such architecture, or it has no such field.
    """
    found = architecture(preset.architecture)
    try:
        return found(found.Config(**preset.options), classes, spec)
    except TypeError as error:
        raise ModelError(f"an architecture {preset.architecture} of {dict(preset.options)}: {error}") from error
