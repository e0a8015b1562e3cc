"""What holds for every command: help, version, module form, completion, missing extras, and the rest of cook-infer."""

import configparser
import csv
import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.terminal.cli import main as cook_infer

ROOT = Path(__file__).parent.parent
COMMANDS = {
    "cook-data": "data",
    "cook-train": "training",
    "cook-eval": "evaluation",
    "cook-export": "export",
    "cook-infer": "runtime",
    "cook-bench": "benchmarks",
}


def module_of(package):
    return f"cookseg.{package}.{'terminal.' if package == 'runtime' else ''}cli"


def run(*command, **options):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize(("script", "package"), COMMANDS.items())
class TestEveryCommand:
    def test_help_has_an_example_and_module_and_script_agree(self, script, package):
        by_script = run(Path(sys.executable).parent / script, "--help")
        by_module = run(sys.executable, "-m", f"cookseg.{package}", "--help")
        assert by_script.returncode == by_module.returncode == 0
        assert by_script.stdout == by_module.stdout
        assert f"Example: {script}" in by_script.stdout or f"Examples: {script}" in by_script.stdout

    def test_version(self, script, package):
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg")
        result = run(Path(sys.executable).parent / script, "--version")
        assert result.stdout.strip().endswith(setup["metadata"]["version"])

    def test_completion(self, script, package):
        variable = f"_{script.upper().replace('-', '_')}_COMPLETE"
        result = run(Path(sys.executable).parent / script, env={variable: "zsh_source", "PATH": "/usr/bin:/bin"})
        assert result.returncode == 0
        assert f"#compdef {script}" in result.stdout

    def test_help_needs_no_torch(self, script, package):
        code = f"import sys; sys.modules['torch'] = None; from {module_of(package)} import main; main(['--help'])"
        assert run(sys.executable, "-c", code).returncode == 0


@pytest.mark.parametrize(
    ("package", "arguments", "missing", "extra"),
    [
        ("training", ["DATA", "-o", "run"], "torch", "train"),
        ("training", ["DATA", "-o", "run"], "tensorboard", "train"),
        ("export", ["DATA", "-o", "m.onnx"], "onnx", "export"),
        ("export", ["DATA", "-o", "m.onnx"], "onnxsim", "export"),
        ("benchmarks", ["latency", "MODEL"], "onnxruntime", "cpu"),
        ("benchmarks", ["latency", "MODEL", "--iterations", "1", "--compare"], "onnx", "export"),
        ("benchmarks", ["training-speed"], "torch", "export"),
    ],
)
def test_a_missing_extra_is_an_instruction(package, arguments, missing, extra, scenes, model):
    arguments = [{"DATA": str(scenes), "MODEL": str(model)}.get(a, a) for a in arguments]
    code = f"import sys; sys.modules[{missing!r}] = None; from {module_of(package)} import main; main({arguments!r})"
    result = run(sys.executable, "-c", code)
    assert result.returncode == 1
    assert f"pip install 'cookseg[{extra}]'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.integration
class TestInfer:
    def invoke(self, *arguments):
        return CliRunner().invoke(cook_infer, [*map(str, arguments)])

    def test_one_bad_file_does_not_stop_the_rest(self, scenes, model, tmp_path):
        for image in (scenes / "test/images").iterdir():
            (tmp_path / "in" / "sub").mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / "sub" / image.name).write_bytes(image.read_bytes())
        (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
        result = self.invoke("masks", tmp_path / "in", "-m", model, "-o", tmp_path / "out", "--json")
        assert result.exit_code == 5
        assert "broken.jpg" in result.stderr
        assert json.loads(result.stdout)["masks"] == 2
        assert len(list((tmp_path / "out/sub").glob("*.png"))) == 2

    def test_masks_have_the_images_size_and_the_classes_colours(self, scenes, model, tmp_path):
        options = ("--overlay", "--index", "--confidence")
        result = self.invoke("masks", scenes / "test/images", "-m", model, "-o", tmp_path, *options)
        assert result.exit_code == 0, result.stderr
        for image in (scenes / "test/images").iterdir():
            frame = read_image(image)
            mask = read_image(tmp_path / f"{image.stem}.png")
            index = cv2.imread(str(tmp_path / "index" / f"{image.stem}.png"), cv2.IMREAD_UNCHANGED)
            confidence = cv2.imread(str(tmp_path / "confidence" / f"{image.stem}.png"), cv2.IMREAD_UNCHANGED)
            assert mask.shape == frame.shape == read_image(tmp_path / "overlay" / f"{image.stem}.png").shape
            assert np.array_equal(np.eye(3, dtype=np.uint8)[index] * 255, mask)
            assert confidence.min() >= 255 // 3  # the largest of three probabilities

    def test_eval_on_the_exported_file_agrees_with_the_training(self, trained, model, tmp_path):
        result = self.invoke("eval", trained.data, "-m", model, "--json", "--csv", tmp_path / "scores.csv")
        assert result.exit_code == 0, result.stderr
        ours, trainings = json.loads(result.stdout), json.loads(trained.output)
        assert ours["mean_iou"] == pytest.approx(trainings["mean_iou"], abs=1e-3)
        rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
        assert [row["class"] for row in rows][:3] == ["stirrer", "pan+background", "food"]
        assert float(rows[2]["IoU"]) == pytest.approx(ours["classes"]["food"]["iou"], abs=1e-4)

    def test_eval_refuses_a_dataset_of_other_classes(self, scenes, model, tmp_path):
        (tmp_path / "set").mkdir()
        for split in ("train", "val"):
            (tmp_path / "set" / split).symlink_to(scenes / split)
        table = {"classes": [{"name": "a", "color": [255, 0, 0]}, {"name": "b", "color": [0, 255, 0]}]}
        (tmp_path / "set/classes.json").write_text(json.dumps(table))
        result = self.invoke("eval", tmp_path / "set", "-m", model)
        assert result.exit_code == 1
        assert "stirrer" in result.stderr

    def test_an_output_folder_that_is_a_file_is_an_error_before_any_work(self, scenes, model, tmp_path):
        (tmp_path / "out").write_text("")
        result = self.invoke("masks", scenes / "test/images", "-m", model, "-o", tmp_path / "out")
        assert result.exit_code == 2


def test_every_folder_of_code_is_in_the_wheel():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packages = set(setup["options"]["packages"].split())
    folders = {path.parent.relative_to(ROOT) for path in ROOT.glob("*/**/__init__.py")}
    folders = {folder for folder in folders if folder.parts[0] != "build" and folder.parts[0][0] != "."}
    assert packages == {f"cookseg.{'.'.join(folder.parts)}" for folder in folders}


def test_every_file_beside_the_code_is_in_the_wheel():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for package, names in setup["options.package_data"].items():
        folder = importlib.resources.files(package)
        present = {entry.name for entry in folder.iterdir() if entry.name.endswith((".typed", ".onnx", ".pt"))}
        assert present == set(names.split(", ")), package


@pytest.mark.gpu
def test_cuda_is_really_used(model, scenes):
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("no onnxruntime-gpu here")
    from cookseg.runtime import Segmenter

    frame = read_image(next((scenes / "test/images").iterdir()))
    cuda, cpu = (Segmenter.load(model, device).predict(frame).class_map for device in ("cuda", "cpu"))
    assert (cuda == cpu).mean() > 0.999
