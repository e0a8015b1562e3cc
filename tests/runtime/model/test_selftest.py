"""A model shows damage when it is loaded, and a wrong answer when it is told to test itself."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cookseg.runtime.errors import ModelError
from cookseg.runtime.model.contract import GOLDEN_KEY
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.model.seal import is_sealed, require_unbroken, seal
from cookseg.runtime.model.selftest import GoldenVector, pack, selftest, unpack
from cookseg.runtime.terminal.cli import main

MODEL = Path(__file__).parents[2] / "appliance/golden/model.onnx"
CONTENT = MODEL.read_bytes()


def run(model, *options):
    return CliRunner().invoke(main, ["selftest", str(model), "--device", "cpu", *options])


def changed(edit):
    """The golden model after a change, and with a seal that fits."""
    model = onnx.load_from_string(CONTENT)
    edit(model)
    for entry in [entry for entry in model.metadata_props if entry.key == "cookseg.sha256"]:
        model.metadata_props.remove(entry)
    return seal(model.SerializeToString())


def set_golden(model, text):
    for entry in model.metadata_props:
        if entry.key == GOLDEN_KEY:
            entry.value = text


class TestSeal:
    def test_any_reader_takes_a_sealed_model_as_it_is(self):
        assert is_sealed(CONTENT)
        model = onnx.load_from_string(CONTENT)
        onnx.checker.check_model(model, full_check=True)
        assert model.metadata_props[-1].key == "cookseg.sha256"
        session = onnxruntime.InferenceSession(CONTENT, providers=["CPUExecutionProvider"])
        assert len(session.get_modelmeta().custom_metadata_map["cookseg.sha256"]) == 64

    def test_sealing_again_changes_nothing(self):
        assert seal(CONTENT) == CONTENT

    @given(position=st.integers(0, len(CONTENT) - 1), bit=st.integers(0, 7))
    def test_every_flipped_bit_is_seen(self, position, bit):
        content = bytearray(CONTENT)
        content[position] ^= 1 << bit
        with pytest.raises(ModelError):
            require_unbroken(bytes(content), "model.onnx")

    @pytest.mark.parametrize(
        "content",
        [
            CONTENT[:-1],
            CONTENT[1:],
            CONTENT + b"\0",
            CONTENT[: len(CONTENT) // 2],
            CONTENT[-90:],
            b"",
            CONTENT + CONTENT,
        ],
        ids=["end cut", "start cut", "longer", "half", "seal alone", "empty", "twice"],
    )
    def test_other_content_is_refused(self, content, tmp_path):
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=r"model\.onnx"):
            OnnxEngine(tmp_path / "model.onnx", "cpu")

    def test_a_model_without_seal_is_refused_with_the_reason(self):
        with pytest.raises(ModelError, match="no seal at its end"):
            OnnxEngine(onnx.load_from_string(changed(lambda model: None)[:-84]).SerializeToString(), "cpu")


class TestSelftest:
    def test_a_good_model_passes(self):
        result = run(MODEL)
        assert result.exit_code == 0, result.stderr
        assert result.stdout.splitlines() == [
            "device     cpu",
            "precision  the model's own",
            "frame 1    100.0000% as expected",
            "frame 2    100.0000% as expected",
        ]

    def test_a_model_that_answers_otherwise_is_exit_3_with_the_difference(self, tmp_path):
        vectors = unpack(OnnxEngine(MODEL, "cpu").golden)
        wrong = vectors[1].class_map.copy()
        wrong[wrong == 1] = 2
        text = pack([vectors[0], GoldenVector(vectors[1].frame, wrong)])
        (tmp_path / "model.onnx").write_bytes(changed(lambda model: set_golden(model, text)))
        result = run(tmp_path / "model.onnx", "--json")
        assert result.exit_code == 3
        value = json.loads(result.stdout)
        pixels = int((vectors[1].class_map == 1).sum())
        assert value["changes"] == [{"frame": 2, "expected": "food", "found": "pan+background", "pixels": pixels}]
        assert value["agreement"] == [1.0, pytest.approx(1 - pixels / wrong.size)]
        assert "do not use it" in result.stderr
        assert run(tmp_path / "model.onnx", "--min-agreement", "0").exit_code == 0

    def test_changed_weights_are_found(self, tmp_path):
        def scramble(model):
            tensor = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
            weights = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(-weights, tensor.name))

        (tmp_path / "model.onnx").write_bytes(changed(scramble))
        assert run(tmp_path / "model.onnx").exit_code == 3

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[]", "no golden vectors"),
            ("", "damaged"),
            ("[1]", "damaged"),
            ('[{"frame": "!", "classes": ""}]', "damaged"),
            (
                pack([GoldenVector(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8))]),
                "not of its input's size",
            ),
        ],
    )
    def test_vectors_of_no_use_are_one_line(self, tmp_path, text, said):
        (tmp_path / "model.onnx").write_bytes(changed(lambda model: set_golden(model, text)))
        result = run(tmp_path / "model.onnx")
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert said in result.stderr

    def test_vectors_come_back_as_they_were(self):
        rng = np.random.default_rng(0)
        vector = GoldenVector(rng.integers(0, 256, (9, 7, 3), np.uint8), rng.integers(0, 5, (9, 7), np.uint8))
        (again,) = unpack(pack([vector]))
        np.testing.assert_array_equal(again.frame, vector.frame)
        np.testing.assert_array_equal(again.class_map, vector.class_map)

    def test_an_engine_tells_each_class_apart(self):
        (first, _) = selftest(OnnxEngine(MODEL, "cpu")).outcomes
        assert first.counts.shape == (3, 3)
        assert first.agreement == 1


@pytest.mark.integration
def test_an_exported_model_tests_itself(model):
    result = run(model)
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == 4  # device, precision and two frames
