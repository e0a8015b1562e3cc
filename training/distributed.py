"""One run in several processes, which torchrun starts: each computes its shard of every batch, all get one result.

What depends on the whole batch is summed over the processes: the statistics of the batch norms, the sums in the loss,
the gradients. So the loss curve is that of one process, but for the order in which floats are added. Each process
computes the loss of the whole batch, and its gradient through `all_reduce_sum` is that of the sum of their losses; the
mean over processes that `DistributedDataParallel` takes of the gradients therefore is the gradient of the loss itself.

In a single process nothing here does anything.
"""

import contextlib
import ctypes
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cookseg.runtime.errors import CooksegError, DeviceError, InputError

T = TypeVar("T")
PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others, which may decode a large set from a slow disk."""


@contextlib.contextmanager
def process_group(device: str) -> Iterator[int]:
    """Meet the other processes of the run, if torchrun started several; give this one's rank, 0 being the first.

    The first one speaks for all: the others' remarks go nowhere, their errors do not.

    Args:
        device: ``cpu``, or ``cuda`` for one GPU per process.

    Raises:
        DeviceError: There are more processes on this machine than GPUs.
        CooksegError: Another process has died.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield 0
        return
    if device == "cuda":
        _take_gpu(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    _keep_until_exit(dist.group.WORLD)
    with contextlib.ExitStack() as stack:
        if rank := dist.get_rank():
            silence = stack.enter_context(open(os.devnull, "w"))  # noqa: PTH123 - no file
            stack.enter_context(contextlib.redirect_stderr(silence))
        try:
            yield rank
        except RuntimeError as error:
            if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
                raise
            raise CooksegError(
                f"process {rank} of {size()} lost another one, which has died or ended; if there is no message of it,"
                " look for a lack of memory. `resume=True` continues from the last checkpoint"
            ) from error
    dist.destroy_process_group()  # not after an error: it could wait for the dead


def _keep_until_exit(group: Any) -> None:
    """Let a process group never be destroyed.

    Where the trainer is the last to hold it, as `DistributedDataParallel` does, Python destroys both when the trainer
    goes: it waits for gloo's threads and holds the interpreter's lock, for which one of these may wait (torch 2.13). So
    a run that had ended would hang, one time in many.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(group))


def end(code: int) -> None:
    """End this process, one of several, without Python's own clearing up.

    gloo's threads live on after the group is destroyed where `DistributedDataParallel` used it (torch 2.13). A process
    may abort because its Python ends before them: pytorch#179291.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number, from 0."""
    return dist.get_rank() if size() > 1 else 0


def shard(items: Sequence[T]) -> list[T]:
    """Return this process's shard of items: all of them if there is no other one."""
    return list(items[rank() :: size()])


def all_reduce_sum(x: Tensor) -> Tensor:
    """Sum a tensor over the processes, to the same bits in each; gradients flow back to all of them."""
    return x if size() == 1 else _AllReduceSum.apply(x)  # type: ignore[no-untyped-call]


def all_reduce_minmax(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least of the lows and the greatest of the highs of all processes, without gradient."""
    if size() == 1:
        return low, high
    ends = torch.stack([-low, high])
    dist.all_reduce(ends, dist.ReduceOp.MAX)
    return -ends[0], ends[1]


def any_of(flag: bool, device: torch.device) -> bool:
    """Return whether a flag is set in any process."""
    return flag if size() == 1 else bool(all_reduce_sum(torch.tensor(int(flag), device=device)))


def first_process() -> bool:
    """Return whether this is the first one of the processes, or the only one; also before and after they meet."""
    return os.environ.get("RANK", "0") == "0"


def from_first(make: Callable[[], T]) -> T:
    """Return in all processes what the first one makes."""
    if size() == 1:
        return make()
    values = [make() if rank() == 0 else None]
    dist.broadcast_object_list(values)
    return cast(T, values[0])


def require_same(value: Any, what: str) -> None:
    """Refuse to go on if processes, on several machines perhaps, have different values.

    Raises:
        InputError: They have.
    """
    if size() == 1:
        return
    values = [None] * size()
    dist.all_gather_object(values, value)
    if others := [number for number, other in enumerate(values) if other != values[0]]:
        raise InputError(f"process {others[0]} has other {what} than process 0: give all processes the same")


def parallel(network: nn.Module) -> nn.Module:
    """Return what to call in training instead of a network; it is the network itself in a single process.

    The network's batch norms are changed to use the statistics of the whole batch; its state dictionary stays the same.
    """
    if size() == 1:
        return network
    for parameter in network.parameters():
        if parameter.shape[2:] == (1, 1):  # channels-last strides say nothing then, and are not those of its gradient
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
    device = next(network.parameters()).device
    if device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(network, device_ids=[torch.cuda.current_device()])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # torch's own way to do it is for GPUs only
            module.forward = functools.partial(_batch_norm, module)  # type: ignore[method-assign]
    return DistributedDataParallel(network)


def _batch_norm(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Normalise x (N, C, H, W) as `torch.nn.BatchNorm2d` does, but by the statistics of all processes' frames."""
    if not norm.training:
        return nn.BatchNorm2d.forward(norm, x)
    values = x.to(norm.weight.dtype)  # under autocast too: the norm itself computes in float32
    count = all_reduce_sum(values.new_tensor(values[:, 0].numel()))
    mean = all_reduce_sum(values.sum((0, 2, 3))) / count
    centred = values - mean[:, None, None]
    variance = all_reduce_sum(centred.square().sum((0, 2, 3))) / count  # after the mean: E[x²] - E[x]² would cancel
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum or 0.0)
        norm.running_var.lerp_(variance * count / (count - 1), norm.momentum or 0.0)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return torch.addcmul(norm.bias[:, None, None], centred, scale[:, None, None]).to(x.dtype)


class _AllReduceSum(torch.autograd.Function):
    """A sum over processes, whose gradient is the sum of their gradients."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        y = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(y)
        return y

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return _AllReduceSum.forward(None, gradients[0])


def _take_gpu(number: int) -> None:
    if number >= torch.cuda.device_count():
        raise DeviceError(
            f"process {number} of this machine has no GPU: there are {torch.cuda.device_count()}; start as many"
            " processes, or use `device='cpu'`"
        )
    torch.cuda.set_device(number)  # `cuda` is this one from now on
