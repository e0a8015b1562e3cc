"""The check sees every way in which a graph could be wrong, and names the layer where it parts from torch."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from cookseg.export import check, config, convert, divergence, graph
from cookseg.runtime.model.engine import OUTPUTS
from cookseg.runtime.scoring.metrics import ConfusionMatrix
from cookseg.training.models.unet import UNet


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

    def test_one_corrupted_weight_is_seen(self, network, raw, inputs, edited):
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

    def test_values_that_are_not_finite_are_seen(self, network, raw, inputs, edited):
        broken = edited(raw, lambda t: True, lambda weight: np.full_like(weight, np.nan))
        assert any("not finite" in fault for fault in faults(network, broken, inputs))

    def test_iou_of_each_class_is_held_against_torchs(self):
        before = ConfusionMatrix.of([[90, 10], [10, 90]])
        after = ConfusionMatrix.of([[90, 10], [11, 89]])
        assert len(check.iou_faults(before, after, ["a", "b"], 0.001)) == 2
        assert not check.iou_faults(before, after, ["a", "b"], 0.1)


class TestDivergence:
    def test_layers_that_agree_are_no_culprits(self, network, simplified, inputs):
        assert "all 16 layers agree" in divergence.describe(network, simplified, inputs["noise, batch of 2"])

    @pytest.mark.parametrize("layer", ["stem.0", "encoder.1.0.0", "decoder.0.1.0"])
    def test_the_layer_of_a_corrupted_weight_is_named(self, network, simplified, inputs, layer, edited):
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
