"""What the exported file holds, and that onnxsim can cost no more than the simplified graph."""

import sys

import numpy as np
import onnx
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cookseg.export import check, config, convert, graph
from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import METADATA_KEY
from cookseg.runtime.model.engine import OUTPUTS, OnnxEngine
from cookseg.runtime.model.seal import seal
from cookseg.training.trainer import TorchEngine


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
    monkeypatch.setattr(convert, "_SIMPLIFIER", (sys.executable, "-c", simplifier))
    monkeypatch.setattr(convert, "_PATIENCE", 3)
    with pytest.raises(convert.SimplifierError, match=said):
        convert.simplify(raw)


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
