"""What every network has: normalisation inside, logits at the frame's size, and the head that an exported file has.

A network takes frames as a camera gives them and normalises them itself, so that training, evaluation and the exported
graph cannot disagree about it.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cookseg.runtime.model.contract import Preprocessing


class Network(nn.Module):
    """Base of all architectures.

    Attributes:
        architecture: Its name in `cookseg.training.models.ARCHITECTURES`.
        Config: Dataclass of what it can be told, plain values all.
        config: What this one was told.
    """

    architecture: ClassVar[str]
    Config: ClassVar[type[Any]]
    mean: Tensor
    std: Tensor

    def __init__(self, config: Any, classes: int, spec: Preprocessing) -> None:
        """Keep the configuration; ``spec`` gives mean and standard deviation for the normalisation."""
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.tensor(spec.mean) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(spec.std) * 255, persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (N, H, W, 3) uint8 RGB to logits (N, C, H, W) float32."""
        return enlarged(self.coarse_logits(frames), frames.shape[1:3])

    def coarse_logits(self, frames: Tensor) -> Tensor:
        """Map frames (N, H, W, 3) uint8 RGB to logits (N, C, h, w) float32 at the network's own resolution."""
        raise NotImplementedError

    def pretrained(self) -> nn.Module | None:
        """Return the part that began with weights trained elsewhere, if the architecture has one."""
        return None

    def normalised(self, frames: Tensor) -> Tensor:
        """Map frames (N, H, W, 3) uint8 RGB to (N, 3, H, W) float32, channels last."""
        width = frames.shape[2]
        rows = frames.flatten(2).float()  # (N, H, 3 W): onnxruntime is slow where it must repeat three numbers
        rows = (rows - self.mean.repeat(width)) / self.std.repeat(width)
        x = rows.view(frames.shape).permute(0, 3, 1, 2)  # (N, 3, H, W)
        return x.contiguous(memory_format=torch.channels_last)


def enlarged(logits: Tensor, size: torch.Size) -> Tensor:
    """Scale logits (N, C, h, w) to a size (H, W)."""
    return logits if logits.shape[-2:] == size else F.interpolate(logits, size, mode="bilinear")


class InferenceHead(nn.Module):
    """A network with everything that an exported file can give, `cookseg.training.config.HEAD_OUTPUTS`."""

    def __init__(self, network: Network) -> None:
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
