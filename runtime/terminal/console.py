"""What all cookseg commands share: errors as a line and an exit code, JSON on request, remarks on stderr.

stdout holds the result, for people or (`--json`) as one JSON document; progress and remarks go to stderr. The library
says `device='cuda'`, as Python would; here that becomes `--device cuda`.
"""

import ast
import contextlib
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import click

from cookseg.runtime import opencv
from cookseg.runtime.errors import CooksegError
from cookseg.runtime.results import Result, as_text, visible

_PARAMETER = re.compile(r"`([a-z]\w*(?:\.\w+)*)(?:=([^`]+))?`")


class _UserError(click.ClickException):
    def __init__(self, error: CooksegError | OSError, message: str) -> None:
        super().__init__(message)
        self.exit_code = getattr(error, "exit_code", 1)  # type: ignore[misc]  # click declares it for the class

    def show(self, file: IO[Any] | None = None) -> None:
        lines = map(visible, f"Error: {self.format_message()}".split("\n"))
        click.echo("\n".join(lines), file=file or sys.stderr)


class Command(click.Command):
    """A click command that turns cookseg's errors, and the operating system's, into a line and an exit code.

    Attributes:
        flags: What is typed for a parameter of the library, by its name there, where the option has another one.
    """

    def __init__(self, *arguments: Any, flags: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        own = {str(p.name): p.opts[-1] for p in self.params if isinstance(p, click.Option)}
        self.flags = own | dict(flags or {})

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _remarks(self):
            try:
                if warning := opencv.doubt():
                    note(f"warning: {warning}")
                return super().invoke(ctx)
            except BrokenPipeError:  # `| head` has seen enough; click ends quietly
                raise
            except (CooksegError, OSError) as error:
                raise _UserError(error, self.spelled(str(error))) from error

    def spelled(self, message: str) -> str:
        """Return a message of the library with its parameters as they are typed on the command line.

        >>> Command("x", params=[click.Option(["--mask-format"])]).spelled("pass `mask_format='index'`")
        'pass --mask-format index'
        """
        return _PARAMETER.sub(self._typed, message)

    def _typed(self, match: re.Match[str]) -> str:
        name, value = match.groups()
        if f"{name}={value}" in self.flags:
            return self.flags[f"{name}={value}"]
        if name not in self.flags:
            return match[0]
        return self.flags[name] if value in {None, "True"} else f"{self.flags[name]} {_argument(value)}"


class Group(click.Group):
    """A click group of such commands."""

    command_class = Command


def _argument(value: str) -> str:
    """Return a value in Python's notation as it is typed; a pair is a size, (height, width)."""
    try:
        parsed = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return f"{parsed[1]}x{parsed[0]}" if isinstance(parsed, tuple) else shlex.quote(str(parsed))


class _Remarks(logging.Handler):
    """Writes what the library logs to stderr, as it is when something is logged."""

    def __init__(self, command: Command) -> None:
        super().__init__(logging.INFO)
        self.command = command

    def emit(self, record: logging.LogRecord) -> None:
        urgency = "warning: " if record.levelno >= logging.WARNING else ""
        note(urgency + self.command.spelled(record.getMessage()))


@contextlib.contextmanager
def _remarks(command: Command) -> Iterator[None]:
    logger, handler = logging.getLogger("cookseg"), _Remarks(command)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def note(message: str) -> None:
    """Tell the user something that is not the result."""
    click.echo(message, err=True)


def emit(as_json: bool, result: Result) -> None:
    """Print a result: as one JSON document, or as tables; parameters that it names are spelled as in errors."""
    context = click.get_current_context(silent=True)
    command = context.command if context else None
    spell = command.spelled if isinstance(command, Command) else str
    click.echo(json.dumps(_spelled(result.to_dict(), spell), indent=2) if as_json else spell(as_text(result.tables())))


def _spelled(value: Any, spell: Callable[[str], str]) -> Any:
    """Return a JSON value with all texts in it, but for keys, spelled for the command line."""
    match value:
        case str():
            return spell(value)
        case dict():
            return {key: _spelled(held, spell) for key, held in value.items()}
        case list() | tuple():
            return [_spelled(held, spell) for held in value]
    return value


@contextlib.contextmanager
def only_own_stderr() -> Iterator[None]:
    """Keep what C libraries write to stderr off it: libjpeg and libpng tell there of damage, without a file's name.

    The variable OPENCV_LOG_LEVEL, of any value, lets it through.
    """
    if "OPENCV_LOG_LEVEL" in os.environ or sys.stderr is not sys.__stderr__ or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    own = os.fdopen(os.dup(2), "w", 1, sys.stderr.encoding, sys.stderr.errors)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with contextlib.redirect_stderr(own):
            yield
    finally:
        own.flush()
        os.dup2(own.fileno(), 2)
        own.close()
        os.close(nowhere)
