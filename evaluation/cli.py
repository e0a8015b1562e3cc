"""`cook-eval`: what an engineer opens to decide."""

from pathlib import Path

import click

from cookseg.evaluation.comparison import compare_runs
from cookseg.runtime.terminal import console, params


@click.group(cls=console.Group, epilog="Example: cook-eval runs runs/one runs/other --plot compared.png")
@params.version_option
def main() -> None:
    """Compare training runs."""


@main.command(epilog="Example: cook-eval runs runs/one runs/other --plot compared.png")
@click.argument("folders", metavar="RUN...", type=params.folder_argument, nargs=-1, required=True)
@click.option("--plot", type=params.file_path, help="PNG to draw mIoU and loss of all runs into.")
@params.json_option
def runs(folders: tuple[Path, ...], plot: Path | None, as_json: bool) -> None:
    """Compare RUNs: best and last validation mIoU, the classes' IoU at the best, speed, and settings that differ.

    All scores are those of the validations during training, at the network's size.
    """
    console.emit(as_json, compare_runs(folders, plot=plot))
