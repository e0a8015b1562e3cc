"""int8 and float16: what computes in it, what stays in float, and what it is calibrated on."""

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cookseg.export import calibration, check, config, quantize, targets
from cookseg.runtime.errors import CheckFailedError, DeviceError
from cookseg.runtime.model.contract import Preprocessing
from cookseg.runtime.scoring.dataset import Pair
from cookseg.runtime.scoring.metrics import ConfusionMatrix


@pytest.fixture(scope="module")
def quantizer(simplified, inputs):
    frames = np.concatenate([inputs["validation frames"], inputs["noise, batch of 4"]])
    return quantize.Quantizer(simplified, frames, targets.TARGETS["x86"])


class TestPrecision:
    @pytest.mark.parametrize("target", targets.TARGETS)
    def test_int8_computes_in_int8_and_stays_near(self, simplified, inputs, network, target):
        frames = inputs["noise, batch of 4"]
        result = quantize.to_int8(quantize.Quantizer(simplified, frames, targets.TARGETS[target]), "auto", lambda _: [])
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
        with pytest.raises(CheckFailedError, match=r"(?s)in float either.*food loses.*`qat=True`.*`precision='fp32'`"):
            quantize.to_int8(quantizer, "minmax", lambda _: ["food loses 3 points"])

    def test_float16_is_smaller_and_near(self, simplified, network, inputs):
        half = quantize.to_float16(simplified)
        assert half.ByteSize() < 0.7 * simplified.ByteSize()
        for row in check.compare(network, "fp16", half, inputs, None):
            assert row.outputs["logits"].cosine > 0.999
            assert row.outputs["logits"].max > 1e-5  # it really is float16

    def test_values_that_are_not_finite_are_a_fault_of_every_precision(self, network, simplified, inputs, edited):
        broken = edited(simplified, lambda t: True, lambda weight: np.full_like(weight, np.nan))
        assert check.faults_of(check.compare(network, "int8", broken, inputs, None))

    def test_a_loss_is_a_fault_and_a_gain_is_none(self):
        before, after = ConfusionMatrix.of([[90, 10], [10, 90]]), ConfusionMatrix.of([[90, 10], [20, 80]])
        assert "b loses" in " ".join(check.drop_faults(before, after, ["a", "b"], 0.005))
        assert not check.drop_faults(after, before, ["a", "b"], 0.005)

    def test_auto_for_another_machine_is_refused(self, monkeypatch):
        monkeypatch.setattr(targets, "native_target", lambda: "x86")
        with pytest.raises(DeviceError, match=r"`precision='auto'` .* not of `target='arm'`"):
            targets.find(config.Settings(precision="auto", target="arm"))


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
