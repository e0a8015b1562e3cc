"""The rules by which labels become classes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np

from cookseg.data.importers.labels import LabelledImage, Labels, composed
from cookseg.data.importers.mapping import LabelMapping
from cookseg.data.standard import BACKGROUNDS, with_ignore_color
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.images import read_mask_image
from cookseg.runtime.model.contract import IGNORE, ClassTable
from cookseg.runtime.stream.parallel import map_on_cores

NOT_DRAWN = -1
"""In place of a class index: shapes of this label are left out."""

_ByShape = Literal["file", "area"]

Order = _ByShape | tuple[str, ...]
"""Order of drawing: as in the file, the smallest area last, or classes from bottom to top."""


@dataclass(frozen=True)
class Rules:
    """Rules by which labels become classes.

    Attributes:
        classes: The class table of the new set.
        targets: The class index of each label, `IGNORE`, or `NOT_DRAWN`.
        unlabelled: The class index of pixels without any shape, or `IGNORE`.
        order: Order of drawing; the last lies on top.
        values: For masks of indices, the label of each value.
        colors: For masks of colours, the label of each colour.
    """

    classes: ClassTable
    targets: dict[str, int]
    unlabelled: int
    order: Order
    values: dict[int, str]
    colors: dict[tuple[int, int, int], str]


def parse_order(order: str | Sequence[str], classes: ClassTable) -> Order:
    """Return an order of drawing, from ``file``, ``area``, ``food,stirrer`` or a sequence of classes.

    Raises:
        InputError: A part of it is not a class.
    """
    if isinstance(order, str) and order in get_args(_ByShape):
        return cast(_ByShape, order)
    bottom_up = tuple(_names_in(order, classes.names) if isinstance(order, str) else order)
    if wrong := set(bottom_up) - set(classes.names):
        raise InputError(
            f"`order={','.join(bottom_up)!r}`: {', '.join(sorted(wrong))} is not a class; expected file, area, or"
            f" classes from bottom to top: {','.join(classes.names)}"
        )
    return bottom_up


def _names_in(line: str, names: tuple[str, ...]) -> Iterator[str]:
    """Return what is between commas and blanks, but for those in names."""
    parts = line.split(",")
    while parts:
        heads = [(count, ",".join(parts[:count])) for count in range(len(parts), 0, -1)]
        forms = [(count, form) for count, head in heads for form in (head, head.strip()) if form in names]
        count, name = forms[0] if forms else (1, parts[0].strip())
        yield name
        parts = parts[count:]


def make_rules(
    source: Labels, classes: ClassTable, mapping: LabelMapping, unlabelled: str | None, order: Order
) -> Rules:
    """Find the class of every label that occurs.

    Args:
        source: What was imported.
        classes: The classes of the new set.
        mapping: The target of each label. A label that is a class's name needs no entry; nor does a mask's background,
            which is `unlabelled` then.
        unlabelled: Class of pixels without a shape, ``ignore``, or None for the background class.
        order: See `Rules`.

    Raises:
        InputError: A label has no class, or a target is not one.
    """
    targets = {name: index for index, name in enumerate(classes.names)} | {"ignore": IGNORE, "none": NOT_DRAWN}
    chosen = {composed(name): index for index, name in enumerate(classes.names)}
    for label, target in mapping.targets.items():
        if target not in targets:
            raise InputError(f"{mapping.entry(label, target)}: expected LABEL=TARGET with one of {', '.join(targets)}")
        if target in classes.names and targets[target] in (IGNORE, NOT_DRAWN):
            raise InputError(f"{mapping.entry(label, target)}: {target} is a class, too: give that another name")
        chosen[composed(label)] = targets[target]
    others = targets[mapping.targets["*"]] if "*" in mapping.targets else None
    if source.background:
        chosen.setdefault(composed(source.background), NOT_DRAWN)
    labels = _labels(source)
    if missing := [label for label in labels if composed(label) not in chosen and others is None]:
        listed = ", ".join(_shown(label, labels[label]) for label in missing)
        remedy = mapping.completed(missing, targets)
        raise InputError(f"no class is known for these labels: {listed}; {remedy}")
    background = next((name for name in BACKGROUNDS if name in classes.names), "ignore")
    rest = background if unlabelled is None else unlabelled
    if rest not in targets or targets[rest] == NOT_DRAWN:
        raise InputError(f"`unlabelled={rest!r}`: expected ignore or one of {', '.join(classes.names)}")
    other = targets[rest] if others is None else others  # without one, only of what cannot be drawn: it needs no class
    undrawn = (shape.label for image in source.images for shape in image.shapes)
    goals = {label: chosen.get(composed(label), other) for label in (*labels, *undrawn)}
    if IGNORE in (*goals.values(), targets[rest]):
        classes = with_ignore_color(classes)
    return Rules(classes, goals, targets[rest], order, source.values, source.colors)


def _shown(label: str, count: int) -> str:
    """Return a label, in quotes where it would not be seen well, and how often it occurs, if that is known."""
    name = label if label and label == label.strip() else repr(label)
    return f"{name} ({count})" if count else name


def _labels(source: Labels) -> dict[str, int]:
    """Return all labels and how many shapes they have; for masks, how often is not known yet."""
    if source.values or source.colors:
        used: set[str] = set(source.values.values()) | set(source.colors.values())
        if source.values and all(label == str(value) for value, label in source.values.items()):
            used = {str(value) for value in _values_of(source.images)}
        return dict.fromkeys(sorted(used), 0)
    shapes = (shape for image in source.images for shape in image.shapes)
    return dict(Counter(shape.label for shape in shapes if shape.segmentation).most_common())


def _values_of(images: list[LabelledImage]) -> set[int]:
    found: set[int] = set()
    for values in map_on_cores(_values, [image.mask for image in images if image.mask]):
        found |= values
    return found


def _values(path: Path) -> set[int]:
    try:
        return set(np.unique(read_mask_image(path, indices=True)).tolist())
    except InputError:
        return set()  # says so when it is converted
