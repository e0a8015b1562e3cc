"""The benchmarks of training: CamVid's whole protocol on frames of noise, and the race against a plain loop."""

import json
import sys
from importlib import import_module

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from cookseg.benchmarks import camvid, camvid_results, camvid_sets, training_speed
from cookseg.evaluation.run import Run
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.scoring.dataset import Pair, list_pairs
from cookseg.training.models import PRESETS, Preset

pytestmark = pytest.mark.integration


@pytest.fixture
def frames(tmp_path):
    """A set of CamVid's shape: masks of the indices of 11 classes and void, in stripes that the frames show."""
    rng = np.random.default_rng(0)
    of_split = {
        "train": ["0001TP_1", "0001TP_2", "0016E5_1", "0016E5_2"],
        "val": ["0016E5_3", "0016E5_4"],
        "test": ["0001TP_5", "Seq05VD_1"],
    }
    for split, frames in of_split.items():
        for name in ("images", "masks"):
            (tmp_path / "camvid" / split / name).mkdir(parents=True)
        for number in frames:
            mask = np.repeat(np.arange(12, dtype=np.uint8), 8)[None].repeat(72, 0)
            frame = np.uint8(mask[..., None] * (20, 15, 10) + rng.integers(0, 20, (72, 96, 3)))
            cv2.imwrite(str(tmp_path / "camvid" / split / "images" / f"{number}.png"), frame)
            cv2.imwrite(str(tmp_path / "camvid" / split / "masks" / f"{number}.png"), mask)
    return tmp_path / "camvid"


@pytest.fixture(autouse=True)
def one_round(monkeypatch):
    """Time models once: three rounds are for figures that people compare."""
    monkeypatch.setattr(sys.modules[camvid.median_latency.__module__], "_ROUNDS", 1)


def command(stage, *arguments):
    """Run one of our commands in this process: the test before starts them as `camvid` does."""
    done = CliRunner().invoke(import_module(f"cookseg.{stage}.cli").main, [*map(str, arguments)])
    assert done.exit_code == 0, done.stderr


def test_camvid_trains_exports_evaluates_and_times_and_does_nothing_twice(frames, tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "classic", Preset("unet", {"widths": (8, 16), "transposed": True}))
    monkeypatch.setitem(camvid.RECIPES, "edge-s", "--imgsz 96x72 --workers 0")
    arguments = [str(frames), "-o", str(tmp_path / "out"), "--model", "edge-s", "--epochs", "1", "--json"]
    first = CliRunner().invoke(camvid.main, arguments, catch_exceptions=False)
    assert first.exit_code == 0, first.stderr
    value = json.loads(first.stdout)
    (result,) = value["results"]
    assert result["size"] == "96x72"
    assert result["precision"] in {"fp32", "int8"}
    assert 0 <= result["val"] <= 1
    assert list(result["classes"]) == list(camvid_results.COLORS)
    assert value["milliseconds"].keys() == {"edge-s", "classic"}
    text = (tmp_path / "out/results.md").read_text("utf-8")
    scores = f"{100 * result['val']:.2f} | {100 * result['test']:.2f}"
    assert f"| edge-s | 1.8 | 96x72 | scratch | 4 | 1 | {scores} |  |  |" in text
    assert "| Seq05VD | 0 | 0 | 1 |" in text
    training = OnnxEngine(tmp_path / "out/edge-s-0/model.onnx", "cpu").contract.provenance["training"]
    assert training["keep"] == "last"
    assert read_image(tmp_path / "out/results.png").std() > 10
    again = CliRunner().invoke(camvid.main, arguments, catch_exceptions=False)
    assert json.loads(again.stdout)["results"] == value["results"]


def test_camvid_fine_tunes_where_the_export_does_not_choose_int8(frames, tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "classic", Preset("unet", {"widths": (8, 16), "transposed": True}))
    monkeypatch.setitem(camvid.RECIPES, "edge-s", "--imgsz 96x72 --workers 0")
    monkeypatch.setattr(camvid, "_command", command)
    precisions = iter(["fp32", "int8"])
    monkeypatch.setattr(camvid, "_precision", lambda contract: next(precisions))
    arguments = [str(frames), "-o", str(tmp_path / "out"), "--model", "edge-s", "--epochs", "1", "--json"]
    done = CliRunner().invoke(camvid.main, arguments, catch_exceptions=False)
    (result,) = json.loads(done.stdout)["results"]
    assert result["tuned"]
    assert result["precision"] == "int8"
    training = OnnxEngine(tmp_path / "out/edge-s-0/model.onnx", "cpu").contract.provenance["training"]
    assert training["qat"]
    assert training["init"]
    assert training["lr"] == 0.0003
    text = (tmp_path / "out/results.md").read_text("utf-8")
    assert "- `edge-s`: `--batch 8" in text
    assert "- edge-s-0 was fine-tuned for int8: `--qat --lr 0.0003 --epochs 20`" in text


def test_camvid_times_the_file_of_every_seed_and_reports_their_mean(frames, tmp_path, monkeypatch):
    found = {
        0: camvid_results.Result("edge-s", 0, "int8", 1_800_000, "96x72", 0.25, 0.66, 0.55, {"sky": 0.9}, tuned=False),
        1: camvid_results.Result("edge-s", 1, "fp32", 1_800_000, "96x72", 0.5, 0.64, 0.53, {"sky": 0.8}, tuned=True),
    }

    def run(data, folder, job, epochs):
        folder.mkdir()
        (folder / "model.onnx").write_bytes(f"file of seed {job.seed}".encode())
        return found[job.seed]

    times = {b"file of seed 0": 2.0, b"file of seed 1": 6.0, b"file of classic": 200.0}
    monkeypatch.setattr(camvid, "run", run)
    monkeypatch.setattr(camvid, "reference", lambda data: b"file of classic")
    monkeypatch.setattr(camvid, "time_models", lambda data, files: {name: times[x] for name, x in files.items()})
    arguments = [str(frames), "-o", str(tmp_path / "out"), "--model", "edge-s", "--seeds", "2", "--json"]
    done = CliRunner().invoke(camvid.main, arguments, catch_exceptions=False)
    assert json.loads(done.stdout)["milliseconds"] == {"edge-s": 4.0, "classic": 200.0}
    text = (tmp_path / "out/results.md").read_text("utf-8")
    scores = "65.00 ± 1.41 | 54.00 ± 1.41 |  |  | fp32/int8 4.0"
    assert f"| edge-s | 1.8 | 96x72 | scratch | 367 | 2 | {scores} | 50.0 | 0.8 |" in text
    assert "| edge-s-0 | 90 |" in text
    assert "| edge-s-1 | 80 |" in text


def test_camvid_trains_on_train_and_val_and_leaves_each_drive_out(frames, tmp_path, monkeypatch):
    """Each set is read as it was laid out; the models are stand-ins, right for the first class only."""
    seen = {}

    def run(data, folder, job, epochs):
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"file")
        sets = {split: [pair.name for pair in list_pairs(data, split, camvid.LAYOUT)] for split in camvid_sets.SPLITS}
        seen[job.on] = sets
        counts = [[len(sets["test"]), 0], [1, 1]]
        return camvid_results.Result(
            *(
                job.model,
                job.seed,
                "int8",
                1_800_000,
                "96x72",
                0.1,
                0.5,
                0.25,
                {"sky": 0.9},
                False,
                job.on,
                job.fraction,
            ),
            *(len(sets["train"]), "starter", job.also, counts),
        )

    monkeypatch.setattr(camvid, "run", run)
    monkeypatch.setattr(camvid, "reference", lambda data: b"file of classic")
    monkeypatch.setattr(camvid, "time_models", lambda data, files: dict.fromkeys(files, 2.0))
    arguments = [str(frames), "-o", str(tmp_path / "out"), "--model", "edge-s", "--also", "--init starter"]
    done = CliRunner().invoke(camvid.main, [*arguments, "--on", "train+val", "--on", "drives"], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert seen["train+val"]["train"] == ["0001TP_1", "0001TP_2", "0016E5_1", "0016E5_2", "0016E5_3", "0016E5_4"]
    assert seen["train+val"]["test"] == ["0001TP_5", "Seq05VD_1"]
    assert seen["without-0016E5"]["train"] == ["0001TP_1", "0001TP_2", "0001TP_5", "Seq05VD_1"]
    assert seen["without-0016E5"]["test"] == ["0016E5_1", "0016E5_2", "0016E5_3", "0016E5_4"]
    for on, sets in seen.items():
        if on.startswith(camvid_results.WITHOUT):
            assert set(sets["val"]) <= set(sets["train"])
            held = on.removeprefix(camvid_results.WITHOUT)
            assert not any(name.startswith(held) for name in sets["train"])
    text = (tmp_path / "out/results.md").read_text("utf-8")
    # pooled over drives: [[8, 0], [3, 3]]
    assert f"| starter |  | 1 |  |  | 25.00 | {50 * (8 / 11 + 3 / 6):.2f} | int8 2.0 | 1.0 | 0.4 |" in text
    assert "| edge-s-0 | 25.00 | 25.00 | 25.00 |" in text
    assert "--init starter`" in text


def test_camvid_keeps_some_labels_and_leaves_the_other_frames_without(frames, tmp_path, monkeypatch):
    splits = camvid_sets.list_splits(frames)
    folder = camvid_sets.lay_out(splits, tmp_path / "data", 2)
    assert [pair.name for pair in list_pairs(folder, "train", camvid.LAYOUT)] == ["0001TP_2", "0016E5_2"]
    assert sorted(path.stem for path in (folder / "unlabelled").iterdir()) == ["0001TP_1", "0016E5_1"]
    assert len(list_pairs(folder, "test", camvid.LAYOUT)) == 2
    names = [f"{drive}_{n:03}" for drive, count in (("a", 62), ("b", 101), ("c", 204)) for n in range(count)]
    kept = camvid_sets.spread([Pair(name, frames, frames) for name in reversed(names)], 8)
    assert [sum(pair.name[0] == drive for pair in kept) for drive in "abc"] == [8, 12, 26]
    refused = CliRunner().invoke(
        camvid.main, [str(frames), "-o", str(tmp_path / "out"), "--label-fraction", "8", "--on", "drives"]
    )
    assert refused.exit_code == 2
    assert "leave out --on" in refused.output


def test_camvid_names_what_a_model_began_with(tmp_path):
    encoder = '[encoder]\nweights = "imagenet"'
    for text, start in (
        (f'model = "edge-s"\ninit = ""\n{encoder}', "scratch"),
        (f'model = "edge-s"\ninit = "starter"\n{encoder}', "starter"),
        (f'model = "edge-s"\ninit = "/runs/large/best.pt"\n{encoder}', "large"),
        (f'model = "edge-s"\ninit = "/weights/some.pt"\n{encoder}', "some"),
        (f'model = "lite-s"\ninit = ""\n{encoder}', "efficientnet-lite0"),
        ('model = "lite-s"\ninit = ""\n[encoder]\nweights = "none"', "scratch"),
    ):
        (tmp_path / "config.toml").write_text(text)
        assert camvid.start_of(Run(tmp_path)) == start


def test_camvid_says_what_is_not_there(tmp_path):
    result = CliRunner().invoke(camvid.main, [str(tmp_path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert f"{tmp_path}/train/images is not there: DATA must hold train, val and test" in result.output


def test_both_loops_train_and_are_counted():
    arguments = ["--model", "edge-s", "--imgsz", "64", "--batch", "2", "--steps", "2", "--json"]
    result = CliRunner().invoke(training_speed.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    loops = json.loads(result.stdout)["loops"]
    assert loops.keys() == {"plain loop", "cookseg"}
    for figures in loops.values():
        assert figures["images_per_s"] > 0
        assert 0 < figures["waiting"] < 1
