"""The loss: class-weighted cross-entropy plus soft Dice, both blind to pixels without ground truth."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cookseg.runtime.contract import IGNORE
from cookseg.training import distributed


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
        log_probability = logits.log_softmax(1)
        return self._cross_entropy(log_probability, truth) + dice_loss(log_probability.exp(), truth)

    def _cross_entropy(self, log_probability: Tensor, truth: Tensor) -> Tensor:
        if distributed.size() == 1:
            return F.nll_loss(log_probability, truth, self.weights, ignore_index=IGNORE)
        # the mean over the frames of all processes: a process's own mean is over pixels of another weight
        entropy = F.nll_loss(log_probability, truth, self.weights, ignore_index=IGNORE, reduction="sum")
        weight = self.weights[truth[truth != IGNORE]].sum()
        return distributed.total(entropy) / distributed.total(weight)


def dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """Return 1 - Dice over the whole batch of all processes, averaged over the classes that occur in it.

    Args:
        probability: (N, C, H, W) float32.
        truth: (N, H, W) int64.
    """
    classes = probability.shape[1]
    known = truth != IGNORE
    index = truth.where(known, 0)
    # gathered and counted, not multiplied by one-hot planes: that took an eighth of an edge model's step
    right = probability.gather(1, index.unsqueeze(1)).squeeze(1) * known  # (N, H, W)
    overlap = right.new_zeros(classes).index_add(0, index.flatten(), right.flatten())
    count = torch.bincount(truth[known], minlength=classes)
    mass = (probability * known.unsqueeze(1)).sum((0, 2, 3))
    overlap, mass, count = (distributed.total(x) for x in (overlap, mass, count))
    dice = (2 * overlap + 1) / (mass + count + 1)  # the 1 keeps the gradient finite for a handful of pixels
    return 1 - dice[count > 0].mean() if count.any() else probability.sum() * 0
