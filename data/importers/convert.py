"""From labelled images to images and masks of the standard layout."""

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cookseg.data.importers.draw import label_map
from cookseg.data.importers.labels import LabelledImage, Labels
from cookseg.data.importers.rules import NOT_DRAWN, Rules
from cookseg.data.standard import Split, write_classes, write_image, write_mask
from cookseg.runtime.errors import InputError
from cookseg.runtime.files import new_folder
from cookseg.runtime.imaging.headers import read_header
from cookseg.runtime.imaging.images import read_image, turn
from cookseg.runtime.model.contract import IGNORE
from cookseg.runtime.progress import Progress
from cookseg.runtime.results import Table, listed
from cookseg.runtime.stream.parallel import map_on_cores


@dataclass(frozen=True)
class Drawn:
    """An image that was drawn: pixels of each label, or why it failed."""

    image: LabelledImage
    pixels: Counter[str]
    failure: str = ""


@dataclass(frozen=True)
class Imported:
    """A label after the import: its class, shapes of it where these are known, and pixels."""

    target: str
    shapes: int
    pixels: int


@dataclass(frozen=True)
class ImportSummary:
    """Summary of an import.

    Attributes:
        dataset: Folder of the new dataset.
        kind: Name of the importer.
        frames: Frames of each split.
        labels: Class, shapes and pixels of each label.
        notes: What the user should know.
        failures: What could not be imported, a line each that names the file.
    """

    dataset: Path
    kind: str
    frames: dict[Split, int]
    labels: dict[str, Imported]
    notes: tuple[str, ...]
    failures: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "dataset": str(self.dataset),
            "format": self.kind,
            "frames": self.frames,
            "labels": {
                label: {"class": held.target, "shapes": held.shapes, "pixels": held.pixels}
                for label, held in self.labels.items()
            },
            "notes": [*self.notes],
            "failures": [*self.failures],
        }

    def tables(self) -> Iterator[Table]:
        """Return a table of the labels, notes, and what to do next."""
        rows = [
            [label, held.target, f"{held.shapes or '-'}", f"{held.pixels:,}"] for label, held in self.labels.items()
        ]
        yield Table(["label", "class", "shapes", "pixels"], rows)
        frames = ", ".join(f"{count} {split}" for split, count in self.frames.items())
        after = "doctor {0}" if "val" in self.frames else "split {0} {0}-split"
        lines = [f"note: {note}" for note in self.notes]
        lines += [f"{self.kind}: {frames} frames written to {self.dataset}"]
        yield Table(above="\n".join([*lines, f"next: cook-data {after.format(self.dataset)}"]))


def convert(source: Labels, rules: Rules, out: Path, progress: Progress) -> list[Drawn]:
    """Write all images into a new dataset, on all cores; what fails is left out and says why.

    Raises:
        InputError: Nothing could be converted, or the folder holds something or cannot be written.
    """
    images, clashes = _without_clashes(source.images)
    with new_folder(out) as folder:
        work = functools.partial(_convert, rules=rules, folder=folder)
        results = clashes + list(progress(map_on_cores(work, images), "importing", len(images)))
        if all(result.failure for result in results):
            failures = _failures(source, results) or ["no image was found"]
            raise InputError(f"nothing could be imported:\n{listed(failures)}")
        write_classes(folder, rules.classes)
    return results


def summary(kind: str, source: Labels, rules: Rules, results: list[Drawn], out: Path) -> ImportSummary:
    """Return what was written: frames of each split, and what each label became."""
    done = [result for result in results if not result.failure]
    pixels = sum((result.pixels for result in done), Counter[str]())
    shapes = Counter(shape.label for result in done for shape in result.image.shapes)
    names = {**dict(enumerate(rules.classes.names)), IGNORE: "ignore", NOT_DRAWN: "none"}
    labels = {
        label: Imported(names[target], shapes[label], pixels[label])
        for label, target in sorted(rules.targets.items())
        if shapes[label] or pixels[label]
    }
    frames = dict(Counter(result.image.split for result in done))
    return ImportSummary(out, kind, frames, labels, tuple(source.notes), tuple(_failures(source, results)))


def _failures(source: Labels, results: list[Drawn]) -> list[str]:
    return source.failures + [result.failure for result in results if result.failure]


def _without_clashes(images: list[LabelledImage]) -> tuple[list[LabelledImage], list[Drawn]]:
    first: dict[tuple[Split, str], LabelledImage] = {}
    clashes = []
    for image in images:
        other = first.setdefault((image.split, image.name), image)
        if other is not image:
            why = f"{image.file}: has the name of {other.file} in {image.split}, which was taken"
            clashes.append(Drawn(image, Counter(), why))
    return list(first.values()), clashes


def _convert(image: LabelledImage, rules: Rules, folder: Path) -> Drawn:
    try:
        labels = _upright_labels(image, rules)
        class_map = np.full(labels.shape, rules.unlabelled, np.uint8)
        for index, target in enumerate(rules.targets.values()):
            if target != NOT_DRAWN:
                class_map[labels == index] = target
        write_image(image.file, folder / image.split / "images", image.name)
        write_mask(class_map, folder / image.split / "masks", image.name, rules.classes)
    except (InputError, OSError) as error:
        return Drawn(image, Counter(), str(error) if str(image.file) in str(error) else f"{image.file}: {error}")
    return Drawn(image, Counter({name: int(np.count_nonzero(labels == i)) for i, name in enumerate(rules.targets)}))


def _upright_labels(image: LabelledImage, rules: Rules) -> npt.NDArray[np.int16]:
    """Draw an image's labels, and rotate them with it where they were drawn on it as it is stored."""
    pixels = read_image(image.file)
    orientation = read_header(image.file).orientation
    upright = (pixels.shape[0], pixels.shape[1])
    stored = upright if orientation < 5 else (upright[1], upright[0])
    labels = label_map(image, image.size or upright, rules)
    if labels.shape == stored != upright:
        labels = turn(labels, orientation)
    if labels.shape != upright:
        raise InputError(
            f"was labelled at {labels.shape[1]}x{labels.shape[0]}, but is {upright[1]}x{upright[0]}:"
            " import the image that was labelled"
        )
    return labels
