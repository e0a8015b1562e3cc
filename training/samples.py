"""The training set: every pair decoded once, resized by the contract, augmented afresh each time it is seen.

A training example is a pure function of (seed, epoch, index). Order and augmentation therefore do not depend on the
number of workers, and a resumed run sees what the uninterrupted one would have seen.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

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


def class_shares(samples: Sequence[Sample], classes: int) -> npt.NDArray[np.float64]:
    """Return each class's share of the labelled pixels, (C,) float64."""
    counts = sum(np.bincount(s.truth.ravel(), minlength=256)[:classes].astype(np.float64) for s in samples)
    return np.asarray(counts / max(1.0, float(np.sum(counts))))
