"""The training set: every pair decoded once, resized by the contract, augmented afresh each time it is seen.

A training example is a pure function of (seed, epoch, index). Order and augmentation therefore do not depend on the
number of workers, and a resumed run sees what the uninterrupted one would have seen.
"""

import contextlib
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader, Dataset

from cookseg.runtime.errors import CooksegError
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.scoring.dataset import Sample
from cookseg.training import distributed
from cookseg.training.augment import AugmentConfig, augment

Key = tuple[int, int]
"""Epoch and index of a training example."""


class TrainingSet(Dataset[tuple[UInt8Array, npt.NDArray[np.int64]]]):
    """Augmented examples by `Key`: frame (H, W, 3) uint8 and truth (H, W) int64, as torch's losses want it."""

    def __init__(
        self, samples: Sequence[Sample], config: AugmentConfig, seed: int, crop: tuple[int, int] | None = None
    ) -> None:
        """Keep samples that `fit_sample` brought to one size, to give random windows of (height, width) ``crop``."""
        self.samples, self.config, self.seed, self.crop = samples, config, seed, crop

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> tuple[UInt8Array, npt.NDArray[np.int64]]:
        rng = np.random.default_rng([self.seed, *key])
        sample, donor = self.samples[key[1]], self.samples[int(rng.integers(len(self.samples)))]
        frame, truth = augment((sample.frame, sample.truth), (donor.frame, donor.truth), self.config, rng, self.crop)
        return frame, truth.astype(np.int64)


class Batches(Iterable[list[Key]]):
    """This process's keys of every batch from a step on to the end of the run; each epoch is a permutation of the set.

    Batches run on over the end of an epoch, so that all have the same size whatever the size of the set.
    """

    def __init__(self, examples: int, batch: int, seed: int, steps: range) -> None:
        """Plan the given steps over a set of so many examples."""
        self.examples, self.batch, self.seed, self.steps = examples, batch, seed, steps

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, order = -1, np.empty(0, np.int64)
        for step in self.steps:
            keys = []
            for position in range(step * self.batch, (step + 1) * self.batch):
                if epoch != position // self.examples:
                    epoch = position // self.examples
                    order = np.random.default_rng([self.seed, epoch]).permutation(self.examples)
                keys.append((epoch, int(order[position % self.examples])))
            yield distributed.shard(keys)


def loader(samples: Dataset[Any], batches: Batches, workers: int, pinned: bool) -> Iterable[Any]:
    """Return a loader of batches of a set: frames (N, H, W, 3) uint8 and truth (N, H, W) int64 of a `TrainingSet`.

    Args:
        samples: The set.
        batches: Its keys of each batch.
        workers: Processes that augment; 0 does it in this one.
        pinned: Whether to put batches into memory from which a GPU reads fast.
    """
    fork = workers and sys.platform == "linux"  # then no worker gets a copy of the frames
    return DataLoader(
        samples,
        batch_sampler=batches,
        num_workers=workers,
        multiprocessing_context="fork" if fork else None,
        pin_memory=pinned,
        worker_init_fn=_start_worker,
    )


@contextlib.contextmanager
def workers_needed() -> Iterator[None]:
    """Say in our words that a process that augments was killed; torch may say so at any moment.

    Raises:
        CooksegError: One was, as systems do where memory runs out.
    """
    try:
        yield
    except (RuntimeError, EOFError, ConnectionResetError, ConnectionRefusedError) as error:
        if isinstance(error, RuntimeError) and not str(error).startswith("DataLoader worker"):
            raise
        with contextlib.suppress(ValueError, AttributeError):  # another thread, or Windows
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would say it again, wherever we are then
        raise CooksegError(
            f"a process that augments frames was killed ({error}): allow more memory, in /dev/shm too, or fewer"
            " `workers`"
        ) from error


def _start_worker(_: int) -> None:
    """Prepare a process that augments: a fork of one where OpenCV has threads, and in the same process group."""
    cv2.setNumThreads(0)  # the fork has the state of those threads, but not the threads
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal and torchrun send them to the whole group
        signal.signal(number, signal.SIG_IGN)  # they are for the trainer, which ends its workers itself


def class_shares(samples: Sequence[Sample], classes: int) -> npt.NDArray[np.float64]:
    """Return the fraction of the labelled pixels that each class has, (C,) float64."""
    # for a few classes five times faster than np.bincount
    counts = [sum(np.count_nonzero(sample.truth == value) for sample in samples) for value in range(classes)]
    return np.array(counts, np.float64) / max(1.0, float(sum(counts)))
