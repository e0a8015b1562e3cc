"""`cook-infer`: colour masks from frames, evaluation of a model, and what a model says of itself."""

import logging
import os
from pathlib import Path
from typing import Any, get_args

import click
import cv2
from click.core import ParameterSource

from cookseg.runtime.errors import PartialFailureError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.model import installation
from cookseg.runtime.model.info import ModelInfo
from cookseg.runtime.model.segmenter import Segmenter, Upsample
from cookseg.runtime.model.selftest import selftest as run_selftest
from cookseg.runtime.model.session import Mode
from cookseg.runtime.model.versions import Installed
from cookseg.runtime.results import listed
from cookseg.runtime.scoring.dataset import Layout
from cookseg.runtime.scoring.evaluation import evaluate_set
from cookseg.runtime.stream.folders import Outputs, Png, in_one_folder, plan, process
from cookseg.runtime.terminal import bars, console, params

_log = logging.getLogger(__name__)

_agreement_option = click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    default=0.999,
    show_default=True,
    help="Fraction of each frame's pixels that must come out as expected; devices round differently.",
)
_upsample_option = click.option(
    "--upsample",
    type=click.Choice(get_args(Upsample)),
    default="smooth",
    show_default=True,
    help="How a mask gets its image's size: smooth edges, or the network's pixels with jagged edges (aliasing).",
)


@click.group(cls=console.Group, epilog="Example: cook-infer masks frames/ -m model.onnx -o test_inf_masks")
@params.version_option
def main() -> None:
    """Run a cookseg model with onnxruntime; torch is not needed."""


@main.command(
    epilog="Examples: cook-infer masks pan.jpg   |   "
    'cook-infer masks "clips/**/*.png" frames/ -m model.onnx -o out --overlay'
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@params.model_option
@click.option(
    "-o",
    "--output",
    type=params.folder_path,
    default=Path("test_inf_masks"),
    show_default=True,
    help="Folder of the masks; files of the same name are replaced.",
)
@click.option(
    "--png",
    type=click.Choice(get_args(Png)),
    default="rgb",
    show_default=True,
    help="Colours in masks: of each pixel, or of a palette, whose indices are the classes.",
)
@_upsample_option
@click.option("--overlay", is_flag=True, help="Also write the masks blended over the frames, to overlay/.")
@click.option("--index", is_flag=True, help="Also write class indices as grey PNGs, to index/.")
@click.option("--confidence", is_flag=True, help="Also write the probability times 255, to confidence/.")
@params.session_options
@params.json_option
def masks(
    sources: tuple[str, ...],
    model: Path,
    output: Path,
    upsample: Upsample,
    session: params.Session,
    as_json: bool,
    **pictures: Any,
) -> None:
    """Write a colour mask of each image, at the image's own size.

    A SOURCE is an image, a folder (searched with its sub-folders, which are kept) or a quoted glob.
    """
    outputs = Outputs(output, **pictures)
    jobs = plan(sources, outputs)
    mode = session.mode or ("throughput" if len(jobs) > 1 else "latency")
    workers = (os.cpu_count() or 1) if mode == "throughput" else 1
    if mode != "latency":
        cv2.setNumThreads(1)  # the cores have other things to do
    segmenter = _load(model, session, upsample, mode)
    failures: dict[str, str] = {}
    work = in_one_folder(output, process(segmenter, jobs, outputs, workers))
    with console.only_own_stderr(), console.progress(work, "masks", len(jobs)) as results:
        for job, error in results:
            if error:
                failures[str(job.source)] = error
    done = len(jobs) - len(failures)
    value = {"masks": done, "output": str(output), "failed": failures}
    console.emit_value(as_json, value, lambda: f"{done} of {len(jobs)} masks written to {output}")
    if failures:
        lines = listed(list(failures.values()))
        raise PartialFailureError(f"{len(failures)} of {len(jobs)} images failed, all others are done:\n{lines}")


@main.command("eval", epilog="Example: cook-infer eval data/sets/demo -m model.onnx --csv scores.csv")
@click.argument("data", type=params.folder_argument)
@params.model_option
@click.option("--split", default="val", show_default=True, help="Which split of the dataset.")
@click.option("--csv", "csv_path", type=params.file_path, help="Also write the table of scores to this file.")
@_upsample_option
@params.layout_options
@params.session_options
@params.json_option
def evaluate_command(
    data: Path,
    model: Path,
    split: str,
    csv_path: Path | None,
    layout: Layout,
    session: params.Session,
    as_json: bool,
    upsample: Upsample,
) -> None:
    """Measure accuracy, precision, recall, F1 and IoU of each class, at the resolution of the ground truth."""
    segmenter = _load(model, session, upsample)
    with console.only_own_stderr():
        result = evaluate_set(segmenter, data, split, layout=layout, model=str(model), progress=bars.bar)
    if csv_path:
        write_atomically(csv_path, result.scores.to_csv().encode())
    console.emit(as_json, result)


@main.command(epilog="Examples: cook-infer info model.onnx --json   |   cook-infer info starter")
@click.argument("model", type=params.model_path)
@params.json_option
def info(model: Path, as_json: bool) -> None:
    """Show a model's classes, input, output, origin and scores."""
    console.emit(as_json, ModelInfo.of(model))


@main.command(epilog="Example: cook-infer selftest model.onnx --device cuda")
@click.argument("model", type=params.model_path)
@_agreement_option
@params.session_options
@params.json_option
def selftest(model: Path, min_agreement: float, session: params.Session, as_json: bool) -> None:
    """Prove that a model gives the right answer on this device.

    It carries a few frames with the class maps that it gave for them when it was exported; exit 3 if these differ.
    """
    result = run_selftest(session.engine(model))
    console.emit(as_json, result)
    result.require(min_agreement, str(model))


@main.command(epilog="Example: cook-infer install model.onnx --into /opt/cooker/model --require-signature maker.pem")
@click.argument("model", type=params.model_path)
@click.option(
    "--into", "folder", type=params.folder_path, required=True, help="Where models are installed; made if need be."
)
@_agreement_option
@params.device_option
@params.signature_option
@params.json_option
def install(model: Path, folder: Path, as_json: bool, **options: Any) -> None:
    """Install a model that proves itself on this device, by one rename, and keep the version that ran before.

    The program on the appliance reads model.onnx in that folder, which is complete at every moment. If the self-test
    fails (exit 3), or anything else, the version that ran still runs.
    """
    changed = installation.install(model, folder, installation.prover(**options))
    console.emit(as_json, Installed(model, changed, installation.status(folder)))


@main.command(epilog="Example: cook-infer rollback /opt/cooker/model")
@click.argument("folder", type=params.folder_path)
@_agreement_option
@params.device_option
@params.signature_option
@params.json_option
def rollback(folder: Path, as_json: bool, **options: Any) -> None:
    """Return to the version that ran before, if it proves itself; a second rollback undoes the first."""
    installation.rollback(folder, installation.prover(**options))
    console.emit(as_json, installation.status(folder))


@main.command(epilog="Example: cook-infer status /opt/cooker/model --json")
@click.argument("folder", type=params.folder_path)
@params.json_option
def status(folder: Path, as_json: bool) -> None:
    """Show the versions installed in a folder, since when, and whether their files are intact (exit 3 if not)."""
    result = installation.status(folder)
    console.emit(as_json, result)
    result.require_intact()


def _load(model: Path, session: params.Session, upsample: Upsample, mode: Mode = "latency") -> Segmenter:
    if click.get_current_context().get_parameter_source("model") is ParameterSource.DEFAULT:
        console.note("model: the starter, which was trained on synthetic scenes only; -m takes your own")
    engine = session.engine(model, mode)
    _log.info("device: %s (%s)", engine.device, engine.reason)
    return Segmenter(engine.contract, engine, upsample)
