"""Optimisers: Muon for the kernels of convolutions, AdamW for norms and biases; and the average of the weights.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon) moves a matrix by its momentum with all singular
values made equal, so that directions that the gradient hardly shows are learned as well. A few hundred frames make few
steps, and one by Muon does the work of several by AdamW: see benchmarks/camvid.md. Own code because torch's takes
matrices only, and computes in bfloat16, which not every processor is made for.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from cookseg.training.config import TrainConfig
from cookseg.training.models.network import Network

_MOMENTUM = 0.95
_ROUNDS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of a s + b s³ + c s⁵: applied five times it brings every s in 0 to 1, but for tiny ones, near to 1."""


def optimizers(network: Network, config: TrainConfig, dtype: torch.dtype) -> list[torch.optim.Optimizer]:
    """Return what trains a network whose forward pass computes in ``dtype``; norms and biases have no weight decay.

    A kernel that filters each channel by itself is not a matrix: it is AdamW's, as norms and biases are. A group of
    parameters has a ``rate``, which the learning rate is multiplied by.
    """
    encoder = network.pretrained()
    pretrained = {id(parameter) for parameter in encoder.parameters()} if encoder else set[int]()
    kernels, others = list[dict[str, Any]](), list[dict[str, Any]]()
    for rate, of_encoder in ((1.0, False), (config.encoder.lr, True)):
        for groups, dense in ((kernels, True), (others, False)):
            chosen = [
                parameter
                for parameter in network.parameters()
                if (id(parameter) in pretrained) == of_encoder
                and (parameter.ndim == 4 and parameter.shape[1] > 1) == dense
            ]
            if chosen:
                groups.append({"params": chosen, "rate": rate})
    half = dtype if dtype == torch.bfloat16 else None  # float16 has not the range
    return [
        Muon(kernels, config.lr, config.weight_decay, half),
        torch.optim.AdamW(others, config.lr, weight_decay=0.0, fused=True),
    ]


class Muon(torch.optim.Optimizer):
    """Muon for kernels (O, I, h, w), each taken as the matrix (O, h w I), with decoupled weight decay.

    A step has the length that AdamW's have, so that one learning rate suits both (Liu et al., 2025, arXiv:2502.16982).
    """

    def __init__(
        self,
        kernels: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        weight_decay: float,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Optimise kernels; ``dtype`` is that of the orthogonalisation, None that of the kernels."""
        super().__init__(kernels, {"lr": lr, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # a closure is of no use here
        """Do one step by the gradients of the kernels."""
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is None:  # frozen
                    continue
                state = self.state[kernel]
                if not state:
                    state["momentum"] = torch.zeros_like(kernel)
                momentum = state["momentum"]
                momentum.lerp_(kernel.grad, 1 - _MOMENTUM)
                rows = kernel.grad.lerp(momentum, _MOMENTUM).permute(0, 2, 3, 1)  # Nesterov's; (O, h, w, I)
                matrix = rows.flatten(1)
                update = orthogonalized(matrix.to(self.dtype or kernel.dtype)).view_as(rows).permute(0, 3, 1, 2)
                length = 0.2 * max(matrix.shape) ** 0.5
                kernel.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * length)


def orthogonalized(matrix: Tensor) -> Tensor:
    """Bring the singular values of a matrix near to 1, within 0.5 to 1.5, by the Newton-Schulz iteration.

    Singular values below a few thousandths of the matrix's norm stay smaller.
    """
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp(min=1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


def moving_average(decay: float) -> Callable[[Any, Any, Tensor | int], None]:
    """Return an exponential moving average that forgets its start: the decay grows with the number of updates."""

    def update(averaged: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        if not averaged[0].is_floating_point():  # counters of the norms
            for old, new in zip(averaged, current, strict=True):
                old.copy_(new)
            return
        keep = min(decay, (1 + int(updates)) / (10 + int(updates)))
        torch._foreach_lerp_(averaged, current, 1 - keep)

    return update
