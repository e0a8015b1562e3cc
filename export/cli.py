"""`cook-export`: one checkpoint in, one proven ONNX file out, or none."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cookseg.runtime import console
from cookseg.runtime.metrics import format_score

if TYPE_CHECKING:
    from cookseg.export.pipeline import Report


@click.command(
    cls=console.Command,
    epilog="Examples: cook-export runs/demo -o model.onnx   |   cook-export runs/demo/best.pt -o model.onnx --data SET",
)
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=console.file_path, required=True, help="The ONNX file to write.")
@click.option(
    "--data",
    type=console.folder_argument,
    help="Dataset for the check, in the standard layout.  [default: the one that RUN was trained on, as it was read]",
)
@click.option("--frames", type=click.IntRange(1), default=16, show_default=True, help="Frames to compare logits on.")
@click.option("--atol", type=float, default=1e-3, show_default=True, help="Largest allowed difference of a logit.")
@click.option("--simplify/--no-simplify", default=True, show_default=True, help="Simplify the graph with onnxsim.")
@click.option(
    "--golden",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Validation frames that travel inside the file, for `cook-infer selftest`.",
)
@console.json_option
@console.version_option
def main(run: Path, output: Path, data: Path | None, atol: float, as_json: bool, **settings: Any) -> None:
    """Export the best weights of RUN (a folder of cook-train, or a checkpoint) to one ONNX file, proven equal to torch.

    The file holds normalisation, arg-max, class table and provenance. If a check fails, the exit code is 3 and
    nothing is written.
    """
    with console.require_extra("export"):
        importlib.import_module("onnxsim")  # it runs in a process of its own; that it is missing is said at once
        from cookseg.export import pipeline  # noqa: PLC0415 - `--help` must not need torch
        from cookseg.export.check import Gates  # noqa: PLC0415
    report = pipeline.export(run, output, data, Gates(atol=atol), pipeline.Settings(**settings))
    console.emit(as_json, report.to_dict(), lambda: _text(report, output))


def _text(report: "Report", output: Path) -> str:
    stages = [
        [
            name,
            str(size["nodes"]),
            str(size["operators"]),
            f"{size['parameters']:,}",
            f"{size['bytes'] / 1e6:.2f} MB",
        ]
        for name, size in report.sizes.items()
    ]
    comparisons = [
        [
            row.stage,
            row.inputs,
            f"{row.max_difference:.1e}",
            f"{row.mean_difference:.1e}",
            f"{row.agreement:.4%}",
        ]
        for row in report.comparisons
    ]
    ious = [
        [name, format_score(before.iou), format_score(after.iou)]
        for name, before, after in zip(report.classes, report.torch.scores(), report.exported.scores(), strict=True)
    ]
    means = ["mean", format_score(report.torch.mean_iou), format_score(report.exported.mean_iou)]
    return "\n\n".join(
        [
            console.table(stages, ["graph", "nodes", "operators", "parameters", "size"]),
            console.table(comparisons, ["against torch", "inputs", "max |logit|", "mean |logit|", "same class"]),
            console.table([*ious, means], ["validation IoU", "torch", "exported file"]),
            f"all checks passed: {output} ({output.stat().st_size / 1e6:.2f} MB)\n"
            f"next: cook-infer masks FRAMES -m {output} -o test_inf_masks",
        ]
    )
