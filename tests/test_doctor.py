"""`cook-data`: the doctor names every planted fault and no other, and synthetic sets are what they say they are."""

import hashlib
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cookseg.data.cli import main
from cookseg.runtime.contract import COOKING
from cookseg.runtime.dataset import Layout, list_pairs, read_pair

COLORS = np.array([*COOKING.colors, (0, 0, 0)], np.uint8)


def cook_data(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def doctor(root, *options):
    """Exit code, JSON and stderr of a check."""
    result = cook_data("doctor", root, "--json", *options)
    return result.exit_code, json.loads(result.stdout), result.stderr


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def put(root, name, class_map=None, size=(4, 6)):
    """A frame, and a mask where there is a class map."""
    save(root / "images" / f"{name}.jpg", np.full((*size, 3), 90, np.uint8))
    if class_map is not None:
        save(root / "masks" / f"{name}.png", COLORS[np.broadcast_to(class_map, size)])


@pytest.fixture
def clean(tmp_path):
    """A set without a fault: two frames to train, one to validate, one to test."""
    root = tmp_path / "set"
    put(root / "train", "upma4_671", [0, 1, 1, 1, 2, 2])
    put(root / "train", "palakpaneer_1610_533", [0, 0, 0, 1, 2, 2])
    put(root / "val", "dosa_7", [0, 1, 1, 1, 1, 2])
    put(root / "test", "dosa_8")
    return root


def test_a_clean_set_has_no_faults(clean):
    code, value, stderr = doctor(clean)
    assert (code, value["warnings"], stderr) == (0, [], "")
    assert {split: report["errors"] for split, report in value["splits"].items()} == {
        "train": [],
        "val": [],
        "test": [],
    }
    assert value["splits"]["train"] == {
        "frames": 2,
        "sizes": ["6x4"],
        "pixels": {"stirrer": 16, "pan+background": 16, "food": 16},
        "off_color_pixels": {},
        "errors": [],
    }
    assert value["splits"]["test"]["frames"] == 1


def test_a_clean_set_in_words(clean):
    result = cook_data("doctor", clean)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split()[:3] for line in result.stdout.splitlines()[2:]] == [
        ["train", "2", "6x4"],
        ["val", "1", "6x4"],
        ["test", "1", "6x4"],
    ]
    assert "33.33%" in result.stdout


def test_every_planted_fault_is_named(clean):
    put(clean / "train", "alone")
    put(clean / "train", "small", [1] * 6)
    save(clean / "train/masks/small.png", COLORS[np.ones((3, 6), int)])
    put(clean / "train", "yellow", [1] * 6)
    save(clean / "train/masks/yellow.png", np.full((4, 6, 3), (255, 255, 0), np.uint8))
    put(clean / "train", "grey", [1] * 6)
    save(clean / "train/masks/grey.png", np.ones((4, 6), np.uint8))
    put(clean / "val", "cut", [1] * 6)
    (clean / "val/images/cut.jpg").write_bytes((clean / "val/images/cut.jpg").read_bytes()[:-9])
    put(clean / "val", "empty", [1] * 6)
    (clean / "val/masks/empty.png").write_bytes(b"")
    save(clean / "val/masks/orphan.png", COLORS[np.ones((4, 6), int)])
    (clean / "test/images/html.jpg").write_text("<html>404</html>")
    planted = {
        "train": ["images/alone.jpg", "masks/small.png", "masks/yellow.png", "masks/grey.png"],
        "val": ["images/cut.jpg", "masks/empty.png", "masks/orphan.png"],
        "test": ["images/html.jpg"],
    }
    code, value, stderr = doctor(clean)
    assert code == 3
    for split, names in planted.items():
        errors = value["splits"][split]["errors"]
        assert len(errors) == len(names)
        for name in names:
            assert len([error for error in errors if str(clean / split / name) in error]) == 1, name
            assert str(clean / split / name) in stderr
    assert [value["splits"][split]["frames"] for split in ("train", "val", "test")] == [2, 1, 1]
    assert "upma4_671" not in stderr


def test_two_files_of_one_stem_do_not_hide_other_faults(clean):
    put(clean / "train", "alone")
    save(clean / "train/images/dosa.jpg", np.zeros((4, 6, 3), np.uint8))
    save(clean / "train/images/dosa.png", np.zeros((4, 6, 3), np.uint8))
    put(clean / "val", "lonely")
    result = cook_data("doctor", clean)
    assert result.exit_code == 3
    assert all(name in result.stderr for name in ("dosa.jpg", "dosa.png", "alone.jpg", "lonely.jpg"))


def test_an_empty_split_is_a_fault(clean):
    for path in (clean / "val").rglob("*.*"):
        path.unlink()
    code, value, _ = doctor(clean)
    assert code == 3
    assert str(clean / "val") in value["splits"]["val"]["errors"][0]


def test_colours_that_are_not_exact_are_a_warning_with_a_file(clean):
    mask = COLORS[np.ones((4, 6), int)]
    mask[0, :2] = (8, 250, 4)
    save(clean / "val/masks/dosa_7.png", mask)
    code, value, _ = doctor(clean)
    path = str(clean / "val/masks/dosa_7.png")
    assert code == 0
    assert value["splits"]["val"]["off_color_pixels"] == {path: 2}
    assert any(path in warning and "2 pixels" in warning for warning in value["warnings"])


def test_classes_that_never_occur_are_a_warning(clean):
    put(clean / "val", "dosa_7", [1] * 6)
    code, value, _ = doctor(clean)
    assert (code, value["warnings"]) == (0, ["val: no pixel is stirrer, food"])


def test_masks_of_0_and_255_do_not_pass_unnoticed(tmp_path):
    """255 is ignored in index masks: a labelling tool's black and white loses all its food."""
    (tmp_path / "set").mkdir()
    table = {"classes": [{"name": "pan", "color": [0, 0, 0]}, {"name": "food", "color": [9, 9, 9]}]}
    (tmp_path / "set/classes.json").write_text(json.dumps(table))
    for split in ("train", "val"):
        put(tmp_path / "set" / split, "a")
        save(tmp_path / "set" / split / "masks/a.png", np.full((4, 6), [0, 0, 0, 255, 255, 255], np.uint8))
    result = cook_data("doctor", tmp_path / "set", "--mask-format", "index")
    assert "no pixel is food" in result.stdout


def test_other_layouts_are_read_with_the_options_that_describe_them(tmp_path):
    root = tmp_path / "set"
    for split in ("train", "val"):
        save(root / split / "a.jpg", np.zeros((4, 6, 3), np.uint8))
        save(root / split / "a_L.png", np.full((4, 6), [0, 1, 2, 3, 4, 4], np.uint8))
    names = ["stirrer", "pan", "food", "hand", "steam"]
    table = {"classes": [{"name": name, "color": [i, 0, 0]} for i, name in enumerate(names)]}
    (root / "classes.json").write_text(json.dumps(table))
    code, value, _ = doctor(root, "--images", ".", "--masks", ".", "--mask-suffix", "_L", "--mask-format", "index")
    assert (code, value["warnings"]) == (0, [])
    assert value["splits"]["val"]["pixels"] == {"stirrer": 4, "pan": 4, "food": 4, "hand": 4, "steam": 8}


@pytest.mark.parametrize(
    ("prepare", "named"),
    [
        (lambda root: (root / "classes.json").write_text("{"), "classes.json"),
        (lambda root: (root / "classes.json").write_text('[{"name": "pan", "color": [0, 0, 0]}]'), "classes.json"),
        (lambda root: (root / "val").rename(root / "valid"), "val"),
    ],
    ids=["broken classes.json", "classes.json is a list", "no val"],
)
def test_a_set_that_cannot_be_examined_is_one_line(clean, prepare, named):
    prepare(clean)
    result = cook_data("doctor", clean, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert str(clean / named) in result.stderr
    assert len(result.stderr.splitlines()) == 1


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
    assert doctor(root)[0] == 0


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
