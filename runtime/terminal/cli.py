"""`cook-infer`: colour masks from frames, evaluation of a model, and what a model says of itself."""

from pathlib import Path
from typing import Any

import click

from cookseg.runtime.files import write_atomically
from cookseg.runtime.model import installation
from cookseg.runtime.model.info import ModelInfo
from cookseg.runtime.model.segmenter import Upsample
from cookseg.runtime.model.selftest import selftest as run_selftest
from cookseg.runtime.model.versions import Installed
from cookseg.runtime.scoring.dataset import Layout
from cookseg.runtime.scoring.edges import EdgeRules
from cookseg.runtime.scoring.evaluation import evaluate_set
from cookseg.runtime.terminal import bars, console, loading, params
from cookseg.runtime.terminal.masks import masks

_RULES = EdgeRules()
_agreement_option = click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    default=0.999,
    show_default=True,
    help="Fraction of each frame's pixels that must come out as expected; devices round differently.",
)


@click.group(cls=console.Group, epilog="Example: cook-infer masks frames/ -m model.onnx -o test_inf_masks")
@params.version_option
def main() -> None:
    """Run a cookseg model with onnxruntime; torch is not needed."""


main.add_command(masks)


@main.command(
    "eval",
    epilog="Example: cook-infer eval data/sets/demo -m model.onnx --csv scores.csv",
    flags={"margin": "--edge-margin", "tolerance": "--edge-tolerance"},
)
@click.argument("data", type=params.folder_argument)
@params.model_option
@click.option("--split", default="val", show_default=True, help="Which split of the dataset.")
@click.option("--csv", "csv_path", type=params.file_path, help="Also write the table of scores to this file.")
@click.option(
    "--edge-margin",
    "margin",
    type=int,
    default=_RULES.margin,
    show_default=True,
    help="Pixels of the mask on either side of its edges that do not count in the IoU without edges.",
)
@click.option(
    "--edge-tolerance",
    "tolerance",
    type=float,
    default=_RULES.tolerance,
    show_default=True,
    help="Pixels of the mask within which boundaries agree, in the boundary F-score.",
)
@loading.upsample_option
@params.layout_options
@params.session_options
@params.json_option
def evaluate_command(
    data: Path,
    model: Path,
    split: str,
    csv_path: Path | None,
    margin: int,
    tolerance: float,
    layout: Layout,
    session: params.Session,
    as_json: bool,
    upsample: Upsample,
) -> None:
    """Measure accuracy, precision, recall, F1 and IoU of each class, at the resolution of the ground truth.

    IoU without the pixels at edges, and the boundary F-score, tell what is wrong from what is coarsely outlined.
    """
    rules = EdgeRules(margin=margin, tolerance=tolerance)
    segmenter = loading.load_segmenter(model, session, upsample)
    with console.only_own_stderr():
        result = evaluate_set(segmenter, data, split, layout=layout, rules=rules, model=str(model), progress=bars.bar)
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
