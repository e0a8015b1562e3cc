"""The rules by which labels become classes."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cookseg.data.importers.frames import Frame, Source
from cookseg.data.standard import with_ignore_color
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.images import read_mask_image
from cookseg.runtime.model.contract import IGNORE, ClassTable
from cookseg.runtime.stream.parallel import map_on_cores

NOT_DRAWN = -1
_BACKGROUNDS = ("pan+background", "background")


@dataclass(frozen=True)
class Rules:
    """How labels become classes.

    Attributes:
        classes: The class table of the new set.
        targets: The class index of each label, `IGNORE`, or `NOT_DRAWN`.
        unlabelled: The class index of pixels without any shape, or `IGNORE`.
        order: ``file``, ``area`` (small shapes on top), or classes from bottom to top, parted by commas.
        values: For masks of indices, the label of each value.
        colors: For masks of colours, the label of each colour.
    """

    classes: ClassTable
    targets: dict[str, int]
    unlabelled: int
    order: str
    values: dict[int, str]
    colors: dict[tuple[int, int, int], str]


def make_rules(source: Source, classes: ClassTable, mapping: str, unlabelled: str, order: str) -> Rules:
    """Find the class of every label that occurs.

    Args:
        source: What was imported.
        classes: The classes of the new set.
        mapping: Such as ``spatula=stirrer,egg=food,*=pan+background``; ``*`` is every other label, ``ignore`` and
            ``none`` are targets beside the classes. A label that is a class's name needs no entry.
        unlabelled: Class of pixels without a shape, ``ignore``, or nothing for the background class.
        order: See `Rules`.

    Raises:
        InputError: A label has no class, or a target or part of the order is none.
    """
    targets = {name: index for index, name in enumerate(classes.names)} | {"ignore": IGNORE, "none": NOT_DRAWN}
    chosen = {name: index for index, name in enumerate(classes.names)}
    for entry in filter(None, (part.strip() for part in mapping.split(","))):
        label, equals, target = (part.strip() for part in entry.rpartition("="))
        if not equals or target not in targets:
            raise InputError(f"--map {entry!r}: expected LABEL=TARGET, the target one of {', '.join(targets)}")
        chosen[label] = targets[target]
    labels = _labels(source)
    if missing := [label for label in labels if label not in chosen and "*" not in chosen]:
        listed = ", ".join(f"{label} ({labels[label]})" if labels[label] else label for label in missing)
        line = ",".join([*filter(None, [mapping]), *(f"{label}=CLASS" for label in missing)])
        raise InputError(
            f"no class is known for these labels: {listed}; put {', '.join(targets)} in place of CLASS: --map {line!r}"
        )
    background = next((name for name in _BACKGROUNDS if name in classes.names), "ignore")
    rest = unlabelled or background
    if rest not in targets or targets[rest] == NOT_DRAWN:
        raise InputError(f"--unlabelled {rest!r}: expected ignore or one of {', '.join(classes.names)}")
    if order not in ("file", "area") and (wrong := set(order.split(",")) - set(classes.names)):
        raise InputError(
            f"--order {order!r}: {', '.join(sorted(wrong))} is no class; expected file, area, or classes from bottom to"
            f" top: {','.join(classes.names)}"
        )
    goals = {label: chosen.get(label, chosen.get("*", NOT_DRAWN)) for label in labels}
    if IGNORE in (*goals.values(), targets[rest]):
        classes = with_ignore_color(classes)
    return Rules(classes, goals, targets[rest], order, source.values, source.colors)


def _labels(source: Source) -> dict[str, int]:
    """Return all labels and how many shapes they have; for masks, how often is not known yet."""
    if source.values or source.colors:
        used: set[str] = set(source.values.values()) | set(source.colors.values())
        if source.values and all(label == str(value) for value, label in source.values.items()):
            used = {str(value) for value in _values_of(source.frames)}
        return dict.fromkeys(sorted(used), 0)
    return dict(Counter(shape.label for frame in source.frames for shape in frame.shapes).most_common())


def _values_of(frames: list[Frame]) -> set[int]:
    found: set[int] = set()
    for values in map_on_cores(_values, [frame.mask for frame in frames if frame.mask]):
        found |= values
    return found


def _values(path: Path) -> set[int]:
    try:
        return set(np.unique(read_mask_image(path, indices=True)).tolist())
    except InputError:
        return set()  # says so when it is converted
