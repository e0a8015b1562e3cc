"""A process that augments and is killed is a line that says so."""

import os
import signal

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from cookseg.runtime.errors import CooksegError
from cookseg.training.samples import workers_needed


class Deadly(Dataset):
    """Its fourth example kills the process that asks for it."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(1)


def test_a_killed_worker_is_our_error():
    with pytest.raises(CooksegError, match=r"was killed .* fewer `workers`"), workers_needed():
        list(DataLoader(Deadly(), num_workers=1, multiprocessing_context="fork"))


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="of torch"), workers_needed():
        raise RuntimeError("of torch")
