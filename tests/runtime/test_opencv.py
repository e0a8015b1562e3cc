"""OpenCV comes in four packages: any serves; none, two, or one that cannot work here are told with the remedy."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from cookseg.runtime import opencv
from cookseg.runtime.opencv import doubt, packages
from cookseg.runtime.terminal.cli import main

COMMANDS = {
    "cook-infer": "runtime.terminal.cli",
    "cook-data": "data.cli",
    "cook-train": "training.cli",
    "cook-eval": "evaluation.cli",
    "cook-export": "export.cli",
    "cook-bench": "benchmarks.cli",
}
BROKEN = {
    "none": ("raise ModuleNotFoundError(\"No module named 'cv2'\", name='cv2')", "pip install 'cookseg[cpu]'"),
    "libGL": (
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')",
        "no libGL.so.1",
    ),
    "rest": ("", "cannot import name 'imdecode'"),
    "numpy": ("raise ImportError('numpy.core.multiarray failed\\n to import')", "multiarray failed to import"),
}


def started(folder, body, code, *arguments):
    """Run code where OpenCV's package holds something else."""
    (folder / "cv2").mkdir(exist_ok=True)
    (folder / "cv2/__init__.py").write_text(body)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *code, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", BROKEN)
def test_a_command_says_it_in_a_line(tmp_path, command, fault):
    body, said = BROKEN[fault]
    script = tmp_path / command
    script.write_text(f"from cookseg.{COMMANDS[command]} import main\nmain()")
    result = started(tmp_path, body, [str(script)], "--help")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1), result.stderr
    assert result.stderr.startswith("Error: OpenCV ")
    assert said in result.stderr
    assert "opencv-python-headless" in result.stderr


@pytest.mark.parametrize("stage", ["runtime", "data", "training", "evaluation", "export"])
def test_python_code_gets_our_error_and_a_module_run_as_a_command_a_line(tmp_path, stage):
    body, _ = BROKEN["libGL"]
    result = started(tmp_path, body, ["-c", f"import cookseg.{stage}"])
    assert "Traceback" in result.stderr
    assert "MissingExtraError: OpenCV cannot be imported: this system has no libGL.so.1" in result.stderr
    result = started(tmp_path, body, ["-m", f"cookseg.{stage}"], "--help")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr


def test_the_packages_are_told_from_their_folders(tmp_path):
    assert doubt(tmp_path) is None
    for number, name in enumerate(("opencv_python", "opencv_contrib_python_headless"), 1):
        (tmp_path / f"{name}-5.0.0.93.dist-info").mkdir()
        assert len(packages(tmp_path)) == number
        assert (doubt(tmp_path) is None) == (number == 1)
    assert "opencv-contrib-python-headless and opencv-python are installed together" in str(doubt(tmp_path))
    (tmp_path / "opencv_stubs-1.0.dist-info").mkdir()
    assert len(packages(tmp_path)) == 2


def test_here_one_package_is_found():
    assert len(packages(Path(cv2.__file__).parent.parent)) == 1
    assert doubt() is None


def test_a_command_warns_of_two(monkeypatch, tmp_path):
    monkeypatch.setattr(opencv, "packages", lambda folder: ["opencv-python", "opencv-python-headless"])
    result = CliRunner().invoke(main, ["info", "starter"])
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: opencv-python and opencv-python-headless are installed together")
    assert "`pip uninstall opencv-python opencv-python-headless`" in result.stderr
