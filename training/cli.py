"""`cook-train`: from a dataset to a run's folder with checkpoints, metrics and curves."""

from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from cookseg.data.decoding import DecodedSet
from cookseg.data.doctor.report import require_sound
from cookseg.runtime.errors import InputError, require_extra
from cookseg.runtime.files import write_atomically
from cookseg.runtime.model.contract import ClassTable, Preprocessing, ResizeRule
from cookseg.runtime.results import grid
from cookseg.runtime.scoring.dataset import Layout
from cookseg.runtime.scoring.metrics import SCORE_COLUMNS, ConfusionMatrix, score_dict, score_rows
from cookseg.runtime.terminal import console, params
from cookseg.training import STARTER
from cookseg.training import options as config_file
from cookseg.training.augment import AugmentConfig
from cookseg.training.config import Precision, TrainConfig, default_epochs
from cookseg.training.models import PRESETS

FLIPS = {"both": (0.5, 0.5), "horizontal": (0.5, 0.0), "none": (0.0, 0.0)}
"""Probabilities of a horizontal and of a vertical flip."""
_PARTS = {"imgsz": "preprocessing", "resize": "preprocessing"} | dict.fromkeys(
    ("rotation", "flips", "zoom", "paste"), "augment"
)
"""Options that are part of a field of another name in `TrainConfig`."""


class _Train(console.Command):
    """`cook-train DATA`; what was `cook-train compare` is `cook-eval runs`, and a dataset of that name is ./compare."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["compare"]:
            raise click.UsageError("`cook-train compare` is now `cook-eval runs`: cook-eval runs RUN...", ctx)
        return super().parse_args(ctx, args)


@click.command(
    cls=_Train,
    epilog="Examples: cook-train data/sets/demo -o runs/demo   |   cook-train data/sets/demo -o runs/demo --resume"
    "   |   torchrun --nproc-per-node 2 -m cookseg.training data/sets/demo -o runs/demo",
)
@click.argument("data", type=params.folder_argument)
@click.option("-o", "--output", "run", type=params.folder_path, help="Folder of the run.  [required]")
@click.option(
    "--model",
    type=click.Choice(list(PRESETS)),
    default="edge",
    show_default="edge, or that of --init",
    help="edge sees the finest detail of the small ones, edge-s is the fastest, edge-m and edge-l know more; classic is"
    " the reference with 31 M parameters.",
)
@click.option(
    "--imgsz",
    type=params.ImageSize(),
    default="256",
    show_default=True,
    help="Network input: 256, or 480x352.",
)
@click.option("--resize", type=click.Choice(get_args(ResizeRule)), default="stretch", show_default=True)
@click.option("--epochs", type=click.IntRange(1), help="Rounds over the set.  [default: about 40,000 frames' worth]")
@click.option("--batch", type=click.IntRange(2), default=8, show_default=True, help="Frames in a step, of all ranks.")
@click.option("--lr", type=float, default=2e-3, show_default=True, help="Peak learning rate.")
@click.option(
    "--val-every",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Epochs between validations, for a set whose validation takes long; a run has 100 at most.",
)
@click.option(
    "--patience",
    type=click.IntRange(0),
    help="Epochs without a better validation mIoU after which it stops; 0 is never.  [default: a third, 10 at least]",
)
@click.option(
    "--rotation",
    type=click.FloatRange(0, 180),
    default=30.0,
    show_default=True,
    help="Largest random rotation in degrees, on top of flips; 180 for a camera that hangs anyhow.",
)
@click.option(
    "--flips",
    type=click.Choice(list(FLIPS)),
    default="both",
    show_default=True,
    help="Random flips: both for a camera above a pan, horizontal for one that looks ahead.",
)
@click.option(
    "--zoom",
    type=click.FloatRange(0, 1),
    default=0.25,
    show_default=True,
    help="Random zoom; 0.25 is 78 to 128 %.",
)
@click.option(
    "--paste",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Probability that a class of another frame is pasted in.",
)
@click.option("--crop", type=params.ImageSize(), help="Train on random windows of this size.  [default: whole frames]")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Same seed, same machine, same model.",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default="auto",
    show_default=True,
    help="auto computes in 16 bits where the device is made for it.",
)
@click.option(
    "--init",
    type=params.PathOrStarter(STARTER, exists=True),
    help="Run or checkpoint to take the first weights from, to fine-tune it; starter is the one of cookseg.",
)
@click.option(
    "--teacher",
    type=params.PathOrStarter(STARTER, exists=True),
    help="Run or checkpoint whose answers are learned beside the masks: a larger model's, for a small one.",
)
@click.option("--qat", is_flag=True, help="Train for int8, where cook-export says that int8 loses too much.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--workers", type=click.IntRange(0), help="Processes that augment.  [default: 0 on cpu, up to 8 on cuda]")
@click.option("--no-check", is_flag=True, help="Start even if the doctor finds what would spoil the run.")
@click.option(
    "--find-lr",
    "picture",
    type=params.file_path,
    metavar="PNG",
    help="Train at growing learning rates for 100 steps, plot the loss, suggest an --lr, and leave no run.",
)
@click.option("--resume", is_flag=True, help="Continue the run in --output; all other options are its own.")
@click.option(
    "--config",
    type=params.file_path,
    callback=config_file.load,
    is_eager=True,
    expose_value=False,
    help="TOML file of options (epochs = 80), such as config.toml in a run; options given here go before it.",
)
@params.layout_options
@params.json_option
@params.version_option
@click.pass_context
def main(
    ctx: click.Context, /, data: Path, run: Path | None, layout: Layout, resume: bool, as_json: bool, **options: Any
) -> None:
    """Train a U-Net on DATA/train, choose its best weights by DATA/val, and print how well they do there."""
    picture = options.pop("picture")
    if picture and resume:
        raise click.UsageError("--find-lr is for a run that has not begun: leave out --resume")
    if not (run or picture):
        raise click.UsageError("Missing option '-o' / '--output'.")
    with require_extra("train"):
        from cookseg.training import checkpoint, distributed, lr_range, runs  # noqa: PLC0415 - `--help` must not need torch
    run = None if picture else run
    device, workers = runs.find_device(options.pop("device")), options.pop("workers")
    check = not options.pop("no_check")
    start = checkpoint.find(options["init"]) if options["init"] else None
    options["init"] = checkpoint.digest(start) if start else ""
    if start and ctx.get_parameter_source("model") is ParameterSource.DEFAULT:
        options["model"] = checkpoint.preset_of(start)
    teacher = checkpoint.find(options["teacher"]) if options["teacher"] else None
    options["teacher"] = checkpoint.digest(teacher) if teacher else ""
    stored = None
    if run and resume:
        start, layout = run / checkpoint.LAST, runs.trained_on(run)[1]
        stored = checkpoint.load_config(start)
        teacher = run / checkpoint.TEACHER if stored.teacher else None
    with distributed.process_group(device) as rank:
        height, width = options["imgsz"]
        spec = stored.preprocessing if stored else Preprocessing(height, width, options["resize"])
        decoded = DecodedSet.of_survey(require_sound(data, layout, spec)) if check and rank == 0 else None
        found = runs.Data.find(data, layout, decoded)
        config = _config(options, len(found.train))
        if stored:
            _refuse_changes(ctx, config, stored)
            config = stored
        trainer = runs.prepare(found, run, config, device=device, start=start, teacher=teacher)
        if not run:
            curve = lr_range.range_test(trainer, workers or 0)
            if rank == 0:
                _emit_rate(as_json, picture, lr_range.suggest(curve), lr_range.plot(curve))
            return
        if not resume and rank == 0:
            chosen = {"model": config.model, "epochs": config.epochs, "patience": config.patience}
            write_atomically(run / config_file.FILE, config_file.dump(ctx, chosen).encode())
        runs.train(trainer, found, run, workers)
    if rank == 0:
        _emit_scores(as_json, run, found.classes, runs.finish(found, run))


def _emit_rate(as_json: bool, picture: Path, rate: float, drawn: bytes) -> None:
    write_atomically(picture, drawn)
    console.emit_value(as_json, {"lr": rate, "plot": str(picture)}, lambda: f"plot: {picture}\nnext: --lr {rate:g}")


def _emit_scores(as_json: bool, run: Path, classes: ClassTable, matrix: ConfusionMatrix) -> None:
    value = {"run": str(run), "best": str(run / "best.pt"), **score_dict(matrix, classes)}
    console.emit_value(
        as_json,
        value,
        lambda: (
            "\nbest weights on the validation frames:\n\n"
            f"{grid(score_rows(matrix, classes), SCORE_COLUMNS)}\n\n"
            f"curves: {run / 'curves.png'}\nnext: cook-export {run} -o {run / 'model.onnx'}"
        ),
    )


def _config(options: dict[str, Any], examples: int) -> TrainConfig:
    height, width = options.pop("imgsz")
    epochs = options.pop("epochs") or default_epochs(examples)
    patience = options.pop("patience")
    flip, vertical_flip = FLIPS[options.pop("flips")]
    augment = {name: options.pop(name) for name in ("rotation", "zoom", "paste")}
    return TrainConfig(
        epochs=epochs,
        patience=max(10, epochs // 3) if patience is None else patience,
        preprocessing=Preprocessing(height, width, options.pop("resize")),
        augment=AugmentConfig(flip=flip, vertical_flip=vertical_flip, **augment),
        **options,
    )


def _refuse_changes(ctx: click.Context, given: TrainConfig, stored: TrainConfig) -> None:
    """Refuse an option that is given to a resumed run, here or in a file, and contradicts the run's own."""
    for name in ctx.params:
        field = _PARTS.get(name, name)
        explicit = ctx.get_parameter_source(name) in {ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP}
        if explicit and hasattr(stored, field) and getattr(given, field) != getattr(stored, field):
            raise InputError(
                f"--{name} contradicts the run to resume, which has {getattr(stored, field)}: leave the option out, or"
                " start a new run in another --output"
            )
