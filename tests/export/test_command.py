"""`cook-export` from a run to a file, or to an error and no file."""

import json
import sys
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from cookseg.export import convert, graph, pipeline, targets
from cookseg.export.cli import main
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.model.selftest import selftest
from cookseg.training import checkpoint
from cookseg.training.trainer import TorchEngine


@pytest.fixture(scope="module")
def conversions():
    return {}


@pytest.fixture
def quick(trained, monkeypatch, conversions):
    """Have cook-export convert the one run once, and take all its graphs for equally fast: both take most of its time.

    The fixture `exported` has done both.
    """

    def convert_once(*arguments, to_onnx=convert.to_onnx):
        if not conversions:
            conversions["raw"] = to_onnx(*arguments)
        copy = onnx.ModelProto()
        copy.CopyFrom(conversions["raw"])
        return copy

    monkeypatch.setattr(convert, "to_onnx", convert_once)
    monkeypatch.setattr(pipeline, "median_latency", lambda models, device: dict.fromkeys(models, 0.001))


@pytest.mark.integration
@pytest.mark.usefixtures("quick")
class TestCommand:
    def export(self, *arguments):
        return CliRunner().invoke(main, [*map(str, arguments)])

    def test_json_tells_all_that_was_checked(self, exported):
        report = json.loads(exported.output)
        stages = {row["stage"] for row in report["comparisons"]}
        assert stages == {s + o for s in ("raw", "simplified", "file") for o in ("", ", unoptimised")}
        assert report["mean_iou"]["file"] == pytest.approx(report["mean_iou"]["torch"], abs=1e-3)
        assert report["iou"].keys() == {"torch", "raw", "simplified", "file"}
        assert report["graphs"]["simplified"]["milliseconds"] > 0

    def test_the_model_carries_where_it_comes_from(self, model, trained):
        provenance = OnnxEngine(model, "cpu").contract.provenance
        assert provenance["data"]["train"] == 8
        assert len(provenance["data"]["sha256"]) == 64
        assert provenance["validation"]["mean_iou"] > 0.5
        assert {"cookseg", "torch", "onnx", "onnxsim"} <= provenance["versions"].keys()
        assert str(trained.data.parent).encode() not in model.read_bytes()

    def test_a_failed_check_is_exit_3_and_leaves_no_model(self, trained, tmp_path, monkeypatch, edited):
        def corrupting(model, simplify=convert.simplify):
            return edited(simplify(model), lambda t: len(t.dims) == 4, lambda weight: weight * 1.1)

        monkeypatch.setattr(convert, "simplify", corrupting)
        result = self.export(trained.run, "-o", tmp_path / "m.onnx")
        assert result.exit_code == 3
        assert "simplified, validation frames: a logit differs" in result.stderr
        assert "torch and ONNX part at encoder." in result.stderr
        assert list(tmp_path.iterdir()) == []

    def test_what_is_wrong_in_the_file_alone_is_seen(self, trained, tmp_path, monkeypatch, edited):
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
        milliseconds = {"raw": 5, "simplified": 4, "fp16": 2, "int8": 3}
        monkeypatch.setattr(
            pipeline, "median_latency", lambda models, device: {name: milliseconds[name] / 1000 for name in models}
        )
        native = targets.native_target()
        monkeypatch.setitem(targets.TARGETS, native, replace(targets.TARGETS[native], half=True))
        arguments = (trained.run, "-o", tmp_path / "m.onnx", "--precision", "auto", "--json", "--max-drop")
        report = json.loads(self.export(*arguments, "100").stdout)
        speeds = {
            "fp32": report["graphs"]["simplified"],
            "fp16": report["graphs"]["fp16"],
            "int8": report["graphs"]["int8"],
        }
        assert report["precision"] == min(speeds, key=lambda name: speeds[name]["milliseconds"]) == "fp16"
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
            "--note",
            "for <cold> pans only",
            "--outputs",
            "confidence",
        )
        result = self.export(trained.run, "-o", path, *options)
        assert result.exit_code == 0, result.stderr
        engine = OnnxEngine(path, "cpu")
        assert engine.contract.provenance["export"]["precision"] == "int8"
        assert engine.contract.provenance["export"]["target"] == "x86"
        assert selftest(engine).agreement == 1
        text, page = path.with_suffix(".card.md").read_text(), path.with_suffix(".card.html").read_text()
        assert "Licence: <CC0>." in text
        assert "Licence: &lt;CC0&gt;." in page
        assert engine.contract.provenance["note"] == "for <cold> pans only"
        assert "\nfor <cold> pans only\n" in text
        assert "<p>for &lt;cold&gt; pans only</p>" in page
        assert "int8 arithmetic is for x86" in text
        assert page.count("<table>") == page.count("</table>") == 7
        assert "| boundary F1 within 2 px |" in text
        assert f"{engine.contract.provenance['validation']['mean_iou']:.4f}" in text

    def test_fp16_passes_on_the_cpu_too(self, trained, tmp_path):
        result = self.export(trained.run, "-o", tmp_path / "m.onnx", "--precision", "fp16", "--target", "cuda")
        assert result.exit_code == 0, result.stderr

    def test_unknown_outputs_are_a_usage_error(self, trained, tmp_path):
        result = self.export(trained.run, "-o", tmp_path / "m.onnx", "--outputs", "classes,depth")
        assert result.exit_code == 2
        assert "'depth' is not among" in result.stderr

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--min-ort", "1.2"], "Error: --min-ort 1.2: name a release of onnxruntime from 1.14 on"),
            (
                ["--precision", "auto", "--target", "arm"],
                "--precision auto chooses by latency, and this",
            ),
        ],
    )
    def test_errors_name_what_was_typed(self, trained, tmp_path, monkeypatch, options, said):
        monkeypatch.setattr(targets, "native_target", lambda: "x86")
        result = self.export(trained.run, "-o", tmp_path / "m.onnx", *options)
        assert result.exit_code in {1, 4}
        assert said in result.stderr

    def test_where_int8_does_not_hold_the_remedy_is_what_one_types(self, trained, tmp_path):
        result = self.export(trained.run, "-o", tmp_path / "m.onnx", "--precision", "int8", "--max-drop", "-100")
        assert result.exit_code == 3
        assert "with cook-train --qat, or export with --precision fp32" in result.stderr

    def test_the_text_shows_every_table_and_what_to_do_next(self, trained, tmp_path):
        result = self.export(trained.run, "-o", tmp_path / "m.onnx")
        assert result.exit_code == 0, result.stderr
        for title in ("Graphs", "Against torch", "IoU on the validation set"):
            assert f"{title}\n" in result.stdout
        assert f"all checks passed: {tmp_path / 'm.onnx'} (fp32," in result.stdout
        assert f"next: cook-infer masks FRAMES -m {tmp_path / 'm.onnx'} -o test_inf_masks" in result.stdout

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

    def test_without_a_simplifier_the_unsimplified_graph_is_kept_with_a_warning(self, trained, tmp_path, monkeypatch):
        broken = (sys.executable, "-c", "raise SystemExit('broken')")
        monkeypatch.setattr(convert, "_SIMPLIFIER", broken)
        result = self.export(trained.run, "-o", tmp_path / "model.onnx", "--json")
        assert result.exit_code == 0, result.stderr
        assert "warning: onnxsim failed: broken; the graph stays as it is" in result.stderr
        assert json.loads(result.stdout)["graphs"].keys() == {"raw", "file"}
        assert (tmp_path / "model.onnx").exists()


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
