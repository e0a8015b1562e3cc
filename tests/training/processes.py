"""A short training on noise, the same in one process or in several.

`torchrun --nproc-per-node 2 tests/processes.py FILE` keeps what `train` gives, as the first process has it, in a file.
"""

import sys
from dataclasses import asdict, replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from cookseg.evaluation import Run
from cookseg.runtime.model.contract import COOKING, IGNORE, Contract, Preprocessing
from cookseg.runtime.scoring.dataset import Sample
from cookseg.training import distributed
from cookseg.training.config import TrainConfig
from cookseg.training.distillation import Teacher
from cookseg.training.models import PRESETS, Preset
from cookseg.training.models.unet import UNet, UNetConfig
from cookseg.training.trainer import Trainer

CONFIG = TrainConfig(epochs=4, batch=5, seed=1, precision="float32", preprocessing=Preprocessing(32, 32))
TINY = UNetConfig(widths=(8, 16), stem=2)


def noise(frames):
    """Frames of which each holds the three classes in shares of its own; the last one has hardly any truth."""
    rng = np.random.default_rng(0)
    for number in range(frames):
        truth = np.uint8(rng.choice(3, (32, 32), p=rng.dirichlet((1, 1, 1))))
        truth[:, : 31 if number == frames - 1 else 4] = IGNORE
        yield Sample(rng.integers(0, 256, (32, 32, 3), np.uint8), truth, 0)


def train(folder, mode=""):
    """Train, for int8 (mode ``qat``) or by a teacher too (``teacher``).

    Gives the losses, the first step's gradients and running statistics, and the validations.

    The network is float64: in float32 the order of a sum decides whether an activation goes to the int8 step above or
    the one below, and gradients differ by up to an eighth for it (seen with five of eight seeds).
    """
    samples = list(noise(7))
    config = replace(CONFIG, qat=mode == "qat")
    with mock.patch.dict(PRESETS, edge=Preset("unet", asdict(TINY))):
        torch.set_default_dtype(torch.float64)
        contract = Contract(COOKING, config.preprocessing)
        torch.manual_seed(2)
        teacher = Teacher(UNet(TINY, 3, contract.preprocessing), contract, (1, 1)) if mode == "teacher" else None
        trainer = Trainer(config, contract, samples, samples[:3], "cpu", teacher)
        torch.set_default_dtype(torch.float32)
    losses, gradients, statistics = [], [], []

    def keep_gradients(*_):
        if not gradients:
            gradients.extend(p.grad.clone() for p in trainer.network.parameters())

    def report(_):
        if not statistics:
            statistics.extend(b.clone() for b in trainer.network.buffers())
        losses.extend(trainer.progress.losses[-1:])
        return True

    trainer.optimizers[0].register_step_pre_hook(keep_gradients)
    trainer.fit(Run(folder), 0, report)
    pace = {"images_per_s", "waiting"}
    history = [{name: row[name] for name in row.keys() - pace} for row in trainer.progress.history]
    return {"losses": losses, "gradients": gradients, "statistics": statistics, "history": history}


if __name__ == "__main__":
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    with distributed.process_group("cpu") as rank:
        result = train(target.parent, *sys.argv[2:])
        if rank == 0:
            torch.save(result, target)
    distributed.end(0)
