"""`cook-train`: from a dataset to a run's folder with checkpoints, metrics and curves."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_args

import click
from click.core import ParameterSource

from cookseg.data.doctor.survey import Survey, survey
from cookseg.evaluation.run import Run
from cookseg.runtime.errors import InputError, require_extra, require_packages
from cookseg.runtime.model.contract import ResizeRule
from cookseg.runtime.scoring.dataset import Layout
from cookseg.runtime.stream.parallel import imported_meanwhile
from cookseg.runtime.terminal import bars, console, params
from cookseg.training import STARTER, config_file, fields
from cookseg.training.config import AUTO, IMAGENET, RANDOM, STARTER_NAME, Keep, Precision, TrainConfig
from cookseg.training.models import PRESETS
from cookseg.training.unlabelled import ADAPTATION_LR

if TYPE_CHECKING:
    from cookseg.training.trainer import Trainer

F = TypeVar("F", bound=Callable[..., Any])
FLIPS = {"both": (0.5, 0.5), "horizontal": (0.5, 0.0), "none": (0.0, 0.0)}
"""Probabilities of a horizontal and of a vertical flip."""
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "imgsz": ("preprocessing.height", "preprocessing.width"),
    "resize": ("preprocessing.resize",),
    "rotation": ("augment.rotation",),
    "flips": ("augment.flip", "augment.vertical_flip"),
    "zoom": ("augment.zoom",),
    "paste": ("augment.paste",),
    "encoder_weights": ("encoder.weights",),
    "unlabelled": ("unlabelled.source",),
}
"""Fields of `TrainConfig` of the options that have other names than these."""
_FLAGS = {field: f"--{name.replace('_', '-')}" for name, names in OTHER_NAMES.items() for field in names}
_OF_SPLIT = {"session_pattern": "--session-pattern", "val": "--val"}
"""Options of `cook-data split`, which warnings of doubtful sessions name as the remedy."""
_DEFAULTS = fields.flat(TrainConfig())


class _EncoderWeights(click.Path):
    """A file, or one of the words for published and for random weights; ./imagenet is a file of that name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word, or the absolute path."""
        return (
            value
            if value in (IMAGENET, RANDOM)
            else str(Path(os.fsdecode(super().convert(value, param, ctx))).resolve())
        )


class _Train(console.Command):
    """`cook-train DATA`; what was `cook-train compare` is `cook-eval runs`, and a dataset of that name is ./compare."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["compare"]:
            raise click.UsageError("`cook-train compare` is now `cook-eval runs`: cook-eval runs RUN...", ctx)
        return super().parse_args(ctx, args)


def _short(name: str, text: str, kind: Any = None, default: Any = None, **options: Any) -> Callable[[F], F]:
    """Add an option that is the short form of a field, or of two; its default is the field's, and shown."""
    if default is None:
        default = _DEFAULTS[OTHER_NAMES.get(name, (name,))[0]]
    default = None if default == "" else default
    options["show_default"] = not (default is None or default is False)
    return click.option(f"--{name.replace('_', '-')}", name, type=kind, default=default, help=text, **options)


@click.command(
    cls=_Train,
    flags={**_FLAGS, **_OF_SPLIT, "check=False": "--no-check"},
    epilog="Examples: cook-train data/sets/demo -o runs/demo   |   cook-train data/sets/demo -o runs/demo --resume"
    "   |   torchrun --nproc-per-node 2 -m cookseg.training data/sets/demo -o runs/demo",
)
@click.argument("data", type=params.folder_argument, required=False)
@click.option("-o", "--output", "run", type=params.folder_path, help="Folder of the run.  [required]")
@_short(
    "model",
    "edge sees the finest detail of the small ones, edge-s is the fastest, edge-m and edge-l know more; classic is the"
    " reference with 31 M parameters; lite-s, lite-m and lite-l begin with encoders that have seen photographs. auto is"
    " that of --init, or edge.",
    click.Choice([AUTO, *PRESETS]),
)
@_short(
    "imgsz",
    "Network input: 256, or 480x352.",
    params.ImageSize(),
    default=f"{_DEFAULTS['preprocessing.width']}x{_DEFAULTS['preprocessing.height']}",
)
@_short("resize", "How a frame comes to that size.", click.Choice(get_args(ResizeRule)))
@_short("epochs", "Rounds over the set.  [default: about 40,000 frames' worth]", int)
@_short("batch", "Frames in a step, of all processes together.")
@_short("lr", f"Peak learning rate; without DATA {ADAPTATION_LR:g}.")
@_short(
    "val_every",
    "Epochs between validations, for a set whose validation takes long; a run has 100 at most.",
)
@_short(
    "patience",
    "Epochs without a better validation mIoU after which it stops; 0 is never.  [default: a third, 10 at least]",
    int,
)
@_short(
    "keep",
    "Weights to keep: those of the best validation, or the last ones, where validation and training frames are of one"
    " clip or drive, and nothing should be chosen by them; --patience is 0 then.",
    click.Choice(get_args(Keep)),
)
@_short(
    "rotation",
    "Largest random rotation in degrees, on top of flips; 180 for a camera that may be mounted at any angle.",
)
@_short(
    "flips",
    "Random flips: both for a camera above a pan, horizontal for one that looks ahead.",
    click.Choice(list(FLIPS)),
    default=next(name for name, p in FLIPS.items() if p == tuple(_DEFAULTS[field] for field in OTHER_NAMES["flips"])),
)
@_short("zoom", "Random zoom; 0.25 is 78 to 128 %.")
@_short("paste", "Probability that a class of another frame is pasted in.")
@_short("crop", "Train on random windows of this size.  [default: whole frames]", params.ImageSize())
@_short("seed", "Same seed, same machine, same model.")
@_short("precision", "auto computes in 16 bits where the device is made for it.", click.Choice(get_args(Precision)))
@_short(
    "init",
    "Run or checkpoint to take the first weights from, to fine-tune it; starter is the one of cookseg.",
    params.PathOrStarter(STARTER, exists=True),
    metavar="PATH",
)
@_short(
    "teacher",
    "Run or checkpoint of a larger model, whose predictions (soft targets) are learned beside the masks.",
    params.PathOrStarter(STARTER, exists=True),
    metavar="PATH",
)
@_short(
    "encoder_weights",
    "First weights of a lite model's encoder: imagenet are the published ones, none random ones; or a file with a state"
    " dict.",
    _EncoderWeights(exists=True, dir_okay=False),
    metavar="FILE",
)
@_short(
    "unlabelled",
    "Folder of frames or clips without masks, to learn from as well; with --init and no DATA, from these alone.",
    click.Path(exists=True, path_type=Path),
    metavar="FOLDER",
)
@_short("qat", "Train for int8, where cook-export says that int8 loses too much.", is_flag=True)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other setting, by the name that it has in config.toml: augment.steam=0.3; repeatable.",
)
@click.option(
    "--config",
    "file",
    type=params.file_path,
    help="TOML file of settings, such as config.toml in a run; options override the file's.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--workers", type=click.IntRange(0), help="Processes that augment.  [default: 0 on cpu, up to 8 on cuda]")
@click.option("--no-check", is_flag=True, help="Start even if the doctor finds what would break the run.")
@click.option(
    "--find-lr",
    "plot",
    type=params.file_path,
    metavar="PNG",
    help="Train at growing learning rates for 100 steps, plot the loss, suggest an --lr, and leave no run.",
)
@click.option("--resume", is_flag=True, help="Continue the run in --output, by its own settings.")
@params.layout_options
@params.json_option
@params.version_option
@click.pass_context
def main(
    ctx: click.Context,
    /,
    data: Path | None,
    run: Path | None,
    settings: tuple[str, ...],
    file: Path | None,
    device: Any,
    workers: int | None,
    no_check: bool,
    plot: Path | None,
    resume: bool,
    layout: Layout,
    as_json: bool,
    **_: Any,
) -> None:
    """Train a U-Net on DATA/train, choose its best weights by DATA/val, and print how well they do there.

    Without DATA, weights (--init) are adapted to a camera by its unlabelled frames alone.
    """
    if plot and resume:
        raise click.UsageError("--find-lr is for a run that has not begun: leave out --resume")
    if not (run or plot):
        raise click.UsageError("Missing option '-o' / '--output'.")
    changes = changes_of(ctx)
    if not (data or resume or (changes.get("unlabelled.source") and not plot)):
        raise click.UsageError("Missing argument 'DATA'; without labels, give --init starter --unlabelled FOLDER.", ctx)
    config = _configuration(ctx, changes if data else {"lr": ADAPTATION_LR} | changes)
    common: dict[str, Any] = {"device": device, "workers": workers, "check": not no_check, "layout": layout}
    require_packages("train", "torch", "matplotlib", "tensorboard", "tomli_w")
    source: Path | Survey | None = data  # of several processes, the first one's is checked and decoded here
    if data and not resume and os.environ.get("RANK", "0") == "0":
        with imported_meanwhile("cookseg.training.runs", "torch._dynamo"):
            spec = config.preprocessing
            source = survey(data, layout, quick=True, spec=spec, progress=bars.bar)
    with require_extra("train"):
        from cookseg.training import checkpoint, distributed, runs  # noqa: PLC0415 - `--help` must not need torch
    if plot:
        from cookseg.training import lr_range  # noqa: PLC0415

        assert source
        rates = lr_range.find_learning_rate(source, config, plot=plot, progress=bars.bar, **common)
        if distributed.first_process():
            console.emit(as_json, rates)
            if not as_json:
                click.echo(f"next: --lr {rates.lr:g}")
        return
    assert run is not None
    if resume:
        stored = checkpoint.stored_config(Run(run).last)
        config = _configuration(ctx, changes, stored)
    steps = _Steps()
    try:
        result = runs.train(
            source,
            run,
            config,
            resume=resume,
            report=steps.show,
            stop=lambda: bool(steps.received),
            around=steps,
            progress=bars.bar,
            **common,
        )
    except runs.InterruptedRunError as error:
        number = steps.received[0] if steps.received else signal.SIGTERM  # another process got it
        raise runs.InterruptedRunError(error.where, number.name, 128 + number) from error
    if distributed.first_process():
        console.emit(as_json, result)


def changes_of(ctx: click.Context) -> dict[str, Any]:
    """Return what a command line sets of `TrainConfig`, by dotted name: options override the file's.

    Raises:
        click.UsageError: A setting is unknown, given twice, or of another type.
    """
    given: dict[str, Any] = {}
    for name, value in ctx.params.items():
        names = OTHER_NAMES.get(name, (name,))
        if names[0] in _DEFAULTS and ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            given |= zip(names, _values(value, len(names)), strict=True)
    try:
        settings = [config_file.parse(setting) for setting in ctx.params["settings"]]
        others = fields.fitted(TrainConfig, dict(settings))
    except InputError as error:
        raise click.BadParameter(str(error), ctx, param_hint="'--set'") from error
    if len(others) < len(settings) or (given.keys() & others.keys()):
        raise click.UsageError("a setting is given twice: " + ", ".join(name for name, _ in settings), ctx)
    try:
        read = config_file.read(ctx.params["file"]) if ctx.params["file"] else {}
    except InputError as error:
        raise click.BadParameter(str(error), ctx, param_hint="'--config'") from error
    return read | given | others


def _values(value: Any, count: int) -> tuple[Any, ...]:
    """Return the values of the fields of a short form."""
    if isinstance(value, Path):  # a checkpoint; absolute, because ./starter is not the word
        return (STARTER_NAME if value == STARTER else str(value.resolve()),)
    if count == 2:
        return FLIPS[value] if isinstance(value, str) else tuple(value)
    return (value,)


def _configuration(ctx: click.Context, changes: Mapping[str, Any], base: TrainConfig | None = None) -> TrainConfig:
    try:
        return fields.changed(base or TrainConfig(), changes)
    except InputError as error:
        assert isinstance(ctx.command, console.Command)
        raise click.UsageError(ctx.command.spelled(str(error)), ctx) from error


class _Steps(contextlib.ExitStack):
    """While the steps are done: signals are collected, and a bar is shown where somebody watches."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[signal.Signals] = []
        self._advance: Callable[[str], None] | None = None

    def __enter__(self) -> Self:
        self.received = self.enter_context(_signals())
        return self

    def show(self, trainer: "Trainer") -> None:
        """Advance the bar, or tell of a validation."""
        from cookseg.training import runs  # noqa: PLC0415 - `--help` must not need torch

        if not bars.interactive():
            runs.log_validation(trainer)
            return
        if self._advance is None:
            bar = bars.step_progress(trainer.steps, "training", trainer.progress.step - 1)
            self._advance = self.enter_context(bar)
        self._advance(runs.status(trainer))


@contextlib.contextmanager
def _signals() -> Iterator[list[signal.Signals]]:
    """Collect SIGINT and SIGTERM instead of dying of the first; the second one has its usual effect."""
    received: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may handle signals
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, _: FrameType | None) -> None:
        received.append(signal.Signals(number))
        signal.signal(number, previous[signal.Signals(number)])
        console.note("\nfinishing this step, then saving ...")

    for number in previous:
        signal.signal(number, handle)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
