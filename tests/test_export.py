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

from cookseg.export import check, convert
from cookseg.export.cli import main
from cookseg.runtime.contract import METADATA_KEY, Contract, Preprocessing
from cookseg.runtime.engine import OnnxEngine
from cookseg.runtime.errors import CheckFailedError
from cookseg.runtime.images import read_image
from cookseg.runtime.metrics import ConfusionMatrix
from cookseg.runtime.seal import seal
from cookseg.runtime.segmenter import Segmenter
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
    rows = check.compare(network, {"it": model}, inputs, gates or check.Gates())
    return [fault for row in rows for fault in row.faults]


class TestCheck:
    def test_every_stage_passes(self, network, contract, raw, inputs):
        simplified = convert.simplify(raw)
        file = convert.expose_logits(convert.finish(simplified, contract))
        rows = check.compare(network, {"raw": raw, "simplified": simplified, "file": file}, inputs, check.Gates())
        check.require_passed(rows, [])
        assert {row.stage for row in rows} == {"raw", "simplified", "file"}
        assert len(rows) == 3 * len(inputs)
        assert max(row.max_difference for row in rows) > 0  # two implementations never agree to the last bit

    def test_inputs_hold_what_it_says(self, contract, inputs):
        assert all(batch.shape[1:] == (32, 48, 3) and batch.dtype == np.uint8 for batch in inputs.values())
        assert {len(batch) for batch in inputs.values()} == {1, 3, 4}

    def test_one_corrupted_weight_is_seen(self, network, raw, inputs):
        def corrupt(weight):
            weight.flat[np.abs(weight).argmax()] *= 1.5
            return weight

        broken = edited(raw, lambda t: list(t.dims)[1:] == [3, 3, 3], corrupt)  # the stem: it feeds every pixel
        found = faults(network, broken, inputs)
        assert any("a logit differs by" in fault for fault in found)
        rows = check.compare(network, {"it": broken}, inputs, check.Gates())
        with pytest.raises(CheckFailedError, match=r"it, .*logit differs"):
            check.require_passed(rows, [])

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
        node = next(n for n in wrong.graph.node if n.op_type == "Softmax")
        (axis,) = (a for a in node.attribute if a.name == "axis")
        axis.i = 3  # over the columns instead of the classes
        found = faults(network, wrong, inputs)
        assert found
        assert all("a score of 0 to 255 differs" in fault for fault in found)

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
def sealed(raw, contract):
    return convert.finish(convert.simplify(raw), contract)


class TestFile:
    def test_it_is_self_contained_and_carries_the_contract_alone(self, sealed, contract):
        assert not any(t.data_location == onnx.TensorProto.EXTERNAL for t in sealed.graph.initializer)
        assert [p.key for p in sealed.metadata_props] == [METADATA_KEY]
        assert OnnxEngine(seal(sealed.SerializeToString()), "cpu").contract == contract

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
        assert {row["stage"] for row in report["comparisons"]} == {"raw", "simplified", "file"}
        assert report["mean_iou"]["exported"] == pytest.approx(report["mean_iou"]["torch"], abs=1e-3)

    def test_the_model_carries_where_it_comes_from(self, model, trained):
        provenance = OnnxEngine(model, "cpu").contract.provenance
        assert provenance["data"]["train"] == 8
        assert len(provenance["data"]["sha256"]) == 64
        assert provenance["validation"]["mean_iou"] > 0.7
        assert {"cookseg", "torch", "onnx", "onnxsim"} <= provenance["versions"].keys()
        assert str(trained.data.parent).encode() not in model.read_bytes()

    def test_a_failed_check_is_exit_3_and_leaves_no_model(self, trained, tmp_path, monkeypatch):
        def corrupting(model, contract, finish=convert.finish):
            return edited(finish(model, contract), lambda t: len(t.dims) == 4, lambda weight: weight * 1.1)

        monkeypatch.setattr(convert, "finish", corrupting)
        result = self.export(trained.run, "-o", tmp_path / "m.onnx")
        assert result.exit_code == 3
        assert "file, validation frames: a logit differs" in result.stderr
        assert list(tmp_path.iterdir()) == []

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
        assert {row["stage"] for row in json.loads(result.stdout)["comparisons"]} == {"raw", "file"}
        assert (tmp_path / "model.onnx").exists()
