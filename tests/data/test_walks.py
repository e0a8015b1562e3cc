"""Importers, the doctor and the split find the same files in a folder as all other commands."""

import json
import logging

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cookseg.data.cli import main

APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        \0\2\0\0\0\x09\0\0\0\x32\xff\xb0"
HEIGHT, WIDTH = 48, 64
EGG = [[10, 10], [40, 10], [40, 30], [10, 30]]
FLAT = [value for point in EGG for value in point]


@pytest.fixture(autouse=True)
def _undisturbed_logging():
    """Commands attach handlers; leave the loggers as they were."""
    logger = logging.getLogger("cookseg")
    before = logger.handlers[:]
    yield
    logger.handlers[:] = before


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)).save(path)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def coco(root, annotations):
    picture(root / "images/pan_1.png")
    image = {"id": 1, "file_name": "pan_1.png", "height": HEIGHT, "width": WIDTH}
    shape = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [FLAT]}
    value = {"images": [image], "annotations": [shape], "categories": [{"id": 1, "name": "egg"}]}
    text(root / annotations, json.dumps(value))


def labelme(root, annotations):
    picture((root / annotations).with_name("pan_1.png"))
    shape = {"label": "egg", "points": EGG, "shape_type": "polygon"}
    value = {"imagePath": "pan_1.png", "shapes": [shape], "imageHeight": HEIGHT, "imageWidth": WIDTH}
    text(root / annotations, json.dumps(value))


def cvat(root, annotations):
    picture((root / annotations).with_name("pan_1.png"))
    points = ";".join(f"{x},{y}" for x, y in EGG)
    polygon = f'<polygon label="egg" points="{points}"/>'
    image = f'<image id="0" name="pan_1.png" width="{WIDTH}" height="{HEIGHT}">{polygon}</image>'
    text(root / annotations, f"<annotations>{image}</annotations>")


def yolo(root, annotations):
    picture(root / "images/pan_1.png")
    shares = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in EGG)
    text(root / "labels/pan_1.txt", f"0 {shares}\n")
    text(root / annotations, "names: [egg]\n")


TOOLS = {
    "coco": (coco, "annotations/instances.json"),
    "labelme": (labelme, "day/pan_1.json"),
    "cvat": (cvat, "day/annotations.xml"),
    "yolo": (yolo, "data.yaml"),
}


def imported(source, out):
    """Import a source whose tool is not told, and return the food of the only mask."""
    result = CliRunner().invoke(main, ["import", str(source), str(out), "--map", "egg=food"])
    assert result.exit_code == 0, result.output
    (mask,) = (out / "train/masks").rglob("*.png")
    return int((np.asarray(Image.open(mask).convert("RGB")) == (0, 0, 255)).all(2).sum())


@pytest.mark.parametrize("tool", TOOLS)
def test_side_files_of_a_mac_are_not_labels(tmp_path, tool):
    write, name = TOOLS[tool]
    write(tmp_path / "in", name)
    for path in [*(tmp_path / "in").rglob("*.*")]:
        if path.is_file():
            text(path.with_name(f"._{path.name}"), APPLE_DOUBLE)
            text(tmp_path / "in/__MACOSX" / path.relative_to(tmp_path / "in").with_name(f"._{path.name}"), APPLE_DOUBLE)
            text(tmp_path / "in/__MACOSX" / path.relative_to(tmp_path / "in"), APPLE_DOUBLE)
    text(tmp_path / "in/.DS_Store", b"\0\0\0\1Bud1")
    assert imported(tmp_path / "in", tmp_path / "out") > 500


@pytest.mark.parametrize("tool", TOOLS)
def test_suffixes_may_be_capitals(tmp_path, tool):
    write, name = TOOLS[tool]
    head, _, suffix = name.rpartition(".")
    write(tmp_path / "in", f"{head}.{suffix.upper()}")
    assert imported(tmp_path / "in", tmp_path / "out") > 500


@pytest.mark.parametrize("tool", ["coco", "labelme", "cvat"])
def test_labels_behind_a_link_are_found(tmp_path, tool):
    write, name = TOOLS[tool]
    write(tmp_path / "disk", name)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/batch").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert imported(tmp_path / "in", tmp_path / "out") > 500


@pytest.fixture
def linked(tmp_path):
    """A dataset whose second session is on another disk."""
    for split, where in (("train", "a_1"), ("train", "a_2"), ("val", "b_1")):
        for folder in ("images", "masks"):
            path = tmp_path / "set" / split / folder / f"{where}.png"
            picture(path)
            if folder == "masks":
                Image.fromarray(np.full((HEIGHT, WIDTH, 3), (0, 255, 0), np.uint8)).save(path)
    for folder in ("images", "masks"):
        (tmp_path / "disk").mkdir(exist_ok=True)
        (tmp_path / "set/train" / folder).rename(tmp_path / "disk" / folder)
        (tmp_path / "set/train" / folder).mkdir()
        (tmp_path / "set/train" / folder / "poha").symlink_to(tmp_path / "disk" / folder, target_is_directory=True)
    return tmp_path / "set"


def test_the_doctor_sees_what_lies_behind_links(linked):
    (linked / "train/images/poha/photo.heic").touch()
    (linked / "train/images/poha/Thumbs.db").touch()
    (linked / "train/images/poha/@eaDir").mkdir()
    (linked / "train/images/poha/@eaDir/thumb.heic").touch()
    result = CliRunner().invoke(main, ["doctor", str(linked), "--json"])
    value = json.loads(result.stdout)
    assert "train/images/poha/photo.heic" in result.stdout
    assert "Thumbs.db" not in result.stdout
    assert "eaDir" not in result.stdout
    assert "poha/a_2" in json.dumps(value)


def test_the_doctor_names_a_loop_once(linked):
    (linked / "train/images/poha/again").symlink_to(linked / "train/images", target_is_directory=True)
    result = CliRunner().invoke(main, ["doctor", str(linked)])
    assert result.stderr.count("this link leads to") == 1
    assert "poha/again" in result.stderr


def test_a_split_copies_what_lies_behind_links(linked, tmp_path):
    result = CliRunner().invoke(main, ["split", str(linked), str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "new").rglob("images/**/*.png"))) == 3
