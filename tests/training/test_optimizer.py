"""Muon against torch's own, which takes matrices only, and what is ours: kernels, and the type it computes in."""

import io

import pytest
import torch

from cookseg.training.optimizer import Muon, orthogonalized

RATE, DECAY = 0.01, 0.1
SHAPES = ((8, 3, 7, 7), (8, 16, 3, 3), (4, 24, 1, 1), (64, 2, 2, 2))  # wide and tall as matrices


def rows(kernel):
    return kernel.detach().permute(0, 2, 3, 1).flatten(1)


@pytest.fixture
def kernels():
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape).to(memory_format=torch.channels_last)) for shape in SHAPES]


def give_gradients(kernels, seed):
    generator = torch.Generator().manual_seed(seed)
    for kernel in kernels:
        kernel.grad = torch.randn(kernel.shape, generator=generator).to(memory_format=torch.channels_last)


def test_steps_are_those_of_torch(kernels):
    matrices = [torch.nn.Parameter(rows(kernel).clone()) for kernel in kernels]
    theirs = torch.optim.Muon(matrices, RATE, DECAY, adjust_lr_fn="match_rms_adamw")
    ours = Muon(kernels, RATE, DECAY, torch.bfloat16)
    for number in range(3):
        give_gradients(kernels, number)
        for matrix, kernel in zip(matrices, kernels, strict=True):
            matrix.grad = rows(kernel.grad).clone()
        theirs.step()
        ours.step()
    for matrix, kernel in zip(matrices, kernels, strict=True):
        torch.testing.assert_close(rows(kernel), matrix.detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 50), (50, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_directions_get_the_same_length(shape, dtype):
    left = torch.linalg.qr(torch.randn(shape[0], 8, generator=torch.Generator().manual_seed(0)))[0]
    right = torch.linalg.qr(torch.randn(shape[1], 8, generator=torch.Generator().manual_seed(1)))[0]
    matrix = left @ torch.logspace(0, -2, 8).diag() @ right.T
    found = left.T @ orthogonalized(matrix.to(dtype)).float() @ right
    assert found.diagonal().min() > 0.5
    assert found.diagonal().max() < 1.5
    assert (found - found.diagonal().diag()).abs().max() < (0.1 if dtype == torch.bfloat16 else 1e-4)


def test_it_computes_in_the_type_of_the_kernels_unless_told(kernels):
    half, full = (Muon(kernels, RATE, 0.0, dtype) for dtype in (torch.bfloat16, None))
    moved = []
    for optimizer in (half, full):
        before = [kernel.detach().clone() for kernel in kernels]
        give_gradients(kernels, 0)
        optimizer.step()
        moved.append([kernel.detach() - old for kernel, old in zip(kernels, before, strict=True)])
    for in_half, in_full, kernel in zip(*moved, kernels, strict=True):
        exact = orthogonalized(rows(kernel.grad).double()) * -RATE * 0.2 * max(rows(kernel).shape) ** 0.5
        # a first step's momentum is a multiple of the gradient
        assert (rows(in_full) - exact).abs().max() < 1e-5
        assert 1e-5 < (rows(in_half) - exact).abs().max() < 1e-3


def test_a_gradient_of_zero_leaves_the_decay(kernels):
    for kernel in kernels:
        kernel.grad = torch.zeros_like(kernel)
    before = [kernel.detach().clone() for kernel in kernels]
    Muon(kernels, RATE, DECAY).step()
    for old, new in zip(before, kernels, strict=True):
        torch.testing.assert_close(new.detach(), old * (1 - RATE * DECAY))


def test_a_restored_state_goes_on_to_the_same_bits(kernels):
    first = Muon(kernels, RATE, DECAY)
    give_gradients(kernels, 0)
    first.step()
    file = io.BytesIO()
    torch.save((first.state_dict(), [kernel.detach() for kernel in kernels]), file)
    give_gradients(kernels, 1)
    first.step()
    file.seek(0)
    state, weights = torch.load(file, weights_only=True)
    copies = [torch.nn.Parameter(weight) for weight in weights]
    second = Muon(copies, RATE, DECAY)
    second.load_state_dict(state)
    give_gradients(copies, 1)
    second.step()
    assert all(torch.equal(a, b) for a, b in zip(kernels, copies, strict=True))
