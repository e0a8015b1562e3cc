"""The survey: one pass over all files of a dataset, on all cores, that keeps a few measures of each.

What is wrong with them is for `cookseg.data.doctor.findings` to say. No pixel is kept, so that a set of any size fits
into memory.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cookseg.data.doctor.reading import Reading, Record
from cookseg.data.samples import SampleFile
from cookseg.data.sessions import session_of
from cookseg.runtime.imaging.images import IMAGE_SUFFIXES
from cookseg.runtime.model.contract import IGNORE, ClassTable, Preprocessing
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.scoring.dataset import Layout, Listing, Pair, list_images, list_split, load_classes, read_pair
from cookseg.runtime.terminal import bars, console

LABELLED = ("train", "val")
SPLITS = (*LABELLED, "test")

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
        samples: What a network is given of each frame, where that was wanted.
    """

    root: Path
    layout: Layout
    classes: ClassTable
    listings: dict[str, Listing]
    records: list[Record]
    foreign: list[Path]
    samples: SampleFile | None = None


def survey(
    root: Path,
    layout: Layout,
    sessions: re.Pattern[str],
    *,
    quick: bool = False,
    spec: Preprocessing | None = None,
) -> Survey:
    """Look at every file of a dataset.

    Args:
        root: Folder of the dataset.
        layout: Where in it images and masks lie.
        sessions: Finds the session in a frame's name; see `cookseg.data.sessions.session_of`.
        quick: Leave out the test split and everything that cannot spoil a run: what takes long, and what the dataset's
            manifest knows.
        spec: Keep the frames and masks for a network too, in `Survey.samples`.

    Raises:
        DatasetError: The folder, or one of a labelled split, does not exist.
        InputError: ``classes.json`` is not valid.
    """
    classes = load_classes(root)
    listings = {split: list_split(root, split, layout) for split in LABELLED}
    unlabelled: list[Path] = []
    if (root / "test" / layout.images).is_dir() and not quick:
        listings["test"], unlabelled = _list_test(root, layout)
    records = [
        Record(split, pair.name, session_of(pair.name, sessions), pair.image, pair.mask)
        for split, listing in listings.items()
        for pair in listing.pairs
    ]
    for image in unlabelled:
        name = image.relative_to(root / "test" / layout.images).with_suffix("").as_posix()
        records.append(Record("test", name, session_of(name, sessions), image, None))
    reading = Reading(root, classes, layout, SampleFile(spec, len(records)) if spec else None, quick=quick)
    records = reading.read(records, "checking", bars.bar)
    return Survey(root, layout, classes, listings, records, _foreign(root, layout), reading.samples)


def judge(survey: Survey, segmenter: Segmenter) -> None:
    """Let a model, of the dataset's classes, say of which masks it is sure that they are wrong.

    Fills in `Record.disagreement`.
    """
    labelled = [record for record in survey.records if record.label and record.mask]
    with console.progress(labelled, "comparing", len(labelled)) as bar:
        for record in bar:
            if record.mask:
                sample = read_pair(Pair(record.name, record.image, record.mask), survey.classes, survey.layout)
                found = segmenter.predict(sample.frame)
                labelled_pixels = sample.truth != IGNORE
                wrong = (found.class_map != sample.truth) & (found.confidence >= _SURE)
                record.disagreement = float(wrong[labelled_pixels].mean())


def class_pixels(survey: Survey) -> dict[str, list[int]]:
    """Return the labelled pixels of each class in each labelled split."""
    totals = {split: np.zeros(len(survey.classes), np.int64) for split in survey.listings}
    for record in survey.records:
        if record.truth:
            totals[record.split] += record.truth.pixels
    return {split: total.tolist() for split, total in totals.items()}


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
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix.lower() not in IMAGE_SUFFIXES
    )
