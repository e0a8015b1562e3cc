"""What an appliance runs, with what an appliance has: no torch, no onnx, and a model made long ago.

CI runs this folder once with everything installed and once from the wheel with the cpu extra alone.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from cookseg.runtime import STARTER, ModelError, Segmenter, read_image
from cookseg.runtime.model.contract import COOKING
from cookseg.runtime.model.session import Settings

GOLDEN = Path(__file__).parent / "golden"
FRAMES = sorted((GOLDEN / "frames").iterdir())

# Makes torch and everything of the workstation unimportable, then runs the command that follows.
WITHOUT_TORCH = """
import sys
for name in ("torch", "onnx", "onnxscript", "onnxsim", "matplotlib", "tensorboard"):
    sys.modules[name] = None
from cookseg.runtime.terminal.cli import main
main()
"""


def cook_infer(*arguments):
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def differing(a, b):
    """Share of pixels that differ: sums are added in another order on another CPU, and ties may fall otherwise."""
    return (a != b).any(axis=-1).mean()


def test_there_are_golden_frames():
    assert len(FRAMES) == 3


@pytest.mark.parametrize("frame", FRAMES, ids=lambda p: p.stem)
def test_the_golden_model_reproduces_its_masks(frame):
    segmentation = Segmenter.load(GOLDEN / "model.onnx", device="cpu").predict(read_image(frame))
    mask = read_image(GOLDEN / "masks" / frame.name)
    assert segmentation.color.shape == mask.shape == read_image(frame).shape
    assert differing(segmentation.color, mask) < 1e-3
    assert len(np.unique(mask.reshape(-1, 3), axis=0)) == 3  # a blank mask would be easy to reproduce


def test_the_golden_model_passes_its_own_test():
    result = cook_infer("selftest", GOLDEN / "model.onnx", "--device", "cpu", "--json")
    assert result.returncode == 0, result.stderr
    value = json.loads(result.stdout)
    assert len(value["agreement"]) == 2
    assert min(value["agreement"]) > 0.999


def test_a_flipped_bit_is_refused_before_anything_runs(tmp_path):
    content = bytearray((GOLDEN / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(content)
    result = cook_infer("masks", FRAMES[0], "-m", tmp_path / "model.onnx", "-o", tmp_path / "out")
    assert (result.returncode, (tmp_path / "out").exists()) == (1, False)
    assert "model.onnx is damaged" in result.stderr


def test_masks_from_the_command_line(tmp_path):
    result = cook_infer("masks", GOLDEN / "frames", "-m", GOLDEN / "model.onnx", "-o", tmp_path, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {"masks": 3, "output": str(tmp_path), "failed": {}}
    for frame in FRAMES:
        assert differing(read_image(tmp_path / frame.name), read_image(GOLDEN / "masks" / frame.name)) < 1e-3


def test_masks_need_no_model_of_the_users_own(tmp_path):
    result = cook_infer("masks", FRAMES[0], "-o", tmp_path)
    assert result.returncode == 0, result.stderr
    mask = read_image(tmp_path / FRAMES[0].name)
    assert mask.shape == read_image(FRAMES[0]).shape
    colors = {tuple(color) for color in np.unique(mask.reshape(-1, 3), axis=0).tolist()}
    assert len(colors) >= 2
    assert colors <= set(COOKING.colors)
    notes = [line for line in result.stderr.splitlines() if "starter" in line]
    assert len(notes) == 1
    assert all(words in notes[0] for words in ("synthetic scenes only", "-m"))


def test_the_starter_is_small_is_right_here_and_says_what_it_is():
    assert STARTER.stat().st_size < 2e6
    result = cook_infer("selftest", "starter", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    said = " ".join(cook_infer("info", "starter").stdout.split())
    assert "trained on synthetic scenes only" in said
    assert "cannot be relied on in a real kitchen" in said


def test_info_tells_classes_and_scores(tmp_path):
    result = cook_infer("info", GOLDEN / "model.onnx")
    assert result.returncode == 0, result.stderr
    assert "stirrer (255, 0, 0)" in result.stdout
    assert "mean IoU" in result.stdout


def test_an_accelerator_that_is_not_there_is_exit_4_and_never_the_cpu(tmp_path):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime lists CUDA")
    result = cook_infer("masks", FRAMES[0], "-m", GOLDEN / "model.onnx", "-o", tmp_path, "--device", "cuda")
    assert result.returncode == 4
    assert "--device cuda is not available" in result.stderr
    assert not list(tmp_path.iterdir())


def test_an_accelerator_that_is_listed_but_fails_is_exit_4_and_never_the_cpu(monkeypatch):
    """onnxruntime lists CUDA where its libraries do not load, and then quietly runs on the CPU."""
    import onnxruntime

    from cookseg.runtime import DeviceError

    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    create = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda *a, providers, **k: create(*a, providers=["CPUExecutionProvider"], **k),
    )
    with pytest.raises(DeviceError, match="would use CPUExecutionProvider"):
        Segmenter.load(GOLDEN / "model.onnx", device="cuda")
    engine = Segmenter.load(GOLDEN / "model.onnx", device="auto").engine
    assert engine.device == "cpu"
    assert "CUDA does not work" in engine.reason


@pytest.mark.parametrize("size", [0, 10, 1000, -1000])
def test_a_damaged_model_is_refused_by_name(tmp_path, size):
    path = tmp_path / "model.onnx"
    path.write_bytes((GOLDEN / "model.onnx").read_bytes()[:size])
    with pytest.raises(ModelError, match=r"model\.onnx"):
        Segmenter.load(path)


def test_a_missing_model_is_one_line_and_exit_1(tmp_path):
    result = cook_infer("info", tmp_path / "none.onnx")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert "none.onnx" in result.stderr
    assert result.stderr.count("\n") == 1


def test_onnxruntime_that_is_not_installed_is_an_instruction():
    code = WITHOUT_TORCH.replace('("torch",', '("onnxruntime", "torch",')
    command = [sys.executable, "-c", code, "info", str(GOLDEN / "model.onnx")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "pip install 'cookseg[cpu]'" in result.stderr


def test_threads_may_share_a_segmenter():
    segmenter = Segmenter.load(GOLDEN / "model.onnx", device="cpu")
    frames = [read_image(path) for path in FRAMES]
    expected = [segmenter.predict(frame).class_map for frame in frames]
    wrong = []

    def work(index):
        for _ in range(10):
            if not np.array_equal(segmenter.predict(frames[index]).class_map, expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index % 3,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def said_by_a_fork(action):
    """Return what an action gives, or the error that it raises, in a fork of this process that may take 60 s."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            said = str(action())
        except BaseException as error:  # noqa: BLE001 - nothing may get out into a second run of the tests
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    assert os.waitpid(child, 0)[1] == 0
    return said


def checksum(segmenter):
    return int(segmenter.predict(read_image(FRAMES[0])).class_map.sum())


def load_and_predict():
    return checksum(Segmenter.load(GOLDEN / "model.onnx", device="cpu", mode=Settings(threads=2)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # threads are the point; Python 3.12 warns of them
def test_a_fork_is_told_to_load_the_model_again():
    segmenter = Segmenter.load(GOLDEN / "model.onnx", device="cpu", mode=Settings(threads=2))
    expected = checksum(segmenter)
    said = said_by_a_fork(lambda: checksum(segmenter))
    assert said.startswith("CooksegError: this model was loaded before the process was forked: load it again")
    assert 'multiprocessing.get_context("spawn")' in said
    assert said_by_a_fork(load_and_predict) == str(expected)
    assert checksum(segmenter) == expected  # the parent goes on
