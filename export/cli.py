"""`cook-export`: one checkpoint in, one proven ONNX file out, or none."""

from pathlib import Path
from typing import Any, get_args

import click

from cookseg.export.config import OLDEST, Calibration, Gates, Precision, Settings, Target
from cookseg.runtime.model.session import import_onnxruntime
from cookseg.runtime.terminal import bars, console, params
from cookseg.training.config import HEAD_OUTPUTS


class _Outputs(click.ParamType[tuple[str, ...]]):
    """A list such as classes,logits."""

    name = "NAMES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the names."""
        names = tuple(value) if isinstance(value, tuple) else tuple(name.strip() for name in str(value).split(","))
        if unknown := [name for name in names if name not in HEAD_OUTPUTS]:
            self.fail(f"{', '.join(unknown)!r} is not among {', '.join(HEAD_OUTPUTS)}", param, ctx)
        return names


@click.command(
    cls=console.Command,
    flags={"qat=True": "cook-train --qat"},
    epilog="Examples: cook-export runs/demo -o model.onnx   |   cook-export runs/demo -o model.onnx --precision auto",
)
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=params.file_path, required=True, help="The ONNX file to write.")
@click.option(
    "--data",
    type=params.folder_argument,
    help="Dataset for the check, in the standard layout.  [default: the one that RUN was trained on, as it was read]",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default="fp32",
    show_default=True,
    help="auto: the fastest on this machine that passes its gate. fp16 is for GPUs only.",
)
@click.option(
    "--target",
    type=click.Choice(["auto", *get_args(Target)]),
    default="auto",
    show_default=True,
    help="Processor that int8 is for; auto is this machine's. x86 has VNNI, avx2 does not.",
)
@click.option(
    "--calibration",
    type=click.Choice(["auto", *get_args(Calibration)]),
    default="auto",
    show_default=True,
    help="How int8 ranges come from activations; auto compares all.",
)
@click.option(
    "--calibration-frames",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Training frames that they come from, of all sessions and all light.",
)
@click.option("--frames", type=click.IntRange(1), default=16, show_default=True, help="Frames to compare outputs on.")
@click.option("--atol", type=float, default=1e-3, show_default=True, help="fp32: largest difference of a logit.")
@click.option(
    "--min-agreement", type=float, default=0.9999, show_default=True, help="fp32: share of pixels of the same class."
)
@click.option(
    "--max-iou-change", type=float, default=0.1, show_default=True, help="fp32: points of IoU, up or down, of a class."
)
@click.option(
    "--max-drop", type=float, default=0.5, show_default=True, help="fp16, int8: points of IoU that a class may lose."
)
@click.option("--simplify/--no-simplify", default=True, show_default=True, help="Simplify the graph with onnxsim.")
@click.option(
    "--outputs",
    type=_Outputs(),
    default="classes,scores",
    show_default=True,
    help="Of classes, scores, confidence and logits; the first two are always there, masks are made of them.",
)
@click.option(
    "--min-ort", default=OLDEST, show_default=True, help="Oldest onnxruntime that must read it; chooses opset and IR."
)
@click.option(
    "--golden",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Validation frames that travel inside the file, for `cook-infer selftest`.",
)
@click.option("--sign", type=params.file_path, help="Ed25519 private key (PEM) to sign the file with.")
@click.option("--note", default="", help="Warning to the model's user; `cook-infer info` and its card show it.")
@click.option("--licence", default="not stated", show_default=True, help="The model's licence, for its card.")
@params.json_option
@params.version_option
def main(
    run: Path,
    output: Path,
    *,
    data: Path | None,
    sign: Path | None,
    licence: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Export the best weights of RUN (a folder of cook-train, or a checkpoint) to one ONNX file, proven equal to torch.

    The file holds normalisation, arg-max, class table and provenance; a model card is written beside it
    (.card.md, .card.html). If a check fails, the exit code is 3 and nothing is written.
    """
    import_onnxruntime()
    from cookseg.export import export  # noqa: PLC0415 - `--help` must not need torch

    gates = Gates(
        atol=options.pop("atol"),
        agreement=options.pop("min_agreement"),
        iou=options.pop("max_iou_change") / 100,
        drop=options.pop("max_drop") / 100,
    )
    report = export(
        run,
        output,
        data=data,
        gates=gates,
        settings=Settings(**options),
        key=sign,
        licence=licence,
        progress=bars.bar,
    )
    console.emit(as_json, report)
    if not as_json:
        click.echo(f"\nnext: cook-infer masks FRAMES -m {output} -o test_inf_masks")
