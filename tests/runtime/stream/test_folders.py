"""Many images to many masks: each mask where it is expected, none lost, none replaced by another's."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.imaging.masks import overlay
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.model.contract import COOKING
from cookseg.runtime.stream import folders
from cookseg.runtime.stream.folders import Job, Outputs, plan, process

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
        (["single.webp"], {"single.webp": "single.png"}),
        (["frames/night/a.jpg"], {"frames/night/a.jpg": "a.png"}),
        (["frames/night"], {"frames/night/a.jpg": "a.png", "frames/night/deep/c.v2.bmp": "deep/c.v2.png"}),
        (["frames/*.jpg"], {"frames/a.jpg": "a.png"}),
        (["./frames/*.*"], {"frames/a.jpg": "a.png", "frames/b.PNG": "b.png"}),
        (["frames/**/*.jpg"], {"frames/a.jpg": "a.png", "frames/night/a.jpg": "night/a.png"}),
        (["*/*.png"], {"clip[1]/x.png": "clip[1]/x.png"}),
        (["clip[1]/x.png"], {"clip[1]/x.png": "x.png"}),
        (["clip[1]"], {"clip[1]/x.png": "x.png"}),
        (["पालक", "single.webp"], {"पालक/brûlée 1.jpg": "brûlée 1.png", "single.webp": "single.png"}),
        (["single.webp", "./single.webp", "single.*"], {"single.webp": "single.png"}),
    ],
)
def test_sources_and_the_names_of_their_masks(here, sources, expected):
    for name in TREE:
        write(here / name)
    (here / "frames/notes.txt").touch()
    jobs = plan(sources, Outputs(here / "out"))
    assert {job.source.as_posix(): job.target.as_posix() for job in jobs} == expected
    assert len(jobs) == len(expected)
    absolute = plan([str(here / source) for source in sources], Outputs(here / "out"))
    assert [job.target for job in absolute] == [job.target for job in jobs]


@pytest.mark.parametrize(
    ("names", "sources", "outputs"),
    [
        (["frames/a.jpg", "frames/a.bmp"], ["frames"], {}),
        (["day/a.jpg", "night/a.jpg"], ["day", "night"], {}),
        (["day/a.jpg", "night/a.jpg"], ["day/a.jpg", "night/*.jpg"], {}),
        (["frames/a.jpg", "frames/overlay/a.jpg"], ["frames"], {"overlay": True}),
        (["frames/a.jpg", "frames/index/a.jpg"], ["frames"], {"index": True}),
    ],
)
def test_two_images_of_one_mask_are_both_named(here, names, sources, outputs):
    for name in names:
        write(here / name)
    with pytest.raises(InputError) as caught:
        plan(sources, Outputs(here / "out", **outputs))
    assert all(name in str(caught.value) for name in names)


def test_folders_named_like_extra_pictures_are_kept_where_there_are_none(here):
    write(here / "frames/a.jpg")
    write(here / "frames/overlay/a.jpg")
    assert len(plan(["frames"], Outputs(here / "out"))) == 2


@pytest.mark.parametrize("source", ["nowhere", "nowhere.jpg", "frames/*.tif", "empty"])
def test_a_source_without_images_is_named_before_any_work(here, source):
    write(here / "frames/a.jpg")
    (here / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        plan(["frames", source], Outputs(here / "out"))
    assert str(caught.value).startswith(source)


def test_masks_of_an_earlier_run_are_no_frames(here, segmenter):
    write(here / "frames/a.jpg")
    write(here / "frames/night/b.jpg")
    outputs = Outputs(here / "frames/out", overlay=True)
    first = plan(["frames"], outputs)
    list(process(segmenter, first, outputs))
    assert (here / "frames/out/overlay/night/b.png").exists()
    assert plan(["frames"], outputs) == first
    assert plan(["frames/**/*"], outputs) == first


def test_frames_inside_the_output_folder_are_refused_with_the_reason(here):
    write(here / "frames/a.jpg")
    with pytest.raises(InputError, match="output"):
        plan(["frames"], Outputs(here))


def test_every_mask_is_its_own_images(here, segmenter):
    colors = dict(zip(["a.png", "b.bmp", "night/a.webp", "पालक/brûlée 1.png"], [RED, GREEN, BLUE, GREEN], strict=True))
    for number, (name, color) in enumerate(colors.items()):
        write(here / "frames" / name, color, (20 + number, 50 - number))
    outputs = Outputs(here / "out")
    results = list(process(segmenter, plan(["frames"], outputs), outputs))
    assert [error for _, error in results] == [None] * 4
    for job, _ in results:
        np.testing.assert_array_equal(read_image(here / "out" / job.target), read_image(job.source))
    assert len([path for path in (here / "out").rglob("*") if path.is_file()]) == 4


def test_one_bad_file_does_not_stop_the_rest(here, segmenter):
    for name in ("a.png", "b.png", "c.png"):
        write(here / "frames" / name)
    (here / "frames/b.png").write_bytes((here / "frames/b.png").read_bytes()[:50])
    outputs = Outputs(here / "out", overlay=True)
    jobs = [*plan(["frames"], outputs), Job(Path("frames/gone.png"), Path("gone.png"))]  # taken away since
    errors = {job.source.name: error for job, error in process(segmenter, jobs, outputs)}
    assert [name for name, error in errors.items() if error is None] == ["a.png", "c.png"]
    assert "b.png" in errors["b.png"]
    assert "gone.png" in errors["gone.png"]
    written = sorted(str(path.relative_to(here / "out")) for path in (here / "out").rglob("*.png"))
    assert written == ["a.png", "c.png", "overlay/a.png", "overlay/c.png"]


def test_extra_pictures(here, segmenter):
    frame = np.zeros((32, 32, 3), np.uint8)
    frame[:, :16], frame[:, 16:] = (10, 200, 0), (0, 3, 40)
    (here / "frames/night").mkdir(parents=True)
    write_png(here / "frames/night/a.png", frame)
    outputs = Outputs(here / "out", overlay=True, index=True, confidence=True)
    assert [error for _, error in process(segmenter, plan(["frames"], outputs), outputs)] == [None]
    folders = ("", "overlay", "index", "confidence")
    picture = {folder: np.asarray(Image.open(here / "out" / folder / "night/a.png")) for folder in folders}
    classes = np.repeat(np.array([[1] * 16 + [2] * 16], np.uint8), 32, axis=0)
    np.testing.assert_array_equal(picture[""], np.array(COOKING.colors)[classes])
    np.testing.assert_array_equal(picture["overlay"], overlay(frame, classes, COOKING))
    np.testing.assert_array_equal(picture["index"], classes)
    np.testing.assert_array_equal(picture["confidence"], np.where(classes == 1, 200, 40))


def test_a_place_that_cannot_be_written_is_named(here, segmenter):
    write(here / "frames/a.png")
    (here / "taken").touch()
    outputs = Outputs(here / "taken/out")
    with pytest.raises(InputError, match="taken"):
        list(process(segmenter, plan(["frames"], outputs), outputs))


@pytest.mark.parametrize("workers", [1, 4])
def test_masks_and_errors_come_in_order_whatever_the_number_of_threads(here, segmenter, workers):
    for number in range(30):
        write(here / f"frames/{number:02}.png", COOKING.colors[number % 3], (20 + number, 40))
    for number in (7, 8, 29):
        (here / f"frames/{number:02}.png").write_bytes(b"no image")
    outputs = Outputs(here / "out")
    jobs = plan(["frames"], outputs)
    results = list(process(segmenter, jobs, outputs, workers))
    assert [job for job, _ in results] == jobs
    assert [number for number, (_, error) in enumerate(results) if error] == [7, 8, 29]
    for job, error in results:
        if not error:
            np.testing.assert_array_equal(read_image(here / "out" / job.target), read_image(job.source))


def test_no_more_images_are_in_memory_than_twice_the_threads(here, segmenter, monkeypatch):
    for number in range(40):
        write(here / f"frames/{number:02}.png")
    begun = []
    real = folders.read_file
    monkeypatch.setattr(folders, "read_file", lambda path: begun.append(path) or real(path))
    outputs = Outputs(here / "out")
    for done, _ in enumerate(process(segmenter, plan(["frames"], outputs), outputs, workers=3)):
        assert len(begun) <= done + 1 + 6
    assert len(begun) == 40


def test_a_disk_that_fills_up_stops_the_run_instead_of_failing_image_by_image(here, segmenter, monkeypatch):
    for number in range(40):
        write(here / f"frames/{number:02}.png")
    tried = []

    def full(path, *_):
        tried.append(path)
        raise InputError(f"{path} cannot be written: No space left on device")

    monkeypatch.setattr(folders, "write_png", full)
    outputs = Outputs(here / "out")
    with pytest.raises(InputError, match="No space left"):
        list(process(segmenter, plan(["frames"], outputs), outputs, workers=2))
    assert len(tried) <= 4


def test_a_palette_holds_the_classes_and_shows_their_colours(here, segmenter):
    write(here / "frames/a.png", BLUE)
    outputs = Outputs(here / "out", png="palette")
    list(process(segmenter, plan(["frames"], outputs), outputs))
    picture = Image.open(here / "out/a.png")
    assert picture.mode == "P"
    assert (np.asarray(picture) == 2).all()
    np.testing.assert_array_equal(read_image(here / "out/a.png"), read_image(here / "frames/a.png"))


def test_an_overlay_lies_on_the_whole_picture_though_the_network_gets_a_small_one(here, segmenter):
    (here / "frames").mkdir()
    Image.fromarray(np.full((300, 400, 3), RED, np.uint8)).save(here / "frames/a.jpg", quality=95)
    outputs = Outputs(here / "out", overlay=True)
    assert [error for _, error in process(segmenter, plan(["frames"], outputs), outputs)] == [None]
    assert read_image(here / "out/overlay/a.png").shape == read_image(here / "out/a.png").shape == (300, 400, 3)
