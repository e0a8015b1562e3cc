"""Types and groups of options that several commands have."""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from cookseg.runtime.model.engine import STARTER, OnnxEngine
from cookseg.runtime.model.session import DEVICES, MODES, Mode, Settings
from cookseg.runtime.scoring.dataset import Layout

F = TypeVar("F", bound=Callable[..., Any])


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


@dataclass(frozen=True)
class Session:
    """On what, and how, a model is to run, as it was asked for.

    Attributes:
        device: A name of `DEVICES`, or of another of onnxruntime's execution providers.
        mode: A name of `MODES`, or None where it was not said.
        changes: Fields of `Settings` that were said apart from the mode.
        public_key: File of the key that the model must be signed for, or None.
    """

    device: str
    mode: Mode | None
    changes: Mapping[str, Any]
    public_key: Path | None

    def settings(self, mode: Mode) -> Settings:
        """Return the settings asked for, with a mode where none was."""
        return replace(MODES[self.mode or mode], **self.changes)

    def engine(self, model: Path, mode: Mode = "latency") -> OnnxEngine:
        """Load a model, with a mode where none was asked for."""
        return OnnxEngine(model, self.device, self.settings(mode), public_key=self.public_key)


def session_options(command: F) -> F:
    """Add the options that say on what, and how, a model runs; the command gets one `session` argument."""

    @functools.wraps(command)  # with click's own options, which stand on the function
    def gather(*args: Any, **options: Any) -> Any:
        names = ("threads", "spinning", "arena", "reduced_precision")
        changes = {name: value for name in names if (value := options.pop(name)) is not None}
        session = Session(options.pop("device"), options.pop("mode"), changes, options.pop("public_key"))
        return command(*args, session=session, **options)

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
        gather = option(gather)
    return gather  # type: ignore[return-value]  # click reads the options off the function


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
