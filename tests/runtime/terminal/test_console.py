"""What the commands have in common: exit codes, errors of one line, JSON alone on stdout, tables, and `cook-infer`."""

import csv
import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
from click.testing import CliRunner

from cookseg.benchmarks import latency
from cookseg.benchmarks.cli import main as cook_bench
from cookseg.data.cli import main as cook_data
from cookseg.runtime import errors
from cookseg.runtime.errors import require_extra
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.model import engine, session
from cookseg.runtime.model.contract import COOKING, Contract
from cookseg.runtime.results import Table, grid
from cookseg.runtime.scoring.metrics import SCORE_COLUMNS, ConfusionMatrix, score_dict
from cookseg.runtime.terminal import bars, cli, console, params
from cookseg.runtime.terminal.cli import main as cook_infer


def run(command, *arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def raising(error):
    @click.group(cls=console.Group)
    def group():
        pass

    @group.command()
    def fail():
        raise error

    return CliRunner().invoke(group, ["fail"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CooksegError("pan.jpg: no"), 1),
        (errors.InputError("pan.jpg: no"), 1),
        (errors.ImageError("pan.jpg: no"), 1),
        (errors.MaskError("pan.jpg: no"), 1),
        (errors.DatasetError("pan.jpg: no"), 1),
        (errors.ModelError("pan.jpg: no"), 1),
        (errors.MissingExtraError("pan.jpg: no"), 1),
        (errors.CheckFailedError("pan.jpg: no"), 3),
        (errors.DeviceError("pan.jpg: no"), 4),
        (errors.PartialFailureError("pan.jpg: no"), 5),
        (PermissionError(13, "Permission denied", "pan.jpg"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_one_line_and_an_exit_code(error, code):
    result = raising(error)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("Error: ")
    assert "pan.jpg" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_drawn_tree_of_errors_is_the_real_one():
    drawn = re.findall(r"(\w+Error)\s+(\d)\s", errors.__doc__)
    real, tree = [], [errors.CooksegError]
    while tree:
        error = tree.pop(0)
        real.append((error.__name__, str(error.exit_code)))
        tree = error.__subclasses__() + tree
    assert drawn == [entry for entry in real if entry[0] in errors.__dict__]


def test_a_mistake_of_the_program_is_not_dressed_up_as_the_users():
    assert isinstance(raising(ZeroDivisionError()).exception, ZeroDivisionError)


@pytest.mark.parametrize(("text", "size"), [("256", (256, 256)), ("480x352", (352, 480)), ("480X352", (352, 480))])
def test_sizes_are_width_by_height(text, size):
    assert params.ImageSize().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "x", "256x", "1x2x3", "12.5", "big", "0", "-5", "32x0"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(click.BadParameter, match="width x height"):
        params.ImageSize().convert(text, None, None)


def test_tables_stand_in_columns():
    rows = [["stirrer", "0.5", "1,000"], ["food", "0.25"], ["pan+background", "", "7"]]
    assert grid(rows, ["class", "IoU", "support"]).splitlines() == [
        "class            IoU  support",
        "--------------  ----  -------",
        "stirrer          0.5    1,000",
        "food            0.25",
        "pan+background              7",
    ]


def test_parameters_are_said_as_they_are_typed():
    size, format_ = click.Option(["--imgsz", "size"]), click.Option(["--mask-format"])
    command = console.Command(
        "c", params=[size, format_], flags={"check=False": "--no-check", "augment.steam": "--steam"}
    )
    said = "`size=(352, 480)`, `mask_format='index'`, `check=False`, `augment.steam`; `other=1` and `cook-data doctor`"
    assert command.spelled(said) == (
        "--imgsz 480x352, --mask-format index, --no-check, --steam; `other=1` and `cook-data doctor`"
    )


def test_a_command_says_what_the_library_logs_and_a_program_that_calls_it_hears_nothing(capfd):
    @click.command(cls=console.Command, params=[click.Option(["--batch"], type=int)])
    def command(batch):
        logging.getLogger("cookseg.training").info("training on cpu")
        logging.getLogger("cookseg.training").warning("`batch=%s` is larger than the set", batch)

    result = CliRunner().invoke(command, ["--batch", "8"])
    assert (result.stdout, result.stderr) == ("", "training on cpu\nwarning: --batch 8 is larger than the set\n")
    logging.getLogger("cookseg.training").warning("nobody listens")
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_leads_to_its_extra():
    remedy = r"no_such_package.*pip install 'cookseg\[export\]'"
    with pytest.raises(errors.MissingExtraError, match=remedy), require_extra("export"):
        import no_such_package  # noqa: F401


@dataclass(frozen=True)
class Masks:
    """A result."""

    count: int

    def to_dict(self):
        return {"masks": self.count}

    def tables(self):
        yield Table(["name", "masks"], [["pan", str(self.count)]], title="Masks")


def test_nothing_but_the_result_is_on_stdout(capsys):
    assert list(bars.bar([1, 2], "masks", 2)) == [1, 2]
    with bars.step_progress(2, "training") as step:
        step("loss 0.1")
    console.note("device: cpu")
    console.emit(True, Masks(2))
    out, err = capsys.readouterr()
    assert json.loads(out) == {"masks": 2}
    assert err == "device: cpu\n"  # no bar: nobody watches


@pytest.mark.parametrize(
    ("command", "arguments", "named"),
    [
        (cook_infer, ["masks"], "SOURCE"),
        (cook_infer, ["info"], "MODEL"),
        (cook_bench, ["latency"], "MODEL"),
        (cook_infer, ["masks", "a.jpg", "-m", "x.onnx", "--device", "gpu"], "cuda"),
        (cook_infer, ["masks", "a.jpg", "-m", "x.onnx", "--threads", "-1"], "--threads"),
        (cook_infer, ["eval", "nowhere", "-m", "x.onnx"], "nowhere"),
        (cook_infer, ["eval", ".", "-m", "x.onnx", "--mask-format", "rgb"], "index"),
        (cook_data, ["doctor", "nowhere"], "nowhere"),
        (cook_data, ["doktor"], "doktor"),
    ],
)
def test_a_wrong_command_line_exits_with_2(command, arguments, named):
    result = run(command, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr


def test_the_version_is_the_packages():
    from importlib.metadata import version

    assert version("cookseg") in run(cook_infer, "--version").stdout


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


@pytest.mark.parametrize(
    "command",
    [
        *(cook_infer.commands[name] for name in ("masks", "eval", "info", "selftest", "install")),
        cook_data.commands["doctor"],
        latency.main,
    ],
    ids=lambda command: command.name,
)
def test_starter_is_the_model_of_cookseg_wherever_a_model_is_taken(command):
    (parameter,) = (parameter for parameter in command.params if parameter.name == "model")
    taken = [parameter.type_cast_value(click.Context(command), text) for text in ("starter", "./starter", "m.onnx")]
    assert taken == [engine.STARTER, Path("starter"), Path("m.onnx")]


@pytest.mark.parametrize("options", [[], ["-m", "starter"]])
def test_that_the_starter_is_used_is_said_to_those_who_did_not_ask_for_it(labelled, options):
    result = run(cook_infer, "eval", labelled, "--json", *options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["model"] == str(engine.STARTER)
    assert ("synthetic scenes only" in result.stderr) == (not options)


@pytest.fixture
def no_model(segmenter, monkeypatch):
    """Let the commands have the model-less segmenter, whatever --model says."""
    monkeypatch.setattr(cli, "_load", lambda *_args, **_options: segmenter)


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
def test_a_model_of_other_classes_is_not_evaluated(labelled):
    table = {"classes": [{"name": n, "color": c} for n, c in zip("abc", COOKING.colors, strict=True)]}
    (labelled / "classes.json").write_text(json.dumps(table))
    result = run(cook_infer, "eval", labelled, "-m", "x.onnx", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "a, b, c" in result.stderr


SCORES = score_dict(ConfusionMatrix.of([[8, 2, 0], [0, 9, 1], [0, 0, 10]]), COOKING)


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
    monkeypatch.setattr(cli, "OnnxEngine", lambda *_args: SimpleNamespace(contract=contract))
    (tmp_path / "model.onnx").write_bytes(bytes(1_500_000))
    assert Contract.from_dict(json.loads(run(cook_infer, "info", tmp_path / "model.onnx", "--json").stdout)) == contract
    text = run(cook_infer, "info", tmp_path / "model.onnx").stdout
    assert "pan+background (0, 255, 0)" in text
    assert "1.50 MB" in text
    assert ("0.8000" in text) == (provenance.get("validation") is not None)
    assert all(key in text for key in provenance if key != "validation")


def test_info_begins_with_what_a_user_must_know(tmp_path, monkeypatch):
    note = "It knows cold pans only. " * 10
    contract = Contract(provenance={"seed": 3, "note": note})
    monkeypatch.setattr(cli, "OnnxEngine", lambda *_args: SimpleNamespace(contract=contract))
    (tmp_path / "model.onnx").touch()
    lines = run(cook_infer, "info", tmp_path / "model.onnx").stdout.partition("classes")[0].splitlines()
    assert lines[0].startswith("note ")
    assert all(line.startswith(" " * 9) for line in lines[1:])
    assert max(map(len, lines)) < 100
    assert " ".join(" ".join(lines).split()) == f"note {note.strip()}"
