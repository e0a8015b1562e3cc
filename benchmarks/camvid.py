"""CamVid with 11 classes as one command: ``cook-bench camvid DATA -o OUT``.

Trains every model by its recipe, exports each in its best proven precision, evaluates the exported file on validation
and test frames at the size of their truth, and times all of them in turn in one run. What is done is not done again: a
stopped benchmark continues, and seeds, sets and models can be added later. It ends with a table in Markdown, and a
plot.

DATA holds ``train``, ``val`` and ``test``, each with ``images`` and ``masks`` of class indices (Brostow et al., 2009,
in the split of SegNet). The validation frames are one clip of a drive that training frames are of, so nothing is
chosen by them: the last epoch's weights count. Nothing is chosen by the test frames either.
"""

import json
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from cookseg.benchmarks.camvid_results import REFERENCE, WITHOUT, Result, Results, made_with, run_name
from cookseg.benchmarks.camvid_sets import LAYOUT, arranged, frames_by_drive, lay_out, list_splits
from cookseg.benchmarks.plots import draw_tradeoff
from cookseg.evaluation.run import Run
from cookseg.export import convert, graph, quantize, targets
from cookseg.export.calibration import calibration_frames
from cookseg.export.latency import median_latency
from cookseg.runtime.errors import CooksegError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.model.contract import Contract, Preprocessing
from cookseg.runtime.model.engine import OUTPUTS, OnnxEngine
from cookseg.runtime.model.seal import seal
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.results import as_markdown
from cookseg.runtime.scoring.dataset import list_pairs, load_classes, read_pair
from cookseg.runtime.scoring.evaluation import evaluate
from cookseg.runtime.scoring.metrics import ConfusionMatrix
from cookseg.runtime.terminal import console, params
from cookseg.training.config import RANDOM
from cookseg.training.models import PRESETS, build

COMMON = "--batch 8 --lr 0.002 --rotation 10 --flips horizontal --zoom 0.5 --keep last --no-check"
RECIPES = {
    "edge-s": "--imgsz 240x176 --epochs 160",
    "edge-m": "--imgsz 336x256 --epochs 150 --crop 272x208",
    "edge-l": "--imgsz 560x416 --epochs 120 --crop 352x256",
    "classic": "--imgsz 480x352 --epochs 44 --crop 240x176 --batch 4 --lr 0.0015 --zoom 0.25 --val-every 4",
}
"""Options of cook-train, for each model beside those in common."""
TUNING = "--qat --lr 0.0003 --epochs 20"
"""Options of the fine-tuning that follows, as cook-export advises, where it does not choose int8."""
SETS = ("train", "train+val", "drives")
"""What can be trained on; ``drives`` is a run for each drive, without it."""


@dataclass(frozen=True)
class Job:
    """A model to train with a seed, and what on.

    Attributes:
        model: Name of the preset.
        seed: Seed of the run.
        on: Name of the set, as `camvid_sets.arranged` takes it.
        fraction: One of so many training frames has its label.
        also: More options of cook-train; the last wins of one that is given twice.
    """

    model: str
    seed: int = 0
    on: str = "train"
    fraction: int = 1
    also: str = ""

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return run_name(f"{self.model}-{self.seed}", self.on, self.fraction)

    @property
    def data(self) -> str:
        """Name of the dataset's folder."""
        return run_name("data", self.on, self.fraction)


def run(data: Path, folder: Path, job: Job, epochs: int | None) -> Result:
    """Train, export and evaluate one model, or read what an earlier call found.

    Raises:
        CooksegError: An earlier call had other options.
    """
    found = folder / "result.json"
    if found.exists():
        result = Result(**json.loads(found.read_text("utf-8")))
        if result.also != job.also:
            raise CooksegError(f"{folder} was trained with `also={result.also!r}`: choose another folder for all runs")
        return result
    shorter = ["--epochs", str(epochs)] if epochs else []
    common = f"--mask-format index --model {job.model} --seed {job.seed} {COMMON} {RECIPES[job.model]}"
    options = [*shlex.split(common), *shlex.split(job.also)]
    hours = _train(data, folder, [*options, *shorter])
    contract = _export(folder, folder / "model.onnx")
    tuned = _precision(contract) != "int8"
    if tuned:  # last wins, of an option that is given twice
        hours += _train(data, folder / "tuned", [*options, "--init", folder, *TUNING.split(), *shorter])
        contract = _export(folder / "tuned", folder / "model.onnx")
    val, test = (_evaluate(data, split, folder / "model.onnx") for split in ("val", "test"))
    spec = contract.preprocessing
    result = Result(
        job.model,
        job.seed,
        _precision(contract),
        Run(folder).read_record().parameters or 0,
        f"{spec.width}x{spec.height}",
        hours,
        val.mean_iou or 0.0,
        test.mean_iou or 0.0,
        dict(zip(contract.classes.names, (scores.iou for scores in test.scores()), strict=True)),
        tuned,
        job.on,
        job.fraction,
        len(list_pairs(data, "train", LAYOUT)),
        start_of(Run(folder)),
        job.also,
        test.counts.tolist(),
    )
    write_atomically(found, json.dumps(asdict(result), indent=2).encode())
    return result


def start_of(run: Run) -> str:
    """Return what a run's first weights were: of another run or a checkpoint, by name, of an encoder; or scratch."""
    config = tomllib.loads(run.config.read_text("utf-8"))
    if init := config.get("init"):
        path = Path(init)
        return path.parent.name if path.name == Run(path.parent).best.name else path.stem
    if config["encoder"]["weights"] == RANDOM:
        return "scratch"
    return str(PRESETS[config["model"]].options.get("encoder") or "scratch")


def time_models(data: Path, files: dict[str, bytes]) -> dict[str, float]:
    """Return the median milliseconds of one validation frame through each file's network, all timed in turn."""
    pair, models = list_pairs(data, "val", LAYOUT)[0], {}
    for name, content in files.items():
        engine = OnnxEngine(content, "cpu")
        sample = read_pair(pair, engine.contract.classes, LAYOUT, engine.contract.preprocessing)
        models[name] = content, Segmenter(engine.contract, engine).prepare(sample.frame)[None]
    return {name: 1000 * seconds for name, seconds in median_latency(models, "cpu").items()}


def reference(data: Path) -> bytes:
    """Return `classic` in int8 with random weights, which take as long as trained ones: the reference of latency."""
    spec = Preprocessing(352, 480)
    contract = Contract(load_classes(data), spec)
    network = build(PRESETS["classic"], len(contract.classes), spec).eval()
    frames = calibration_frames(list_pairs(data, "train", LAYOUT), spec, 8)
    target = targets.TARGETS[targets.native_target()]
    quantizer = quantize.Quantizer(convert.simplify(convert.to_onnx(network, contract)), frames, target)
    model = quantizer.quantized(quantizer.ranges("minmax"))
    return seal(graph.finish(model, contract, OUTPUTS).SerializeToString())


def _train(data: Path, folder: Path, options: Sequence[object]) -> float:
    """Train, or continue an unfinished run; return the hours."""
    start = time.monotonic()
    begun = Run(folder).last.exists()
    _command("training", data, "-o", folder, *(["--resume", "--no-check"] if begun else options))
    return (time.monotonic() - start) / 3600


def _export(run: Path, model: Path) -> Contract:
    _command("export", run, "-o", model, "--precision", "auto")
    return OnnxEngine(model, "cpu").contract


def _precision(contract: Contract) -> str:
    precision: str = contract.provenance["export"]["precision"]
    return precision


def _evaluate(data: Path, split: str, model: Path) -> ConfusionMatrix:
    segmenter = Segmenter.load(model, "cpu")
    spec, classes = segmenter.contract.preprocessing, segmenter.contract.classes
    samples = (read_pair(pair, classes, LAYOUT, spec) for pair in list_pairs(data, split, LAYOUT))
    return evaluate(segmenter, samples)


def _command(stage: str, *arguments: object) -> None:
    """Run one of our commands as a user would; its output goes to stderr."""
    command = [sys.executable, "-m", f"cookseg.{stage}", *map(str, arguments)]
    if subprocess.run(command, stdout=2, check=False).returncode:  # noqa: S603 - our own command
        raise CooksegError(f"`{' '.join(command[2:])}` failed; the same command continues once that is fixed")


@click.command(cls=console.Command, epilog="Example: cook-bench camvid data/sets/camvid -o runs/camvid --model edge-s")
@click.argument("data", type=params.folder_argument)
@click.option("-o", "--output", "folder", type=params.folder_path, required=True, help="Folder of all runs.")
@click.option("--model", "models", type=click.Choice(list(RECIPES)), multiple=True, help="Only this one; repeatable.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Runs of each model.")
@click.option(
    "--on",
    type=click.Choice(SETS),
    multiple=True,
    default=["train"],
    show_default=True,
    help="What to train on; drives is a run for each drive, on all frames of the others. Repeatable.",
)
@click.option(
    "--label-fraction",
    "fraction",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Train on one of so many labelled frames, evenly spread; OUTPUT/data-of-N/unlabelled has the others.",
)
@click.option("--also", default="", metavar="OPTIONS", help='More options of each training, such as "--init starter".')
@click.option("--epochs", type=click.IntRange(1), help="Epochs instead of the recipe's, to see that all works.")
@params.json_option
def main(  # noqa: PLR0913, PLR0917 - an option each
    data: Path,
    folder: Path,
    models: tuple[str, ...],
    seeds: int,
    on: tuple[str, ...],
    fraction: int,
    also: str,
    epochs: int | None,
    as_json: bool,
) -> None:
    """Train, export, evaluate and time U-Nets on CamVid in DATA; write results.md and results.png into OUTPUT."""
    if fraction > 1 and set(on) != {"train"}:
        raise click.UsageError("--label-fraction is of the training frames: leave out --on")
    splits, chosen = list_splits(data), models or tuple(RECIPES)
    drives = frames_by_drive(splits)
    folds = [WITHOUT + name for name in sorted({name for frames in drives.values() for name in frames})]
    sets = [each for name in dict.fromkeys(on) for each in (folds if name == "drives" else [name])]
    jobs = [Job(model, seed, each, fraction, also) for each in sets for seed in range(seeds) for model in chosen]
    for job in jobs:
        lay_out(arranged(splits, job.on), folder / job.data, fraction)
    results = [run(folder / job.data, folder / job.name, job, epochs) for job in jobs]
    console.note("measuring latency ...")
    files = {result.name: (folder / result.name / "model.onnx").read_bytes() for result in results}
    if REFERENCE not in chosen:
        files[REFERENCE] = reference(folder / jobs[0].data)
    times = time_models(folder / jobs[0].data, files)
    milliseconds = {REFERENCE: times[REFERENCE]} if REFERENCE in times else {}
    for model in chosen:
        milliseconds[model] = float(np.mean([times[result.name] for result in results if result.model == model]))
    recipes = {model: " ".join(filter(None, [COMMON, RECIPES[model], also])) for model in RECIPES if model in chosen}
    found = Results(results, milliseconds, recipes, TUNING, made_with(), drives)
    write_atomically(folder / "results.md", f"{as_markdown(found.tables())}\n".encode())
    plain = [result for result in results if result.on == results[0].on]
    write_atomically(folder / "results.png", draw_tradeoff(plain, milliseconds))
    console.emit(as_json, found)
    console.note(f"written: {folder / 'results.md'}, {folder / 'results.png'}")


if __name__ == "__main__":
    main(prog_name="python -m cookseg.benchmarks.camvid")
