"""Train, validation and test by cooking session: no session is cut, and every split gets its share of each class.

Frames of one session look alike. Where they are in two splits, the score on one is memory of the other.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cookseg.data.doctor.reading import read_masks
from cookseg.data.sessions import natural_key, session_of
from cookseg.data.standard import require_new_set
from cookseg.data.stratify import assign
from cookseg.runtime.errors import DatasetError
from cookseg.runtime.files import new_folder, write_atomically
from cookseg.runtime.model.contract import ClassTable
from cookseg.runtime.results import grid
from cookseg.runtime.scoring.dataset import Layout, Pair, list_images, list_pairs, load_classes
from cookseg.runtime.terminal import bars, console

SPLITS = ("train", "val", "test")
RECORD = "split.json"
"""In the new set's folder: how it was divided, so that it can be audited and done again."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Labelled frames to divide.

    Attributes:
        root: Folder of the dataset.
        layout: Its layout.
        classes: Its class table.
        pairs: All labelled frames, in natural order.
        unlabelled: Images of the test split, which have no masks.
    """

    root: Path
    layout: Layout
    classes: ClassTable
    pairs: list[Pair]
    unlabelled: list[Path]


@dataclass(frozen=True)
class Division:
    """A pool divided.

    Attributes:
        splits: The split of each of the pool's pairs.
        groups: The session of each pair, or None.
        blocks: Whether names told no sessions, so that the pool was cut into contiguous blocks.
        pixels: Pixels of each class in each frame, (N, C) int64.
        warnings: What the user should know.
    """

    splits: list[str]
    groups: list[str | None]
    blocks: bool
    pixels: IntArray
    warnings: list[str]


def read_pool(root: Path, layout: Layout) -> Pool:
    """List the labelled frames of all splits of a dataset, or of a folder that is one pool itself.

    Raises:
        DatasetError: There are none; or images or masks are alone, or two splits have a frame of one name.
        InputError: ``classes.json`` is not valid.
    """
    classes = load_classes(root)
    folders = [root / split for split in SPLITS if (root / split / layout.masks).is_dir()] or [root]
    found: dict[str, Pair] = {}
    for folder in folders:
        for pair in list_pairs(folder.parent, folder.name, layout):
            if pair.name in found:
                raise DatasetError(
                    f"{found[pair.name].image} and {pair.image} have the same name, and may end up in one split: rename"
                    " or remove one of them"
                )
            found[pair.name] = pair
    test = root / "test" / layout.images
    unlabelled = list_images(test) if test.is_dir() and root / "test" not in folders else []
    return Pool(root, layout, classes, [found[name] for name in sorted(found, key=natural_key)], unlabelled)


def divide(pool: Pool, shares: Sequence[float], sessions: re.Pattern[str], seed: int) -> Division:
    """Choose a split for every frame.

    Args:
        pool: The frames.
        shares: Share of the frames that train, val and test should get; they add up to 1, and test may get 0.
        sessions: Finds the session in a frame's name.
        seed: Same seed, same division.

    Raises:
        MaskError: A mask cannot be understood.
        ImageError: A mask cannot be decoded.
        DatasetError: There are fewer frames than splits.
    """
    wanted = sum(share > 0 for share in shares)
    if len(pool.pairs) < wanted:
        raise DatasetError(f"{pool.root}: {len(pool.pairs)} labelled frames cannot fill {wanted} splits")
    pixels = _count(pool)
    groups = [session_of(pair.name, sessions) for pair in pool.pairs]
    warnings = []
    blocks = len(set(groups)) < wanted
    if blocks:
        told = len(set(groups) - {None})
        warnings.append(
            f"the names tell {told or 'no'} session{'s' * (told != 1)}, too few for {wanted} splits, so these are"
            " contiguous blocks: frames on both sides of a border look alike, and the score will be better than the"
            " model; tell sessions by --session-pattern or by sub-folders"
        )
        splits = _in_blocks(len(groups), shares)
    else:
        if None in groups:
            warnings.append(f"{groups.count(None)} frames whose names tell no session were kept together as one")
        names = sorted(set(groups), key=str)
        amounts = np.zeros((len(names), 1 + len(pool.classes)))
        for group, counts in zip(groups, pixels, strict=True):
            amounts[names.index(group)] += [1, *counts]
        chosen = dict(zip(names, assign(amounts, shares, seed), strict=True))
        splits = [SPLITS[chosen[group]] for group in groups]
    warnings += _missing(splits, pixels, pool.classes)
    if pool.unlabelled and "test" in splits:
        warnings.append(f"{len(pool.unlabelled)} unlabelled test images are left out: the new test split has masks")
    return Division(splits, groups, blocks, pixels, warnings)


def write(pool: Pool, division: Division, out: Path, record: dict[str, Any]) -> None:
    """Copy the frames, byte for byte, into a new dataset of the standard layout.

    Args:
        pool: The frames.
        division: Where each belongs.
        out: Folder of the new dataset, not inside the old one.
        record: What `RECORD` says beside the sessions of each split.

    Raises:
        InputError: The folder holds something, lies inside the pool's, or cannot be written.
    """
    require_new_set(out, pool.root)
    suffix = pool.layout.mask_suffix
    with new_folder(out) as folder, console.progress(pool.pairs, "copying", len(pool.pairs)) as bar:
        for pair, split in zip(bar, division.splits, strict=True):
            _copy(pair.image, folder / split / "images" / f"{pair.name}{pair.image.suffix}")
            mask = pair.mask.with_stem(pair.mask.stem.removesuffix(suffix)) if suffix else pair.mask
            _copy(pair.mask, folder / split / "masks" / Path(pair.name).with_name(mask.name))
        if "test" not in division.splits:
            for image in pool.unlabelled:
                _copy(image, folder / "test/images" / image.relative_to(pool.root / "test" / pool.layout.images))
        if (pool.root / "classes.json").exists():
            _copy(pool.root / "classes.json", folder / "classes.json")
        write_atomically(folder / RECORD, json.dumps(record, indent=2).encode())


def as_json(pool: Pool, division: Division, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what each split got as JSON values, with the settings that led to it: what `RECORD` holds."""
    rows: dict[str, Any] = {}
    for split in [split for split in SPLITS if split in division.splits]:
        members = [i for i, chosen in enumerate(division.splits) if chosen == split]
        sessions = Counter(division.groups[i] or "" for i in members)
        pixels = division.pixels[members].sum(axis=0).tolist()
        rows[split] = {
            "frames": len(members),
            "pixels": dict(zip(pool.classes.names, pixels, strict=True)),
            "sessions": {} if division.blocks else dict(sorted(sessions.items())),
        }
    return {**settings, "blocks": division.blocks, "splits": rows, "warnings": division.warnings}


def as_text(value: dict[str, Any]) -> str:
    """Return what each split got, and all of them, as a table with warnings below it."""
    splits = value["splits"]
    names = list(splits["train"]["pixels"])
    total = {
        "frames": sum(held["frames"] for held in splits.values()),
        "pixels": {name: sum(held["pixels"][name] for held in splits.values()) for name in names},
        "sessions": set().union(*(held["sessions"] for held in splits.values())),
    }
    rows = []
    for split, held in {**splits, "all": total}.items():
        pixels = max(1, sum(held["pixels"].values()))
        shares = [f"{held['pixels'][name] / pixels:.2%}" for name in names]
        share = f"{held['frames'] / total['frames']:.1%}"
        rows.append([split, str(len(held["sessions"]) or "-"), str(held["frames"]), share, *shares])
    lines = [grid(rows, ["split", "sessions", "frames", "of all", *names])]
    return "\n".join([*lines, *(f"warning: {warning}" for warning in value["warnings"])])


def _count(pool: Pool) -> IntArray:
    """Return the pixels of each class in each mask, (N, C) int64.

    Raises:
        MaskError: A mask cannot be understood.
        ImageError: A mask cannot be decoded.
    """
    masks = [pair.mask for pair in pool.pairs]
    looks = read_masks(pool.root, pool.classes, pool.layout, masks, bars.bar)
    return np.array([look.pixels for look in looks], np.int64)


def _in_blocks(frames: int, shares: Sequence[float]) -> list[str]:
    """Cut frames in their order, each split with a share getting one frame at least."""
    used = [split for split, share in zip(SPLITS, shares, strict=True) if share > 0]
    ends = np.cumsum([share for share in shares if share > 0]) * frames
    borders = [0]
    for position, end in enumerate(ends, 1):
        borders.append(int(np.clip(round(end), borders[-1] + 1, frames - len(used) + position)))
    return [split for split, a, b in zip(used, borders, borders[1:], strict=False) for _ in range(a, b)]


def _missing(splits: list[str], pixels: IntArray, classes: ClassTable) -> list[str]:
    warnings = []
    for split in dict.fromkeys(splits):
        held = pixels[[other == split for other in splits]].sum(axis=0)
        absent = [name for name, count in zip(classes.names, held, strict=True) if not count]
        if absent:
            warnings.append(f"{split} has no pixel of {', '.join(absent)}")
    return warnings


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
