"""A U-Net whose encoder was trained on photographs before: dense and narrow where it decodes."""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cookseg.runtime.model.contract import Preprocessing
from cookseg.training.models.encoders import ENCODERS
from cookseg.training.models.network import Network


@dataclass(frozen=True)
class EncoderUNetConfig:
    """Shape of a U-Net with an encoder of its own.

    Attributes:
        encoder: A name of `cookseg.training.models.encoders.ENCODERS`.
        stages: How many of the encoder's stages are used, each of half the resolution of the one before; at most 5.
        widths: Channels of the decoder, from the finest resolution to that of the encoder's last stage; it ends at
            1/2 of the frame's resolution with as many widths as stages, at 1/4 with one less.
    """

    encoder: str
    stages: int
    widths: tuple[int, ...]


class EncoderUNet(Network):
    """U-Net on an encoder of the registry.

    A decoder of depthwise convolutions would have a third of the operations and take longer: dense ones of 32 channels
    and more fill a processor's vectors.
    """

    architecture = "encoder-unet"
    Config = EncoderUNetConfig

    def __init__(self, config: EncoderUNetConfig, classes: int, spec: Preprocessing) -> None:
        """Build the network, with random weights."""
        super().__init__(config, classes, spec)
        self.encoder = ENCODERS[config.encoder].build(config.stages)
        skips, widths = self.encoder.channels[-len(config.widths) :], config.widths
        self.bridge = _linear(skips[-1], widths[-1])
        pairs = list(itertools.pairwise(widths))[::-1]  # (fine, coarse), coarsest first
        self.up = nn.ModuleList(_linear(coarse, fine) for fine, coarse in pairs)
        # an encoder's features may be ten times larger than the decoder's: int8 has one scale for both once they meet
        self.lateral = nn.ModuleList(_linear(skip, skip) for skip in skips[-2::-1])
        self.decoder = nn.ModuleList(
            _stage(skip + fine, fine) for (fine, _), skip in zip(pairs, skips[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], classes, kernel_size=1)

    def coarse_logits(self, frames: Tensor) -> Tensor:
        """Map frames (N, H, W, 3) uint8 RGB to logits (N, C, h, w) float32 at the decoder's finest resolution."""
        skips = self.encoder(self.normalised(frames))
        x = self.bridge(skips.pop())
        for up, lateral, stage in zip(self.up, self.lateral, self.decoder, strict=True):
            skip = lateral(skips.pop())
            # a 1x1 convolution commutes with interpolation and is four times cheaper before it
            x = F.interpolate(up(x), skip.shape[-2:], mode="bilinear")
            x = stage(torch.cat([skip, x], dim=1))
        logits: Tensor = self.head(x).float().contiguous()
        return logits

    def pretrained(self) -> nn.Module:
        """Return the encoder."""
        return self.encoder


def _linear(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel_size=1, bias=False), nn.BatchNorm2d(outputs))


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )
