"""EfficientNet-Lite: EfficientNet (Tan and Le, 2019, arXiv:1905.11946) made for int8.

It has ReLU6 in place of swish and no squeeze-and-excitation
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite). The first and the last group of
blocks have the same depth in all sizes.
"""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

GROUPS = (
    # channels, blocks, kernel, stride, expansion
    (16, 1, 3, 1, 1),
    (24, 2, 3, 2, 6),
    (40, 2, 5, 2, 6),
    (80, 3, 3, 2, 6),
    (112, 3, 5, 1, 6),
    (192, 4, 5, 2, 6),
    (320, 1, 3, 1, 6),
)
STEM = 32
MEAN, STD = 127.0, 128.0
"""Of the frames that the published weights were trained on: RGB 0..255, the same for all channels."""


class EfficientNetLite(nn.Module):
    """The convolutional part of EfficientNet-Lite.

    Strided convolutions are padded on both sides, where TensorFlow pads the far ones alone: on the same weights the
    features differ by a shift of a pixel, and at the frame's border.

    Attributes:
        channels: Those of each stage's features, the finest first.
    """

    def __init__(self, *, stages: int = 5, width: float = 1.0, depth: float = 1.0) -> None:
        """Build the first stages, 1 to 5; ``width`` and ``depth`` scale channels and blocks of the smallest size."""
        super().__init__()
        self.stem = _convolution(3, STEM, 3, stride=2)
        self.stages = nn.ModuleList()
        self.channels: list[int] = []
        inputs, blocks = STEM, list[nn.Module]()
        for number, (outputs, count, kernel, stride, expansion) in enumerate(GROUPS):
            if stride == 2:
                self._close(blocks, inputs)
                blocks = []
            if len(self.stages) == stages:
                break
            outputs = _scaled(outputs, width)  # noqa: PLW2901
            scaled = count if number in (0, len(GROUPS) - 1) else math.ceil(count * depth)
            for block in range(scaled):
                blocks.append(_Block(inputs, outputs, kernel, stride if block == 0 else 1, expansion))
                inputs = outputs
        else:
            self._close(blocks, inputs)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map frames (N, 3, H, W) float32 to the features of each stage, (N, channels[i], H / 2^(i + 1), ...)."""
        x = self.stem(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def load_published(self, weights: Mapping[str, Tensor], mean: Tensor, std: Tensor) -> None:
        """Take over weights trained on ImageNet, for frames that are normalised otherwise.

        Args:
            weights: A state dict with the names of the published files, or with timm's (``tf_efficientnet_lite0``).
                What belongs to later stages, or to the classifier, is left.
            mean: (3,) of the frames that this network will see, RGB 0..255.
            std: (3,) likewise.

        Raises:
            RuntimeError: Tensors are missing, or have other shapes.
        """
        counts = [len(stage) for stage in self.stages]  # type: ignore[arg-type]  # a Sequential
        own = self.state_dict()
        self.load_state_dict({k: v for k, v in _renamed(weights, counts).items() if k in own})
        # (x - MEAN) / STD is (x - mean) / std times a factor, plus what the norm behind the convolution can take away
        kernels, means = self.get_parameter("stem.0.weight"), self.get_buffer("stem.1.running_mean")
        with torch.no_grad():
            mean, std = (x.to(kernels).view(1, 3, 1, 1) for x in (mean, std))
            means -= ((mean - MEAN) / STD * kernels).sum((1, 2, 3))
            kernels.mul_(std / STD)

    def _close(self, blocks: list[nn.Module], outputs: int) -> None:
        """Make a stage of the blocks so far."""
        self.stages.append(nn.Sequential(*blocks))
        self.channels.append(outputs)


class _Depthwise(nn.Conv2d):
    """A filter for each channel, computed in float32 on a CPU.

    In bfloat16 torch 2.13 is faster forwards, but takes three to seven times as long for the gradients of those of
    stride 2, or of 5x5.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


class _Block(nn.Module):
    """An inverted residual block (Sandler et al., 2018, arXiv:1801.04381): expand, filter each channel, project."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _convolution(inputs, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _convolution(wide, wide, kernel, stride, groups=wide)
        self.project = _convolution(wide, outputs, 1, activation=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, *, activation: bool = True
) -> nn.Sequential:
    kind = _Depthwise if groups > 1 else nn.Conv2d
    layers: list[nn.Module] = [
        kind(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
    ]
    return nn.Sequential(*layers, *([nn.ReLU6(inplace=True)] if activation else []))


def _scaled(channels: int, width: float) -> int:
    """Scale a number of channels, rounded to a multiple of 8, and never down by more than a tenth."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


_PUBLISHED = {"_expand_conv": "expand.0", "_bn0": "expand.1", "_depthwise_conv": "depthwise.0"} | {
    "_bn1": "depthwise.1",
    "_project_conv": "project.0",
    "_bn2": "project.1",
}
_TIMM = {"conv_pw": "expand.0", "bn1": "expand.1", "conv_dw": "depthwise.0"} | {
    "bn2": "depthwise.1",
    "conv_pwl": "project.0",
    "bn3": "project.1",
}
_TIMM_FIRST = {"conv_dw": "depthwise.0", "bn1": "depthwise.1", "conv_pw": "project.0", "bn2": "project.1"}
"""Its first block does not expand, and numbers its norms otherwise."""


def _renamed(weights: Mapping[str, Tensor], counts: list[int]) -> dict[str, Tensor]:
    """Return weights by the names that they have here; ``counts`` are the blocks of each stage."""
    places = [f"stages.{stage}.{block}" for stage, count in enumerate(counts) for block in range(count)]
    timm = "conv_stem.weight" in weights
    stem = {"conv_stem": "stem.0", "bn1": "stem.1"} if timm else {"_conv_stem": "stem.0", "_bn0": "stem.1"}
    blocks = list(dict.fromkeys(m[0] for k in weights if (m := re.match(r"blocks\.\d+\.\d+|_blocks\.\d+", k))))
    number = {
        name: index for index, name in enumerate(sorted(blocks, key=lambda b: [int(n) for n in re.findall(r"\d+", b)]))
    }
    found = {}
    for key, value in weights.items():
        if match := re.match(r"(blocks\.\d+\.\d+|_blocks\.\d+)\.(\w+)\.(\w+)$", key):
            index = number[match[1]]
            parts = (_TIMM_FIRST if index == 0 else _TIMM) if timm else _PUBLISHED
            if index < len(places) and match[2] in parts:
                found[f"{places[index]}.{parts[match[2]]}.{match[3]}"] = value
        elif (match := re.match(r"(\w+)\.(\w+)$", key)) and match[1] in stem:
            found[f"{stem[match[1]]}.{match[2]}"] = value
    return found
