"""Quantisation-aware training: the network sees during training what int8 will make of it.

Weights and inputs of every convolution are rounded to 8 bits in the forward pass, and gradients pass as if they were
not (Jacob et al., arXiv:1712.05877). Nothing of it stays: the weights are those of a plain network, which `cook-export`
quantises as any other. Batch norm needs no folding first: weights have a scale per output channel, and the norm only
multiplies it.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from cookseg.training import distributed


def simulate_int8(network: nn.Module) -> None:
    """Make every convolution of a network compute with rounded weights and inputs from now on."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module._conv_forward = functools.partial(_rounded, module._conv_forward)  # type: ignore[method-assign]


def round_weights(weight: Tensor) -> Tensor:
    """Round weights (O, ...) to 8 bits, symmetric about 0, with a scale for each of the O channels."""
    scale = weight.detach().abs().amax(dim=tuple(range(1, weight.ndim))).clamp(min=1e-8) / 127
    zero = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale.float(), zero, 0, -127, 127)


def round_activations(x: Tensor) -> Tensor:
    """Round a tensor to 8 bits over its own range, which holds 0; there is no state that a resumed run would lack."""
    low, high = distributed.all_reduce_minmax(*torch.aminmax(x.detach()))
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = ((high - low) / 255).clamp(min=1e-8)
    zero = (-low / scale).round().to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(x, scale.float(), zero, 0, 255)


def _rounded(
    forward: Callable[[Tensor, Tensor, Tensor | None], Tensor], x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    return forward(round_activations(x.to(weight.dtype)), round_weights(weight), bias)
