"""Export: what the file holds, and that the check sees every way in which it could be wrong."""

import json
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx import numpy_helper
from torch.utils.flop_counter import FlopCounterMode

from cookseg.export import calibration, check, config, convert, divergence, graph, pipeline, quantize
from cookseg.export.cli import main
from cookseg.runtime.contract import METADATA_KEY, Contract, Preprocessing
from cookseg.runtime.dataset import Pair
from cookseg.runtime.engine import OUTPUTS, OnnxEngine
from cookseg.runtime.errors import CheckFailedError, DeviceError, InputError
from cookseg.runtime.images import read_image
from cookseg.runtime.metrics import ConfusionMatrix
from cookseg.runtime.seal import seal
from cookseg.runtime.segmenter import Segmenter
from cookseg.runtime.selftest import selftest
from cookseg.training import checkpoint
from cookseg.training.config import UNetConfig
from cookseg.training.model import UNet
from cookseg.training.trainer import TorchEngine


@pytest.fixture(scope="module")
def network():
    """A network whose norms have statistics of their own: with 0 and 1 a folding bug would hide."""
    torch.manual_seed(0)
    net = UNet(UNetConfig(widths=(8, 16), stem=2), 3, Preprocessing(32, 48))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.uniform_(-1, 1)
    return net.eval()


@pytest.fixture(scope="module")
def contract():
    return Contract(preprocessing=Preprocessing(32, 48), provenance={"versions": {"cookseg": "test"}})


@pytest.fixture(scope="module")
def raw(network, contract):
    return convert.to_onnx(network, contract)


@pytest.fixture(scope="module")
def inputs(contract):
    rng = np.random.default_rng(0)
    return check.check_inputs(contract, rng.integers(0, 256, (3, 20, 30, 3), np.uint8))


def edited(model, kind, change):
    """Return a copy of a model with a change applied to the largest of the float tensors that ``kind`` accepts."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensors = [t for t in copy.graph.initializer if t.data_type == onnx.TensorProto.FLOAT and kind(t)]
    tensor = max(tensors, key=lambda t: np.prod(t.dims))
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), tensor.name))
    return copy


def faults(network, model, inputs, gates=None):
    rows = check.compare(network, "it", model, inputs, gates or config.Gates())
    return [fault for row in rows for fault in row.faults]


class TestCheck:
    def test_every_stage_passes(self, network, contract, raw, simplified, inputs):
        file = graph.with_outputs(graph.finish(simplified, contract, OUTPUTS), [*OUTPUTS, "logits"])
        for model in (raw, simplified, file):
            rows = check.compare(network, "it", model, inputs, config.Gates())
            assert not check.faults_of(rows)
            assert {row.stage for row in rows} == {"it", "it, unoptimised"}
            assert len(rows) == 2 * len(inputs)
            assert max(row.outputs["logits"].max for row in rows) > 0  # two implementations never agree to the last bit

    def test_inputs_hold_what_it_says(self, contract, inputs):
        assert all(batch.shape[1:] == (32, 48, 3) and batch.dtype == np.uint8 for batch in inputs.values())
        assert {len(batch) for batch in inputs.values()} == {1, 2, 3, 4}
        assert {"black", "white", "one pixel", "noise, odd-sized"} <= inputs.keys()

    def test_one_corrupted_weight_is_seen(self, network, raw, inputs):
        def corrupt(weight):
            weight.flat[np.abs(weight).argmax()] *= 1.5
            return weight

        broken = edited(raw, lambda t: list(t.dims)[1:] == [3, 3, 3], corrupt)  # the stem: it feeds every pixel
        found = faults(network, broken, inputs)
        assert any("a logit differs by" in fault for fault in found)
        rows = check.compare(network, "it", broken, inputs, config.Gates())
        assert any("it, validation frames: a logit differs" in fault for fault in check.faults_of(rows))

    def test_a_wrong_mean_is_seen(self, network, contract, inputs):
        other = UNet(network.config, 3, replace(contract.preprocessing, mean=(0.45, 0.45, 0.45)))
        other.load_state_dict(network.state_dict())
        assert faults(network, convert.to_onnx(other.eval(), contract), inputs)

    def test_swapped_classes_are_seen_though_logits_agree(self, network, raw, inputs):
        swapped = onnx.ModelProto()
        swapped.CopyFrom(raw)
        node = next(n for n in swapped.graph.node if n.op_type == "ArgMax")
        swapped.graph.node.insert(
            list(swapped.graph.node).index(node), onnx.helper.make_node("Neg", [node.input[0]], ["negated"])
        )
        node.input[0] = "negated"
        found = faults(network, swapped, inputs)
        assert any("keep their class" in fault for fault in found)
        assert any("where torch was sure" in fault for fault in found)
        assert not any("a logit differs" in fault for fault in found)

    def test_wrong_scores_are_seen_though_classes_and_logits_agree(self, network, raw, inputs):
        wrong = onnx.ModelProto()
        wrong.CopyFrom(raw)
        node = next(n for n in wrong.graph.node if n.op_type == "Exp")
        node.op_type = "Relu"
        found = faults(network, wrong, inputs)
        assert found
        assert all("of 0 to 255 differ" in fault for fault in found)

    def test_values_that_are_not_finite_are_seen(self, network, raw, inputs):
        broken = edited(raw, lambda t: True, lambda weight: np.full_like(weight, np.nan))
        assert any("not finite" in fault for fault in faults(network, broken, inputs))

    def test_iou_of_each_class_is_held_against_torchs(self):
        before = ConfusionMatrix.of([[90, 10], [10, 90]])
        after = ConfusionMatrix.of([[90, 10], [11, 89]])
        assert len(check.iou_faults(before, after, ["a", "b"], 0.001)) == 2
        assert not check.iou_faults(before, after, ["a", "b"], 0.1)


@pytest.mark.parametrize(
    ("simplifier", "said"),
    [
        ("import os; os.abort()", "ended with -6"),
        ("raise ValueError('no such operator')", "no such operator"),
        ("import time; time.sleep(99)", "timed out"),
        ("import sys; open(sys.argv[2], 'w').write('no model')", "onnxsim failed"),
        ("", "onnxsim failed"),
    ],
    ids=["crashes", "raises", "hangs", "writes rubbish", "writes nothing"],
)
def test_a_simplifier_that_fails_costs_the_simplified_graph_alone(raw, monkeypatch, simplifier, said):
    monkeypatch.setattr(convert, "_SIMPLIFIER", simplifier)
    monkeypatch.setattr(convert, "_PATIENCE", 3)
    with pytest.raises(convert.SimplifierError, match=said):
        convert.simplify(raw)


@pytest.fixture(scope="module")
def simplified(raw):
    return convert.simplify(raw)


@pytest.fixture(scope="module")
def sealed(simplified, contract):
    return graph.finish(simplified, contract, OUTPUTS)


class TestDivergence:
    def test_layers_that_agree_are_no_culprits(self, network, simplified, inputs):
        assert "all 16 layers agree" in divergence.describe(network, simplified, inputs["noise, batch of 2"])

    @pytest.mark.parametrize("layer", ["stem.0", "encoder.1.0.0", "decoder.0.1.0"])
    def test_the_layer_of_a_corrupted_weight_is_named(self, network, simplified, inputs, layer):
        def corrupt(weight):
            weight.flat[np.abs(weight).argmax()] *= 3
            return weight

        broken = edited(simplified, lambda t: t.name == f"{layer}.weight", corrupt)
        norm = layer[:-1] + "1"  # its BatchNorm is folded into it, and has its output
        assert f"part at {norm} (BatchNorm2d)" in divergence.describe(network, broken, inputs["validation frames"])

    def test_a_wrong_mean_shows_at_the_first_layer(self, network, contract, inputs):
        other = UNet(network.config, 3, replace(contract.preprocessing, mean=(0.45, 0.45, 0.45)))
        other.load_state_dict(network.state_dict())
        said = divergence.describe(network, convert.to_onnx(other.eval(), contract), inputs["validation frames"])
        assert "part at stem.1 (BatchNorm2d), at the first layer" in said


@pytest.fixture(scope="module")
def quantizer(simplified, inputs):
    frames = np.concatenate([inputs["validation frames"], inputs["noise, batch of 4"]])
    return quantize.Quantizer(simplified, frames, quantize.TARGETS["x86"])


class TestPrecision:
    @pytest.mark.parametrize("target", quantize.TARGETS)
    def test_int8_computes_in_int8_and_stays_near(self, simplified, inputs, network, target):
        frames = inputs["noise, batch of 4"]
        result = quantize.to_int8(
            quantize.Quantizer(simplified, frames, quantize.TARGETS[target]), "auto", lambda _: []
        )
        assert result.errors.keys() == quantize.METHODS.keys()
        assert result.errors[result.method] == min(result.errors.values())
        (row, *_) = check.compare(network, "int8", result.model, {"noise": frames}, None)
        assert row.outputs["logits"].cosine > 0.99
        stored = {t.name: t.data_type for t in result.model.graph.initializer}
        assert stored["encoder.1.0.0.weight_quantized"] == onnx.TensorProto.INT8
        zeros = [t for t in result.model.graph.initializer if t.name.endswith("Relu_zero_point")]
        kinds = {onnx.TensorProto.UINT8} if target in {"x86", "avx2"} else {onnx.TensorProto.INT8}
        assert {t.data_type for t in zeros} == kinds
        if target == "cuda":
            assert all(numpy_helper.to_array(t) == 0 for t in zeros)
        if target == "avx2":
            largest = max(
                np.abs(numpy_helper.to_array(t)).max()
                for t in result.model.graph.initializer
                if t.name.endswith("weight_quantized")
            )
            assert largest <= 64

    @pytest.mark.parametrize("wanted", [0, 1, 2, 3, 4])
    def test_as_many_layers_stay_in_float_as_the_gate_needs(self, quantizer, wanted):
        def in_float(model):
            return sum(
                n.op_type == "Conv" and not n.input[1].endswith("DequantizeLinear_Output") for n in model.graph.node
            )

        result = quantize.to_int8(quantizer, "minmax", lambda model: ["too bad"] if in_float(model) < wanted else [])
        assert len(result.in_float) == wanted == in_float(result.model)
        order = quantizer.by_damage(quantizer.ranges("minmax"))
        assert result.in_float == tuple(order[:wanted])

    def test_where_half_in_float_is_not_enough_the_remedy_is_named(self, quantizer):
        with pytest.raises(CheckFailedError, match=r"(?s)in float either.*food loses.*--qat"):
            quantize.to_int8(quantizer, "minmax", lambda _: ["food loses 3 points"])

    def test_float16_is_smaller_and_near(self, simplified, network, inputs):
        half = quantize.to_float16(simplified)
        assert half.ByteSize() < 0.7 * simplified.ByteSize()
        for row in check.compare(network, "fp16", half, inputs, None):
            assert row.outputs["logits"].cosine > 0.999
            assert row.outputs["logits"].max > 1e-5  # it really is float16

    def test_values_that_are_not_finite_are_a_fault_of_every_precision(self, network, simplified, inputs):
        broken = edited(simplified, lambda t: True, lambda weight: np.full_like(weight, np.nan))
        assert check.faults_of(check.compare(network, "int8", broken, inputs, None))

    def test_a_loss_is_a_fault_and_a_gain_is_none(self):
        before, after = ConfusionMatrix.of([[90, 10], [10, 90]]), ConfusionMatrix.of([[90, 10], [20, 80]])
        assert "b loses" in " ".join(check.drop_faults(before, after, ["a", "b"], 0.005))
        assert not check.drop_faults(after, before, ["a", "b"], 0.005)

    def test_auto_for_another_machine_is_refused(self, monkeypatch):
        monkeypatch.setattr(quantize, "native_target", lambda: "x86")
        with pytest.raises(DeviceError, match="not of --target arm"):
            pipeline._target(config.Settings(precision="auto", target="arm"))


def test_calibration_frames_are_of_all_sessions_and_all_light(tmp_path):
    pairs = []
    for session, light in (("dark", 20), ("day", 120), ("lamp", 220)):
        for number in range(20):
            path = tmp_path / f"{session}_{number:03}.png"
            cv2.imwrite(str(path), np.full((8, 8, 3), light + number, np.uint8))
            pairs.append(Pair(path.stem, path, path))
    first = calibration.by_session(pairs)[:6]
    assert [pair.name.partition("_")[0] for pair in first] == ["dark", "day", "lamp"] * 2
    assert {pair.name[-3:] for pair in first} == {"000", "016"}  # far apart
    frames = calibration.calibration_frames(pairs, Preprocessing(16, 16), 5)
    levels = sorted(frames.mean(axis=(1, 2, 3)))
    assert frames.shape == (5, 16, 16, 3)
    assert levels[0] < 40
    assert levels[-1] > 220
    assert len(calibration.calibration_frames(pairs[:2], Preprocessing(16, 16), 5)) == 2


class TestFile:
    def test_it_is_self_contained_and_carries_the_contract_alone(self, sealed, contract):
        assert not any(t.data_location == onnx.TensorProto.EXTERNAL for t in sealed.graph.initializer)
        assert [p.key for p in sealed.metadata_props] == [METADATA_KEY]
        assert OnnxEngine(seal(sealed.SerializeToString()), "cpu").contract == contract

    @pytest.mark.parametrize(
        ("release", "versions"),
        [("1.14", (18, 8)), ("1.16.3", (19, 9)), ("1.17", (20, 9)), ("1.20", (21, 10)), ("2.0", (21, 10))],
    )
    def test_opset_and_ir_follow_the_oldest_runtime(self, network, contract, inputs, release, versions):
        model = convert.to_onnx(network, contract, release)
        assert (model.opset_import[0].version, model.ir_version) == versions
        assert not check.faults_of(check.compare(network, release, model, inputs, config.Gates()))

    @pytest.mark.parametrize("release", ["1.13", "new", "", "1"])
    def test_a_runtime_that_cannot_be_served_is_refused(self, release):
        with pytest.raises(InputError, match=r"from 1\.14 on"):
            config.versions(release)

    def test_nodes_and_weights_have_the_names_of_the_modules(self, sealed):
        names = [node.name for node in sealed.graph.node]
        assert "encoder.1.0.1/Conv" in names
        assert len(set(names)) == len(names)
        assert "encoder.1.0.0.weight" in {t.name for t in sealed.graph.initializer}

    def test_only_the_outputs_asked_for_are_computed(self, simplified, contract):
        plain = graph.finish(simplified, contract, OUTPUTS)
        full = graph.finish(simplified, contract, {*OUTPUTS, "confidence", "logits"})
        assert [o.name for o in full.graph.output] == ["classes", "scores", "confidence", "logits"]
        assert graph.measure(full).nodes == graph.measure(plain).nodes + 1  # the maximum over the scores

    def test_size_counts_what_the_convolutions_multiply(self, sealed, network):
        counter = FlopCounterMode(display=False)
        with counter, torch.inference_mode():
            network(torch.zeros(1, 32, 48, 3, dtype=torch.uint8))
        size = graph.measure(sealed)
        assert size.macs == counter.get_total_flops() / 2
        assert size.bytes == len(sealed.SerializeToString())

    def test_old_runtimes_can_read_it(self, sealed):
        assert sealed.ir_version == 8
        assert [(o.domain, o.version) for o in sealed.opset_import] == [("", 18)]

    def test_its_inputs_and_outputs_are_named(self, sealed):
        shapes = {
            v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in sealed.graph.input
        }
        assert shapes == {"frames": ["batch", 32, 48, 3]}
        assert [o.name for o in sealed.graph.output] == ["classes", "scores"]

    def test_it_holds_no_trace_of_the_machine(self, sealed):
        assert b".py" not in sealed.SerializeToString()

    def test_it_answers_as_torch_does(self, sealed, network):
        frames = np.random.default_rng(1).integers(0, 256, (5, 32, 48, 3), np.uint8)
        ours, theirs = OnnxEngine(seal(sealed.SerializeToString()), "cpu")(frames), TorchEngine(network)(frames)
        assert (ours[0] == theirs[0]).mean() > 0.999
        assert np.abs(ours[1].astype(int) - theirs[1]).max() <= 1


@pytest.mark.integration
class TestCommand:
    def export(self, *arguments):
        return CliRunner().invoke(main, [*map(str, arguments)])

    def test_json_tells_all_that_was_checked(self, trained, tmp_path):
        result = self.export(trained.run, "-o", tmp_path / "m.onnx", "--json")
        assert result.exit_code == 0, result.stderr
        report = json.loads(result.stdout)
        stages = {row["stage"] for row in report["comparisons"]}
        assert stages == {s + o for s in ("raw", "simplified", "file") for o in ("", ", unoptimised")}
        assert report["mean_iou"]["file"] == pytest.approx(report["mean_iou"]["torch"], abs=1e-3)
        assert report["iou"].keys() == {"torch", "raw", "simplified", "file"}
        assert report["graphs"]["simplified"]["milliseconds"] > 0

    def test_the_model_carries_where_it_comes_from(self, model, trained):
        provenance = OnnxEngine(model, "cpu").contract.provenance
        assert provenance["data"]["train"] == 8
        assert len(provenance["data"]["sha256"]) == 64
        assert provenance["validation"]["mean_iou"] > 0.7
        assert {"cookseg", "torch", "onnx", "onnxsim"} <= provenance["versions"].keys()
        assert str(trained.data.parent).encode() not in model.read_bytes()

    def test_a_failed_check_is_exit_3_and_leaves_no_model(self, trained, tmp_path, monkeypatch):
        def corrupting(model, simplify=convert.simplify):
            return edited(simplify(model), lambda t: len(t.dims) == 4, lambda weight: weight * 1.1)

        monkeypatch.setattr(convert, "simplify", corrupting)
        result = self.export(trained.run, "-o", tmp_path / "m.onnx")
        assert result.exit_code == 3
        assert "simplified, validation frames: a logit differs" in result.stderr
        assert "torch and ONNX part at encoder." in result.stderr
        assert list(tmp_path.iterdir()) == []

    def test_what_is_wrong_in_the_file_alone_is_seen(self, trained, tmp_path, monkeypatch):
        def corrupting(model, contract, outputs, finish=graph.finish):
            finished = finish(model, contract, outputs)
            final = "export" in contract.provenance
            return edited(finished, lambda t: len(t.dims) == 4, lambda weight: weight * 1.1) if final else finished

        monkeypatch.setattr(graph, "finish", corrupting)
        result = self.export(trained.run, "-o", tmp_path / "m.onnx")
        assert result.exit_code == 3
        assert "file, validation frames: a logit differs" in result.stderr
        assert list(tmp_path.iterdir()) == []

    def test_auto_takes_the_fastest_that_passes(self, trained, tmp_path, monkeypatch):
        native = quantize.native_target()
        monkeypatch.setitem(quantize.TARGETS, native, replace(quantize.TARGETS[native], half=True))
        arguments = (trained.run, "-o", tmp_path / "m.onnx", "--precision", "auto", "--json", "--max-drop")
        report = json.loads(self.export(*arguments, "100").stdout)
        speeds = {
            "fp32": report["graphs"]["simplified"],
            "fp16": report["graphs"]["fp16"],
            "int8": report["graphs"]["int8"],
        }
        assert report["precision"] == min(speeds, key=lambda name: speeds[name]["milliseconds"])
        assert report["int8"]["in_float"] == []
        refused = self.export(*arguments, "-100")
        assert json.loads(refused.stdout)["precision"] == "fp32"
        assert "warning: int8 does not hold" in refused.stderr
        assert "warning: fp16 does not answer" in refused.stderr

    def test_an_int8_model_says_so_and_its_card_too(self, trained, tmp_path):
        path = tmp_path / "m.onnx"
        options = (
            "--precision",
            "int8",
            "--target",
            "x86",
            "--max-drop",
            "100",
            "--licence",
            "<CC0>",
            "--outputs",
            "confidence",
        )
        result = self.export(trained.run, "-o", path, *options)
        assert result.exit_code == 0, result.stderr
        engine = OnnxEngine(path, "cpu")
        assert engine.contract.provenance["export"]["precision"] == "int8"
        assert engine.contract.provenance["export"]["target"] == "x86"
        assert min(outcome.agreement for outcome in selftest(engine)) == 1
        text, page = path.with_suffix(".card.md").read_text(), path.with_suffix(".card.html").read_text()
        assert "Licence: <CC0>." in text
        assert "Licence: &lt;CC0&gt;." in page
        assert "int8 arithmetic is for x86" in text
        assert page.count("<table>") == page.count("</table>") == 6
        assert f"{engine.contract.provenance['validation']['mean_iou']:.4f}" in text

    def test_fp16_passes_on_the_cpu_too(self, trained, tmp_path):
        result = self.export(trained.run, "-o", tmp_path / "m.onnx", "--precision", "fp16", "--target", "cuda")
        assert result.exit_code == 0, result.stderr

    def test_unknown_outputs_are_a_usage_error(self, trained, tmp_path):
        result = self.export(trained.run, "-o", tmp_path / "m.onnx", "--outputs", "classes,depth")
        assert result.exit_code == 2
        assert "'depth' is not among" in result.stderr

    def test_an_earlier_model_survives_a_failed_check(self, trained, tmp_path):
        (tmp_path / "m.onnx").write_bytes(b"earlier")
        result = self.export(trained.run, "-o", tmp_path / "m.onnx", "--atol", "1e-12")
        assert result.exit_code == 3
        assert (tmp_path / "m.onnx").read_bytes() == b"earlier"

    def test_a_run_without_checkpoint_is_named(self, tmp_path):
        result = self.export(tmp_path, "-o", tmp_path / "m.onnx")
        assert result.exit_code == 1
        assert "best.pt" in result.stderr

    def test_a_dataset_that_went_away_is_named_with_the_remedy(self, trained, tmp_path):
        (tmp_path / "best.pt").write_bytes((trained.run / "best.pt").read_bytes())
        result = self.export(tmp_path, "-o", tmp_path / "m.onnx")
        assert result.exit_code == 1
        assert "--data" in result.stderr
        result = self.export(tmp_path, "-o", tmp_path / "m.onnx", "--data", trained.data)
        assert result.exit_code == 0, result.stderr


@pytest.mark.integration
def test_training_and_runtime_feed_the_network_the_same_bytes(model, trained):
    """The contract: one frame, one preprocessing; both engines see equal arrays, and give the same masks."""
    seen = []

    class Recorder:
        def __init__(self, engine):
            self.engine = engine

        def __call__(self, frames):
            seen.append(frames.copy())
            return self.engine(frames)

    network, contract = checkpoint.load_network(trained.run / "best.pt")
    engine = OnnxEngine(model, "cpu")
    for path in sorted((trained.data / "test/images").iterdir()):
        frame = cv2.resize(read_image(path), (131, 97))
        torchs = Segmenter(contract, Recorder(TorchEngine(network))).predict(frame)
        ours = Segmenter(engine.contract, Recorder(engine)).predict(frame)
        assert np.array_equal(seen[-1], seen[-2])
        assert (torchs.class_map == ours.class_map).mean() > 0.9999

    def test_without_a_simplifier_the_unsimplified_graph_is_kept_with_a_warning(self, trained, tmp_path, monkeypatch):
        monkeypatch.setattr(convert, "_SIMPLIFIER", "raise SystemExit('broken')")
        result = self.export(trained.run, "-o", tmp_path / "model.onnx", "--json")
        assert result.exit_code == 0, result.stderr
        assert "warning: onnxsim failed: broken; the graph stays as it is" in result.stderr
        assert json.loads(result.stdout)["graphs"].keys() == {"raw", "file"}
        assert (tmp_path / "model.onnx").exists()
