"""From frames with labelled shapes to images and masks of the standard layout."""

import functools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cookseg.data.importers.draw import label_map
from cookseg.data.importers.frames import Frame, Source
from cookseg.data.importers.rules import NOT_DRAWN, Rules
from cookseg.data.standard import write_classes, write_image, write_mask
from cookseg.runtime.errors import InputError
from cookseg.runtime.files import new_folder
from cookseg.runtime.imaging.headers import read_header
from cookseg.runtime.imaging.images import read_image, turn
from cookseg.runtime.model.contract import IGNORE
from cookseg.runtime.results import grid, listed
from cookseg.runtime.stream.parallel import map_on_cores
from cookseg.runtime.terminal import console


@dataclass(frozen=True)
class Drawn:
    """What became of a frame: pixels and shapes of each label, or why it failed."""

    frame: Frame
    pixels: Counter[str]
    failure: str = ""


def convert(source: Source, rules: Rules, out: Path) -> list[Drawn]:
    """Write all frames into a new dataset, on all cores; what fails is left out and says why.

    Raises:
        InputError: Nothing could be converted, or the folder holds something or cannot be written.
    """
    frames, clashes = _without_clashes(source.frames)
    with new_folder(out) as folder:
        work = functools.partial(_convert, rules=rules, folder=folder)
        with console.progress(map_on_cores(work, frames), "importing", len(frames)) as bar:
            results = clashes + list(bar)
        failures = source.failures + [result.failure for result in results if result.failure]
        if all(result.failure for result in results):
            raise InputError(f"nothing could be imported:\n{listed(failures or ['no frame was found'])}")
        write_classes(folder, rules.classes)
    return results


def summary(source: Source, rules: Rules, results: list[Drawn]) -> dict[str, Any]:
    """Return as JSON values what was written: frames of each split, and what each label became."""
    done = [result for result in results if not result.failure]
    pixels = sum((result.pixels for result in done), Counter[str]())
    shapes = Counter(shape.label for result in done for shape in result.frame.shapes)
    names = {**dict(enumerate(rules.classes.names)), IGNORE: "ignore", NOT_DRAWN: "none"}
    return {
        "frames": dict(Counter(result.frame.split for result in done)),
        "labels": {
            label: {"class": names[target], "shapes": shapes[label], "pixels": pixels[label]}
            for label, target in sorted(rules.targets.items())
            if shapes[label] or pixels[label]
        },
        "notes": source.notes,
        "failures": source.failures + [result.failure for result in results if result.failure],
    }


def as_text(value: dict[str, Any]) -> str:
    """Return a summary as text: a table of the labels, notes, and what to do next."""
    rows = [
        [label, held["class"], f"{held['shapes'] or '-'}", f"{held['pixels']:,}"]
        for label, held in value["labels"].items()
    ]
    frames = ", ".join(f"{count} {split}" for split, count in value["frames"].items())
    out = value["dataset"]
    after = "doctor {0}" if "val" in value["frames"] else "split {0} {0}-split"
    lines = [grid(rows, ["label", "class", "shapes", "pixels"]), ""]
    lines += [f"note: {note}" for note in value["notes"]]
    return "\n".join(
        [*lines, f"{value['format']}: {frames} frames written to {out}", f"next: cook-data {after.format(out)}"]
    )


def _without_clashes(frames: list[Frame]) -> tuple[list[Frame], list[Drawn]]:
    first: dict[tuple[str, str], Frame] = {}
    clashes = []
    for frame in frames:
        other = first.setdefault((frame.split, frame.name), frame)
        if other is not frame:
            why = f"{frame.image}: has the name of {other.image} in {frame.split}, which was taken"
            clashes.append(Drawn(frame, Counter(), why))
    return list(first.values()), clashes


def _convert(frame: Frame, rules: Rules, folder: Path) -> Drawn:
    try:
        labels = _upright_labels(frame, rules)
        class_map = np.full(labels.shape, rules.unlabelled, np.uint8)
        for index, target in enumerate(rules.targets.values()):
            if target != NOT_DRAWN:
                class_map[labels == index] = target
        write_image(frame.image, folder / frame.split / "images", frame.name)
        write_mask(class_map, folder / frame.split / "masks", frame.name, rules.classes)
    except (InputError, OSError) as error:
        return Drawn(frame, Counter(), str(error) if str(frame.image) in str(error) else f"{frame.image}: {error}")
    return Drawn(frame, Counter({name: int(np.count_nonzero(labels == i)) for i, name in enumerate(rules.targets)}))


def _upright_labels(frame: Frame, rules: Rules) -> npt.NDArray[np.int16]:
    """Draw a frame's labels, and turn them with the image where they were drawn on it as it is stored."""
    pixels = read_image(frame.image)
    orientation = read_header(frame.image).orientation
    upright = (pixels.shape[0], pixels.shape[1])
    stored = upright if orientation < 5 else (upright[1], upright[0])
    labels = label_map(frame, frame.size or upright, rules)
    if labels.shape == stored != upright:
        labels = turn(labels, orientation)
    if labels.shape != upright:
        raise InputError(
            f"was labelled at {labels.shape[1]}x{labels.shape[0]}, but is {upright[1]}x{upright[0]}:"
            " import the image that was labelled"
        )
    return labels
