"""A short soak run: it must pass as things are, and fail where something leaks, hangs on or goes wrong."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cookseg.benchmarks import soak
from cookseg.benchmarks.soak import Sample, growth
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.segmenter import Segmenter

MODEL = Path(__file__).parents[1] / "appliance/golden/model.onnx"

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="a soak run needs Linux")


def run(*options, predictions=2000):
    arguments = [str(MODEL), "--predictions", str(predictions), "--device", "cpu", "--threads", "1", *options]
    return CliRunner().invoke(soak.main, arguments)


@pytest.mark.integration
def test_nothing_grows_and_every_fault_is_refused(tmp_path):
    result = run("--json", "--plot", str(tmp_path / "soak.png"))
    assert result.exit_code == 0, result.stderr
    value = json.loads(result.stdout)
    outcomes = value["outcomes"]
    assert outcomes.pop("predicted") == 2000
    assert len(outcomes) == 18
    assert all(outcome.endswith(": refused") for outcome in outcomes)
    assert sum(outcomes.values()) == 286  # every seventh of 2000
    assert value["last"]["threads"] >= 1
    assert read_image(tmp_path / "soak.png").std() > 10


@pytest.mark.integration
@pytest.mark.parametrize("leak", ["memory", "descriptors", "threads"])
def test_a_leak_is_exit_3(monkeypatch, leak):
    predict = Segmenter.predict
    held = []

    def leaking(self, frame):
        if leak == "memory":
            held.append(np.ones(50_000, np.uint8))
        elif len(held) < 300:
            held.append(os.dup(2) if leak == "descriptors" else None)
        return predict(self, frame)

    if leak == "threads":
        taken = soak.Soak.sample
        monkeypatch.setattr(soak.Soak, "sample", lambda s: Sample(*(*vars(taken(s)).values(),)[:3], s.done // 100))
    monkeypatch.setattr(Segmenter, "predict", leaking)
    try:
        result = run(predictions=1000 if leak == "memory" else 400)
    finally:
        for descriptor in held if leak == "descriptors" else []:
            os.close(descriptor)
    assert result.exit_code == 3
    assert "grew during the run" in result.stderr


@pytest.mark.integration
@pytest.mark.parametrize("wrong", ["answer", "crash", "accepted"])
def test_what_goes_wrong_once_is_exit_3_and_named(monkeypatch, wrong):
    predict = Segmenter.predict
    calls = iter(range(10_000))

    def failing(self, frame):
        if wrong == "accepted" and frame is None:
            return None
        result = predict(self, frame)
        if next(calls) == 100:
            if wrong == "crash":
                raise MemoryError("no more")
            result.class_map[:] = 9
        return result

    monkeypatch.setattr(Segmenter, "predict", failing)
    result = run(predictions=300)
    assert result.exit_code == 3
    said = {
        "answer": "another answer than before",
        "crash": "MemoryError: no more",
        "accepted": "no frame at all: pred",
    }
    assert said[wrong] in result.stderr


def test_growth_leaves_the_start_and_single_peaks_out():
    held = [1, 5, 9, 10, 10, 10, 10, 10, 90, 10, 10, 10, 10, 70, 10, 10]
    samples = [Sample(n, value, 0, 0) for n, value in enumerate(held)]
    assert growth(samples, "resident_bytes") == 0
    assert growth([Sample(n, n, 0, 0) for n in range(16)], "resident_bytes") == 8
