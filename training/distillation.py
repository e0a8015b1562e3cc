"""Distillation: a network learns a teacher's predictions (soft targets) beside the masks (arXiv:1503.02531).

A mask says what a pixel is. A teacher also says what it could be, and says it of every augmented window anew, so a
small network goes on learning where masks alone lead it no further: see benchmarks/cooking.md.
"""

from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import Contract
from cookseg.training import checkpoint, distributed
from cookseg.training.models.network import Network


class Teacher(nn.Module):
    """A trained network, which stays as it is, and predicts for the frames of another one."""

    def __init__(self, network: Network, contract: Contract, scale: tuple[float, float]) -> None:
        """Teach by a network and its contract; ``scale`` is its height and width over those of the learner's input."""
        super().__init__()
        self.network, self.contract, self.scale = network.eval().requires_grad_(False), contract, scale
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs

    @classmethod
    def load(cls, path: Path, contract: Contract) -> Self:
        """Read the teacher of a network that has the given contract.

        Raises:
            ModelError: As `checkpoint.load_network`.
            InputError: It has other classes, or sees frames in another shape.
        """
        network, theirs = checkpoint.load_network(path)
        if theirs.classes.names != contract.classes.names:
            raise InputError(
                f"{path}: it cannot teach: its classes are {', '.join(theirs.classes.names)}, those of the dataset"
                f" {', '.join(contract.classes.names)}; choose another `teacher`, or none"
            )
        its, ours = theirs.preprocessing, contract.preprocessing
        padded = "letterbox" in (its.resize, ours.resize)
        if its.resize != ours.resize or (padded and its.width * ours.height != ours.width * its.height):
            raise InputError(
                f"{path}: it cannot teach: it sees frames of {its.width}x{its.height} with"
                f" `preprocessing.resize={its.resize!r}`, this run of {ours.width}x{ours.height} with"
                f" `preprocessing.resize={ours.resize!r}`; the rule must be the same, and with letterbox the shape too"
            )
        return cls(network, theirs, (its.height / ours.height, its.width / ours.width))

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        """Map the learner's frames (N, H, W, 3) uint8 to logits (N, C, h, w) float32, at the teacher's resolution."""
        size = [round(extent * scale) for extent, scale in zip(frames.shape[1:3], self.scale, strict=True)]
        if size != list(frames.shape[1:3]):
            pixels = frames.permute(0, 3, 1, 2).float()
            frames = F.interpolate(pixels, size, mode="bilinear", antialias=True).permute(0, 2, 3, 1)
        return self.network.coarse_logits(frames)


def divergence(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of a network's probabilities against its teacher's, the mean over all pixels.

    Args:
        logits: (N, C, H, W) float32.
        target: The teacher's logits (N, C, h, w) float32. The coarser of both resolutions is that of the comparison.
    """
    size = (min(logits.shape[2], target.shape[2]), min(logits.shape[3], target.shape[3]))
    logits, target = (F.adaptive_avg_pool2d(x, size) for x in (logits, target))
    loss = F.cross_entropy(logits, target.softmax(1), reduction="sum")
    return distributed.all_reduce_sum(loss) / distributed.all_reduce_sum(loss.new_tensor(logits[:, 0].numel()))
