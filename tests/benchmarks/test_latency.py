"""`cook-bench latency`: every stage, cold start, memory, and the peers around the same network."""

import json

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from cookseg.benchmarks import peers, stages
from cookseg.benchmarks.cli import main
from cookseg.export.check import open_session
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.model.engine import STARTER, OnnxEngine

pytestmark = pytest.mark.integration


def bench(*arguments):
    return CliRunner().invoke(main, ["latency", *map(str, arguments)])


@pytest.fixture(scope="module")
def jpeg():
    return stages.synthetic_frame((120, 160))


@pytest.fixture(scope="module")
def setting(model, trained):
    return peers.Setting.of(model, OnnxEngine(model, "cpu"), trained.run)


def test_every_stage_is_timed(model, scenes):
    source = next((scenes / "test/images").iterdir())
    result = bench(model, "--source", source, "--iterations", "4", "--warmup", "1", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    times = report["milliseconds"]
    assert list(times) == ["decode", "resize", "session", "scale + arg-max", "colour", "encode PNG", "end to end"]
    assert all(0 < s["median"] <= s["p90"] <= s["p99"] for s in times.values())
    assert times["end to end"]["median"] > max(s["median"] for n, s in times.items() if n != "end to end")
    assert report["cold_start_seconds"] > times["end to end"]["median"] / 1000
    assert 40e6 < report["peak_memory_bytes"] < 1e9
    assert "compared" not in report


def test_peers_are_timed_and_pytorch_where_a_run_is_named(model, trained):
    short = (model, "--size", "160x120", "--iterations", "2", "--warmup", "1")
    usual = json.loads(bench(*short, "--compare", "--json").stdout)["compared"]
    assert list(usual) == [name for name in peers.PEERS if "torch" not in name]
    assert usual["cookseg"]["ratio"] == 1
    with_torch = json.loads(bench(*short, "--torch", trained.run, "--json").stdout)["compared"]
    assert list(with_torch) == list(peers.PEERS)
    assert "PIL + torch, as usually written" in bench(*short, "--torch", trained.run / "best.pt").stdout
    assert bench(*short, "--torch", "nowhere").exit_code == 2


def test_no_peer_pays_for_another_mask(setting, jpeg):
    """Each computes nearly the same mask: a peer with the normalisation twice, or without, would not."""
    contract = setting.segmenter.contract
    expected = setting.segmenter.predict(decode_frame(jpeg, "image", contract.preprocessing)).color
    for name, pipeline in peers.pipelines(setting).items():
        png = pipeline(jpeg)
        if name == peers.OURS:
            continue
        mask = cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        assert mask.shape == expected.shape
        assert (mask == expected).all(axis=2).mean() > 0.93, name


@pytest.mark.parametrize("kind", ["fp32", "int8"])
def test_the_graph_of_peers_takes_normalised_frames_and_gives_logits(model, kind):
    whole = onnx.load(model if kind == "fp32" else STARTER)
    plain = peers.without_normalisation(whole)
    onnx.checker.check_model(plain, full_check=True)
    assert len(plain.graph.input) == 1
    assert plain.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    kinds = [node.op_type for node in plain.graph.node if plain.graph.input[0].name in node.input]
    assert kinds == ["Conv" if kind == "fp32" else "QuantizeLinear"]
    engine = OnnxEngine(whole.SerializeToString(), "cpu")
    spec = engine.contract.preprocessing
    frame = np.random.default_rng(0).integers(0, 256, (spec.height, spec.width, 3), np.uint8)
    normalised = ((frame / 255 - spec.mean) / spec.std).astype(np.float32).transpose(2, 0, 1)[None]
    (logits,) = open_session(plain).run(None, {plain.graph.input[0].name: normalised})
    assert (logits.argmax(1) == engine(frame[None])[0]).mean() > 0.999


def test_torch_takes_normalised_frames_too(setting):
    spec = setting.segmenter.contract.preprocessing
    frames = np.random.default_rng(0).normal(size=(1, 3, spec.height, spec.width)).astype(np.float32)
    onnxs, torchs = setting.plain(frames), setting.torch(frames)
    centred = [logits - logits.max(1, keepdims=True) for logits in (onnxs, torchs)]  # exported heads subtract it
    np.testing.assert_allclose(*centred, atol=1e-3)


class TestGroup:
    def test_help_names_every_verb_as_the_verb_does(self):
        listed = CliRunner().invoke(main, ["--help"]).stdout
        for verb in main.list_commands(None):
            assert f"  {verb}" in listed
            said = CliRunner().invoke(main, [verb, "--help"])
            assert said.exit_code == 0
            assert f"Example: cook-bench {verb}" in said.stdout or f"Examples: cook-bench {verb}" in said.stdout
            assert "--json" in said.stdout

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["m.onnx"], "cook-bench latency m.onnx"),
            (["starter", "--json"], "cook-bench latency starter"),
            (["--iterations", "3", "m.onnx"], "cook-bench latency MODEL --iterations"),
            (["latencies", "m.onnx"], "No such command 'latencies'"),
        ],
    )
    def test_the_form_without_a_verb_is_an_error_that_names_the_new_one(self, arguments, said):
        result = CliRunner().invoke(main, arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr
