"""The export from Python: the package's own example, in silence, and errors that name parameters."""

import logging
import shutil
import subprocess
import sys
import textwrap

import pytest

import cookseg.export
from cookseg.export import Gates, Settings, pipeline
from cookseg.runtime.errors import InputError


def examples():
    """Indented code of both docstrings, as it stands there."""
    for text in (cookseg.export.__doc__, pipeline.export.__doc__):
        lines = textwrap.dedent(text.partition("\n")[2]).splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith("    "))
        code = lines[start:]
        end = next((number for number, line in enumerate(code) if line and not line.startswith("    ")), len(code))
        yield textwrap.dedent("\n".join(code[:end]))


@pytest.mark.integration
@pytest.mark.parametrize("example", list(examples()), ids=["package", "function"])
def test_the_examples_run_as_written(example, trained, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained.run, "runs/mine")
    known = {}
    code = example.replace('precision="int8")', 'precision="int8"), gates=Gates(drop=1)')  # eight frames, not hundreds
    exec(compile("from cookseg.export import Gates\n" + code, "example", "exec"), known)
    said = capfd.readouterr()
    assert known["report"].precision in said.out
    assert said.err == ""
    assert (tmp_path / "runs/mine/model.onnx").exists()
    assert [path.exists() for path in known["report"].cards] == [True, True]


@pytest.mark.integration
def test_remarks_are_logged_and_progress_is_told(trained, tmp_path, caplog):
    told = []

    def progress(items, label, total):
        told.append((label, total))
        return items

    caplog.set_level(logging.INFO, "cookseg")
    settings = Settings(simplify=False, golden=0, frames=1)
    cookseg.export.export(trained.run, tmp_path / "m.onnx", settings=settings, licence="CC0", progress=progress)
    assert told == [("evaluating torch", 4), ("evaluating raw", 4), ("evaluating the file", 4)]
    assert "converting with torch.onnx ..." in caplog.messages
    assert "Licence: CC0." in (tmp_path / "m.card.md").read_text()


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"precision": "fp8"}, r"`precision='fp8'`: give one of fp32, fp16, int8, auto"),
        ({"target": "mips"}, r"`target='mips'`: give one of auto, x86"),
        ({"calibration": "max"}, r"`calibration='max'`"),
        ({"frames": 0}, r"`frames=0`: give a whole number from 1 on"),
        ({"golden": "two"}, r"`golden='two'`: give a whole number from 0 on"),
        ({"outputs": ("classes", "depth")}, r"'depth' is not among classes, scores, confidence, logits"),
        ({"min_ort": "1.2"}, r"`min_ort='1.2'`: name a release of onnxruntime from 1.14 on"),
    ],
)
def test_a_setting_that_does_not_exist_is_named(choice, said):
    with pytest.raises(InputError, match=said):
        Settings(**choice)


def test_wrong_keywords_are_answered_with_the_right_ones():
    with pytest.raises(TypeError, match="did you mean 'precision'"):
        Settings(precison="int8")
    with pytest.raises(TypeError, match="'attol', did you mean 'atol'"):
        Gates(attol=1)
    with pytest.raises(TypeError, match="'setting', did you mean 'settings'"):
        cookseg.export.export("run", "m.onnx", setting=Settings())


def test_names_of_the_package_need_neither_torch_nor_onnx_until_they_are_used():
    code = """
import sys
sys.modules.update(torch=None, onnx=None, click=None)
from cookseg.export import Gates, Settings
Settings(), Gates()
try:
    from cookseg.export import export
except Exception as error:
    print(type(error).__name__, error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "MissingExtraError" in result.stdout
    assert "pip install 'cookseg[export]'" in result.stdout
    with pytest.raises(AttributeError, match="exports"):
        _ = cookseg.export.exports
