"""A short soak run: it must pass as things are, and fail where something leaks or goes wrong."""

import json
import os
import threading
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
@pytest.mark.parametrize("leak", ["memory", "descriptors"])
def test_a_leak_is_exit_3(monkeypatch, leak):
    predict = Segmenter.predict
    held = []

    def leaking(self, frame):
        if leak == "memory":
            held.append(np.ones(50_000, np.uint8))
        elif len(held) < 300:
            held.append(os.dup(2))
        return predict(self, frame)

    monkeypatch.setattr(Segmenter, "predict", leaking)
    try:
        result = run(predictions=1000 if leak == "memory" else 400)
    finally:
        for descriptor in held if leak == "descriptors" else []:
            os.close(descriptor)
    assert result.exit_code == 3
    assert "grew during the run" in result.stderr


class TestWhatIsSampled:
    """The process as /proc tells it; a folder of the same form stands in for it where it must say something else."""

    @pytest.fixture
    def proc(self, tmp_path, monkeypatch):
        (tmp_path / "fd").mkdir()
        for descriptor in range(4):
            (tmp_path / "fd" / str(descriptor)).touch()
        monkeypatch.setattr(soak, "PROC", tmp_path)
        return tmp_path

    @pytest.mark.integration
    @pytest.mark.parametrize(("growing", "code"), [("", 0), ("Threads", 3), ("VmRSS", 3), ("fd", 3)])
    def test_only_growth_is_exit_3(self, proc, monkeypatch, growing, code):
        sample = soak.Soak.sample

        def grown(self):
            more = self.done // 40
            (proc / "status").write_text(
                f"Name:\tsoak\nVmRSS:\t{40_000 + more * 1000 * (growing == 'VmRSS')} kB\n"
                f"Threads:\t{5 + more * (growing == 'Threads')}\n"
            )
            if growing == "fd":
                (proc / "fd" / f"more{more}").touch()
            return sample(self)

        monkeypatch.setattr(soak.Soak, "sample", grown)
        result = run("--json", predictions=400)
        assert result.exit_code == code, result.stderr
        value = json.loads(result.stdout)
        grew = {name for name, growth in value["growth"].items() if growth}
        assert grew == {"": set(), "Threads": {"threads"}, "VmRSS": {"resident_bytes"}, "fd": {"descriptors"}}[growing]
        assert ("grew during the run" in result.stderr) == bool(growing)
        assert value["last"]["resident_bytes"] >= 40_000 * 1024
        assert value["last"]["descriptors"] >= 3

    def test_a_thread_and_a_descriptor_more_are_seen(self):
        memory, descriptors, threads = soak.held(soak.PROC)
        assert 10e6 < memory < 1e11
        done = threading.Event()
        thread = threading.Thread(target=done.wait)
        thread.start()
        descriptor = os.dup(2)
        try:
            assert soak.held(soak.PROC)[1:] == (descriptors + 1, threads + 1)
        finally:
            os.close(descriptor)
            done.set()
            thread.join()


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
