"""Results of the CamVid benchmark: each model over all seeds, beside published figures, and IoU by class."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from cookseg.export.provenance import processor, versions
from cookseg.runtime.results import Table
from cookseg.runtime.scoring.metrics import ConfusionMatrix

REFERENCE = "classic"
"""Model whose latency others are compared with, whether it was trained or not."""
COLORS = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "cyclist": (0, 128, 192),
}
"""Classes in the order of their indices; 11 is void, and ignored."""

PUBLISHED = (
    ("PIDNet-M", "960x720", "ImageNet, Cityscapes", "", "", "82.0"),
    ("DDRNet-23", "960x720", "ImageNet, Cityscapes", "", "", "80.6"),
    ("PIDNet-S", "960x720", "ImageNet, Cityscapes", "", "", "80.1"),
    ("DDRNet-23-slim", "960x720", "ImageNet", "", "", "74.7"),
    ("LETNet", "480x360", "scratch", "", "", "70.5"),
    ("FC-DenseNet103", "480x360", "scratch", "", "66.9", ""),
    ("DABNet", "480x360", "scratch", "", "", "66.7"),
    ("U-Net of 31 M, OpenVINO model zoo", "480x368", "scratch", "71.95", "", ""),
    ("plain training loop, U-Net of 1.9 M", "480x352", "scratch", "64.5", "", ""),
)
"""Published figures: name, input, start, mIoU of validation, of test, and of test after training on train + val."""
_HEADER = [
    "model",
    "M parameters",
    "input",
    "start",
    "labels",
    "seeds",
    "val mIoU, %",
    "test mIoU, %",
    "test, train + val",
    "drives left out",
    "ms",
    "times faster",
    "hours",
]


WITHOUT = "without-"
"""Start of the name of a set that lacks a drive, which is its test."""


def run_name(start: str, on: str, fraction: int) -> str:
    """Return the name of a folder for a set and a fraction of its labels.

    >>> run_name("edge-s-0", "train+val", 1), run_name("edge-s-0", "train", 8)
    ('edge-s-0-train+val', 'edge-s-0-of-8')
    """
    return "-".join([start, *([] if on == "train" else [on]), *([f"of-{fraction}"] if fraction > 1 else [])])


@dataclass(frozen=True)
class Result:
    """One model, trained with one seed, as the file that would be shipped.

    Attributes:
        model: Name of the preset.
        seed: Seed of the run.
        precision: Precision that `cook-export --precision auto` chose.
        parameters: Of the network.
        size: Network input, such as 320x240.
        hours: Training time since the run was last resumed; the machine may have been busy with other work.
        val: mIoU of the validation frames, 0..1.
        test: mIoU of the test frames, 0..1.
        classes: IoU of each class on the test frames.
        tuned: Whether it was fine-tuned for int8.
        on: What it was trained on: ``train``, ``train+val``, or all drives but one, which `test` is of.
        fraction: One of so many of these frames had its label.
        labelled: Labelled frames.
        start: Where its first weights were from, or ``scratch``.
        also: Options of the training beside the recipe.
        counts: Confusion matrix of the test frames.
    """

    model: str
    seed: int
    precision: str
    parameters: int
    size: str
    hours: float
    val: float
    test: float
    classes: dict[str, float | None]
    tuned: bool
    on: str = "train"
    fraction: int = 1
    labelled: int = 367
    start: str = "scratch"
    also: str = ""
    counts: Sequence[Sequence[int]] = ()

    @property
    def name(self) -> str:
        """Name of the run and of its folder."""
        return run_name(f"{self.model}-{self.seed}", self.on, self.fraction)


@dataclass(frozen=True)
class Results:
    """Results of all models.

    Attributes:
        results: One for each model and seed.
        milliseconds: Latency of the network alone for one frame, by model.
        recipes: Options of each model's training.
        tuning: Options of the fine-tuning for int8.
        made_with: Processor and versions.
        drives: Frames of each drive in each split.
    """

    results: Sequence[Result]
    milliseconds: Mapping[str, float]
    recipes: Mapping[str, str]
    tuning: str
    made_with: str
    drives: Mapping[str, Mapping[str, int]]

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON values."""
        return {"results": [asdict(result) for result in self.results], "milliseconds": dict(self.milliseconds)}

    def tables(self) -> Iterator[Table]:
        """Yield models beside published figures, IoU by class and by drive, and how to make them again."""
        rows: dict[tuple[str, str], list[Result]] = {(name, "scratch"): [] for name in (*self.recipes, REFERENCE)}
        for result in self.results:
            rows.setdefault((result.model, result.start), []).append(result)
        ours = [self._row(name, runs) for (name, _), runs in rows.items() if runs or name == REFERENCE]
        published = [[name, "", size, start, "", "", *scores] for name, size, start, *scores in PUBLISHED]
        yield Table(_HEADER, [*ours, *published])
        frames = [[drive, *(str(split.get(drive, 0)) for split in self.drives.values())] for drive in self._drives()]
        yield Table(["frames of drive", *self.drives], frames)
        if folds := self._folds():
            yield Table(["mIoU of a drive that was left out, %", *self._drives()], folds)
        classes = [
            [result.name, *(f"{100 * (iou or 0):.0f}" for iou in result.classes.values())] for result in self.results
        ]
        yield Table(["test IoU, %", *COLORS], classes)
        yield Table(above=f"Made by `cook-bench camvid` on {self.made_with}.")
        recipes = [(f"`{name}`", f"`{recipe}`") for name, recipe in self.recipes.items()]
        recipes += [
            (f"{result.name} was fine-tuned for int8", f"`{self.tuning}`") for result in self.results if result.tuned
        ]
        yield Table(rows=recipes)

    def _drives(self) -> list[str]:
        return sorted({drive for split in self.drives.values() for drive in split})

    def _folds(self) -> list[list[str]]:
        """Return the scores of each model and seed on each drive that it was not trained on."""
        rows: dict[str, dict[str, str]] = {}
        for result in self.results:
            if result.on.startswith(WITHOUT):
                row = rows.setdefault(f"{result.model}-{result.seed}", {})
                row[result.on.removeprefix(WITHOUT)] = f"{100 * result.test:.2f}"
        return [[name, *(row.get(drive, "") for drive in self._drives())] for name, row in rows.items()]

    def _row(self, name: str, runs: Sequence[Result]) -> list[str]:
        ms, faster = f"{self.milliseconds[name]:.1f}", f"{self.milliseconds[REFERENCE] / self.milliseconds[name]:.1f}"
        if not runs:
            return [name, "31.0", "480x352", "", "", "0", *4 * ["not trained"], f"int8 {ms}", faster, ""]
        first = runs[0]
        plain, joint = ([run for run in runs if run.on == on] for on in ("train", "train+val"))
        values = ([run.val for run in plain], [run.test for run in plain], [run.test for run in joint], _pooled(runs))
        scores = [_spread([100 * value for value in each]) for each in values]
        precisions = "/".join(sorted({run.precision for run in runs}))
        hours = f"{sum(run.hours for run in runs):.1f}"
        labels = str(first.labelled) if plain else ""
        facts = [f"{first.parameters / 1e6:.1f}", first.size, first.start, labels]
        seeds = str(len({run.seed for run in runs}))
        return [name, *facts, seeds, *scores, f"{precisions} {ms}", faster, hours]


def _pooled(runs: Sequence[Result]) -> list[float]:
    """Return, of each seed, the mIoU of all frames together, each found by the run that its drive was left out of."""
    folds = [run for run in runs if run.on.startswith(WITHOUT)]
    pooled = [
        ConfusionMatrix.of(np.sum([run.counts for run in folds if run.seed == seed], axis=0))
        for seed in sorted({run.seed for run in folds})
    ]
    return [matrix.mean_iou or 0.0 for matrix in pooled]


def made_with() -> str:
    """Return this machine's processor and the versions of the packages that made the results."""
    made = ", ".join(f"{name} {version}" for name, version in {"torch": torch.__version__, **versions()}.items())
    return f"{processor()}; {made}"


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    mean = f"{np.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.2f}"
