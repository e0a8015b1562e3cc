"""A process that augments and is killed is a line that says so."""

import subprocess
import sys

import pytest

from cookseg.training.samples import workers_needed

# In a process of its own: torch says that a worker was killed at any moment after it, to whoever runs then.
KILLED = """
import os, signal, torch
from torch.utils.data import DataLoader, Dataset
from cookseg.runtime.errors import CooksegError
from cookseg.training.samples import workers_needed

class Deadly(Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, index):
        if index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(1)

try:
    with workers_needed():
        list(DataLoader(Deadly(), num_workers=1, multiprocessing_context="fork"))
except CooksegError as error:
    print(error, flush=True)
    os._exit(0)
"""


def test_a_killed_worker_is_our_error():
    result = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("a process that augments frames was killed")
    assert "`workers`" in result.stdout


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="of torch"), workers_needed():
        raise RuntimeError("of torch")
