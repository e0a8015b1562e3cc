"""What all cookseg commands share: errors as a line and an exit code, JSON on request, tables, progress bars, options.

stdout holds the result, for people or (`--json`) as one JSON document; progress and remarks go to stderr.
"""

import contextlib
import functools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from cookseg.runtime.errors import CooksegError, MissingExtraError
from cookseg.runtime.model.engine import STARTER
from cookseg.runtime.model.session import DEVICES, MODES
from cookseg.runtime.scoring.dataset import Layout

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class _UserError(click.ClickException):
    def __init__(self, error: CooksegError | OSError) -> None:
        super().__init__(str(error))
        self.exit_code = getattr(error, "exit_code", 1)  # type: ignore[misc]  # click declares it for the class

    def show(self, file: IO[Any] | None = None) -> None:
        lines = map(_visible, f"Error: {self.format_message()}".split("\n"))
        click.echo("\n".join(lines), file=file or sys.stderr)


class Command(click.Command):
    """A click command that turns cookseg's errors, and the operating system's, into a line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `| head` has seen enough; click ends quietly
            raise
        except (CooksegError, OSError) as error:
            raise _UserError(error) from error


class Group(click.Group):
    """A click group of such commands."""

    command_class = Command


class ImageSize(click.ParamType[tuple[int, int]]):
    """A size such as 256 or 480x352 (width x height)."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return (height, width)."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", str(value).lower())
        if not match:
            self.fail(f"{value!r} is not a size such as 256 or 480x352 (width x height)", param, ctx)
        return int(match[2] or match[1]), int(match[1])


class Device(click.Choice[str]):
    """A name of `DEVICES`, or of any other of onnxruntime's execution providers."""

    def __init__(self) -> None:
        super().__init__(DEVICES)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        return value if str(value).endswith("ExecutionProvider") else super().convert(value, param, ctx)


class PathOrStarter(click.Path):
    """A path, or the word `starter` for a file that comes with cookseg; ./starter is a file of that name."""

    def __init__(self, starter: Path, **options: Any) -> None:
        super().__init__(path_type=Path, **options)
        self.starter = starter

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        return self.starter if value == "starter" else super().convert(value, param, ctx)


@contextlib.contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Turn a failed import in the body into the pip command that mends it.

    Raises:
        MissingExtraError: A package that is not cookseg's could not be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"this command needs the package {error.name}, which is not installed: `pip install 'cookseg[{extra}]'`"
        ) from error


def note(message: str) -> None:
    """Tell the user something that is not the result."""
    click.echo(message, err=True)


def emit(as_json: bool, value: Any, text: Callable[[], str]) -> None:
    """Print the result: the JSON value, or the text made of it."""
    click.echo(json.dumps(value, indent=2) if as_json else text())


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """Lay out text in columns, the first one flush left and all others flush right."""
    widths = [max(len(row[i]) for row in [header, *rows] if i < len(row)) for i in range(len(header))]
    lines = [[*row, *[""] * (len(header) - len(row))] for row in [header, ["-" * width for width in widths], *rows]]
    return "\n".join(
        "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in lines
    )


def bullets(lines: Sequence[str], most: int = 20) -> str:
    """List lines one below the other, and how many more there are."""
    shown = [f"  {_visible(line)}" for line in lines[:most]]
    return "\n".join(shown if len(lines) <= most else [*shown, f"  and {len(lines) - most} more; --json has all"])


def _visible(line: str) -> str:
    """Escape control characters, which names of files may hold: each error is one line, and no terminal obeys it."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: repr(match[0])[1:-1], line)


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


@contextlib.contextmanager
def progress(items: Iterable[T], label: str, length: int | None = None) -> Iterator[Iterable[T]]:
    """Show a progress bar with the time left on a terminal, and nothing elsewhere."""
    with click.progressbar(
        items, length=length, label=label, file=sys.stderr, hidden=not interactive(), show_pos=True
    ) as bar:
        yield bar


@contextlib.contextmanager
def step_progress(length: int, label: str, done: int = 0) -> Iterator[Callable[[str], None]]:
    """Show a progress bar that advances a step, with a status, each time that the yielded function is called."""
    with click.progressbar(
        length=length,
        label=label,
        file=sys.stderr,
        hidden=not interactive(),
        item_show_func=lambda status: status,
    ) as bar:
        bar.update(done)
        yield lambda status: bar.update(1, status)


def interactive() -> bool:
    """Return whether a person watches stderr."""
    return sys.stderr.isatty()


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
version_option = click.version_option(package_name="cookseg", prog_name="cookseg")
folder_argument = click.Path(exists=True, file_okay=False, path_type=Path)
file_path = click.Path(dir_okay=False, path_type=Path)
folder_path = click.Path(file_okay=False, path_type=Path)
model_path = PathOrStarter(STARTER, dir_okay=False)
model_option = click.option(
    "-m",
    "--model",
    type=model_path,
    default="starter",
    show_default=True,
    help="ONNX model made by cook-export; starter is the one that comes with cookseg.",
)
signature_option = click.option(
    "--require-signature",
    "public_key",
    type=file_path,
    metavar="PUBKEY",
    help="Ed25519 public key (PEM); a model that its holder did not sign is refused.",
)
device_option = click.option(
    "--device",
    type=Device(),
    default="auto",
    show_default=True,
    help="What to run on; another of onnxruntime's execution providers by its own name. An explicit device is used or"
    " refused (exit 4), never replaced by the CPU.",
)


def session_options(command: F) -> F:
    """Add the options that say on what, and how, a model runs: arguments of `OnnxEngine` by their names."""
    for option in (
        signature_option,
        click.option(
            "--reduced-precision",
            is_flag=True,
            help="Let CUDA multiply in TF32, TensorRT in float16, OpenVINO in bfloat16.",
        ),
        click.option("--arena/--no-arena", default=None, help="Keep memory for the next frame, or give it back."),
        click.option("--spinning/--no-spinning", default=None, help="Whether threads wait for work in a loop."),
        click.option("--threads", type=click.IntRange(0), help="CPU threads in an operator; 0 is one per core."),
        click.option(
            "--mode",
            type=click.Choice(list(MODES)),
            help="latency: a frame as soon as can be; throughput: frames side by side, a thread for each; background:"
            " one thread and little memory. The three options below change one thing each.",
        ),
        device_option,
    ):
        command = option(command)
    return command


def layout_options(command: F) -> F:
    """Add the options that describe a dataset's folders; the command gets one `layout` argument."""

    @functools.wraps(command)  # with click's own options, which stand on the function
    def gather(*args: Any, **options: Any) -> Any:
        names = ("images", "masks", "mask_suffix", "mask_format")
        layout = Layout(**{name: options.pop(name) for name in names})
        return command(*args, layout=layout, **options)

    for option in (
        click.option(
            "--mask-format",
            type=click.Choice(["color", "index"]),
            default="color",
            show_default=True,
            help="Masks hold class colours, or class indices.",
        ),
        click.option("--mask-suffix", default="", help="What mask names have beyond their images', such as _mask."),
        click.option("--masks", default="masks", show_default=True, help="Mask folder in a split; may be the images'."),
        click.option(
            "--images",
            default="images",
            show_default=True,
            help="Image folder in a split; . is the split's own.",
        ),
    ):
        gather = option(gather)
    return gather  # type: ignore[return-value]  # click reads the options off the function
