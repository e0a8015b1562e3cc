"""The survey: one pass over all files of a dataset, on all cores, that keeps a few measures of each.

What is wrong with them is for `cookseg.data.doctor.checks` to say. No pixel is kept, so that a set of any size fits
into memory.
"""

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cookseg.data.doctor.reading import Reading, Record
from cookseg.data.samples import SampleFile
from cookseg.data.sessions import DEFAULT_PATTERN, compile_pattern, sessions_of
from cookseg.data.split_result import recorded_pattern
from cookseg.data.standard import LABELLED, SPLITS, STANDARD, Split
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.images import IMAGE_SUFFIXES
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import IGNORE, ClassTable, Preprocessing
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.scoring.dataset import Layout, Listing, Pair, list_images, list_split, load_classes, read_pair
from cookseg.runtime.scoring.evaluation import require_same_classes
from cookseg.runtime.walk import list_files

_SURE = 230  # of 255: nine tenths


@dataclass(frozen=True)
class Survey:
    """A dataset as it was found.

    Attributes:
        root: Its folder.
        layout: Its layout.
        classes: Its class table.
        listings: Files of each split as they pair up; images of test may be without masks.
        records: All frames that have what their split needs.
        foreign: Files in the folders that no command reads.
        samples: The frames and masks at a network's size, where that was asked for.
    """

    root: Path
    layout: Layout
    classes: ClassTable
    listings: dict[Split, Listing]
    records: list[Record]
    foreign: list[Path]
    samples: SampleFile | None = None

    def name(self, path: Path | None) -> str:
        """Return a file's path below the dataset's folder, or nothing where there is no file."""
        return path.relative_to(self.root).as_posix() if path else ""


@checked_keywords
def survey(  # noqa: PLR0913 - all but one have defaults
    root: str | Path,
    layout: Layout = STANDARD,
    *,
    session_pattern: str | re.Pattern[str] = DEFAULT_PATTERN,
    segmenter: Segmenter | None = None,
    quick: bool = False,
    spec: Preprocessing | None = None,
    progress: Progress = silent,
) -> Survey:
    """Look at every file of a dataset.

    >>> survey("data/sets/mine").records[0].measures.blur  # doctest: +SKIP
    0.31

    Args:
        root: Folder of the dataset.
        layout: Where in it images and masks lie.
        session_pattern: Finds the session in a frame's name; see `cookseg.data.sessions.session_of`. In a set that
            `cookseg.data.split` made, the default one is that of the split.
        segmenter: A model of the dataset's classes, which says of what masks it is sure that they are wrong.
        quick: Leave out the test split and everything that cannot break a run: what takes long.
            Files that the dataset's manifest knows are not checked again.
        spec: A network's input, for which to keep frames and masks in `Survey.samples`.
        progress: Is told how far it is.

    Raises:
        DatasetError: The folder, or one of a labelled split, does not exist.
        InputError: ``classes.json`` or the session pattern is not valid, or the model has other classes.
    """
    root, sessions = Path(root), compile_pattern(session_pattern)
    if sessions.pattern == DEFAULT_PATTERN:
        sessions = recorded_pattern(root) or sessions
    classes = load_classes(root)
    if segmenter:
        require_same_classes(segmenter.contract.classes, classes)
    listings: dict[Split, Listing] = {split: list_split(root, split, layout) for split in LABELLED}
    unlabelled: list[Path] = []
    if (root / "test" / layout.images).is_dir() and not quick:
        listings["test"], unlabelled = _list_test(root, layout)
    records = [
        Record(split, pair.name, None, pair.image, pair.mask)
        for split, listing in listings.items()
        for pair in listing.pairs
    ]
    for image in unlabelled:
        name = image.relative_to(root / "test" / layout.images).with_suffix("").as_posix()
        records.append(Record("test", name, None, image, None))
    for record, session in zip(records, sessions_of([record.name for record in records], sessions), strict=True):
        record.session = session
    samples = SampleFile(spec, len(records)) if spec else None
    records = Reading(root, classes, layout, samples, quick=quick).read(records, "checking", progress)
    found = Survey(root, layout, classes, listings, records, _foreign(root, layout), samples)
    if segmenter:
        _judge(found, segmenter, progress)
    return found


def by_session(records: Iterable[Record]) -> dict[str | None, list[Record]]:
    """Group frames by their cooking session."""
    groups = defaultdict(list)
    for record in records:
        groups[record.session].append(record)
    return groups


def usual_blur(survey: Survey) -> dict[str | None, float]:
    """Return the median blur of each session that has frames which could be measured."""
    return {
        session: statistics.median(blurs)
        for session, group in by_session(survey.records).items()
        if (blurs := [record.measures.blur for record in group if record.measures])
    }


def size_text(size: Size | None) -> str:
    """Return a size, (height, width), as people write it: width x height."""
    return f"{size[1]}x{size[0]}" if size else ""


def class_pixels(survey: Survey) -> dict[Split, list[int]]:
    """Return the labelled pixels of each class in each labelled split."""
    totals = {split: np.zeros(len(survey.classes), np.int64) for split in survey.listings}
    for record in survey.records:
        if record.truth:
            totals[record.split] += record.truth.pixels
    return {split: total.tolist() for split, total in totals.items()}


def _judge(survey: Survey, segmenter: Segmenter, progress: Progress) -> None:
    """Fill in `Record.disagreement` by a model of the dataset's classes."""
    labelled = [record for record in survey.records if record.label and record.mask]
    for record in progress(labelled, "comparing", len(labelled)):
        if record.mask:
            sample = read_pair(Pair(record.name, record.image, record.mask), survey.classes, survey.layout)
            found = segmenter.predict(sample.frame)
            labelled_pixels = sample.truth != IGNORE
            wrong = (found.class_map != sample.truth) & (found.confidence >= _SURE)
            record.disagreement = float(wrong[labelled_pixels].mean())


def _list_test(root: Path, layout: Layout) -> tuple[Listing, list[Path]]:
    """List the test split: what has masks there, as train and val, and the images that need none."""
    folder = root / "test" / layout.images
    if layout.images == layout.masks or not (root / "test" / layout.masks).is_dir():
        return Listing([], [], [], []), list_images(folder)
    listing = list_split(root, "test", layout)
    return replace(listing, images_alone=[]), listing.images_alone


def _foreign(root: Path, layout: Layout) -> list[Path]:
    """List the files beside images and masks that are neither, such as HEIC photos, whose suffix nobody reads."""
    folders = {root / split / folder for split in SPLITS for folder in (layout.images, layout.masks)}
    return sorted(
        path
        for folder in folders
        if folder.is_dir()
        for path in list_files(folder)
        if path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES
    )
