"""`cook-data`: make a synthetic dataset, and check a dataset before training on it."""

from pathlib import Path
from typing import Any

import click

from cookseg.data.doctor import examine as doctors
from cookseg.data.synthetic import sets as synthesis
from cookseg.runtime import console
from cookseg.runtime.contract import ClassTable
from cookseg.runtime.dataset import Layout
from cookseg.runtime.errors import CheckFailedError
from cookseg.runtime.files import new_folder


@click.group(cls=console.Group, epilog="Example: cook-data synth data/sets/demo && cook-data doctor data/sets/demo")
@console.version_option
def main() -> None:
    """Make and check datasets."""


@main.command(epilog="Example: cook-data synth data/sets/demo --train 96 --val 32 --test 16 --size 256")
@click.argument("out", type=console.folder_path)
@click.option("--train", type=click.IntRange(1), default=448, show_default=True, help="Labelled frames to learn from.")
@click.option("--val", type=click.IntRange(1), default=137, show_default=True, help="Labelled frames to judge by.")
@click.option("--test", type=click.IntRange(0), default=129, show_default=True, help="Frames without masks.")
@click.option("--per-session", type=click.IntRange(1), default=8, show_default=True, help="Frames of each session.")
@click.option("--kitchens", type=click.IntRange(0), default=0, help="Different rigs; 0 is a new one for each session.")
@click.option("--size", type=console.ImageSize(), default="640x480", show_default=True, help="Size of the frames.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same dataset.")
@console.json_option
def synth(out: Path, train: int, val: int, test: int, as_json: bool, **options: Any) -> None:
    """Render a synthetic cooking dataset with exact masks into OUT, a new folder."""
    counts = {"train": train, "val": val, "test": test}
    with new_folder(out) as folder:
        shots = synthesis.plan_shots(folder, synthesis.Plan(counts, **options))
        with console.progress(synthesis.write(shots), "rendering", len(shots)) as bar:
            for _ in bar:
                pass
    value = {"dataset": str(out), "frames": counts, "sessions": len({shot.session for shot in shots})}
    console.emit(as_json, value, lambda: f"{len(shots)} frames of {value['sessions']} sessions written to {out}")


@main.command(epilog="Example: cook-data doctor data/sets/demo --json")
@click.argument("data", type=console.folder_argument)
@console.layout_options
@console.json_option
def doctor(data: Path, layout: Layout, as_json: bool) -> None:
    """Read every file of DATA as training would; exit 3 if anything would spoil a run."""
    classes, reports = doctors.examine(data, layout)
    warnings = list(doctors.warnings(classes, reports))
    value = {
        "splits": {split: report.to_dict(classes) for split, report in reports.items()},
        "warnings": warnings,
    }
    console.emit(as_json, value, lambda: _text(classes, reports, warnings))
    if errors := [error for report in reports.values() for error in report.errors]:
        raise CheckFailedError(f"{len(errors)} faults would spoil a run:\n{console.bullets(errors)}")


def _text(classes: ClassTable, reports: dict[str, doctors.SplitReport], warnings: list[str]) -> str:
    rows = []
    for split, report in reports.items():
        shares = report.pixels / max(1, report.pixels.sum())
        sizes = sorted(report.sizes)
        size = f"{sizes[0][1]}x{sizes[0][0]}" if len(sizes) == 1 else f"{len(sizes) or 'no'} sizes"
        labelled = [f"{share:.2%}" for share in shares] if split != "test" else []
        rows.append([split, str(report.frames), size, *labelled])
    text = console.table(rows, ["split", "frames", "size", *classes.names])
    return "\n".join([text, *(f"warning: {warning}" for warning in warnings)])
