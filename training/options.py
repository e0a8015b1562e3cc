"""The options of `cook-train` as a TOML file: ``--config`` reads one, and every run leaves one that repeats it."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cookseg.training import STARTER

FILE = "config.toml"
"""In a run's folder: the options that it was started with, and what was chosen where none was given."""
_NOT_IN_FILES = ("config", "version", "help", "find-lr")
_OF_ONE_RUN = ("output", "resume", "json")


def load(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Make the values of a file the defaults of a command, whose own types check them; the command line goes before.

    Raises:
        click.BadParameter: The file cannot be read, holds an unknown key, or a value that its option refuses.
    """
    if path is None:
        return
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    known = _options(ctx.command)
    ctx.default_map = {}
    for key, value in values.items():
        if key not in known:
            raise click.BadParameter(f"{path}: there is no option {key!r}; known are {', '.join(known)}")
        if isinstance(value, dict | list):
            raise click.BadParameter(f"{path}: {key} is {value}; it must be a single value")
        try:
            known[key].type_cast_value(ctx, str(value))  # as text: an int would be taken of 2.5 otherwise
        except click.BadParameter as error:
            raise click.BadParameter(f"{path}: {key}: {error.message}") from error
        ctx.default_map[str(known[key].name)] = str(value)


def dump(ctx: click.Context, chosen: Mapping[str, Any]) -> str:
    """Return a command's options as TOML; ``chosen`` are values by parameter name that go before those given."""
    lines = ["# These options repeat the run: cook-train DATA -o RUN --config FILE"]
    for key, option in _options(ctx.command).items():
        value = chosen.get(str(option.name), ctx.params[str(option.name)])
        if key not in _OF_ONE_RUN and value is not None:
            lines.append(f"{key} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _options(command: click.Command) -> dict[str, click.Option]:
    """Return options by their long name without dashes."""
    options = [option for option in command.params if isinstance(option, click.Option)]
    named = {option.opts[-1].removeprefix("--"): option for option in options}
    return {key: option for key, option in named.items() if key not in _NOT_IN_FILES}


def _toml(value: Any) -> str:
    if isinstance(value, tuple):  # a size, (height, width)
        return f'"{value[1]}x{value[0]}"'
    if isinstance(value, Path):
        value = "starter" if value == STARTER else str(value.resolve())
    return json.dumps(value, ensure_ascii=False)  # of strings, numbers and booleans, TOML's notation is the same
