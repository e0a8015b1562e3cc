"""Fixtures that several tests share: a few rendered scenes, a network trained on them, and its export."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from cookseg.data.synthetic.scenes import render, sessions
from cookseg.data.synthetic.sets import Plan, plan_shots, write
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.model.contract import COOKING, Contract, Preprocessing
from cookseg.runtime.model.segmenter import Segmenter

# For torch in this process and in all that tests start: the networks are tiny, and where other work keeps the cores
# busy, threads that wait for each other are ten times slower than one.
os.environ["OMP_NUM_THREADS"] = "1"


@dataclass(frozen=True)
class Trained:
    """A run of cook-train, its dataset, and what the command printed."""

    data: Path
    run: Path
    output: str


def write_set(root, splits, size, **cast):
    """Render a dataset whose labelled splits show the same scenes: to be learnt by heart, not to generalise."""
    for split, count in splits.items():
        for name in ("images", "masks")[: 1 if split == "test" else 2]:
            (root / split / name).mkdir(parents=True)
        for session in sessions(count, **{"seed": 0, **cast}):
            frame, class_map = render(session, 0.5, size)
            cv2.imwrite(str(root / split / "images" / f"{session.name}.jpg"), frame[..., ::-1])
            if split != "test":
                write_png(root / split / "masks" / f"{session.name}.png", colorize(class_map, COOKING))
    return root


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A dataset of eight training frames, four of which are the validation set, and two for test, 96x80."""
    return write_set(tmp_path_factory.mktemp("sets") / "mine", {"train": 8, "val": 4, "test": 2}, (80, 96), seed=4)


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory):
    """The same of one kitchen, whose camera hangs near: easier to learn."""
    root = tmp_path_factory.mktemp("sets") / "kitchen"
    return write_set(root, {"train": 8, "val": 4}, (80, 96), seed=3, kitchens=1)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """Exact masks of rendered scenes: 12, 4 and 2 frames of 320x240, in sessions of four frames, and of two for val."""
    root = tmp_path_factory.mktemp("pristine")
    for seed, (counts, per_session) in enumerate([({"train": 12, "test": 2}, 4), ({"val": 4}, 2)], 25):
        list(write(plan_shots(root, Plan(counts, per_session, 0, ((240, 320),), seed))))
    return root


@pytest.fixture
def clean(pristine, tmp_path):
    """A copy of it to plant faults in."""
    return shutil.copytree(pristine, tmp_path / "set")


@pytest.fixture(scope="session")
def trained(scenes, tmp_path_factory):
    """A run that learnt the scenes by heart."""
    from cookseg.training.cli import main

    run = tmp_path_factory.mktemp("runs") / "scenes"
    frames = ["--imgsz", "64", "--epochs", "80", "--val-every", "10", "--batch", "4"]
    options = [str(scenes), "-o", str(run), *frames, "--lr", "0.004", "--rotation", "0", "--json"]
    result = CliRunner().invoke(main, options, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Trained(scenes, run, result.stdout)


@dataclass(frozen=True)
class Exported:
    """A file of cook-export, and what the command printed."""

    model: Path
    output: str


@pytest.fixture(scope="session")
def exported(trained):
    """The run's export."""
    from cookseg.export import pipeline
    from cookseg.export.cli import main

    path = trained.run / "model.onnx"
    with pytest.MonkeyPatch.context() as patched:  # three rounds are for figures that people compare
        patched.setattr(sys.modules[pipeline.median_latency.__module__], "_ROUNDS", 1)
        result = CliRunner().invoke(main, [str(trained.run), "-o", str(path), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Exported(path, result.stdout)


@pytest.fixture(scope="session")
def model(exported):
    """The file that the run was exported to."""
    return exported.model


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved during the test, to look at what it shows."""
    from matplotlib.figure import Figure

    saved, save = [], Figure.savefig

    def keep(figure, *arguments, **options):
        saved.append(figure)
        return save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


@pytest.fixture
def segmenter():
    """A segmenter at 32x32 without a model: a pixel's scores are its channels, so a mask's colours are its classes."""

    def brightest(frames):
        scores = frames.transpose(0, 3, 1, 2)
        return scores.argmax(axis=1).astype("uint8"), scores

    return Segmenter(Contract(preprocessing=Preprocessing(32, 32)), brightest)
