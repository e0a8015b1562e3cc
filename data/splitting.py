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
from cookseg.data.sessions import DEFAULT_PATTERN, compile_pattern, crowded, natural_key, plain_names, sessions_of
from cookseg.data.split_result import RECORD, SplitResult, SplitShare
from cookseg.data.standard import SPLITS, STANDARD, Split, require_new_set
from cookseg.data.stratify import assign
from cookseg.runtime.errors import DatasetError, InputError
from cookseg.runtime.files import new_folder, write_atomically
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import ClassTable
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.scoring.dataset import Layout, Pair, list_images, list_pairs, load_classes

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Labelled frames to split.

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
class Assignment:
    """A split for every frame of a pool.

    Attributes:
        splits: The split of each of the pool's pairs.
        groups: The session of each pair, or None.
        blocks: Whether names told no sessions, so that the pool was cut into contiguous blocks.
        pixels: Pixels of each class in each frame, (N, C) int64.
        warnings: What the user should know.
    """

    splits: list[Split]
    groups: list[str | None]
    blocks: bool
    pixels: IntArray
    warnings: list[str]

    def content(self, split: Split, names: Sequence[str]) -> SplitShare:
        """Return what a split got; ``names`` are those of the classes."""
        members = [i for i, chosen in enumerate(self.splits) if chosen == split]
        sessions = Counter(self.groups[i] or "" for i in members)
        pixels = self.pixels[members].sum(axis=0).tolist()
        held = {} if self.blocks else dict(sorted(sessions.items()))
        return SplitShare(len(members), dict(zip(names, pixels, strict=True)), held)


@checked_keywords
def split(  # noqa: PLR0913 - all but two have defaults
    root: str | Path,
    out: str | Path | None = None,
    *,
    val: float = 0.2,
    test: float = 0.0,
    seed: int = 0,
    session_pattern: str | re.Pattern[str] = DEFAULT_PATTERN,
    layout: Layout = STANDARD,
    progress: Progress = silent,
) -> SplitResult:
    """Split a dataset by cooking session, and copy it.

    >>> split("data/sets/mine", "data/sets/split", val=0.2, test=0.1).splits["val"].frames  # doctest: +SKIP
    137

    Args:
        root: Folder of the dataset, with train, val or test folders, whose frames are put together first, or with
            images and masks of its own.
        out: Folder of the new dataset, not inside the old one; None only tells what each split would get.
        val: Share of the frames for val.
        test: Share of the frames for test, with masks; 0 leaves the images of test as they are.
        seed: Same seed, same split.
        session_pattern: Finds the session in a frame's name; see `cookseg.data.sessions.session_of`.
        layout: Where in the dataset images and masks lie.
        progress: Is told how far it is.

    Raises:
        InputError: The shares leave nothing for train, the pattern is not valid, or the folder holds something.
        DatasetError: There are fewer frames than splits, or two of one name.
        ImageError: A mask cannot be decoded.
        MaskError: A mask cannot be understood.
    """
    if not (0 < val < 1 and 0 <= test < 1 and val + test < 1):
        raise InputError(f"`val={val:g}` and `test={test:g}` leave nothing to train on, or nothing to score")
    root, sessions = Path(root), compile_pattern(session_pattern)
    if out is not None:
        require_new_set(Path(out), root)
    pool = read_pool(root, layout)
    shares: dict[Split, float] = {"train": round(1 - val - test, 9), "val": val, "test": test}
    chosen = choose_splits(pool, list(shares.values()), sessions, seed, progress=progress)
    result = SplitResult(
        seed,
        shares,
        sessions.pattern,
        chosen.blocks,
        {name: chosen.content(name, pool.classes.names) for name in SPLITS if name in chosen.splits},
        tuple(chosen.warnings),
        None if out is None else Path(out),
    )
    if result.out:
        _write(pool, chosen, result.out, result.to_dict(), progress)
    return result


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


def choose_splits(
    pool: Pool, shares: Sequence[float], sessions: re.Pattern[str], seed: int, *, progress: Progress = silent
) -> Assignment:
    """Choose a split for every frame.

    Args:
        pool: The frames.
        shares: Share of the frames that train, val and test should get; they add up to 1, and test may get 0.
        sessions: Finds the session in a frame's name.
        seed: Same seed, same splits.
        progress: Is told how far it is.

    Raises:
        MaskError: A mask cannot be understood.
        ImageError: A mask cannot be decoded.
        DatasetError: There are fewer frames than splits.
    """
    wanted = sum(share > 0 for share in shares)
    if len(pool.pairs) < wanted:
        raise DatasetError(f"{pool.root}: {len(pool.pairs)} labelled frames cannot fill {wanted} splits")
    masks = [pair.mask for pair in pool.pairs]
    measures = read_masks(pool.root, pool.classes, pool.layout, masks, progress)
    pixels = np.array([measure.pixels for measure in measures], np.int64)
    names = [pair.name for pair in pool.pairs]
    groups = sessions_of(names, sessions)
    warnings = []
    blocks = len(set(groups)) < wanted
    if blocks:
        told = len(set(groups) - {None})
        warnings.append(
            f"the names tell {told or 'no'} session{'s' * (told != 1)}, too few for {wanted} splits, so these are"
            " contiguous blocks: frames on both sides of a border look alike, and the score will be better than the"
            " model; tell sessions by `session_pattern` or by sub-folders"
        )
        splits = _in_blocks(plain_names(names), shares)
    else:
        if None in groups:
            warnings.append(f"{groups.count(None)} frames whose names tell no session were kept together as one")
        if crowded(groups):
            warnings.append(
                f"{len(set(groups))} sessions for {len(groups)} frames: the names seem to tell something else, so"
                " frames that look alike may be in two splits, and the score be better than the model; tell sessions by"
                " `session_pattern` or by sub-folders"
            )
        splits = _by_session(groups, pixels, shares, seed)
        if len({group for group, split in zip(groups, splits, strict=True) if split == "val"}) == 1:
            warnings.append("val is a single session: its score says little of any other")
    warnings += _missing(splits, pixels, pool.classes)
    if pool.unlabelled and "test" in splits:
        warnings.append(f"{len(pool.unlabelled)} unlabelled test images are left out: the new test split has masks")
    return Assignment(splits, groups, blocks, pixels, warnings)


def _write(pool: Pool, chosen: Assignment, out: Path, record: dict[str, Any], progress: Progress) -> None:
    """Copy the frames, byte for byte, into a new dataset of the standard layout, with a record of how it was split."""
    suffix = pool.layout.mask_suffix
    with new_folder(out) as folder:
        for pair, split in zip(progress(pool.pairs, "copying", len(pool.pairs)), chosen.splits, strict=True):
            _copy(pair.image, folder / split / "images" / f"{pair.name}{pair.image.suffix}")
            mask = pair.mask.with_stem(pair.mask.stem.removesuffix(suffix)) if suffix else pair.mask
            _copy(pair.mask, folder / split / "masks" / Path(pair.name).with_name(mask.name))
        if "test" not in chosen.splits:
            for image in pool.unlabelled:
                _copy(image, folder / "test/images" / image.relative_to(pool.root / "test" / pool.layout.images))
        if (pool.root / "classes.json").exists():
            _copy(pool.root / "classes.json", folder / "classes.json")
        write_atomically(folder / RECORD, json.dumps(record, indent=2).encode())


def _by_session(groups: list[str | None], pixels: IntArray, shares: Sequence[float], seed: int) -> list[Split]:
    """Give whole sessions to splits; ``groups`` is the session of each frame, None one of its own."""
    names = sorted(set(groups), key=str)
    amounts = np.zeros((len(names), 1 + pixels.shape[1]))
    for group, held in zip(groups, pixels, strict=True):
        amounts[names.index(group)] += [1, *held]
    chosen = dict(zip(names, assign(amounts, shares, seed), strict=True))
    return [SPLITS[chosen[group]] for group in groups]


def _in_blocks(names: Sequence[str], shares: Sequence[float]) -> list[Split]:
    """Cut frames in the order of their names, each split with a share getting one frame at least."""
    frames = len(names)
    used = [split for split, share in zip(SPLITS, shares, strict=True) if share > 0]
    ends = np.cumsum([share for share in shares if share > 0]) * frames
    borders = [0]
    for position, end in enumerate(ends, 1):
        borders.append(int(np.clip(round(end), borders[-1] + 1, frames - len(used) + position)))
    ordered = [split for split, a, b in zip(used, borders, borders[1:], strict=False) for _ in range(a, b)]
    places = sorted(range(frames), key=lambda index: natural_key(names[index]))
    return [split for _, split in sorted(zip(places, ordered, strict=True))]


def _missing(splits: list[Split], pixels: IntArray, classes: ClassTable) -> list[str]:
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
