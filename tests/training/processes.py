"""A short training on noise, the same in one process or in several, and processes as torchrun starts them.

`python tests/training/processes.py noise 3 FILE MODE...` keeps what `train` gives for each mode, as the first of three
processes has it, in a file. `... processes.py cook-train 3 ARGUMENT...` runs the command in each of three processes.
They are forks of one that has imported torch: torchrun itself, which imports it once more in every process, is slow.
`torchrun --nproc-per-node 2 tests/training/processes.py patient ARGUMENT...` runs the command until SIGTERM comes.
"""

import os
import signal
import sys
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from cookseg.evaluation import Run
from cookseg.runtime.model.contract import COOKING, IGNORE, Contract, Preprocessing
from cookseg.runtime.scoring.dataset import Sample
from cookseg.training import distributed
from cookseg.training.cli import main
from cookseg.training.config import TrainConfig
from cookseg.training.distillation import Teacher
from cookseg.training.models import PRESETS, Preset
from cookseg.training.models.unet import UNet, UNetConfig
from cookseg.training.self_training import UnlabelledSet
from cookseg.training.trainer import Trainer
from cookseg.training.unlabelled import UnlabelledConfig

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
    """Train, for int8 (mode ``qat``), by a teacher too (``teacher``), or with unlabelled frames (``unlabelled``).

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
        frames = None
        if mode == "unlabelled":
            hidden = [replace(sample, truth=0 * sample.truth) for sample in noise(5)]
            config = replace(config, unlabelled=UnlabelledConfig(ratio=0.8, confidence=0.4))
            frames = UnlabelledSet(hidden, config)
        trainer = Trainer(config, contract, samples, samples[:3], "cpu", teacher, unlabelled=frames)
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


def launch(count, work):
    """Call a function in several processes, in the environment that torchrun gives them; return their exit codes.

    All are forked before there is a store: its thread looks up the names of those who connect, and a process that was
    forked meanwhile would wait for the resolver's lock for ever.
    """
    reading, writing = os.pipe()
    children = []
    for rank in range(count):
        children.append(os.fork())
        if children[-1]:
            continue
        code = 1
        try:
            shared = {"MASTER_ADDR": "localhost", "TORCHELASTIC_USE_AGENT_STORE": "True"}
            shared["MASTER_PORT"] = os.read(reading, 5).decode()
            own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
            os.environ.update(shared | {name: str(value) for name, value in own.items()})
            work()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:  # noqa: BLE001 - of a process of its own
            traceback.print_exc()
        finally:
            distributed.end(code)
    store = torch.distributed.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    os.write(writing, f"{store.port:05}".encode() * count)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def keep(file, modes):
    """Train for each mode and keep what the first process found."""
    found = {}
    with distributed.process_group("cpu") as rank:
        for mode in modes:
            folder = file.parent / f"run {mode}"
            if rank == 0:
                folder.mkdir()
            found[mode] = train(folder, mode)
        if rank == 0:
            torch.save(found, file)


def wait_for_sigterm(steps):
    """Have the first process, and so all, wait for SIGTERM after so many steps: it can come neither early nor late."""
    step, calls = Trainer.step, iter(range(steps))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def patient(*arguments):
        if next(calls, None) is None:
            signal.sigwait({signal.SIGTERM})
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            signal.raise_signal(signal.SIGTERM)  # to the handler
        return step(*arguments)

    Trainer.step = patient


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "patient":
        if os.environ["RANK"] == "0":
            wait_for_sigterm(steps=4)
        main(arguments)
    count, *arguments = arguments
    if what == "noise":
        codes = launch(int(count), lambda: keep(Path(arguments[0]), arguments[1:]))
    else:
        codes = launch(int(count), lambda: main(arguments))
    sys.exit(max(map(abs, codes)))
