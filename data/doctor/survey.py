"""The survey: one pass over all files of a dataset, on all cores, that keeps a few measures of each.

What is wrong with them is for `cookseg.data.doctor.checks` to say. No pixel is kept, so that a set of any size fits
into memory.
"""

import functools
import hashlib
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cookseg.data.doctor.frames import FrameMeasures, measure_frame
from cookseg.data.doctor.labels import LabelMeasures, measure_label
from cookseg.data.doctor.masks import MaskMeasures, measure_mask
from cookseg.data.sessions import DEFAULT_PATTERN, compile_pattern, sessions_of
from cookseg.data.split_result import recorded_pattern
from cookseg.data.standard import LABELLED, SPLITS, STANDARD, Split
from cookseg.runtime.errors import ImageError, MaskError
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.headers import Header, read_header
from cookseg.runtime.imaging.images import IMAGE_SUFFIXES, read_image
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import IGNORE, ClassTable
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.scoring.dataset import Layout, Listing, Pair, list_images, list_split, load_classes, read_pair
from cookseg.runtime.scoring.evaluation import require_same_classes
from cookseg.runtime.stream.parallel import map_on_cores

_SURE = 230  # of 255: nine tenths


@dataclass
class Record:
    """A frame of a split, its mask if it has one, and measures of both.

    Attributes:
        split: train, val or test.
        name: The image's path below its folder, without suffix.
        session: The cooking session that the name tells, or None.
        image: File of the image.
        mask: File of the mask, or None.
        unreadable: What could not be read and why, by file.
        image_header: How the image is stored.
        mask_header: How the mask is stored.
        size: Height and width of the upright image.
        measures: Measures of the image's pixels.
        truth: Measures of the mask.
        label: Measures of the mask against the image.
        digest: Identifies the image's pixels.
        disagreement: Share of the labelled pixels for which a model is sure of another class, where one was given.
    """

    split: Split
    name: str
    session: str | None
    image: Path
    mask: Path | None
    unreadable: dict[Path, str] = field(default_factory=dict)
    image_header: Header | None = None
    mask_header: Header | None = None
    size: Size | None = None
    measures: FrameMeasures | None = None
    truth: MaskMeasures | None = None
    label: LabelMeasures | None = None
    digest: bytes = b""
    disagreement: float | None = None


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
    """

    root: Path
    layout: Layout
    classes: ClassTable
    listings: dict[Split, Listing]
    records: list[Record]
    foreign: list[Path]

    def name(self, path: Path | None) -> str:
        """Return a file's path below the dataset's folder, or nothing where there is no file."""
        return path.relative_to(self.root).as_posix() if path else ""


@checked_keywords
def survey(
    root: str | Path,
    layout: Layout = STANDARD,
    *,
    session_pattern: str | re.Pattern[str] = DEFAULT_PATTERN,
    segmenter: Segmenter | None = None,
    quick: bool = False,
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
    examine = functools.partial(_examine, classes=classes, layout=layout, quick=quick)
    records = list(progress(map_on_cores(examine, records), "checking", len(records)))
    found = Survey(root, layout, classes, listings, records, _foreign(root, layout))
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


def _examine(record: Record, classes: ClassTable, layout: Layout, quick: bool) -> Record:
    frame = class_map = None
    try:
        frame = read_image(record.image)
        record.size = (frame.shape[0], frame.shape[1])
        record.image_header = read_header(record.image)
    except ImageError as error:
        record.unreadable[record.image] = str(error)
    if record.mask:
        try:
            class_map, record.truth = measure_mask(record.mask, classes, layout)
            record.mask_header = read_header(record.mask)
        except (ImageError, MaskError) as error:
            record.unreadable[record.mask] = str(error)
    if frame is not None and not quick:
        record.measures = measure_frame(frame)
        record.digest = hashlib.blake2b(frame.data, digest_size=16).digest()
        if class_map is not None and class_map.shape == record.size and not (record.truth and record.truth.error):
            orientation = record.image_header.orientation if record.image_header else 1
            record.label = measure_label(frame, class_map, orientation)
    return record


def _foreign(root: Path, layout: Layout) -> list[Path]:
    """List the files beside images and masks that are neither, such as HEIC photos, whose suffix nobody reads."""
    folders = {root / split / folder for split in SPLITS for folder in (layout.images, layout.masks)}
    return sorted(
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix.lower() not in IMAGE_SUFFIXES
    )
