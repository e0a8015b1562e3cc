"""`cook-data`: render, import, export, split and check datasets."""

import contextlib
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cookseg.data.doctor.fix import fix as fix_set
from cookseg.data.doctor.report import diagnose, summary
from cookseg.data.doctor.sheet import require_sheet_suffix, write_sheet
from cookseg.data.doctor.survey import survey
from cookseg.data.exporters.registry import EXPORTERS
from cookseg.data.exporting import export_labels
from cookseg.data.importers.registry import IMPORTERS
from cookseg.data.importing import import_labels
from cookseg.data.sessions import DEFAULT_PATTERN, compile_pattern
from cookseg.data.splitting import split as split_set
from cookseg.data.standard import SPLITS, require_new_set
from cookseg.data.synthetic.sets import Plan, render_clip, render_set
from cookseg.runtime.errors import CheckFailedError, InputError, PartialFailureError
from cookseg.runtime.model.contract import COOKING
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.results import listed
from cookseg.runtime.scoring.dataset import Layout
from cookseg.runtime.terminal import console, params
from cookseg.runtime.terminal.bars import bar


@click.group(cls=console.Group, epilog="Example: cook-data synth data/sets/demo && cook-data doctor data/sets/demo")
@params.version_option
def main() -> None:
    """Render, import, export, split and check datasets."""


def _usable(check: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Make a function that raises InputError a callback of an option: what it refuses is wrong usage."""

    def callback(context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        try:
            return check(value)
        except InputError as error:
            command = context.command
            said = command.spelled(str(error)) if isinstance(command, console.Command) else str(error)
            raise click.BadParameter(said) from error

    return callback


session_option = click.option(
    "--session-pattern",
    default=DEFAULT_PATTERN,
    callback=_usable(compile_pattern),
    help="Regular expression for frame names; its group `session` is the cooking session.  [default: what stands"
    " before the last number]",
)


@main.command(
    flags={"size": "--size"},
    epilog="Examples: cook-data synth data/sets/demo --train 96 --val 32 --test 16 --size 256   |   "
    "cook-data synth data/sets/film --clip 20",
)
@click.argument("out", type=params.folder_path)
@click.option("--train", type=click.IntRange(1), default=448, show_default=True, help="Labelled frames to train on.")
@click.option("--val", type=click.IntRange(1), default=137, show_default=True, help="Labelled frames to score on.")
@click.option("--test", type=click.IntRange(0), default=129, show_default=True, help="Frames without masks.")
@click.option("--per-session", type=click.IntRange(1), default=8, show_default=True, help="Frames of each session.")
@click.option("--kitchens", type=click.IntRange(0), default=0, help="Different rigs; 0 is a new one for each session.")
@click.option(
    "--size",
    "sizes",
    type=params.ImageSize(),
    multiple=True,
    default=["640x480"],
    show_default=True,
    help="Size of the frames; given more than once, sessions take them in turn.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same dataset.")
@click.option(
    "--clip",
    type=click.FloatRange(0, 3600, min_open=True),
    metavar="SECONDS",
    help="Render one session as a film instead: clip.mp4, and every frame with its mask as val.",
)
@click.option("--fps", type=click.FloatRange(1, 120), default=10, show_default=True, help="Frames of a second of it.")
@params.json_option
@click.pass_context
def synth(
    ctx: click.Context,
    /,
    out: Path,
    train: int,
    val: int,
    test: int,
    clip: float | None,
    fps: float,
    sizes: tuple[tuple[int, int], ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Render a synthetic dataset, or a film, with exact masks.

    OUT is a new folder.
    """
    _refuse_mixed(ctx, clip)
    if clip:
        result = render_clip(out, seconds=clip, fps=fps, size=sizes[0], seed=options["seed"], progress=bar)
    else:
        plan = Plan({"train": train, "val": val, "test": test}, sizes=sizes, **options)
        result = render_set(out, plan, progress=bar)
    console.emit(as_json, result)


def _refuse_mixed(ctx: click.Context, clip: float | None) -> None:
    """Refuse options of sets for a film, which is one session of one size, and options of films for a set."""
    foreign = ("train", "val", "test", "per_session", "kitchens") if clip else ("fps",)
    for name in foreign:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            what = "for sets, and --clip renders one session" if clip else "for films, and --clip is not given"
            raise click.UsageError(f"--{name.replace('_', '-')} is {what}: leave it out")
    if clip and len(ctx.params["sizes"]) > 1:
        raise click.UsageError("--size is given more than once, and a film has one size: give the one for --clip")


@main.command(flags={"to_dict": "--json"}, epilog="Example: cook-data doctor data/sets/demo --sheet sheet.html")
@click.argument("data", type=params.folder_argument)
@click.option("-m", "--model", type=params.model_path, help="ONNX model to compare the labels with.")
@click.option("--strict", is_flag=True, help="Exit 3 for warnings too.")
@click.option("--fix", type=params.folder_path, help="New folder for a fixed copy, with a log of every change.")
@click.option(
    "--sheet",
    type=params.file_path,
    callback=_usable(require_sheet_suffix),
    help="PNG or HTML file for a contact sheet, worst frames first.",
)
@session_option
@params.device_option
@params.layout_options
@params.json_option
def doctor(
    data: Path,
    model: Path | None,
    strict: bool,
    fix: Path | None,
    sheet: Path | None,
    session_pattern: re.Pattern[str],
    device: str,
    layout: Layout,
    as_json: bool,
) -> None:
    """Find what in DATA would break a training run.

    No file of DATA is changed; what they hold is remembered in DATA/.cookseg.
    Errors are exit 3, warnings are not; with --fix, the fixed copy counts.
    """
    if fix:
        require_new_set(fix, data)
    segmenter = Segmenter.load(model, device) if model else None
    found = survey(data, layout, session_pattern=session_pattern, segmenter=segmenter, progress=bar)
    report = diagnose(found)
    findings = report.findings
    if sheet:
        drawn = write_sheet(sheet, found, report, progress=bar)
        report = replace(report, notes=(f"{drawn} frames drawn on {sheet}",))
    if fix:
        report = replace(report, fixed=fix_set(found, fix, progress=bar))
        findings = diagnose(survey(fix, session_pattern=session_pattern, quick=not strict, progress=bar)).findings
    console.emit(as_json, report)
    if bad := [finding for finding in findings if strict or finding.is_error]:
        raise CheckFailedError(f"{fix or data}: {summary(bad)}")


@main.command(epilog="Example: cook-data split data/sets/mine data/sets/split --val 0.2 --test 0.1")
@click.argument("data", type=params.folder_argument)
@click.argument("out", type=params.folder_path, required=False)
@click.option(
    "--val", type=click.FloatRange(0, 0.9, min_open=True), default=0.2, show_default=True, help="Share of val."
)
@click.option(
    "--test", type=click.FloatRange(0, 0.9), default=0.0, show_default=True, help="Share of test, with masks."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same split.")
@click.option("--dry-run", is_flag=True, help="Only show what each split would get.")
@session_option
@params.layout_options
@params.json_option
def split(
    data: Path,
    out: Path | None,
    val: float,
    test: float,
    seed: int,
    dry_run: bool,
    session_pattern: re.Pattern[str],
    layout: Layout,
    as_json: bool,
) -> None:
    """Split a dataset by cooking session.

    No session is cut, and every split of OUT, a new folder, gets its share of each class. DATA has train, val or test
    folders, whose frames are put together first, or images and masks of its own.
    """
    if val + test >= 1:
        raise click.BadParameter(f"--val {val:g} and --test {test:g} leave nothing to train on")
    if not (out or dry_run):
        raise click.UsageError("name the folder OUT of the new set, or pass --dry-run")
    if out:
        require_new_set(out, data)
    result = split_set(
        data,
        None if dry_run else out,
        val=val,
        test=test,
        seed=seed,
        session_pattern=session_pattern,
        layout=layout,
        progress=bar,
    )
    console.emit(as_json, result)


@main.command(
    "import", epilog="Example: cook-data import annotations.json data/sets/mine --map 'ladle=stirrer,egg=food'"
)
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=params.folder_path)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["auto", *IMPORTERS]),
    default="auto",
    show_default=True,
    help="index is masks of class indices, or of colours with a --table.",
)
@click.option("--images", type=params.folder_argument, help="Folder of the images, if not beside.")
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default="train",
    show_default=True,
    help="Split of what SOURCE puts into none.",
)
@click.option(
    "--map",
    "mapping",
    default="",
    metavar="LABEL=CLASS,...|FILE",
    help="Class of each label, or a TOML or JSON file of them; * is every other label; also =ignore and =none.",
)
@click.option("--classes", type=params.file_path, help="classes.json of the new set.  [default: the cooking classes]")
@click.option("--unlabelled", help="Class of pixels without a shape, or ignore.  [default: the background]")
@click.option("--order", default="file", show_default=True, help="What is drawn last: file, area or CLASS,CLASS,...")
@click.option("--table", type=params.file_path, help="Labels of indices or colours: lines of `3 egg` or `255 0 0 egg`.")
@click.option(
    "--undrawn",
    type=click.Choice(["ignore", "skip"]),
    default="ignore",
    show_default=True,
    help="For shapes without an area (lines, points, COCO boxes): ignore their bounds, or skip their frames.",
)
@click.option("--keep-unannotated", is_flag=True, help="Take frames that nobody has annotated yet, too.")
@params.json_option
def import_set(
    source: Path,
    out: Path,
    classes: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a dataset of what a labelling tool wrote.

    SOURCE is its file, its folder, or the .zip that it offers for download; OUT is a new folder. What cannot be
    converted is left out and named (exit 5); where a labelled shape cannot be drawn, it never becomes background.
    """
    with _clean_end():
        result = import_labels(source, out, classes=classes or COOKING, **options, progress=bar)
    console.emit(as_json, result)
    said = []
    if result.failures:
        said.append(f"{len(result.failures)} could not be imported:\n{listed(result.failures)}")
    if result.undrawn:
        said.append(f"{len(result.undrawn)} labelled shapes were not drawn:\n{listed(result.undrawn)}")
    if said:
        raise PartialFailureError("\n".join(said))


@main.command(epilog="Example: cook-data export data/sets/mine data/sets/mine-cvat --format cvat")
@click.argument("data", type=params.folder_argument)
@click.argument("out", type=params.folder_path)
@click.option("--format", "kind", type=click.Choice([*EXPORTERS]), required=True, help="Labelling tool to write for.")
@click.option(
    "--shapes",
    type=click.Choice(["rle", "polygons"]),
    help="rle is a mask of each class, polygons an outline of each part.  [default: rle, where the format has it]",
)
@click.option("--background", is_flag=True, help="Export the background class too, not as what has no shape.")
@params.layout_options
@params.json_option
def export(data: Path, out: Path, as_json: bool, **options: Any) -> None:
    """Write DATA as a labelling tool reads it.

    OUT is a new folder, with a copy of the images. Classes keep their names; pixels to ignore become the label
    `ignore`. Frames that cannot be read are left out and named (exit 5).
    """
    result = export_labels(data, out, **options, progress=bar)
    console.emit(as_json, result)
    if result.failures:
        raise PartialFailureError(f"{len(result.failures)} could not be exported:\n{listed(result.failures)}")


@contextlib.contextmanager
def _clean_end() -> Iterator[None]:
    """Let SIGTERM end the body as an error does, so that what it unpacked and half of a new set are removed."""
    previous = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
