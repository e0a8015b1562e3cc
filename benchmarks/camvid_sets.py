"""CamVid's frames as sets to train on: its own split, train + val, all drives but one, or a part of the labels.

A frame's drive is its name's start: ``0016E5_08159`` is of ``0016E5``. All frames of a drive are of one road in one
light, so a model is tested honestly on drives alone that it was not trained on.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cookseg.benchmarks.camvid_results import COLORS, WITHOUT
from cookseg.runtime.errors import CooksegError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.scoring.dataset import Layout, Pair, list_pairs

LAYOUT = Layout(mask_format="index")
SPLITS = ("train", "val", "test")
_EVERY = 10  # frames of such a set that its validation shows, from which nothing is chosen


def drive(pair: Pair) -> str:
    """Return the drive that a frame is of."""
    return pair.name.partition("_")[0]


def list_splits(source: Path) -> dict[str, list[Pair]]:
    """Return the frames of train, val and test.

    Raises:
        CooksegError: A split is not there.
    """
    for split in SPLITS:
        if not (source / split / "images").is_dir():
            raise CooksegError(f"{source / split / 'images'} is not there: DATA must hold train, val and test")
    return {split: list_pairs(source, split, LAYOUT) for split in SPLITS}


def frames_by_drive(splits: dict[str, list[Pair]]) -> dict[str, dict[str, int]]:
    """Return how many frames of each drive each split has."""
    return {split: dict(sorted(Counter(map(drive, pairs)).items())) for split, pairs in splits.items()}


def arranged(splits: dict[str, list[Pair]], on: str) -> dict[str, list[Pair]]:
    """Return the frames to train on, to validate with, and to test on.

    Args:
        splits: The frames of the three splits.
        on: ``train``, ``train+val``, or `WITHOUT` and a drive, which is tested on.
    """
    if on == "train+val":
        return {**splits, "train": splits["train"] + splits["val"]}
    if not on.startswith(WITHOUT):
        return splits
    frames = sorted((pair for pairs in splits.values() for pair in pairs), key=lambda pair: pair.name)
    train = [pair for pair in frames if WITHOUT + drive(pair) != on]
    return {"train": train, "val": train[::_EVERY], "test": [pair for pair in frames if WITHOUT + drive(pair) == on]}


def spread(pairs: Sequence[Pair], fraction: int) -> list[Pair]:
    """Return one of so many frames, evenly spread over drives and over the time of each.

    >>> [pair.name for pair in spread([Pair(f"a_{n}", Path(), Path()) for n in range(9)], 3)]
    ['a_1', 'a_4', 'a_7']
    """
    ordered = sorted(pairs, key=lambda pair: pair.name)
    count = max(1, round(len(ordered) / fraction))
    return [ordered[int(at)] for at in (np.arange(count) + 0.5) * len(ordered) / count]


def lay_out(splits: dict[str, list[Pair]], folder: Path, fraction: int = 1) -> Path:
    """Lay out frames as cookseg reads them, as links, with the names of the classes.

    Args:
        splits: The frames to train on, to validate with and to test on.
        folder: Where; what it holds already stays.
        fraction: One of so many training frames keeps its label, the others are images in ``unlabelled``.
    """
    labelled = spread(splits["train"], fraction) if fraction > 1 else splits["train"]
    for split, pairs in {**splits, "train": labelled}.items():
        _link([pair.image for pair in pairs], folder / split / "images")
        _link([pair.mask for pair in pairs], folder / split / "masks")
    if fraction > 1:
        _link([pair.image for pair in splits["train"] if pair not in set(labelled)], folder / "unlabelled")
    classes = [{"name": name, "color": color} for name, color in COLORS.items()]
    value = {"classes": classes, "ignore_index": len(COLORS)}
    write_atomically(folder / "classes.json", json.dumps(value, indent=2).encode())
    return folder


def _link(files: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if not (folder / file.name).exists():
            (folder / file.name).symlink_to(file.resolve())
