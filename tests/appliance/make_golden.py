"""Make the golden bundle again: `python tests/appliance/make_golden.py`, when the contract or the scenes change.

A tiny network learns synthetic scenes by heart; kept are its export, three frames and the masks that it gives them.
"""

import shutil
import tempfile
from pathlib import Path

import cv2
from click.testing import CliRunner

from cookseg.data.synthetic.scenes import render, sessions
from cookseg.export.cli import main as cook_export
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.model.contract import COOKING
from cookseg.runtime.terminal.cli import main as cook_infer
from cookseg.training.cli import main as cook_train
from cookseg.training.models import PRESETS, Preset

GOLDEN = Path(__file__).parent / "golden"
SIZES = {"train": (96, 128), "val": (96, 128), "test": (135, 181)}  # test frames are of no round size


def run(command, *arguments):
    result = CliRunner().invoke(command, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def make(work):
    for split, size in SIZES.items():
        for name in ("images", "masks"):
            (work / split / name).mkdir(parents=True)
        for session in sessions(12, seed=3)[: 3 if split == "test" else 12]:
            frame, class_map = render(session, 0.4, size)
            write_png(work / split / "images" / f"{session.name}.png", frame)
            write_png(work / split / "masks" / f"{session.name}.png", colorize(class_map, COOKING))
    PRESETS["edge"] = Preset("unet", {"widths": (8, 16, 32), "stem": 2})
    run(cook_train, work, "-o", work / "run", "--imgsz", "128x96", "--epochs", 250, "--batch", 4, "--lr", 0.01)
    shutil.rmtree(GOLDEN, ignore_errors=True)
    run(cook_export, work / "run", "-o", GOLDEN / "model.onnx")
    shutil.copytree(work / "test/images", GOLDEN / "frames")
    run(cook_infer, "masks", GOLDEN / "frames", "-m", GOLDEN / "model.onnx", "-o", GOLDEN / "masks", "--device", "cpu")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
