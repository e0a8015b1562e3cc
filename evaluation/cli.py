"""`cook-eval`: what an engineer opens to decide."""

from pathlib import Path

import click

from cookseg.evaluation import comparison
from cookseg.runtime.errors import require_extra
from cookseg.runtime.files import write_atomically
from cookseg.runtime.results import grid
from cookseg.runtime.terminal import console, params


@click.group(cls=console.Group, epilog="Example: cook-eval runs runs/one runs/other --plot compared.png")
@params.version_option
def main() -> None:
    """Compare training runs."""


@main.command(epilog="Example: cook-eval runs runs/one runs/other --plot compared.png")
@click.argument("folders", metavar="RUN...", type=params.folder_argument, nargs=-1, required=True)
@click.option("--plot", "picture", type=params.file_path, help="PNG to draw mIoU and loss of all runs into.")
@params.json_option
def runs(folders: tuple[Path, ...], picture: Path | None, as_json: bool) -> None:
    """Compare RUNs: best and last validation mIoU, the classes' IoU at the best, speed, and settings that differ.

    All scores are those of the validations during training, at the network's size.
    """
    found = [comparison.Run.read(folder) for folder in folders]
    if picture:
        with require_extra("train"):
            write_atomically(picture, comparison.plot(found))
    value = {
        "runs": [run.to_json() for run in found],
        "differ": comparison.differences(found),
        "plot": str(picture) if picture else None,
    }
    console.emit_value(as_json, value, lambda: grid(*comparison.table(found)))
