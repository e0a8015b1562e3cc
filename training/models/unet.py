"""The U-Net and its presets (Ronneberger, Fischer and Brox, 2015, arXiv:1505.04597), with preprocessing inside.

A model takes frames as a camera gives them and normalises them itself, so that training, evaluation and the exported
graph cannot disagree about it.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cookseg.runtime.model.contract import Preprocessing
from cookseg.training.config import UNetConfig


class UNet(nn.Module):
    """U-Net for input of any size: the decoder up-samples to the size that the skip really has."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: UNetConfig, classes: int, spec: Preprocessing) -> None:
        """Build the network; ``spec`` gives mean and standard deviation for the normalisation."""
        super().__init__()
        self.config = config
        widths = config.widths
        self.register_buffer("mean", torch.tensor(spec.mean) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(spec.std) * 255, persistent=False)
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

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (N, H, W, 3) uint8 RGB to logits (N, C, H, W) float32."""
        return enlarged(self.coarse_logits(frames), frames.shape[1:3])

    def coarse_logits(self, frames: Tensor) -> Tensor:
        """Map frames (N, H, W, 3) uint8 RGB to logits (N, C, ceil(H / stem), ceil(W / stem)) float32."""
        size = frames.shape[1:3]
        rows = frames.flatten(2).float()  # (N, H, 3 W): onnxruntime is slow where it must repeat three numbers
        rows = (rows - self.mean.repeat(size[1])) / self.std.repeat(size[1])
        x = rows.view(frames.shape).permute(0, 3, 1, 2)  # (N, 3, H, W)
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
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


def enlarged(logits: Tensor, size: torch.Size) -> Tensor:
    """Scale logits (N, C, h, w) to a size (H, W)."""
    return logits if logits.shape[-2:] == size else F.interpolate(logits, size, mode="bilinear")


class Answer(nn.Module):
    """A network with everything that an exported file can give, `cookseg.training.config.ANSWERS`."""

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map frames (N, H, W, 3) uint8 to classes, scores, confidence and logits.

        Returns:
            Classes uint8 (N, H, W), probabilities times 255 uint8 (N, C, H, W), the largest of them uint8 (N, H, W),
            and logits float32 (N, C, H, W), to which a number was added that is the same for all classes of a pixel.
        """
        # softmax in parts, because onnxruntime's own is slow where rows are but C long; and what keeps exp from
        # overflow is subtracted where an edge model's logits are small: interpolated, no logit is above 0 either
        logits = self.network.coarse_logits(frames)
        logits = enlarged(logits - logits.amax(1, keepdim=True), frames.shape[1:3])
        odds = logits.exp()
        scores = (odds / (odds.sum(1, keepdim=True) / 255) + 0.5).to(torch.uint8)  # rounded, by what truncates
        return logits.argmax(1).to(torch.uint8), scores, scores.amax(1), logits


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
