"""The dataset of a run: its pairs, its identity, and its frames at the network's size."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cookseg.runtime.errors import DatasetError
from cookseg.runtime.model.contract import ClassTable, Preprocessing
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.scoring.dataset import Layout, Pair, Sample, list_pairs, load_classes, read_pair
from cookseg.training.config import TrainConfig
from cookseg.training.samples import class_shares, fit_sample, memory_mapped

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """A dataset's part in a run: where it lies, its classes and its pairs."""

    root: Path
    layout: Layout
    classes: ClassTable
    train: list[Pair]
    val: list[Pair]

    @classmethod
    def find(cls, root: Path, layout: Layout) -> "Data":
        """List the pairs of both splits.

        Raises:
            DatasetError: Files are missing or do not fit together.
        """
        train, val = (list_pairs(root, split, layout) for split in ("train", "val"))
        return cls(root, layout, load_classes(root), train, val)

    def read(self, pairs: list[Pair], spec: Preprocessing) -> Iterator[Sample]:
        """Decode pairs, one after the other, with frames as small as a network needs them."""
        return (read_pair(pair, self.classes, self.layout, spec) for pair in pairs)

    def digest(self) -> str:
        """Return the SHA-256 of all names and bytes, the identity of the data in a model's provenance."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for split, pairs in (("train", self.train), ("val", self.val)):
            for pair in pairs:
                digest.update(f"{split}/{pair.name}".encode())
                digest.update(pair.image.read_bytes())
                digest.update(pair.mask.read_bytes())
        return digest.hexdigest()


def read_samples(data: Data, config: TrainConfig, *, progress: Progress = silent) -> tuple[list[Sample], list[Sample]]:
    """Decode all pairs and bring them to the network's size, training and validation; remark on what looks wrong.

    Raises:
        DatasetError: Files cannot be read, or hold nothing to learn.
        InputError: The disk is full.
    """
    spec, pairs = config.preprocessing, data.train + data.val
    decoded = progress(data.read(pairs, spec), "decoding", len(pairs))
    samples = memory_mapped((fit_sample(sample, spec) for sample in decoded), len(pairs))
    _require_learnable(data, samples)
    if config.batch > len(data.train):
        _log.warning(
            "`batch=%d` is larger than the training set: every step sees frames more than once; `batch=%d` has the same"
            " effect for less",
            config.batch,
            max(2, len(data.train)),
        )
    return samples[: len(data.train)], samples[len(data.train) :]


def _require_learnable(data: Data, samples: list[Sample]) -> None:
    if off := sum(sample.off_colors for sample in samples):
        _log.info("%s mask pixels had colours that are not exactly a class's; taken as the nearest class", f"{off:,}")
    shares = class_shares(samples[: len(data.train)], len(data.classes))
    if missing := [name for name, share in zip(data.classes.names, shares, strict=True) if share == 0]:
        _log.warning(
            "no training pixel is %s: the model will never find it, and its validation IoU will be 0; label some, or"
            " split the set again with `cook-data split`",
            ", ".join(missing),
        )
    if (shares > 0).sum() < 2:
        raise DatasetError(f"{data.root}: the training masks hold fewer than two classes: there is nothing to learn")
