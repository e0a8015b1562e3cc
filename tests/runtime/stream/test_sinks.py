"""Sinks: what each writes of a result, where, and what becomes of a name or a folder that it cannot use."""

import numpy as np
import pytest
from PIL import Image

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.imaging.masks import overlay
from cookseg.runtime.model.contract import COOKING
from cookseg.runtime.stream.sinks import ColorMaskSink, ConfidenceSink, IndexSink, OverlaySink, PaletteMaskSink

SINKS = [ColorMaskSink, PaletteMaskSink, OverlaySink, IndexSink, ConfidenceSink]


@pytest.fixture
def frame():
    """Half of it pan, half food, none of it pure."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, :16], pixels[:, 16:] = (10, 200, 0), (0, 3, 40)
    return Frame.of(pixels, "night/a")


CLASSES = np.repeat(np.array([[1] * 16 + [2] * 16], np.uint8), 32, axis=0)


@pytest.mark.parametrize("kind", SINKS)
def test_each_writes_what_its_name_says(tmp_path, segmenter, frame, kind):
    with kind(tmp_path / "out") as sink:
        sink.write(frame, segmenter.predict(frame))
    expected = {
        ColorMaskSink: np.array(COOKING.colors, np.uint8)[CLASSES],
        PaletteMaskSink: CLASSES,
        OverlaySink: overlay(frame.pixels, CLASSES, COOKING),
        IndexSink: CLASSES,
        ConfidenceSink: np.where(CLASSES == 1, 200, 40),
    }
    picture = Image.open(tmp_path / "out/night/a.png")
    assert picture.mode == {PaletteMaskSink: "P", IndexSink: "L", ConfidenceSink: "L"}.get(kind, "RGB")
    np.testing.assert_array_equal(np.asarray(picture), expected[kind])
    assert len(list((tmp_path / "out").rglob("*.*"))) == 1


def test_a_palette_shows_the_colours_of_the_classes(tmp_path, segmenter, frame):
    for kind in (ColorMaskSink, PaletteMaskSink):
        kind(tmp_path / kind.__name__).write(frame, segmenter.predict(frame))
    color, palette = (read_image(tmp_path / kind.__name__ / "night/a.png") for kind in (ColorMaskSink, PaletteMaskSink))
    np.testing.assert_array_equal(color, palette)


@pytest.mark.parametrize("name", ["", "../a", "night/../../a", "/a", ".."])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, segmenter, frame, name):
    sink = ColorMaskSink(tmp_path / "out")
    with pytest.raises(InputError, match="name="):
        sink.write(Frame.of(frame.pixels, name), segmenter.predict(frame))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a", "00012", "2026-11-27T20.46", "night/a.b"])
def test_names_are_kept_as_they_are(tmp_path, segmenter, frame, name):
    ColorMaskSink(tmp_path).write(Frame.of(frame.pixels, name), segmenter.predict(frame))
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")] == [f"{name}.png"]


def test_a_place_that_cannot_be_written_is_named(tmp_path, segmenter, frame):
    (tmp_path / "taken").touch()
    with ColorMaskSink(tmp_path / "taken/out") as sink, pytest.raises(InputError, match="taken"):
        sink.write(frame, segmenter.predict(frame))
