"""Unlabelled frames on disk: images and clips, what of them is taken, and what is left out."""

import logging

import cv2
import numpy as np
import pytest

from cookseg.runtime.errors import DatasetError, ImageError, InputError
from cookseg.runtime.model.contract import IGNORE, Preprocessing
from cookseg.training.unlabelled import UnlabelledConfig, clip_frames, read_unlabelled

SPEC = Preprocessing(32, 32)


def write_clip(path, frames):
    """Write a clip whose frames are grey, each 4 levels brighter than the one before."""
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(frames):
        film.write(np.full((48, 64, 3), 4 * number, np.uint8))
    film.release()


@pytest.fixture
def folder(tmp_path):
    """Three noisy images, one of them in a sub-folder, and a clip of 50 frames."""
    rng = np.random.default_rng(0)
    (tmp_path / "deep").mkdir()
    for name in ("a.png", "b.bmp", "deep/c.png"):
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 256, (48, 64, 3), np.uint8))
    write_clip(tmp_path / "d.avi", 50)
    (tmp_path / "notes.txt").write_text("not a frame")
    return tmp_path


def test_images_and_frames_of_clips_are_read_at_the_networks_size(folder, caplog):
    caplog.set_level(logging.INFO)
    found = read_unlabelled(folder, SPEC, 5)
    assert (len(found.samples), found.images, found.clips) == (8, 3, 1)
    assert all(sample.frame.shape == (32, 32, 3) and not sample.truth.any() for sample in found.samples)
    assert "5 frames taken of clips (1), spread evenly over each" in caplog.text
    assert found.facts() == {
        "name": folder.name,
        "frames": 8,
        "images": 3,
        "clips": 1,
        "sha256": read_unlabelled(folder, SPEC, 5).sha256,
    }
    assert read_unlabelled(folder, SPEC, 6).sha256 != found.sha256


def test_frames_of_a_clip_are_spread_evenly_over_it(folder):
    levels = [frame.pixels.mean() / 4 for frame in clip_frames(folder / "d.avi", 5)]
    assert levels == pytest.approx([5, 15, 25, 35, 45], abs=0.7)  # of the codec
    assert len(list(clip_frames(folder / "d.avi", 200))) == 50


def test_far_frames_of_a_clip_are_sought(folder, monkeypatch):
    monkeypatch.setattr("cookseg.training.unlabelled._WORTH_SEEKING", 3)
    levels = [frame.pixels.mean() / 4 for frame in clip_frames(folder / "d.avi", 5)]
    assert levels == pytest.approx([5, 15, 25, 35, 45], abs=0.7)  # of the codec


def test_a_clip_alone_will_do(folder):
    assert len(read_unlabelled(folder / "d.avi", SPEC, 7).samples) == 7


def test_padding_is_no_frame(folder):
    sample = read_unlabelled(folder / "a.png", Preprocessing(32, 32, "letterbox")).samples[0]
    assert not sample.truth[:24].any()
    assert (sample.truth[24:] == IGNORE).all()


def test_a_file_that_only_looks_like_a_clip_is_named(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"no clip at all" * 99)
    with pytest.raises(ImageError, match=r"x\.mp4: OpenCV cannot read this clip: convert it"):
        read_unlabelled(tmp_path, SPEC)


def test_a_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no images and no clips there"):
        read_unlabelled(tmp_path, SPEC)


class TestLabelledFrames:
    def test_they_are_left_out_whatever_their_file_is(self, folder, caplog):
        caplog.set_level(logging.INFO)
        found = read_unlabelled(folder, SPEC, 5)
        labelled = read_unlabelled(folder / "b.bmp", SPEC).samples[0].frame.copy()
        left = found.without([labelled], UnlabelledConfig())
        assert (len(left.samples), left.labelled) == (7, 1)
        assert not any(np.array_equal(sample.frame, labelled) for sample in left.samples)
        assert "1 of the unlabelled frames are labelled ones of the dataset: left out" in caplog.text

    def test_they_are_kept_on_request_with_a_warning(self, folder, caplog):
        found = read_unlabelled(folder, SPEC, 5)
        kept = found.without([found.samples[1].frame], UnlabelledConfig(keep_labelled=True))
        assert (len(kept.samples), kept.labelled) == (8, 1)
        assert "validation score is of a model that was adapted to its frames" in caplog.text

    def test_where_none_is_left_that_is_an_error(self, folder):
        found = read_unlabelled(folder / "a.png", SPEC)
        with pytest.raises(DatasetError, match="all frames are labelled ones"):
            found.without([found.samples[0].frame], UnlabelledConfig())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"confidence": 1.5}, r"`unlabelled\.confidence=1\.5`: it must be in 0 to 1"),
        ({"ratio": 0}, r"`unlabelled\.ratio=0\.0`: it must be a positive number"),
        ({"weight": -1}, r"`unlabelled\.weight=-1\.0`: it must be 0 or more"),
        ({"clip_frames": 0}, r"`unlabelled\.clip_frames=0`: it must be 1 or more"),
    ],
)
def test_values_that_cannot_be_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        UnlabelledConfig(**values)


def test_the_weight_rises_over_the_first_steps():
    config = UnlabelledConfig(weight=2, rampup=0.5)
    assert [round(config.weight_at(done), 3) for done in (0, 0.25, 0.5, 1)] == [0.013, 0.573, 2, 2]
    assert UnlabelledConfig(rampup=0).weight_at(0) == 1


def test_a_step_has_unlabelled_frames_by_ratio():
    assert [UnlabelledConfig(ratio=ratio).per_step(8) for ratio in (1, 2, 0.5, 0.01)] == [8, 16, 4, 1]
