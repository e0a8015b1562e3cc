"""Sources: each image is found once and named as its output is to be, and none would replace another's."""

import numpy as np
import pytest
from PIL import Image

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.contract import COOKING, Preprocessing
from cookseg.runtime.stream.run import run
from cookseg.runtime.stream.sinks import ColorMaskSink, IndexSink, OverlaySink
from cookseg.runtime.stream.sources import FileSource, iterating

RED, GREEN, BLUE = COOKING.colors


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, color=RED, size=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"lossless": True} if path.suffix == ".webp" else {}
    Image.fromarray(np.full((*size, 3), color, np.uint8)).save(path, **options)
    return path


def found(paths, *sinks):
    """The path and the name of each frame."""
    return {file.path.as_posix(): file.name for file in FileSource(paths, sinks=sinks)}


TREE = [
    "frames/a.jpg",
    "frames/b.PNG",
    "frames/night/a.jpg",
    "frames/night/deep/c.v2.bmp",
    "single.webp",
    "clip[1]/x.png",
    "पालक/brûlée 1.jpg",
]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["single.webp"], {"single.webp": "single"}),
        (["frames/night/a.jpg"], {"frames/night/a.jpg": "a"}),
        (["frames/night"], {"frames/night/a.jpg": "a", "frames/night/deep/c.v2.bmp": "deep/c.v2"}),
        (["frames/*.jpg"], {"frames/a.jpg": "a"}),
        (["./frames/*.*"], {"frames/a.jpg": "a", "frames/b.PNG": "b"}),
        (["frames/**/*.jpg"], {"frames/a.jpg": "a", "frames/night/a.jpg": "night/a"}),
        (["*/*.png"], {"clip[1]/x.png": "clip[1]/x"}),
        (["clip[1]/x.png"], {"clip[1]/x.png": "x"}),
        (["clip[1]"], {"clip[1]/x.png": "x"}),
        (["पालक", "single.webp"], {"पालक/brûlée 1.jpg": "brûlée 1", "single.webp": "single"}),
        (["single.webp", "./single.webp", "single.*"], {"single.webp": "single"}),
    ],
)
def test_paths_and_the_names_of_their_frames(here, sources, expected):
    for name in TREE:
        write(here / name)
    (here / "frames/notes.txt").touch()
    files = FileSource(sources, sinks=[ColorMaskSink(here / "out")])
    assert {file.path.as_posix(): file.name for file in files} == expected
    assert len(files) == len(expected)
    absolute = FileSource([here / source for source in sources])
    assert [file.name for file in absolute] == [file.name for file in files]


def test_one_path_needs_no_list(here):
    write(here / "frames/a.jpg")
    assert found("frames") == found(here.joinpath("frames").relative_to(here)) == found(["frames"])


@pytest.mark.parametrize(
    ("names", "paths", "more"),
    [
        (["frames/a.jpg", "frames/a.bmp"], ["frames"], []),
        (["day/a.jpg", "night/a.jpg"], ["day", "night"], []),
        (["day/a.jpg", "night/a.jpg"], ["day/a.jpg", "night/*.jpg"], []),
        (["frames/a.jpg", "frames/overlay/a.jpg"], ["frames"], [OverlaySink("out/overlay")]),
        (["frames/a.jpg", "frames/index/a.jpg"], ["frames"], [IndexSink("out/index")]),
    ],
)
def test_two_images_of_one_output_are_both_named(here, names, paths, more):
    for name in names:
        write(here / name)
    with pytest.raises(InputError) as caught:
        FileSource(paths, sinks=[ColorMaskSink("out"), *more])
    assert all(name in str(caught.value) for name in names)
    assert "out/" in str(caught.value)


def test_two_images_of_one_name_are_refused_without_sinks_too(here):
    write(here / "day/a.jpg")
    write(here / "night/a.jpg")
    with pytest.raises(InputError, match=r"day/a.jpg and night/a.jpg"):
        FileSource(["day", "night"])


def test_folders_named_like_other_outputs_are_kept_where_there_are_none(here):
    write(here / "frames/a.jpg")
    write(here / "frames/overlay/a.jpg")
    assert len(FileSource("frames", sinks=[ColorMaskSink("out")])) == 2


@pytest.mark.parametrize("path", ["nowhere", "nowhere.jpg", "frames/*.tif", "empty"])
def test_a_path_without_images_is_named_before_any_work(here, path):
    write(here / "frames/a.jpg")
    (here / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        FileSource(["frames", path])
    assert str(caught.value).startswith(path)


def test_outputs_of_an_earlier_run_are_not_frames(here, segmenter):
    write(here / "frames/a.jpg")
    write(here / "frames/night/b.jpg")
    sinks = [ColorMaskSink(here / "frames/out"), OverlaySink(here / "frames/out/overlay")]
    first = found("frames", *sinks)
    assert run(FileSource("frames", sinks=sinks), segmenter, sinks).done == 2
    assert (here / "frames/out/overlay/night/b.png").exists()
    assert found("frames", *sinks) == first
    assert found("frames/**/*", *sinks) == first
    assert len(found("frames")) == 6  # nobody said what the others are


def test_frames_inside_the_output_folder_are_refused_with_the_reason(here):
    write(here / "frames/a.jpg")
    with pytest.raises(InputError, match="output folder"):
        FileSource("frames", sinks=[ColorMaskSink(here)])


def test_a_file_is_read_when_its_turn_comes_and_small_where_that_is_enough(here):
    (here / "frames").mkdir()
    Image.fromarray(np.full((320, 400, 3), GREEN, np.uint8)).save(here / "frames/a.jpg", quality=95)
    (here / "frames/b.jpg").write_bytes(b"no image")
    good, bad = FileSource("frames")
    frame = good.decode(Preprocessing(32, 32))
    assert (frame.name, frame.size) == ("a", (320, 400))
    assert frame.pixels.shape == (40, 50, 3)
    np.testing.assert_array_equal(frame.whole, read_image(here / "frames/a.jpg"))
    with pytest.raises(InputError, match=r"frames/b.jpg"):
        bad.decode(Preprocessing(32, 32))


def test_a_whole_frame_is_decoded_once():
    pixels = np.zeros((4, 6, 3), np.uint8)
    times = []
    small = Frame(pixels[::2, ::2], (4, 6), "a", reread=lambda: times.append(1) or pixels)
    assert small.whole is pixels
    assert small.whole is pixels
    assert times == [1]
    assert Frame.of(pixels).whole is pixels
    with pytest.raises(InputError, match="a has fewer pixels"):
        _ = Frame(pixels, (8, 12), "a").whole


def test_an_iterator_is_closed_at_the_end():
    closed = []

    def frames():
        try:
            yield Frame.of(np.zeros((2, 2, 3), np.uint8))
        finally:
            closed.append(True)

    class Camera:
        def __iter__(self):
            return frames()

    with iterating(Camera()) as items:
        next(items)
        assert not closed
    assert closed
    with iterating([]) as items:  # a list's iterator has nothing to close
        assert list(items) == []
