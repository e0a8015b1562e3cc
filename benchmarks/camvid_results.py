"""Results of the CamVid benchmark: each model over all seeds, beside published figures, and IoU by class."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from cookseg.export.provenance import processor, versions
from cookseg.runtime.results import Table

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
    ("U-Net, OpenVINO model zoo, 368x480", 31.0, "71.95", ""),
    ("plain training loop, 1.9 M U-Net, 480x352", 1.9, "64.5", ""),
    ("SegNet, PyTorch re-implementation", 29.0, "", "50.2 to 57.7"),
    ("ENet, PyTorch-ENet", 0.37, "", "52.9"),
    ("U-Net, PyTorch re-implementation", 31.0, "", "49.8"),
)
"""Published figures, from scratch: name, million parameters, mIoU of validation, and of a set that is not named."""
_HEADER = ["model", "M parameters", "input", "seeds", "val mIoU, %", "test mIoU, %", "ms", "times faster", "hours"]


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

    @property
    def name(self) -> str:
        """Name of the run and of its folder."""
        return f"{self.model}-{self.seed}"


@dataclass(frozen=True)
class Results:
    """Results of all models.

    Attributes:
        results: One for each model and seed.
        milliseconds: Latency of the network alone for one frame, by model.
        recipes: Options of each model's training.
        tuning: Options of the fine-tuning for int8.
        made_with: Processor and versions.
    """

    results: Sequence[Result]
    milliseconds: Mapping[str, float]
    recipes: Mapping[str, str]
    tuning: str
    made_with: str

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON values."""
        return {"results": [asdict(result) for result in self.results], "milliseconds": dict(self.milliseconds)}

    def tables(self) -> Iterator[Table]:
        """Yield models beside published figures, IoU by class, and how to make them again."""
        by_model: dict[str, list[Result]] = {name: [] for name in self.recipes}
        for result in self.results:
            by_model[result.model].append(result)
        by_model.setdefault(REFERENCE, [])
        rows = [self._row(name, runs) for name, runs in by_model.items()]
        published = [[name, f"{size:g}", "", "", val, test, "", "", ""] for name, size, val, test in PUBLISHED]
        yield Table(_HEADER, [*rows, *published])
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

    def _row(self, name: str, runs: Sequence[Result]) -> list[str]:
        ms, faster = f"{self.milliseconds[name]:.1f}", f"{self.milliseconds[REFERENCE] / self.milliseconds[name]:.1f}"
        if not runs:
            return [name, "31.0", "480x352", "0", *2 * ["not trained"], f"int8 {ms}", faster, ""]
        first = runs[0]
        scores = (_spread([100 * run.val for run in runs]), _spread([100 * run.test for run in runs]))
        precisions = "/".join(sorted({run.precision for run in runs}))
        hours = f"{sum(run.hours for run in runs):.1f}"
        size = [f"{first.parameters / 1e6:.1f}", first.size]
        return [name, *size, str(len(runs)), *scores, f"{precisions} {ms}", faster, hours]


def made_with() -> str:
    """Return this machine's processor and the versions of the packages that made the results."""
    made = ", ".join(f"{name} {version}" for name, version in {"torch": torch.__version__, **versions()}.items())
    return f"{processor()}; {made}"


def _spread(values: list[float]) -> str:
    mean = f"{np.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.2f}"
