"""Speed of `cook-train` beside a plain loop with the same model, frames and augmentation.

Run it as ``cook-bench training-speed``. The plain loop is what tutorials write: files are decoded in every epoch, in
the process that trains; float32, PyTorch's own layout and optimiser, and a loss whose gradient is autograd's. Both take
turns, so a slow moment of the machine falls on both: trust the ratio.
"""

import itertools
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cookseg.data.samples import fit_sample
from cookseg.data.synthetic.sets import Plan, plan_shots, write
from cookseg.runtime.model.contract import Preprocessing
from cookseg.runtime.results import Table
from cookseg.runtime.scoring.dataset import Layout, Pair, Sample, read_pair
from cookseg.runtime.terminal import console, params
from cookseg.training.augment import augment
from cookseg.training.config import TrainConfig
from cookseg.training.dataset import Data
from cookseg.training.devices import default_workers, find_device
from cookseg.training.models import PRESETS, build
from cookseg.training.preparation import Start, prepare
from cookseg.training.throughput import Throughput

_ROUNDS = 3


class _Files(Dataset[tuple[Any, Any]]):
    """Frames that are decoded each time they are used."""

    def __init__(self, data: Data, config: TrainConfig) -> None:
        self.data, self.config = data, config
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.data.train)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        sample, donor = self._read(self.data.train[index]), self._read(self.data.train[self.rng.integers(len(self))])
        pixels = (sample.frame, sample.truth), (donor.frame, donor.truth)
        frame, truth = augment(*pixels, self.config.augment, self.rng)
        return frame, truth.astype(np.int64)

    def _read(self, pair: Pair) -> Sample:
        return fit_sample(read_pair(pair, self.data.classes, self.data.layout), self.config.preprocessing)


def plain_loop(data: Data, config: TrainConfig, device: torch.device) -> Iterator[Throughput]:
    """Train for ever; give the clock after every step."""
    network = build(PRESETS[config.model], len(data.classes), config.preprocessing).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr)
    loader = DataLoader(_Files(data, config), config.batch, shuffle=True, drop_last=True)
    throughput = Throughput()
    for frames, truth in throughput.batches(itertools.chain.from_iterable(itertools.repeat(loader))):
        with throughput.step(config.batch):
            optimizer.zero_grad()
            logits, target = network(frames.to(device)), truth.to(device)
            loss = F.cross_entropy(logits, target) + _dice(logits, target)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss.item()
        yield throughput


def _dice(logits: Tensor, truth: Tensor) -> Tensor:
    probability, target = logits.softmax(1), F.one_hot(truth, logits.shape[1]).movedim(-1, 1)
    overlap = (probability * target).sum((0, 2, 3))
    return 1 - ((2 * overlap + 1) / (probability.sum((0, 2, 3)) + target.sum((0, 2, 3)) + 1)).mean()


def our_loop(data: Data, config: TrainConfig, device: torch.device) -> Iterator[Throughput]:
    """Train as `cook-train` does; give the clock after every step."""
    trainer = prepare(data, Start.of(config), device=device.type)
    throughput = trainer.throughput
    for frames, truth in throughput.batches(trainer.batches(range(trainer.steps), default_workers(device.type))):
        with throughput.step(config.batch):
            trainer.step(frames, truth, config.lr)
        yield throughput


@dataclass(frozen=True)
class TrainingSpeed:
    """Throughput of both loops.

    Attributes:
        model: Name of the preset.
        device: ``cpu`` or ``cuda``.
        batch: Frames in a step.
        size: Network input, such as 256x256.
        loops: Figures of `Throughput` by loop, the plain one first.
    """

    model: str
    device: str
    batch: int
    size: str
    loops: Mapping[str, Mapping[str, float | None]]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "model": self.model,
            "device": self.device,
            "batch": self.batch,
            "size": self.size,
            "loops": {name: dict(figures) for name, figures in self.loops.items()},
        }

    def tables(self) -> Iterator[Table]:
        """Yield a row per loop."""
        first = next(iter(self.loops.values()))["images_per_s"] or 1
        rows = [
            [name, f"{f['images_per_s']:.1f}", f"{(f['images_per_s'] or 0) / first:.2f}", f"{f['waiting']:.1%}"]
            for name, f in self.loops.items()
        ]
        yield Table(["loop", "images/s", "times the plain one", "waiting for data"], rows)


@click.command(cls=console.Command, epilog="Example: cook-bench training-speed --model edge-s")
@click.option("--model", type=click.Choice(list(PRESETS)), default="edge-s", show_default=True, help="What to train.")
@click.option("--imgsz", type=params.ImageSize(), default="256", show_default=True, help="Network input.")
@click.option("--batch", type=click.IntRange(2), default=8, show_default=True, help="Frames in a step.")
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Steps of each of three turns. On a GPU give 200: workers continue while the other loop has its turn.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@params.json_option
def main(model: str, imgsz: tuple[int, int], batch: int, steps: int, device: str, as_json: bool) -> None:
    """Train on rendered frames by a plain loop and by cookseg's, in turns; print images a second of both."""
    place = torch.device(find_device(device))
    config = TrainConfig(model=model, batch=batch, epochs=10_000, preprocessing=Preprocessing(*imgsz))
    with tempfile.TemporaryDirectory() as folder:
        list(write(plan_shots(Path(folder), Plan({"train": 4 * batch, "val": 2, "test": 0}, 4, 0, (imgsz,), 2))))
        data = Data.find(Path(folder), Layout())
        loops = {"plain loop": plain_loop(data, config, place), "cookseg": our_loop(data, config, place)}
        for loop in loops.values():
            for _ in range(3):  # warm up
                next(loop).reset()
        for _, loop in itertools.product(range(_ROUNDS), loops.values()):
            for _ in range(steps):
                next(loop)
        figures = {name: next(loop).figures() for name, loop in loops.items()}
    console.emit(as_json, TrainingSpeed(model, str(place), batch, f"{imgsz[1]}x{imgsz[0]}", figures))


if __name__ == "__main__":
    main(prog_name="python -m cookseg.benchmarks.training_speed")
