"""Self-training: a network learns from unlabelled frames what an average of its own weights predicts for them.

The average (the mean teacher of Tarvainen and Valpola, arXiv:1703.01780) predicts for a frame that was moved and not
changed otherwise. The classes of which it is sure are the truth for the same view in other light, with a part of
another frame laid over it (FixMatch, arXiv:2001.07685; CutMix, arXiv:1905.04899; for segmentation UniMatch,
arXiv:2208.09910). Every pixel stays where it is or is known to be another frame's, so predictions are never warped.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from cookseg.runtime.model.contract import IGNORE
from cookseg.runtime.scoring.dataset import Sample
from cookseg.training import distributed
from cookseg.training.augment import AugmentConfig, disturb, move
from cookseg.training.config import TrainConfig
from cookseg.training.models.network import enlarged
from cookseg.training.samples import Batches, Key, loader

Predictor = Callable[[Tensor], Tensor]
"""Maps frames (N, H, W, 3) uint8 to logits (N, C, h, w) float32."""
OWN, DONOR = 0, 1


class Views(NamedTuple):
    """Views of the unlabelled frames of a step, on the CPU as numpy arrays or as tensors of a batch.

    Attributes:
        weak: (N, H, W, 3) uint8: the frames, moved and not changed otherwise; for the teacher.
        donor: (N, H, W, 3) uint8: other frames, of which parts are laid over these.
        strong: (N, H, W, 3) uint8: the same with these parts, in other light; for the network in training.
        origin: (N, H, W) uint8: whether a pixel of ``strong`` is of ``weak`` (0) or of ``donor`` (1); 255 in padding.
    """

    weak: Tensor
    donor: Tensor
    strong: Tensor
    origin: Tensor


class UnlabelledSet(Dataset[Views]):
    """Views of unlabelled frames by `Key`, each a pure function of (seed, epoch, index) as training examples are."""

    def __init__(self, samples: Sequence[Sample], config: TrainConfig, *, alone: bool = False) -> None:
        """Keep samples that were fitted to one size; their truth is 0, or `IGNORE` in the padding.

        Args:
            samples: The frames.
            config: How they are changed.
            alone: Whether the run has no labels of such frames, so that `adaptation` decides which weights are kept.
        """
        self.samples, self.config, self.alone = samples, config, alone
        self.strong = stronger(config.augment)

    @property
    def watched(self) -> Sequence[Sample]:
        """The frames over which the areas of the classes are watched: 64 at most, from all over the set."""
        return self.samples[:: -(-len(self.samples) // 64)]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> Views:
        rng = np.random.default_rng([self.config.seed, *key, 1])  # the labelled examples have no 1
        window = self.config.crop or self.samples[0].truth.shape
        numbers = key[1], int(rng.integers(len(self.samples)))
        (weak, origin), (donor, padding) = (
            move((self.samples[n].frame, self.samples[n].truth), window, self.config.augment, rng) for n in numbers
        )
        strong = weak.copy()
        if rng.random() < self.config.unlabelled.cutmix:
            part = box(window, rng)
            strong[part], origin[part] = donor[part], np.where(padding[part] == IGNORE, IGNORE, DONOR)
        strong = disturb(strong, self.strong, rng)
        return Views(*(torch.from_numpy(np.ascontiguousarray(x)) for x in (weak, donor, strong, origin)))

    def batches(self, steps: range, workers: int, pinned: bool) -> Iterable[Views]:
        """Return a loader of this process's shard of every step's views."""
        count = self.config.unlabelled.per_step(self.config.batch)
        plan = Batches(len(self), count, self.config.seed, steps)
        return loader(self, plan, workers, pinned)


def stronger(config: AugmentConfig) -> AugmentConfig:
    """Return ranges of larger changes of light and camera; what is switched off stays so."""
    chances = {name: min(1.0, 2 * getattr(config, name)) for name in ("blur", "noise", "jpeg")}
    return replace(config, light=min(1.0, 1.5 * config.light), **chances)


def box(size: tuple[int, ...], rng: np.random.Generator) -> tuple[slice, slice]:
    """Return rows and columns of a random box that covers a tenth to a half of a frame of height and width ``size``."""
    side, shape = np.sqrt(rng.uniform(0.1, 0.5)), np.exp(rng.uniform(-0.7, 0.7))
    extents = [
        min(whole, max(1, round(whole * part))) for whole, part in zip(size, (side * shape, side / shape), strict=True)
    ]
    starts = [int(rng.integers(whole - extent + 1)) for whole, extent in zip(size, extents, strict=True)]
    rows, columns = (slice(start, start + extent) for start, extent in zip(starts, extents, strict=True))
    return rows, columns


@contextlib.contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """Let the batch norms of a network use the statistics of a batch, as in training, without keeping them.

    Strong views are not what a camera gives. With labelled frames of the camera at hand, norms that took both kinds
    together forgot the food.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


@torch.no_grad()
def pseudo_labels(predict: Predictor, views: Views, config: TrainConfig) -> Tensor:
    """Return the classes (N, H, W) int64 of which a teacher is sure for the strong views, `IGNORE` elsewhere.

    It predicts for each frame as a whole, and its predictions are put together as the views were.
    """
    flips = flips_of(config.augment)
    probability = flipped_mean(predict, views.weak, flips)
    is_donor = (views.origin == DONOR).unsqueeze(1)  # (N, 1, H, W)
    rows = is_donor.flatten(1).any(1)
    if rows.any():
        others = flipped_mean(predict, views.donor[rows], flips)
        probability[rows] = others.where(is_donor[rows], probability[rows])
    sureness, classes = probability.max(1)
    return classes.where((sureness >= config.unlabelled.confidence) & (views.origin != IGNORE), IGNORE)


def flips_of(config: AugmentConfig) -> list[tuple[int, ...]]:
    """Return the axes of frames (N, H, W, 3) by which a teacher flips them: the flips of the augmentation."""
    rows = [(), (1,)] if config.vertical_flip else [()]
    columns = [(), (2,)] if config.flip else [()]
    return [(*a, *b) for a in rows for b in columns]


def flipped_mean(predict: Predictor, frames: Tensor, flips: Sequence[tuple[int, ...]]) -> Tensor:
    """Return the mean probabilities (N, C, H, W) float32 over flipped copies of frames (N, H, W, 3) uint8."""
    total: Tensor | None = None
    for axes in flips:
        logits = enlarged(predict(frames.flip(axes)).float(), frames.shape[1:3])
        probability = logits.softmax(1).flip([axis + 1 for axis in axes])
        total = probability if total is None else total + probability
    assert total is not None
    return total / len(flips)


def confident_share(labels: Tensor, origin: Tensor) -> float:
    """Return the share of the pixels of all processes that have a label, padding apart."""
    counts = torch.stack([(labels != IGNORE).sum(), (origin != IGNORE).sum()]).double()
    labelled, pixels = distributed.all_reduce_sum(counts).tolist()
    return float(labelled / max(1.0, pixels))
