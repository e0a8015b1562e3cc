"""The training configuration as text: a TOML file, or ``NAME=VALUE`` on a command line."""

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cookseg.evaluation.run import flattened
from cookseg.runtime.errors import InputError, require_extra
from cookseg.training import fields
from cookseg.training.config import TrainConfig

_HEAD = "# This configuration repeats the run: cook-train DATA -o RUN --config FILE\n"


def load_config(path: Path | str) -> TrainConfig:
    """Read a configuration from a TOML file; what it does not name has its default.

    Raises:
        InputError: The file cannot be read, or holds an unknown name or a value that cannot be.
    """
    changes = read(Path(path))
    try:
        return fields.changed(TrainConfig(), changes)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read(path: Path) -> dict[str, Any]:
    """Return what a TOML file says of `TrainConfig`, by dotted name.

    Raises:
        InputError: The file cannot be read, or holds an unknown name or a value of another type.
    """
    try:
        return fields.fitted(TrainConfig, flattened(tomllib.loads(path.read_text("utf-8"))))
    except (OSError, ValueError, InputError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def parse(setting: str) -> tuple[str, Any]:
    """Return dotted name and value of ``NAME=VALUE``; the value is written as in TOML, text also without quotes.

    >>> parse("augment.steam=0.3"), parse("crop=[208, 272]"), parse("model=edge-s")
    (('augment.steam', 0.3), ('crop', [208, 272]), ('model', 'edge-s'))

    Raises:
        InputError: It has no such form.
    """
    name, equals, text = (part.strip() for part in setting.partition("="))
    if not (name and equals):
        raise InputError(f"{setting!r} is not NAME=VALUE, such as augment.steam=0.3")
    try:
        return name, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return name, text


def dump(config: TrainConfig) -> str:
    """Return a configuration as TOML, whole; what is None is left out.

    Raises:
        MissingExtraError: The package that writes TOML is not installed.
    """
    with require_extra("train"):
        import tomli_w  # noqa: PLC0415 - `--help` must not need it
    return _HEAD + tomli_w.dumps(_without_none(asdict(config)))


def _without_none(value: dict[str, Any]) -> dict[str, Any]:
    return {k: _without_none(v) if isinstance(v, dict) else v for k, v in value.items() if v is not None}
