"""`cook-infer`: colour masks from frames, evaluation of a model, and what a model says of itself."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from cookseg.runtime.errors import CheckFailedError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.model import installation
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.model.segmenter import Upsample
from cookseg.runtime.model.selftest import selftest as run_selftest
from cookseg.runtime.scoring.dataset import Layout, Sample, list_pairs, load_classes, read_pair
from cookseg.runtime.scoring.evaluation import evaluate, require_same_classes
from cookseg.runtime.scoring.metrics import ConfusionMatrix, score_dict, score_rows
from cookseg.runtime.terminal import console, loading, params, reports
from cookseg.runtime.terminal.masks import masks

_agreement_option = click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    default=0.999,
    show_default=True,
    help="Share of each frame's pixels that must come out as expected; devices round differently.",
)


@click.group(cls=console.Group, epilog="Example: cook-infer masks frames/ -m model.onnx -o test_inf_masks")
@params.version_option
def main() -> None:
    """Run a cookseg model with onnxruntime; torch is not needed."""


main.add_command(masks)


@main.command("eval", epilog="Example: cook-infer eval data/sets/demo -m model.onnx --csv scores.csv")
@click.argument("data", type=params.folder_argument)
@params.model_option
@click.option("--split", default="val", show_default=True, help="Which split of the dataset.")
@click.option("--csv", "csv_path", type=params.file_path, help="Also write the table of scores to this file.")
@loading.upsample_option
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
    """Accuracy, precision, recall, F1 and IoU of each class, at the resolution of the ground truth."""
    classes = load_classes(data)
    pairs = list_pairs(data, split, layout)
    segmenter = loading.load_segmenter(model, session, upsample)
    require_same_classes(segmenter.contract.classes, classes)
    off_colors: list[int] = []

    def samples() -> Iterator[Sample]:
        with console.progress(pairs, "evaluation") as bar:
            for pair in bar:
                sample = read_pair(pair, classes, layout, segmenter.contract.preprocessing)
                off_colors.append(sample.off_colors)
                yield sample

    with console.only_own_stderr():
        near_edges = ConfusionMatrix(len(classes))
        matrix = evaluate(segmenter, samples(), near_edges)
    if csv_path:
        write_atomically(csv_path, reports.scores_csv(score_rows(matrix, classes)).encode())
    value = {
        "model": str(model),
        "data": str(data),
        "split": split,
        "frames": len(pairs),
        "off_color_pixels": sum(off_colors),
        **score_dict(matrix, classes),
        "near_edges": {"pixel_accuracy": near_edges.pixel_accuracy, "mean_iou": near_edges.mean_iou},
    }
    console.emit_value(
        as_json, value, lambda: reports.evaluation(matrix, near_edges, classes, len(pairs), sum(off_colors))
    )


@main.command(epilog="Examples: cook-infer info model.onnx --json   |   cook-infer info starter")
@click.argument("model", type=params.model_path)
@params.json_option
def info(model: Path, as_json: bool) -> None:
    """What a model is, expects and was measured at."""
    contract = OnnxEngine(model, "cpu").contract
    console.emit_value(as_json, contract.to_dict(), lambda: reports.info(contract, model.stat().st_size))


@main.command(epilog="Example: cook-infer selftest model.onnx --device cuda")
@click.argument("model", type=params.model_path)
@_agreement_option
@params.session_options
@params.json_option
def selftest(model: Path, min_agreement: float, session: params.Session, as_json: bool) -> None:
    """Prove that a model gives the right answer on this device.

    It carries a few frames with the class maps that it gave them when it was exported; exit 3 if these differ.
    """
    engine = session.engine(model)
    outcomes = run_selftest(engine)
    names = engine.contract.classes.names
    changes = [
        {"frame": number, "expected": names[i], "found": names[j], "pixels": int(outcome.counts[i, j])}
        for number, outcome in enumerate(outcomes, 1)
        for i, j in np.argwhere(outcome.counts)
        if i != j
    ]
    agreements = [outcome.agreement for outcome in outcomes]
    value = {
        "device": engine.device,
        "reduced_precision": engine.settings.reduced_precision,
        "agreement": agreements,
        "changes": changes,
    }
    console.emit_value(as_json, value, lambda: reports.selftest(value))
    if min(agreements) < min_agreement:
        raise CheckFailedError(
            f"{model} on {engine.device}: {min(agreements):.3%} of a frame came out as when it was exported, at least"
            f" {min_agreement:.3%} should: do not use it with this onnxruntime and driver"
        )


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

    The program on the appliance reads model.onnx in that folder, which is whole at every moment. If the self-test fails
    (exit 3), or anything else, the version that ran still runs.
    """
    installed = installation.install(model, folder, installation.prover(**options))
    value = {"installed": installed, **_status(folder)}
    said = "installed" if installed else "already runs; nothing was changed"
    console.emit_value(as_json, value, lambda: f"{model}: {said}\n\n{reports.status(value)}")


@main.command(epilog="Example: cook-infer rollback /opt/cooker/model")
@click.argument("folder", type=params.folder_path)
@_agreement_option
@params.device_option
@params.signature_option
@params.json_option
def rollback(folder: Path, as_json: bool, **options: Any) -> None:
    """Return to the version that ran before, if it proves itself; a second rollback undoes the first."""
    installation.rollback(folder, installation.prover(**options))
    console.emit_value(as_json, _status(folder), lambda: reports.status(_status(folder)))


@main.command(epilog="Example: cook-infer status /opt/cooker/model --json")
@click.argument("folder", type=params.folder_path)
@params.json_option
def status(folder: Path, as_json: bool) -> None:
    """Which versions are installed in a folder, since when, and whether their files are whole (exit 3 if not)."""
    value = _status(folder)
    console.emit_value(as_json, value, lambda: reports.status(value))
    current = value["current"]
    if not current or current["fault"]:
        raise CheckFailedError(current["fault"] if current else f"{folder}: no model is installed")


def _status(folder: Path) -> dict[str, Any]:
    current, previous = installation.status(folder)
    return {
        name: version and {**asdict(version), "path": str(version.path), "installed": version.installed.isoformat()}
        for name, version in (("current", current), ("previous", previous))
    }
