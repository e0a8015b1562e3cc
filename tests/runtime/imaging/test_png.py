"""PNGs of our own: any reader gets the pixels that went in, in files no larger than other encoders'."""

import errno
import io
import resource
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from cookseg.runtime import files
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging import png
from cookseg.runtime.imaging.images import decode_image, read_image, read_mask_image
from cookseg.runtime.imaging.png import encode_png, write_png
from cookseg.runtime.model.contract import COOKING

SCENE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(SHAPES.flatmap(lambda size: arrays(np.uint8, st.sampled_from([size, (*size, 3)]))))
def test_every_reader_gets_what_was_written(image):
    data = encode_png(image)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), image)
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(seen if image.ndim == 2 else seen[..., ::-1], image)


@given(SHAPES.flatmap(lambda size: arrays(np.uint8, size, elements=st.integers(0, 2))))
def test_a_palette_shows_colours_and_keeps_indices(classes):
    data = encode_png(classes, COOKING.colors)
    picture = Image.open(io.BytesIO(data))
    assert picture.mode == "P"
    np.testing.assert_array_equal(np.asarray(picture), classes)
    colors = np.array(COOKING.colors, np.uint8)[classes]
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), colors)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), colors)


def mask():
    """A mask of soft shapes at 1080x1920."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 9, 16), np.uint8)
    scores = np.stack([cv2.resize(plane, (1920, 1080), interpolation=cv2.INTER_CUBIC) for plane in coarse])
    return scores.argmax(axis=0).astype(np.uint8)


def test_masks_take_less_room_than_opencvs_and_a_palette_less_still():
    classes = mask()
    colors = np.array(COOKING.colors, np.uint8)[classes]
    ours, theirs = encode_png(colors), cv2.imencode(".png", colors)[1]
    assert len(encode_png(classes, COOKING.colors)) < len(ours) <= len(theirs)


def test_the_standard_librarys_zlib_does_where_zlib_ng_is_not_built(monkeypatch):
    monkeypatch.setattr(png, "compress", zlib.compress)
    classes = mask()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(classes)))), classes)


def test_views_are_encoded_as_they_are_seen():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)[::-2, ::3]
    frame = decode_image(encode_png(image), "a.png")
    np.testing.assert_array_equal(frame, image)


@pytest.mark.parametrize("image", [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 2), np.uint8)])
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(InputError, match="becomes a PNG"):
        encode_png(image)


@pytest.mark.parametrize("image", [SCENE, SCENE[..., 0], SCENE[::2, ::-1]])
def test_png_round_trip(tmp_path, image):
    write_png(tmp_path / "a.png", image)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), image)
    assert np.array_equal(read_mask_image(tmp_path / "a.png"), image)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_write_refuses_other_arrays(tmp_path):
    for wrong in (SCENE.astype(float), np.dstack([SCENE, SCENE]), SCENE[:0]):
        with pytest.raises(InputError, match=r"a\.png"):
            write_png(tmp_path / "a.png", wrong)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("step", ["write", "sync", "rename"])
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "mask.png"
    write_png(path, SCENE)

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with monkeypatch.context() as patch:
        match step:
            case "write":
                resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # the file system itself stops half-way
            case "sync":
                patch.setattr(files.os, "fsync", full)
            case "rename":
                patch.setattr(Path, "replace", full)
        try:
            with pytest.raises(InputError, match=r"mask\.png .*(No space left|File too large).*; check"):
                write_png(path, 255 - SCENE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert np.array_equal(read_image(path), SCENE)
    assert [p.name for p in tmp_path.iterdir()] == ["mask.png"]


def test_writing_makes_the_folder(tmp_path):
    write_png(tmp_path / "none" / "a.png", SCENE)
    assert np.array_equal(read_image(tmp_path / "none" / "a.png"), SCENE)


def test_writing_over_a_folder_or_below_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "a.png", tmp_path):
        with pytest.raises(InputError, match="cannot be written"):
            write_png(path, SCENE)
