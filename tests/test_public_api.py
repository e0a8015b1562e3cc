"""The public API: the names that one would guess, each told of, and each of them kind to a mistake."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cookseg.runtime
from cookseg.runtime import STARTER, InputError, Segmenter, Settings, read_contract
from cookseg.runtime.errors import CooksegError

SURFACE = {
    "runtime": """
        CheckFailedError ClassTable ColorMaskSink ConfidenceSink ConfusionMatrix Contract CooksegError DatasetError
        DeviceError FileSource Frame ImageError IndexSink InputError MaskError MissingExtraError Mode ModelError
        OverlaySink PaletteMaskSink PartialFailureError Preprocessing STARTER Segmentation Segmenter Settings Sink
        Source __version__ colorize evaluate overlay read_contract read_frame read_image run run_latest selftest
        write_png
    """,
}
NAMES = [(stage, name) for stage, names in SURFACE.items() for name in names.split()]


def named(stage, name):
    return getattr(importlib.import_module(f"cookseg.{stage}"), name)


@pytest.mark.parametrize("stage", SURFACE)
def test_the_surface_is_this(stage):
    module = importlib.import_module(f"cookseg.{stage}")
    assert sorted(module.__all__) == SURFACE[stage].split()
    assert set(module.__all__) <= set(dir(module))
    assert ">>> " in module.__doc__
    with pytest.raises(AttributeError, match="misspelt"):
        _ = module.misspelt


@pytest.mark.parametrize(("stage", "name"), NAMES)
def test_every_name_is_there_and_told_of(stage, name):
    value = named(stage, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__
        assert not value.__doc__.startswith(f"{name}(")  # what a dataclass without a docstring gets


CALLED = [
    (stage, name)
    for stage, name in NAMES
    if not name.endswith("Error") and name not in {"STARTER", "Mode", "Sink", "Source", "__version__"}
]


@pytest.mark.parametrize(("stage", "name"), CALLED)
def test_a_wrong_keyword_is_answered_with_the_right_ones(stage, name):
    value = named(stage, name)
    with pytest.raises(TypeError, match=r"no argument 'nonsense'; its arguments are (\w+(, )?)+$"):
        value(nonsense=1)


def test_a_keyword_that_is_nearly_right_is_answered_with_the_right_one():
    with pytest.raises(TypeError, match="did you mean 'upsample'"):
        Segmenter.load(STARTER, upsampel="nearest")
    segmenter = Segmenter.load(STARTER, device="cpu")
    with pytest.raises(TypeError, match="did you mean 'frame'"):
        segmenter.predict(frames=np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Segmenter.load("missing.onnx"), "missing.onnx cannot be read"),
        (lambda: Segmenter.load(Path("missing.onnx")), "missing.onnx cannot be read"),
        (lambda: Segmenter.load(None), "`model=None`"),
        (lambda: Segmenter.load(STARTER, mode="fast"), "`mode='fast'`: give one of latency, throughput, background"),
        (lambda: Segmenter.load(STARTER, mode=["latency"]), r"`mode=\['latency'\]`"),
        (lambda: Segmenter.load(STARTER, mode={"threads": 1}), "Settings"),
        (lambda: Segmenter.load(STARTER, device="gpu"), "`device='gpu'` is not available.*cpu"),
        (lambda: Segmenter.load(STARTER, device=0), "`device=0`: give one of auto, cpu, cuda"),
        (lambda: Segmenter.load(STARTER, device=None), "`device=None`"),
        (lambda: Segmenter.load(STARTER, upsample="cubic"), "`upsample='cubic'`: give one of smooth, nearest"),
        (lambda: Segmenter.load(STARTER, public_key=3), "`public_key=3`"),
        (lambda: Segmenter.load(STARTER, public_key="missing.pem"), "missing.pem"),
        (lambda: Settings(threads="two"), "`threads='two'`: give a whole number"),
        (lambda: Settings(spinning="yes"), "`spinning='yes'`: give True or False"),
        (lambda: Segmenter.load(STARTER).predict("missing.jpg"), "missing.jpg cannot be read"),
        (lambda: Segmenter.load(STARTER).predict(np.zeros((4, 4))), "uint8 array"),
        (lambda: read_contract("missing.onnx"), "missing.onnx cannot be read"),
        (lambda: read_contract(3), "`model=3`"),
        (lambda: read_contract(b"no model"), "no seal"),
        (lambda: cookseg.runtime.FileSource("missing"), "missing: no such file or folder"),
        (lambda: cookseg.runtime.FileSource([3]), "`paths=3`"),
    ],
)
def test_a_wrong_value_is_one_of_our_errors_and_names_its_parameter(call, message):
    with pytest.raises(CooksegError, match=message):
        call()


def test_a_path_may_be_text_or_a_path():
    assert read_contract(str(STARTER)) == read_contract(STARTER) == Segmenter.load(str(STARTER)).contract


def test_a_contract_is_read_without_the_engine_and_not_from_a_damaged_model():
    code = (
        "import sys; sys.modules['onnxruntime'] = None; from cookseg.runtime import STARTER, read_contract;"
        "print(read_contract(STARTER).classes.names)"
    )
    assert "food" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    content = bytearray(STARTER.read_bytes())
    content[len(content) // 2] ^= 1
    with pytest.raises(CooksegError, match="damaged"):
        read_contract(bytes(content))


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert cookseg.runtime.__version__ == version("cookseg")


def in_a_process(code):
    """Run Python code where click cannot be imported; return what it wrote to stdout and to stderr."""
    blocked = f"import sys; sys.modules['click'] = None\n{code}"
    result = subprocess.run([sys.executable, "-W", "error", "-c", blocked], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


def test_a_segmenter_needs_no_click_and_says_nothing(tmp_path):
    code = f"""
import numpy as np
from cookseg.runtime import STARTER, ColorMaskSink, FileSource, Frame, Segmenter, run, run_latest, write_png
segmenter = Segmenter.load(STARTER)
assert segmenter.predict(np.zeros((48, 64, 3), np.uint8)).color.shape == (48, 64, 3)
write_png({str(tmp_path / "a.png")!r}, np.zeros((48, 64, 3), np.uint8))
sinks = [ColorMaskSink({str(tmp_path / "out")!r})]
assert run(FileSource({str(tmp_path)!r}, sinks=sinks), segmenter, sinks).done == 1
assert len(list(run_latest([Frame.of(np.zeros((48, 64, 3), np.uint8), "b")], segmenter, sinks))) == 1
"""
    assert in_a_process(code) == ("", "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


def test_a_start_loads_no_more_than_a_segmenter_needs():
    code = """
import sys, cookseg.runtime
later = {"onnxruntime", "multiprocessing", "concurrent", "importlib.metadata", "glob", "torch", "onnx"}
print(sorted(later & set(sys.modules)))
"""
    assert in_a_process(code) == ("[]\n", "")


def test_every_error_is_one_of_ours():
    errors = [named(stage, name) for stage, name in NAMES if name.endswith("Error")]
    assert all(issubclass(error, CooksegError) for error in errors)
    assert issubclass(cookseg.runtime.ImageError, InputError)
