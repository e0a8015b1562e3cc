"""From labelled images to images and masks of the standard layout.

Background is a statement too: where something labelled could not be drawn, no mask says background. Those pixels are
ignored, or the frame is left out.
"""

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cookseg.data.importers.draw import IGNORED, LabelMap, label_map
from cookseg.data.importers.labels import LabelledImage, Labels
from cookseg.data.importers.naming import in_two_splits, with_own_names
from cookseg.data.importers.rules import NOT_DRAWN, Rules
from cookseg.data.importers.shapes import Shape
from cookseg.data.standard import Split, with_ignore_color, write_classes, write_image, write_mask
from cookseg.runtime.errors import InputError
from cookseg.runtime.files import new_folder
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.headers import read_header
from cookseg.runtime.imaging.images import read_image, turn
from cookseg.runtime.model.contract import IGNORE
from cookseg.runtime.progress import Progress
from cookseg.runtime.results import Table, listed
from cookseg.runtime.stream.parallel import map_on_cores

Undrawn = Literal["ignore", "skip"]
"""For what cannot be drawn: its bounds are ignored, or its frame is left out."""


@dataclass(frozen=True)
class Drawn:
    """An image that was drawn, or why it was not.

    Attributes:
        image: The image.
        shapes: Number of shapes drawn of each label.
        pixels: Pixels of each label.
        undrawn: What could not be drawn, a line each that names file, image and annotation.
        failure: Why the frame was left out.
        ignores: Whether it has pixels to ignore.
    """

    image: LabelledImage
    shapes: Counter[str] = field(default_factory=Counter)
    pixels: Counter[str] = field(default_factory=Counter)
    undrawn: tuple[str, ...] = ()
    failure: str = ""
    ignores: bool = False


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
        undrawn: Labelled shapes that were not drawn, a line each that names file, image and annotation.
        unannotated: Images that nobody has annotated yet.
    """

    dataset: Path
    kind: str
    frames: dict[Split, int]
    labels: dict[str, Imported]
    notes: tuple[str, ...]
    failures: tuple[str, ...]
    undrawn: tuple[str, ...] = ()
    unannotated: tuple[Path, ...] = ()

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
            "undrawn": [*self.undrawn],
            "unannotated": [str(path) for path in self.unannotated],
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


def convert(source: Labels, rules: Rules, out: Path, undrawn: Undrawn, progress: Progress) -> list[Drawn]:
    """Write all images into a new dataset, on all cores; what fails is left out and says why.

    Raises:
        InputError: Nothing could be converted, or the folder holds something or cannot be written.
    """
    images, refused = with_own_names(source.images)
    clashes = [Drawn(image, failure=why) for image, why in refused]
    source.notes.extend(in_two_splits(images))
    with new_folder(out) as folder:
        work = functools.partial(_convert, rules=rules, folder=folder, undrawn=undrawn)
        results = clashes + list(progress(map_on_cores(work, images), "importing", len(images)))
        if all(result.failure for result in results):
            failures = [*_failures(source, results), *_undrawn(results)] or source.notes or ["no image was found"]
            raise InputError(f"nothing could be imported:\n{listed(failures)}")
        ignores = any(result.ignores for result in results)
        write_classes(folder, with_ignore_color(rules.classes) if ignores else rules.classes)
    return results


def summary(
    kind: str, source: Labels, rules: Rules, results: list[Drawn], unannotated: list[Path], out: Path
) -> ImportSummary:
    """Return what was written: frames of each split, and what each label became."""
    done = [result for result in results if not result.failure]
    pixels = sum((result.pixels for result in done), Counter[str]())
    shapes = sum((result.shapes for result in done), Counter[str]())
    names = {**dict(enumerate(rules.classes.names)), IGNORE: "ignore", NOT_DRAWN: "none"}
    shapes.update(
        shape.label for result in done for shape in result.image.shapes if rules.targets[shape.label] == NOT_DRAWN
    )
    labels = {
        label: Imported(names[target], shapes[label], pixels[label])
        for label, target in sorted(rules.targets.items())
        if shapes[label] or pixels[label]
    }
    frames = dict(Counter(result.image.split for result in done))
    failures = tuple(_failures(source, results))
    left = tuple(_undrawn(results))
    return ImportSummary(out, kind, frames, labels, tuple(source.notes), failures, left, tuple(unannotated))


def _failures(source: Labels, results: list[Drawn]) -> list[str]:
    return source.failures + [result.failure for result in results if result.failure]


def _undrawn(results: list[Drawn]) -> list[str]:
    return [line for result in results for line in result.undrawn]


def _convert(image: LabelledImage, rules: Rules, folder: Path, undrawn: Undrawn) -> Drawn:
    try:
        drawn = _upright_labels(image, rules)
        why = _reason_to_skip(drawn.undrawn, undrawn)
        then = "left out with its frame" if why else "its bounds are ignored"
        lines = tuple(f"{shape.where} ({shape.label}): {shape.why}; {then}" for shape in drawn.undrawn)
        if why:
            return Drawn(image, undrawn=lines, failure=f"{image.file}: left out, {why}")
        labels = drawn.labels
        class_map = np.full(labels.shape, rules.unlabelled, np.uint8)
        for index, target in enumerate(rules.targets.values()):
            if target != NOT_DRAWN:
                class_map[labels == index] = target
        class_map[labels == IGNORED] = IGNORE
        write_image(image.file, folder / image.split / "images", image.name)
        write_mask(class_map, folder / image.split / "masks", image.name, with_ignore_color(rules.classes))
    except (InputError, OSError) as error:
        return Drawn(image, failure=str(error) if str(image.file) in str(error) else f"{image.file}: {error}")
    pixels = Counter({name: int(np.count_nonzero(labels == i)) for i, name in enumerate(rules.targets)})
    return Drawn(image, drawn.drawn, pixels, lines, ignores=bool((labels == IGNORED).any()))


def _reason_to_skip(shapes: tuple[Shape, ...], undrawn: Undrawn) -> str:
    """Return why a frame is left out, or nothing."""
    if undrawn == "skip" and shapes:
        return f"{len(shapes)} labelled shapes of it could not be drawn"
    for shape in shapes:
        if not shape.box:
            return f"nobody knows where in it this lies: {shape.where} ({shape.label}): {shape.why}"
    return ""


def _upright_labels(image: LabelledImage, rules: Rules) -> LabelMap:
    """Draw an image's labels, and rotate them with it where they were drawn on it as it is stored."""
    pixels = read_image(image.file)
    orientation = read_header(image.file).orientation
    upright = (pixels.shape[0], pixels.shape[1])
    stored = upright if orientation < 5 else (upright[1], upright[0])
    _require_fit(image.size or upright, stored, upright)  # before anything is drawn as large as that
    drawn = label_map(image, image.size or upright, rules)
    labels = drawn.labels
    _require_fit(labels.shape, stored, upright)  # as a mask has a size of its own
    if labels.shape != upright:
        labels = turn(labels, orientation)
    return replace(drawn, labels=labels)


def _require_fit(size: tuple[int, ...], *sizes: Size) -> None:
    if size not in sizes:
        (height, width), (own_height, own_width) = size, sizes[-1]
        raise InputError(
            f"was labelled at {width}x{height}, but is {own_width}x{own_height}: import the image that was labelled"
        )
