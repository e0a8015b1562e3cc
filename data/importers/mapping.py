"""The class of each label, as the user says it: on one line, in a file, or as a mapping.

A file is for labels that a line cannot hold, with commas or with blanks at their ends, and for long lists::

    "fried egg, sunny side up" = "food"
    ladle = "stirrer"
    "*" = "pan+background"
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cookseg.runtime.errors import InputError

_SUFFIXES = (".toml", ".json")
_NEW_FILE = "labels.toml"


@dataclass(frozen=True)
class LabelMapping:
    """Targets of labels.

    Attributes:
        targets: A class, ``ignore`` or ``none`` for each label; that of ``*`` is for every other one.
        file: The file that says it, if one does.
    """

    targets: dict[str, str] = field(default_factory=dict)
    file: Path | None = None

    def entry(self, label: str, target: str) -> str:
        """Return an entry as the user wrote it, for messages."""
        return f"{self.file}: {_toml(label, target)}" if self.file else f"`mapping={f'{label}={target}'!r}`"

    def completed(self, missing: Iterable[str], choices: Iterable[str]) -> str:
        """Return what to do about labels that have no target: a line to paste, or lines of a file."""
        blanks = dict.fromkeys(missing, "CLASS")
        names = [*choices]
        put = f"put {', '.join(name if _fits(name) else _quoted(name) for name in names)} in place of CLASS"
        whole = self.targets | blanks
        line = ",".join(f"{label}={target}" for label, target in whole.items())
        if not self.file and _holds(line, whole) and all(map(_fits, names)):
            return f"{put}: `mapping={line!r}`"
        lines = "\n".join(_toml(label, target) for label, target in (blanks if self.file else whole).items())
        if self.file and self.file.suffix.lower() == ".json":
            lines = ",\n".join(f"{_quoted(label)}: {_quoted(target)}" for label, target in blanks.items())
        if self.file:
            return f"add these lines to {self.file}, and {put}:\n{lines}"
        return f"write these lines to a file, {put}, and pass it as `mapping={_NEW_FILE!r}`:\n{lines}"


def read_mapping(mapping: str | Path | Mapping[str, str]) -> LabelMapping:
    """Return the target of each label, from ``spatula=stirrer,egg=food``, a TOML or JSON file, or a mapping.

    >>> read_mapping("fried egg=food, *=pan+background").targets
    {'fried egg': 'food', '*': 'pan+background'}

    Raises:
        InputError: An entry is not ``LABEL=TARGET``, or the file is missing, damaged, or holds something else.
    """
    if isinstance(mapping, Mapping):
        return LabelMapping(dict(mapping))
    if Path(mapping).suffix.lower() in _SUFFIXES:
        return LabelMapping(_read_file(Path(mapping)), Path(mapping))
    if isinstance(mapping, Path):
        raise InputError(f"`mapping={str(mapping)!r}`: expected a file of {' or '.join(_SUFFIXES)}")
    return LabelMapping(_parse_line(mapping))


def _holds(line: str, whole: dict[str, str]) -> bool:
    """Return whether a line says all of a mapping: it splits at commas, and drops blanks around labels."""
    try:
        return line.isprintable() and "`" not in line and _parse_line(line) == whole
    except InputError:
        return False


def _fits(target: str) -> bool:
    return _holds(f"label={target}", {"label": target})


def _parse_line(line: str) -> dict[str, str]:
    parsed = {}
    for entry in filter(None, (part.strip() for part in line.split(","))):
        label, equals, target = (part.strip() for part in entry.rpartition("="))
        if not equals:
            raise InputError(f"`mapping={entry!r}`: expected LABEL=TARGET, or a file of {' or '.join(_SUFFIXES)}")
        parsed[label] = target
    return parsed


def _read_file(path: Path) -> dict[str, str]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        value = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text, object_pairs_hook=_unique)
    except OSError as error:
        raise InputError(f"`mapping={str(path)!r}`: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # also of decoding
        raise InputError(f"{path} is not a valid file of labels: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected entries such as {_example(path)}")
    for label, target in value.items():
        if not isinstance(target, str):
            dotted = "; a label with a dot needs quotes" if isinstance(target, dict) else ""
            raise InputError(f"{path}: {label}: expected entries such as {_example(path)}{dotted}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        labels = [label for label, _ in pairs]
        raise ValueError(f"{next(label for label in labels if labels.count(label) > 1)!r} has two entries")
    return found


def _example(path: Path) -> str:
    return '"fried egg" = "food"' if path.suffix.lower() == ".toml" else '{"fried egg": "food"}'


def _toml(label: str, target: str) -> str:
    return f"{_quoted(label)} = {_quoted(target)}"


def _quoted(text: str) -> str:
    """Return a string of TOML and of JSON; of what is not printable, and of backticks, the numbers."""
    plain = json.dumps(text, ensure_ascii=False)
    return "".join(c if (c.isprintable() and c != "`") or c > "\uffff" else f"\\u{ord(c):04x}" for c in plain)
