"""Sessions as they are asked for: what a mode means to onnxruntime, and fewer bits only on request.

A stand-in records what onnxruntime is given; what it does with it is seen with the golden model on the CPU.
"""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from cookseg.runtime.errors import InputError
from cookseg.runtime.model import session
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.model.session import MODES, Settings, open_session
from cookseg.runtime.terminal.params import Session

MODEL = Path(__file__).parents[2] / "appliance/golden/model.onnx"


@pytest.fixture
def opened(monkeypatch):
    """What was given to onnxruntime: options and providers of each session, with every accelerator there."""
    found = []

    def record(_source, options, providers, **_):
        found.append((options, dict(providers)))
        return SimpleNamespace(get_providers=lambda: [name for name, _ in providers])

    stand_in = SimpleNamespace(
        SessionOptions=onnxruntime.SessionOptions,
        InferenceSession=record,
        get_available_providers=lambda: list(session.PROVIDERS.values()),
    )
    monkeypatch.setattr(session, "import_onnxruntime", lambda: stand_in)
    return found


@pytest.mark.parametrize(
    ("reduced", "tf32", "fp16", "bits"), [(False, "0", "False", "f32"), (True, "1", "True", "bf16")]
)
def test_fewer_bits_only_where_they_are_asked_for(opened, reduced, tf32, fp16, bits):
    for device in ("cuda", "tensorrt", "openvino"):
        open_session(b"", "model", device, Settings(reduced_precision=reduced))
    cuda, tensorrt, openvino = (providers[session.PROVIDERS[d]] for d, (_, providers) in
                                zip(("cuda", "tensorrt", "openvino"), opened, strict=True))  # fmt: skip
    assert cuda["use_tf32"] == tf32
    assert tensorrt["trt_fp16_enable"] == fp16
    assert json.loads(openvino["load_config"])["CPU"]["INFERENCE_PRECISION_HINT"] == bits


def test_any_other_provider_goes_by_its_own_name(opened, monkeypatch):
    monkeypatch.setitem(session.PROVIDERS, "qnn", "QNNExecutionProvider")  # so that the stand-in offers it
    device, _, _ = open_session(b"", "model", "QNNExecutionProvider", Settings())
    assert device == "QNNExecutionProvider"
    assert list(opened[0][1]) == ["QNNExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("mode", "threads", "spinning", "arena"),
    [("latency", 0, "0", True), ("throughput", 1, "0", True), ("background", 1, "0", False)],
)
def test_what_a_mode_means(opened, mode, threads, spinning, arena):
    open_session(b"", "model", "cpu", Settings.of(mode))
    options = opened[0][0]
    assert (options.intra_op_num_threads, options.enable_cpu_mem_arena) == (threads, arena)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == spinning


def test_each_setting_of_a_mode_can_be_changed_alone():
    asked = Session("cpu", None, {"threads": 3, "reduced_precision": False}, None)
    assert asked.settings("background") == Settings(threads=3, arena=False)
    assert replace(asked, mode="latency", changes={"spinning": True}).settings("background") == Settings(spinning=True)
    assert Settings.of(Settings(threads=2)) == Settings(threads=2)


@pytest.mark.parametrize("mode", ["fast", "", None, 3])
def test_a_mode_that_is_not_there_is_named_with_those_that_are(mode):
    with pytest.raises(InputError, match="latency, throughput, background"):
        OnnxEngine(MODEL, "cpu", mode)


@pytest.mark.parametrize(
    "wrong",
    [{"threads": "two"}, {"threads": -1}, {"threads": True}, {"threads": 10**9}, {"spinning": 1}, {"arena": "no"}],
)
def test_settings_of_another_type_are_named(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Settings(**wrong)


@pytest.mark.parametrize("call", [lambda: Settings(thread=2), lambda: Segmenter.load(MODEL, threads=2)])
def test_a_wrong_keyword_is_answered_with_the_right_ones(call):
    with pytest.raises(TypeError, match=r"has no argument 'threads?'.* (arena|upsample)"):
        call()


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_same_answer(mode):
    engine = OnnxEngine(MODEL, "cpu")
    spec = engine.contract.preprocessing
    frames = np.random.default_rng(0).integers(0, 256, (2, spec.height, spec.width, 3), np.uint8)
    for one, other in zip(engine(frames), OnnxEngine(MODEL, "cpu", mode)(frames), strict=True):
        np.testing.assert_array_equal(one, other)
