"""`cook-data synth`: synthetic sets are what they say they are."""

import hashlib
import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from cookseg.data.cli import main
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.contract import COOKING
from cookseg.runtime.scoring.dataset import Layout, list_pairs, read_pair


def cook_data(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    """A set of 9, 2 and 1 frames of 48x32, and what the command said; train alone needs two sessions."""
    root = tmp_path_factory.mktemp("synth") / "new" / "set"
    return root, cook_data("synth", root, "--train", 9, "--val", 2, "--test", 1, "--size", "48x32", "--json")


def digest(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_synth_says_what_it_made(synthetic):
    root, result = synthetic
    assert (result.exit_code, result.stderr) == (0, "")
    frames = {"train": 9, "val": 2, "test": 1}
    assert json.loads(result.stdout) == {"dataset": str(root), "frames": frames, "sessions": 4}


def test_synthetic_sets_have_the_standard_layout_and_exact_masks(synthetic):
    root, _ = synthetic
    for split, frames in (("train", 9), ("val", 2)):
        samples = [read_pair(pair, COOKING, Layout()) for pair in list_pairs(root, split, Layout())]
        assert [(s.truth.shape, s.off_colors) for s in samples] == [((32, 48), 0)] * frames
    assert sorted(path.name for path in (root / "test").iterdir()) == ["images"]
    assert len(list((root / "test/images").iterdir())) == 1


def test_no_session_is_in_two_splits(synthetic):
    root, _ = synthetic
    sessions = {
        split: {path.stem.rpartition("_")[0] for path in (root / split / "images").iterdir()}
        for split in ("train", "val", "test")
    }
    assert [len(names) for names in sessions.values()] == [2, 1, 1]
    assert len(set().union(*sessions.values())) == 4


def test_the_same_seed_gives_the_same_files(synthetic, tmp_path):
    options = ["--train", 9, "--val", 2, "--test", 0, "--size", "48x32"]
    again = cook_data("synth", tmp_path / "again", *options)
    assert again.exit_code == 0
    first = {name: digest for name, digest in digest(synthetic[0]).items() if not name.startswith("test")}
    assert digest(tmp_path / "again") == first


def test_sessions_take_sizes_in_turn(tmp_path):
    options = ["--train", 4, "--val", 1, "--test", 0, "--per-session", 2, "--size", "48x32", "--size", 24]
    assert cook_data("synth", tmp_path / "set", *options).exit_code == 0
    shapes = {path.stem.rpartition("_")[0]: read_image(path).shape for path in tmp_path.glob("set/train/images/*")}
    assert sorted(shapes.values()) == [(24, 24, 3), (32, 48, 3)]


def test_another_seed_gives_other_frames(synthetic, tmp_path):
    assert cook_data("synth", tmp_path, "--train", 1, "--val", 1, "--test", 0, "--size", 32, "--seed", 1).exit_code == 0
    assert not digest(tmp_path).keys() & digest(synthetic[0]).keys()


def test_synth_writes_into_no_folder_in_use(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    result = cook_data("synth", tmp_path, "--train", 1, "--val", 1, "--test", 0, "--size", 32)
    assert (result.exit_code, result.stdout) == (1, "")
    assert str(tmp_path) in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "option",
    [("--size", "0"), ("--size", "-5"), ("--size", "32x0"), ("--train", "0"), ("--val", "0"), ("--seed", "-1")],
)
def test_synth_refuses_what_cannot_be_rendered(tmp_path, option):
    sizes = {"--train": "1", "--val": "1", "--test": "0", "--size": "32"} | dict([option])
    result = cook_data("synth", tmp_path / "set", *[part for pair in sizes.items() for part in pair])
    assert result.exit_code == 2
    assert option[0] in result.stderr
    assert not (tmp_path / "set").exists()


def test_the_set_does_not_depend_on_the_number_of_processes(synthetic, tmp_path, monkeypatch):
    monkeypatch.setattr("cookseg.runtime.stream.parallel._WORTH_A_POOL", 1)
    options = ["--train", 9, "--val", 2, "--test", 1, "--size", "48x32"]
    assert cook_data("synth", tmp_path / "again", *options).exit_code == 0
    assert digest(tmp_path / "again") == digest(synthetic[0])


def test_a_clip_is_a_film_with_the_mask_of_every_frame(tmp_path):
    result = cook_data("synth", tmp_path / "film", "--clip", 1.2, "--fps", 5, "--size", "64x48", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"dataset": str(tmp_path / "film"), "frames": {"val": 6}, "sessions": 1}
    film = cv2.VideoCapture(str(tmp_path / "film/clip.mp4"))
    assert film.get(cv2.CAP_PROP_FPS) == 5
    for pair in list_pairs(tmp_path / "film", "val", Layout()):
        sample = read_pair(pair, COOKING, Layout())
        read, frame = film.read()
        assert read
        assert sample.truth.shape == (48, 64)
        error = np.abs(frame[..., ::-1].astype(int) - sample.frame).mean()
        assert error < 12  # MPEG-4 is not exact, but it is this frame
    assert not film.read()[0]


@pytest.mark.parametrize(
    "options", [("--train", 5, "--clip", 1), ("--size", 32, "--size", 48, "--clip", 1), ("--fps", 5)]
)
def test_options_of_sets_and_of_films_do_not_mix(tmp_path, options):
    result = cook_data("synth", tmp_path / "film", *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr
    assert "--clip" in result.stderr
    assert not (tmp_path / "film").exists()


def test_a_film_that_was_not_written_whole_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("cv2.VideoWriter.write", lambda *_: None)
    result = cook_data("synth", tmp_path / "film", "--clip", 1, "--fps", 2, "--size", 32)
    assert result.exit_code == 1
    assert "0 of 2 frames" in result.stderr
    assert not (tmp_path / "film").exists()
