"""The loss: class-weighted cross-entropy plus soft Dice, both blind to pixels without ground truth."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cookseg.runtime.model.contract import IGNORE
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
    """Cross-entropy for calibrated pixels plus Dice (Milletari et al., arXiv:1606.04797) for small classes.

    Both are over all pixels of the batch, of all processes: the weighted mean of -log p of the true class, and 1 - Dice
    averaged over the classes that occur.
    """

    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        """Weigh the classes of the cross-entropy by (C,) float32."""
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the scalar loss of logits (N, C, H, W) float32 against truth (N, H, W) int64."""
        loss: Tensor = _CrossEntropyAndDice.apply(logits, truth, self.weights)  # type: ignore[no-untyped-call]
        return loss


class _CrossEntropyAndDice(torch.autograd.Function):
    """Both terms with their gradient in closed form.

    Logits have the frame's size, where an edge model's features have a quarter of it: left to autograd, the loss took
    longer than the network. With p the softmax of a pixel's logits and y its class, the gradient by logit c is

        p_c (b_c - a_y p_y - sum_k b_k p_k + w_y / W) + [c = y] (a_y p_y - w_y / W)

    where W is the sum of the weights w, and a_k = -2 / (K D_k), b_k = (2 O_k + 1) / (K D_k^2) come from 1 - Dice of the
    K classes that occur: O_k sums p_k over the pixels of class k, D_k over all pixels, plus the class's number plus 1.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        classes = logits.shape[1]
        known = (truth != IGNORE).unsqueeze(1)  # (N, 1, H, W), as all that is of a pixel
        index = truth.unsqueeze(1).where(known, 0)
        weight = weights[index] * known
        log_probability = logits.log_softmax(1)
        entropy = -(log_probability.gather(1, index) * weight).sum()
        probability = log_probability.exp_().mul_(known)
        right = probability.gather(1, index)
        overlap = right.new_zeros(classes).index_add(0, index.flatten(), right.flatten())
        count = torch.bincount(truth.flatten(), minlength=IGNORE + 1)[:classes]
        sums = (entropy, weight.sum(), overlap, probability.sum((0, 2, 3)), count)
        entropy, total_weight, overlap, mass, count = (distributed.all_reduce_sum(x) for x in sums)
        size = mass + count + 1  # the 1 keeps the gradient finite for a handful of pixels
        dice = (2 * overlap + 1) / size
        occurs = (count > 0).to(size.dtype)
        share = occurs / occurs.sum().clamp(min=1)  # of each class in the mean
        total_weight = total_weight.clamp(min=torch.finfo(weight.dtype).tiny)  # a batch may be without ground truth
        ctx.save_for_backward(probability, index, right, weight / total_weight, -2 * share / size, share * dice / size)
        return entropy / total_weight + (share * (1 - dice)).sum()

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:
        probability, index, right, weight, a, b = ctx.saved_tensors
        pull = a[index] * right
        mixed = (b @ probability.flatten(2)).view_as(pull)
        gradient = (weight - pull - mixed + b[:, None, None]).mul_(probability)
        gradient.scatter_add_(1, index, pull - weight)
        # every process has the whole loss, and the mean over processes is taken of their gradients
        return gradient.mul_(outer * distributed.size()), None, None
