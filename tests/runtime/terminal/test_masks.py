"""`cook-infer masks`: the sinks and workers that its options mean, and errors in the command's own words."""

import numpy as np
import pytest
from click.testing import CliRunner

from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.stream.run import Ran
from cookseg.runtime.stream.sinks import ColorMaskSink, ConfidenceSink, IndexSink, OverlaySink, PaletteMaskSink
from cookseg.runtime.terminal import loading
from cookseg.runtime.terminal.cli import main as cook_infer


@pytest.fixture
def frames(tmp_path, monkeypatch):
    """Two frames below in/, which is in the working directory."""
    for name in ("a", "night/b"):
        write_png(tmp_path / f"in/{name}.png", np.zeros((9, 7, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in"


@pytest.fixture
def asked(segmenter, monkeypatch):
    """What the command asks for: the mode, then the arguments of the run."""
    found = []

    def load(_model, _session, _upsample, mode):
        found.append(mode)
        return segmenter

    def run(source, _segmenter, sinks, *, workers, progress):
        found.extend([len(source), [(type(sink), sink.folder.as_posix()) for sink in sinks], workers])
        return Ran(len(source), [])

    monkeypatch.setattr(loading, "load_segmenter", load)
    monkeypatch.setattr("cookseg.runtime.terminal.masks.run", run)
    monkeypatch.setattr("cookseg.runtime.terminal.masks.cores", lambda: 7)
    return found


def masks(*arguments):
    return CliRunner().invoke(cook_infer, ["masks", *map(str, arguments)])


@pytest.mark.parametrize(
    ("options", "sinks"),
    [
        ([], [(ColorMaskSink, "test_inf_masks")]),
        (["--png", "palette", "-o", "out"], [(PaletteMaskSink, "out")]),
        (
            ["-o", "out", "--confidence", "--index", "--overlay"],
            [
                (ColorMaskSink, "out"),
                (OverlaySink, "out/overlay"),
                (IndexSink, "out/index"),
                (ConfidenceSink, "out/confidence"),
            ],
        ),
    ],
)
def test_options_mean_sinks(frames, asked, options, sinks):
    result = masks("in", *options)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"2 of 2 masks written to {sinks[0][1]}\n"
    assert asked == ["throughput", 2, sinks, 7]


@pytest.mark.parametrize(
    ("path", "options", "mode", "workers"),
    [
        ("in", [], "throughput", 7),
        ("in/a.png", [], "latency", 1),
        ("in/a.png", ["--mode", "throughput"], "throughput", 7),
        ("in", ["--mode", "background"], "background", 1),
        ("in", ["--mode", "latency"], "latency", 1),
    ],
)
def test_several_images_are_done_by_as_many_threads_as_cores(frames, asked, path, options, mode, workers):
    assert masks(path, *options).exit_code == 0
    assert (asked[0], asked[-1]) == (mode, workers)


def test_errors_name_the_options_of_the_command(frames):
    write_png(frames / "night/a.png", np.zeros((9, 7, 3), np.uint8))
    clash = masks("in/a.png", "in/night/a.png")
    assert clash.exit_code == 1
    assert "each with its own --output" in clash.stderr
    assert not (frames.parent / "test_inf_masks").exists()
    device = masks("in", "--device", "NoSuchExecutionProvider")
    assert device.exit_code == 4
    assert "--device NoSuchExecutionProvider is not available" in device.stderr
