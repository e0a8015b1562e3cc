"""The loss: class-weighted cross-entropy plus soft Dice, both blind to pixels without ground truth."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cookseg.runtime.contract import IGNORE


def class_weights(shares: npt.NDArray[np.float64]) -> Tensor:
    """Return weights that grow with a class's rarity, as the square root of 1 / share, with mean 1 over all pixels.

    Rare classes get a voice; with weights nearer to 1 / share they shout: everything that might be a ladle becomes one.
    Dice does the rest. A class that never occurs weighs 0.

    Args:
        shares: (C,) share of each class, sum 1.

    Returns:
        (C,) float32.
    """
    weights = np.where(shares > 0, np.maximum(shares, 1e-12) ** -0.5, 0)
    return torch.from_numpy(weights / np.sum(weights * shares)).float()


class SegmentationLoss(nn.Module):
    """Cross-entropy for calibrated pixels plus Dice (Milletari et al., arXiv:1606.04797) for small classes."""

    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        """Weigh the classes of the cross-entropy by (C,) float32."""
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the scalar loss of logits (N, C, H, W) float32 against truth (N, H, W) int64."""
        cross_entropy = F.cross_entropy(logits, truth, self.weights, ignore_index=IGNORE)
        return cross_entropy + dice_loss(logits, truth)


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return 1 - Dice over the whole batch, averaged over the classes that occur in it.

    Args:
        logits: (N, C, H, W) float32.
        truth: (N, H, W) int64.
    """
    known = (truth != IGNORE).unsqueeze(1)
    target = F.one_hot(truth.where(known[:, 0], 0), logits.shape[1]).movedim(-1, 1) * known  # (N, C, H, W)
    probability = logits.softmax(1) * known
    overlap = (probability * target).sum((0, 2, 3))
    total = probability.sum((0, 2, 3)) + target.sum((0, 2, 3))
    present = target.sum((0, 2, 3)) > 0
    dice = (2 * overlap + 1) / (total + 1)  # the 1 keeps the gradient finite for a handful of pixels
    return 1 - dice[present].mean() if present.any() else logits.sum() * 0
