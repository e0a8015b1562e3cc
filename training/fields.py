"""Fields of nested dataclasses by dotted name (``augment.steam``): types are checked, and changes made, by it."""

import difflib
import types
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass, replace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from cookseg.evaluation.run import flattened
from cookseg.runtime.errors import InputError

C = TypeVar("C")
_MOVED = {"imgsz": "preprocessing.height", "flips": "augment.flip"}
"""Short forms of the command, where a field has quite another name."""


def flat(config: Any) -> dict[str, Any]:
    """Return all values of a configuration, by dotted name."""
    return flattened(asdict(config))


def changed(config: C, changes: Mapping[str, Any]) -> C:
    """Return a configuration with other values for some fields, by dotted name.

    Raises:
        InputError: There is no such field, or it may not have such a value.
    """
    return _replaced(config, fitted(type(config), changes))


def fitted(kind: type, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return values, by dotted name, in the types that the fields of a dataclass have.

    Raises:
        InputError: There is no such field, or it is of another type.
    """
    known = _leaves(kind)
    if unknown := [name for name in changes if name not in known]:
        raise InputError(_unknown(unknown[0], known))
    return {name: _fitting(name, value, known[name]) for name, value in changes.items()}


def fit_types(config: Any, start: str = "") -> None:
    """Bring the fields of a frozen dataclass to their types, in its ``__post_init__``; 1 is a float too.

    Raises:
        InputError: A value is of another type; its name in the message begins with ``start``.
    """
    for name, hint in get_type_hints(type(config)).items():
        if not is_dataclass(hint):
            object.__setattr__(config, name, _fitting(start + name, getattr(config, name), hint))
        elif not isinstance(getattr(config, name), hint):  # type: ignore[arg-type]  # a class
            raise InputError(f"`{start}{name}`: it must be a {getattr(hint, '__name__', hint)}")


def require_range(config: Any, names: Iterable[str], low: float, high: float, start: str = "") -> None:
    """Refuse values outside low to high, both included.

    Raises:
        InputError: There is one; its name in the message begins with ``start``.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and not low <= value <= high:
            said = f"{low:g} or more" if high == float("inf") else f"in {low:g} to {high:g}"
            raise InputError(f"`{start}{name}={value!r}`: it must be {said}")


def _leaves(kind: type, start: str = "") -> dict[str, Any]:
    """Return the types of all fields that are not dataclasses themselves, by dotted name."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        found |= _leaves(hint, f"{start}{name}.") if is_dataclass(hint) else {start + name: hint}  # type: ignore[arg-type]
    return found


def _replaced(config: C, values: Mapping[str, Any]) -> C:
    own = {name: value for name, value in values.items() if "." not in name}
    for part in dict.fromkeys(name.partition(".")[0] for name in values if "." in name):
        inner = {name.removeprefix(f"{part}."): value for name, value in values.items() if name.startswith(f"{part}.")}
        try:
            own[part] = _replaced(getattr(config, part), inner)
        except InputError as error:
            if f"`{part}." in str(error):
                raise
            raise InputError(f"`{part}`: {error}") from error
    return replace(config, **own)  # type: ignore[type-var]  # a dataclass


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    by_end = [other for other in known if other.rpartition(".")[2] == name.replace("-", "_")]
    near = [_MOVED[name]] if name in _MOVED else by_end or difflib.get_close_matches(name, known, 1)
    if near:
        return f"there is no setting `{name}`: did you mean `{near[0]}`?"
    return f"there is no setting `{name}`; known are {', '.join(known)}"


def _fitting(name: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) is types.UnionType:  # X | None; TOML has no None
        if value is None or value == "none":
            return None
        hint = next(part for part in get_args(hint) if part is not types.NoneType)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise InputError(f"`{name}={value!r}`: it must be one of {', '.join(get_args(hint))}")
        return value
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        if isinstance(value, list | tuple) and len(value) == len(parts):
            return tuple(_fitting(name, each, part) for each, part in zip(value, parts, strict=True))
        raise InputError(
            f"`{name}={value!r}`: it must be {len(parts)} numbers, such as [{', '.join('12' for _ in parts)}]"
        )
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise InputError(f"`{name}={value!r}`: it must be {_SAID[hint]}")
    return value


_SAID = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
