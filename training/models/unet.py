"""The U-Net (Ronneberger, Fischer and Brox, 2015, arXiv:1505.04597)."""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cookseg.runtime.model.contract import Preprocessing
from cookseg.training.models.network import Network


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a U-Net.

    Attributes:
        widths: Channels of each stage from the finest to the coarsest; each stage halves the resolution.
        stem: Stride of the first convolution; the finest stage works at 1/stem of the input's resolution.
        transposed: Whether the decoder up-samples by 2x2 transposed convolutions, as the paper does, or bilinearly.
    """

    widths: tuple[int, ...]
    stem: int = 1
    transposed: bool = False


class UNet(Network):
    """U-Net for input of any size: the decoder up-samples to the size that the skip really has."""

    architecture = "unet"
    Config = UNetConfig

    def __init__(self, config: UNetConfig, classes: int, spec: Preprocessing) -> None:
        """Build the network."""
        super().__init__(config, classes, spec)
        widths = config.widths
        if config.stem > 1:
            kernel = 2 * config.stem - 1
            self.stem: nn.Module = _convolution(3, widths[0], kernel, stride=config.stem)
        else:
            self.stem = nn.Identity()
        inputs = (widths[0] if config.stem > 1 else 3, *widths)
        self.encoder = nn.ModuleList(_stage(i, o) for i, o in zip(inputs, widths, strict=False))
        pairs = list(itertools.pairwise(widths))[::-1]  # (fine, coarse), coarsest first
        up = _TransposedUp if config.transposed else _BilinearUp
        self.up = nn.ModuleList(up(coarse, fine) for fine, coarse in pairs)
        self.decoder = nn.ModuleList(_stage(2 * fine, fine) for fine, _ in pairs)
        self.head = nn.Conv2d(widths[0], classes, kernel_size=1)

    def coarse_logits(self, frames: Tensor) -> Tensor:
        """Map frames (N, H, W, 3) uint8 RGB to logits (N, C, ceil(H / stem), ceil(W / stem)) float32."""
        x = self.stem(self.normalised(frames))
        skips: list[Tensor] = []
        for stage in self.encoder:
            x = stage(x if not skips else F.max_pool2d(x, 2, ceil_mode=True))
            skips.append(x)
        skips.pop()  # the coarsest stage is the decoder's input, not a skip
        for up, stage in zip(self.up, self.decoder, strict=True):
            skip = skips.pop()
            x = stage(torch.cat([skip, up(x, skip.shape[-2:])], dim=1))
        logits: Tensor = self.head(x).float().contiguous()
        return logits


class _TransposedUp(nn.ConvTranspose2d):
    """The paper's "up-convolution": doubles the size and halves the channels; what odd sizes have too much is cut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=2, stride=2)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:  # type: ignore[override]  # it needs the skip's size
        return super().forward(x)[..., : size[0], : size[1]]


class _BilinearUp(nn.Module):
    """Up-sampling to a given size and halving of the channels, at a fraction of a transposed convolution's cost."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(inputs, outputs, kernel_size=1)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        # a 1x1 convolution commutes with interpolation and is four times cheaper before it
        return F.interpolate(self.reduce(x), size, mode="bilinear")


def _convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs), _convolution(outputs, outputs))
