"""`cook-infer`: what it tells of a model and its masks, for machines and for people, and its exit codes."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.model import engine, session
from cookseg.runtime.model import info as model_info
from cookseg.runtime.model.contract import COOKING, Contract
from cookseg.runtime.scoring.metrics import SCORE_COLUMNS, ConfusionMatrix, Scores
from cookseg.runtime.terminal import loading
from cookseg.runtime.terminal.cli import main as cook_infer


def run(command, *arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_missing_model_leads_to_the_command_that_makes_one(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    result = run(cook_infer, "masks", tmp_path / "a.png", "-m", tmp_path / "no.onnx", "-o", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (1, "")
    assert str(tmp_path / "no.onnx") in result.stderr
    assert "cook-export" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("device", ["cuda", "tensorrt", "openvino", "QNNExecutionProvider"])
def test_an_accelerator_that_is_not_there_exits_with_4(tmp_path, monkeypatch, device):
    offers = SimpleNamespace(__version__="1.32", get_available_providers=lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(session, "import_onnxruntime", lambda: offers)
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    model = Path(__file__).parents[2] / "appliance/golden/model.onnx"
    result = run(cook_infer, "masks", tmp_path / "a.png", "-m", model, "--device", device)
    assert (result.exit_code, result.stdout) == (4, "")
    assert f"--device {device} is not available" in result.stderr


@pytest.mark.parametrize("options", [[], ["-m", "starter"]])
def test_that_the_starter_is_used_is_said_to_those_who_did_not_ask_for_it(labelled, options):
    result = run(cook_infer, "eval", labelled, "--json", *options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["model"] == str(engine.STARTER)
    assert ("synthetic scenes only" in result.stderr) == (not options)


@pytest.fixture
def no_model(segmenter, monkeypatch):
    """Let the commands have the model-less segmenter, whatever --model says."""
    monkeypatch.setattr(loading, "load_segmenter", lambda *_args, **_options: segmenter)


@pytest.mark.usefixtures("no_model")
def test_masks_are_counted(tmp_path):
    for name, color in (("a", COOKING.colors[0]), ("late/b", COOKING.colors[2])):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(tmp_path / "in" / f"{name}.png", np.full((9, 7, 3), color, np.uint8))
    out = tmp_path / "out"
    result = run(cook_infer, "masks", tmp_path / "in", "-m", "x.onnx", "-o", out, "--index", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {"masks": 2, "output": str(out), "failed": {}}
    assert (read_image(out / "late/b.png") == COOKING.colors[2]).all()
    assert (read_image(out / "index/late/b.png") == 2).all()


@pytest.mark.usefixtures("no_model")
def test_partial_failure_exits_with_5_and_names_what_failed(tmp_path):
    for name in ("a", "b", "c"):
        write_png(tmp_path / f"{name}.png", np.zeros((9, 7, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"")
    result = run(cook_infer, "masks", tmp_path, "-m", "x.onnx", "-o", tmp_path / "out", "--json")
    value = json.loads(result.stdout)
    assert result.exit_code == 5
    assert value["masks"] == 2
    assert list(value["failed"]) == [str(tmp_path / "b.png")]
    assert str(tmp_path / "b.png") in result.stderr
    assert "a.png" not in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


@pytest.fixture
def labelled(tmp_path):
    """A validation set of one frame in the colours of its mask, one row of which the model cannot know."""
    truth = np.array([[1] * 32] * 16 + [[2] * 32] * 16, np.uint8)
    for folder in ("images", "masks"):
        (tmp_path / "val" / folder).mkdir(parents=True)
        write_png(tmp_path / "val" / folder / "a.png", colorize(truth, COOKING))
        truth[0] = 0
    return tmp_path


@pytest.mark.usefixtures("no_model")
def test_evaluation_for_machines_and_as_a_table(labelled, tmp_path):
    result = run(cook_infer, "eval", labelled, "-m", "x.onnx", "--json", "--csv", tmp_path / "scores.csv")
    assert (result.exit_code, result.stderr) == (0, "")
    value = json.loads(result.stdout)
    assert (value["frames"], value["split"], value["off_color_pixels"]) == (1, "val", 0)
    assert value["confusion_matrix"] == [[0, 32, 0], [0, 480, 0], [0, 0, 512]]
    assert value["pixel_accuracy"] == pytest.approx(1 - 32 / 1024)
    with (tmp_path / "scores.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == SCORE_COLUMNS
    assert [row[0] for row in rows] == [*COOKING.names, "all pixels / mean IoU"]
    assert rows[2][5] == "1.0000"
    text = run(cook_infer, "eval", labelled, "-m", "x.onnx").stdout
    assert "1 frames, 1,024 labelled pixels" in text
    assert all(name in text for name in COOKING.names)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mask-format", "index"], "pass --mask-format color"),
        (["--mask-suffix", "_x"], "say with --masks and --mask-suffix where masks are; `cook-data doctor"),
        (["--masks", "labels"], "say with --masks and --mask-suffix where they are"),
    ],
)
def test_what_is_wrong_with_the_layout_is_said_as_it_is_typed(labelled, options, said):
    result = run(cook_infer, "eval", labelled, "-m", "x.onnx", *options)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert said in result.stderr


@pytest.mark.usefixtures("no_model")
def test_grey_masks_lead_to_the_option_for_indices(labelled):
    write_png(labelled / "val/masks/a.png", np.eye(32, dtype=np.uint8))
    result = run(cook_infer, "eval", labelled, "-m", "x.onnx")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "if its values are class indices, pass --mask-format index" in result.stderr


@pytest.mark.usefixtures("no_model")
def test_colours_that_are_off_are_counted_and_said(labelled):
    path = labelled / "val/masks/a.png"
    pixels = read_image(path)
    pixels[5, :7] ^= 3
    write_png(path, pixels)
    assert json.loads(run(cook_infer, "eval", labelled, "-m", "x.onnx", "--json").stdout)["off_color_pixels"] == 7
    assert "7 mask pixels had colours" in run(cook_infer, "eval", labelled, "-m", "x.onnx").stdout


@pytest.mark.usefixtures("no_model")
def test_a_model_of_other_classes_is_not_evaluated(labelled):
    table = {"classes": [{"name": n, "color": c} for n, c in zip("abc", COOKING.colors, strict=True)]}
    (labelled / "classes.json").write_text(json.dumps(table))
    result = run(cook_infer, "eval", labelled, "-m", "x.onnx", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "a, b, c" in result.stderr


SCORES = Scores(ConfusionMatrix.of([[8, 2, 0], [0, 9, 1], [0, 0, 10]]), COOKING).to_dict()


@pytest.mark.parametrize(
    "provenance",
    [
        {},
        {"versions": {"torch": "2.13.0"}, "validation": SCORES},
        {"note": "trained on a Sunday", "tags": ["a", "b"], "seed": 3, "validation": None},
    ],
    ids=["none", "cookseg's", "anything"],
)
def test_info_shows_what_a_model_says_of_itself(tmp_path, monkeypatch, provenance):
    """Provenance is for people and nothing depends on it, so whatever it holds must not stop the command."""
    contract = Contract(provenance=provenance)
    monkeypatch.setattr(model_info, "OnnxEngine", lambda *_args: SimpleNamespace(contract=contract))
    (tmp_path / "model.onnx").write_bytes(bytes(1_500_000))
    assert Contract.from_dict(json.loads(run(cook_infer, "info", tmp_path / "model.onnx", "--json").stdout)) == contract
    text = run(cook_infer, "info", tmp_path / "model.onnx").stdout
    assert "pan+background (0, 255, 0)" in text
    assert "1.50 MB" in text
    validated = provenance.get("validation") is not None
    assert ("0.8000" in text, "Measured on its validation set" in text) == (validated, validated)
    assert all(key in text for key in provenance if key != "validation")


def test_info_begins_with_what_a_user_must_know(tmp_path, monkeypatch):
    note = "It knows cold pans only. " * 10
    contract = Contract(provenance={"seed": 3, "note": note})
    monkeypatch.setattr(model_info, "OnnxEngine", lambda *_args: SimpleNamespace(contract=contract))
    (tmp_path / "model.onnx").touch()
    lines = run(cook_infer, "info", tmp_path / "model.onnx").stdout.partition("classes")[0].splitlines()
    assert lines[0].startswith("note ")
    assert all(line.startswith(" " * 9) for line in lines[1:])
    assert max(map(len, lines)) < 100
    assert " ".join(" ".join(lines).split()) == f"note {note.strip()}"
