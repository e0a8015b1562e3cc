"""Tables of what the indices or colours of masks mean: those of tools, and any list of numbers and names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cookseg.data.importers.json_files import read_json
from cookseg.data.importers.labels import Labels
from cookseg.runtime.errors import InputError

Color = tuple[int, int, int]
_Key = TypeVar("_Key")

_LINE = re.compile(r"""^\s*(\d+)[\s,;]+(?:(\d+)[\s,;]+(\d+)[\s,;]+)?["']?(.+?)["']?\s*$""")
_CVAT_LINE = re.compile(r"(.*):\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*:[^:]*:[^:]*")
_ROBOFLOW_HEADING = "pixel value"
_BACKGROUND = "background"
_BRIGHTEST = 255


@dataclass
class MaskTable:
    """Labels of what is in masks; one of the two is empty.

    Attributes:
        values: The label of each index.
        colors: The label of each RGB colour.
    """

    values: dict[int, str] = field(default_factory=dict)
    colors: dict[Color, str] = field(default_factory=dict)

    def add_to(self, found: Labels, path: Path) -> None:
        """Add it to the labels of a set; pixels of the label ``background`` are those without a shape.

        Raises:
            InputError: Another table of the set gives one of its indices or colours another label.
        """
        where = f"{path}, and another table here"
        for value, label in self.values.items():
            _add(found.values, value, label, where)
        for color, label in self.colors.items():
            _add(found.colors, color, label, where)
        if _BACKGROUND in (*self.values.values(), *self.colors.values()):
            found.background = _BACKGROUND


def read_table(path: Path) -> MaskTable:
    """Read a table of labels.

    That is CVAT's ``labelmap.txt`` (``egg:250,50,83::``), Roboflow's ``_classes.csv``, lines of ``index name`` or
    ``r g b name``, or a JSON list of names or object of them. In lines, numbers and names may be separated by spaces,
    commas or semicolons; one that does not start with a number, such as a heading, is left out.

    Raises:
        InputError: The table holds no label, or two for one index or colour.
    """
    if path.suffix.lower() == ".json":
        return _from_json(path)
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a table of labels: {getattr(error, 'strerror', None) or error}") from error
    if is_cvat_table(lines):
        return _from_cvat(path, lines)
    table = MaskTable()
    rows = _rows_of_roboflow(lines) if is_roboflow_table(lines) else _rows(lines)
    for numbers, name in rows:
        if len(numbers) == 1:
            _add(table.values, numbers[0], name, str(path))
        else:
            _add(table.colors, _color(numbers, path), name, str(path))
    if bool(table.values) == bool(table.colors):
        raise InputError(f"{path}: a table has lines such as `3 spatula`, or such as `255 0 0 spatula`, not both")
    return table


def is_cvat_table(lines: Iterable[str]) -> bool:
    """Return whether lines are those of CVAT's ``labelmap.txt``."""
    used = _used(lines)
    return bool(used) and all(_CVAT_LINE.fullmatch(line) for line in used)


def is_roboflow_table(lines: list[str]) -> bool:
    """Return whether lines are those of Roboflow's ``_classes.csv`` of masks, not of its classification."""
    return bool(lines) and lines[0].strip().lower().startswith(_ROBOFLOW_HEADING)


def _used(lines: Iterable[str]) -> list[str]:
    """Return the lines of a ``labelmap.txt`` that say something, as Datumaro, which writes it, reads them."""
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def _from_cvat(path: Path, lines: Iterable[str]) -> MaskTable:
    table = MaskTable()
    for line in _used(lines):
        name, *numbers = _CVAT_LINE.fullmatch(line).groups()  # type: ignore[union-attr]  # was matched before
        _add(table.colors, _color([int(number) for number in numbers], path), name, str(path))
    return table


def _from_json(path: Path) -> MaskTable:
    value = read_json(path)
    entries = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else [])
    try:
        return MaskTable({int(index): str(name) for index, name in entries})
    except ValueError as error:
        raise InputError(f"{path}: the keys should be indices: {error}") from error


def _rows(lines: Iterable[str]) -> Iterable[tuple[list[int], str]]:
    for match in filter(None, map(_LINE.match, lines)):
        *numbers, name = match.groups()
        yield [int(number) for number in numbers if number], name


def _rows_of_roboflow(lines: list[str]) -> Iterable[tuple[list[int], str]]:
    for line in lines[1:]:
        number, _, name = (part.strip() for part in line.partition(","))  # names that hold commas are not quoted
        if number.isdecimal():
            quoted = len(name) > 1 and name[0] == name[-1] == '"'  # unless a spreadsheet saved it
            yield [int(number)], name[1:-1].replace('""', '"') if quoted else name


def _color(numbers: list[int], path: Path) -> Color:
    if max(numbers) > _BRIGHTEST:
        raise InputError(f"{path}: the colour {tuple(numbers)} has a part above {_BRIGHTEST}")
    red, green, blue = numbers
    return red, green, blue


def _add(table: dict[_Key, str], key: _Key, name: str, where: str) -> None:
    if table.setdefault(key, name) != name:
        what = "colour" if isinstance(key, tuple) else "index"
        raise InputError(
            f"{where}: {table[key]} and {name} have the same {what}, {key}: give each its own, and export again"
        )
