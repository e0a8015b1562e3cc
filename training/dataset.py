"""The dataset of a run: its pairs, its identity, and its frames at the network's size."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cookseg.data.decoding import DecodedSet, decode
from cookseg.data.doctor.report import require_sound
from cookseg.data.doctor.survey import Survey, survey
from cookseg.runtime.errors import DatasetError
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.imaging.preprocess import fit, read_frame
from cookseg.runtime.model.contract import ClassTable, Preprocessing
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.scoring.dataset import Layout, Pair, Sample, list_pairs, list_split, load_classes, read_pair
from cookseg.training import distributed
from cookseg.training.config import TrainConfig
from cookseg.training.samples import class_shares

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """A dataset's part in a run: where it lies, its classes and its pairs, and their pixels if they are decoded."""

    root: Path
    layout: Layout
    classes: ClassTable
    train: list[Pair]
    val: list[Pair]
    decoded: DecodedSet | None = None

    @classmethod
    def find(cls, root: Path, layout: Layout, decoded: DecodedSet | None = None) -> "Data":
        """List the pairs of both splits.

        Raises:
            DatasetError: Files are missing or do not fit together.
        """
        train, val = (list_pairs(root, split, layout) for split in ("train", "val"))
        return cls(root, layout, load_classes(root), train, val, decoded)

    def read(self, pairs: list[Pair], spec: Preprocessing) -> Iterator[Sample]:
        """Decode pairs, one after the other, with frames as small as a network needs them."""
        return (read_pair(pair, self.classes, self.layout, spec) for pair in pairs)

    def decode(self, spec: Preprocessing, *, progress: Progress = silent) -> "Data":
        """Return it with its frames and masks at a network's size, decoded unless they are for the same already.

        Raises:
            DatasetError: Files cannot be read.
            InputError: The disk is full.
        """
        pairs = self.train + self.val
        if self.decoded and (self.decoded.pairs, self.decoded.spec) == (pairs, spec):
            return self
        first = distributed.rank() == 0
        found = decode(self.root, self.layout, self.classes, pairs, spec, keep=first, progress=progress)
        return replace(self, decoded=found)

    def digest(self) -> str:
        """Return the SHA-256 of the class table and of all names with the SHA-256s of their image and mask.

        It is the identity of the data in a model's provenance. The data must be decoded.
        """
        assert self.decoded
        digest = hashlib.sha256(repr(self.classes).encode())
        names = [f"{split}/{pair.name}" for split in ("train", "val") for pair in getattr(self, split)]
        for name, digests in zip(names, self.decoded.sha256, strict=True):
            digest.update("\n".join((name, *digests, "")).encode())
        return digest.hexdigest()


def find_data(
    data: Path | Survey, layout: Layout, spec: Preprocessing, *, check: bool, progress: Progress = silent
) -> Data:
    """List the pairs of a dataset; the first of several processes checks it, and decodes it on the way.

    Args:
        data: Folder of the dataset, or a survey of it.
        layout: How it is laid out.
        spec: The network's input.
        check: Whether to refuse data in which the doctor finds what would break a run.
        progress: Told how far it is.

    Raises:
        CheckFailedError: The doctor found what would break a run.
        DatasetError: Files are missing, cannot be read or do not fit together.
        InputError: The disk is full.
    """
    root = data.root if isinstance(data, Survey) else data
    if isinstance(data, Survey) or (check and distributed.rank() == 0):
        found = data if isinstance(data, Survey) else survey(root, layout, quick=True, spec=spec, progress=progress)
        if check:
            require_sound(found)
        return Data.find(root, layout, DecodedSet.of_survey(found))
    return Data.find(root, layout)


def read_samples(data: Data, config: TrainConfig) -> tuple[list[Sample], list[Sample]]:
    """Return the decoded samples of training and validation; remark on what looks wrong.

    Raises:
        DatasetError: They hold nothing to learn.
    """
    assert data.decoded
    samples = data.decoded.samples
    _require_learnable(data, samples)
    if config.batch > len(data.train):
        _log.warning(
            "`batch=%d` is larger than the training set: every step sees frames more than once; `batch=%d` has the same"
            " effect for less",
            config.batch,
            max(2, len(data.train)),
        )
    return samples[: len(data.train)], samples[len(data.train) :]


def labelled_test_frames(data: Data, spec: Preprocessing) -> list[UInt8Array]:
    """Return the test frames that have masks, at a network's size; most datasets have none.

    Raises:
        ImageError: One cannot be decoded.
    """
    folders = [data.root / "test" / name for name in (data.layout.images, data.layout.masks)]
    if not all(folder.is_dir() for folder in folders):
        return []
    pairs = list_split(data.root, "test", data.layout).pairs
    return [fit(read_frame(pair.image, spec).pixels, spec) for pair in pairs]


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
