"""The doctor: reads a whole dataset the way training will, and lists everything that would spoil it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cookseg.runtime import console
from cookseg.runtime.contract import ClassTable
from cookseg.runtime.dataset import Layout, Listing, list_images, list_split, load_classes, read_pair
from cookseg.runtime.errors import InputError
from cookseg.runtime.images import read_image

SPLITS = ("train", "val")


@dataclass
class SplitReport:
    """What was found in a split.

    Attributes:
        frames: Images that can be used: with a mask in train and val, any in test.
        sizes: Different frame sizes, as (height, width).
        pixels: Labelled pixels of each class, (C,) int64.
        off_colors: Files whose mask has colours that are not exactly a class's, and how many pixels.
        errors: What spoils a run, each a sentence that names the file.
    """

    pixels: npt.NDArray[np.int64]
    frames: int = 0
    sizes: set[tuple[int, int]] = field(default_factory=set)
    off_colors: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def to_dict(self, classes: ClassTable) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "frames": self.frames,
            "sizes": [f"{width}x{height}" for height, width in sorted(self.sizes)],
            "pixels": dict(zip(classes.names, self.pixels.tolist(), strict=True)),
            "off_color_pixels": self.off_colors,
            "errors": self.errors,
        }


def examine(root: Path, layout: Layout) -> tuple[ClassTable, dict[str, SplitReport]]:
    """Read every file of a dataset and return what was found in each split.

    Raises:
        DatasetError: The folder, or one of a labelled split, does not exist.
        InputError: ``classes.json`` is not valid.
    """
    classes = load_classes(root)
    reports = {split: _examine_split(root, split, layout, classes) for split in SPLITS}
    if (root / "test" / layout.images).is_dir():
        reports["test"] = _examine_test(root, layout, classes)
    return classes, reports


def warnings(classes: ClassTable, reports: dict[str, SplitReport]) -> Iterator[str]:
    """Give what does not spoil a run but makes it worse, or its score less than it seems."""
    for split in SPLITS:
        report = reports[split]
        missing = [name for name, count in zip(classes.names, report.pixels, strict=True) if count == 0]
        if report.frames and missing:
            yield f"{split}: no pixel is {', '.join(missing)}"
        if report.off_colors:
            yield (
                f"{split}: {sum(report.off_colors.values()):,} pixels of {len(report.off_colors)} masks, such as"
                f" {next(iter(report.off_colors))}, have colours that are not exactly a class's (JPEG? resized?): they"
                " count as the nearest class"
            )


def _examine_split(root: Path, split: str, layout: Layout, classes: ClassTable) -> SplitReport:
    listing: Listing = list_split(root, split, layout)
    report = SplitReport(np.zeros(len(classes), np.int64))
    report.errors += [f"{path}: this image has no mask" for path in listing.images_alone]
    report.errors += [f"{path}: this mask has no image" for path in listing.masks_alone]
    report.errors += [f"{one} and {other} have the same stem" for one, other in listing.clashes]
    if not listing.pairs:
        report.errors.append(f"{root / split}: no image with a mask")
    with console.progress(listing.pairs, f"{split}", len(listing.pairs)) as bar:
        for pair in bar:
            try:
                sample = read_pair(pair, classes, layout)
            except InputError as error:
                report.errors.append(str(error))
                continue
            report.frames += 1
            report.sizes.add(sample.truth.shape)
            report.pixels += np.bincount(sample.truth.ravel(), minlength=256)[: len(classes)]
            if sample.off_colors:
                report.off_colors[str(pair.mask)] = sample.off_colors
    return report


def _examine_test(root: Path, layout: Layout, classes: ClassTable) -> SplitReport:
    report = SplitReport(np.zeros(len(classes), np.int64))
    images = list_images(root / "test" / layout.images)
    with console.progress(images, "test", len(images)) as bar:
        for path in bar:
            try:
                report.sizes.add(read_image(path).shape[:2])
                report.frames += 1
            except InputError as error:
                report.errors.append(str(error))
    return report
