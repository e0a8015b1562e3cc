"""`cook-data export`: what labelling tools read is what the masks say, and what is lost is said."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest
import read_exports
from click.testing import CliRunner
from labelled import BACKGROUND, FOOD, STIRRER, names, truth
from PIL import Image, ImageDraw
from pycocotools import mask as coco_masks

from cookseg.data import export_labels, import_labels
from cookseg.data.cli import main
from cookseg.data.exporters import registry
from cookseg.data.exporters.labelstudio import brush
from cookseg.data.exporters.outlines import outlines
from cookseg.data.exporters.registry import EXPORTERS
from cookseg.data.importers.registry import IMPORTERS
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.model.contract import COOKING, IGNORE, ClassTable

WAYS = [(name, shapes) for name, exporter in EXPORTERS.items() for shapes in exporter.shapes]
CLASSES = ClassTable(COOKING.names, COOKING.colors, ignore_color=(0, 0, 0))


def class_map():
    """Holes, one inside another and one that touches the edge by a corner, thin parts, parts that touch by corners."""
    found = np.full((48, 64), BACKGROUND, np.uint8)
    cv2.circle(found, (20, 20), 15, FOOD, -1)
    cv2.circle(found, (20, 20), 10, BACKGROUND, -1)
    cv2.circle(found, (20, 20), 6, FOOD, -1)
    found[20, 18:22] = BACKGROUND
    cv2.line(found, (30, 2), (60, 40), STIRRER, 1)
    found[40:44, 50] = found[42, 5:40] = STIRRER
    found[45, 2] = found[46, 3] = found[0, 63] = FOOD
    found[2:6, 50:60] = IGNORE
    found[3, 52] = FOOD
    return found


def add(root, split, name, mask=None, **options):
    """Add a frame to a dataset."""
    rng = np.random.default_rng(len(name))
    image = root / split / "images" / name
    image.parent.mkdir(parents=True, exist_ok=True)
    height, width = (48, 64) if mask is None else mask.shape
    Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(image, **options)
    if mask is not None:
        write_png(root / split / "masks" / Path(name).with_suffix(".png"), colorize(mask, CLASSES))
    return image


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Frames with all that is hard to hold, in two splits and sub-folders, and one without a mask."""
    root = tmp_path_factory.mktemp("made") / "set"
    rng = np.random.default_rng(0)
    add(root, "train", "upma_1.jpg", class_map())
    add(root, "train", "images/dosa #1.png", np.flipud(class_map()).copy())
    add(root, "val", "upma_1.png", rng.choice([0, 1, 2, IGNORE], (30, 41)).astype(np.uint8))
    add(root, "test", "upma_9.jpg")
    (root / "classes.json").write_text(json.dumps(CLASSES.to_dict()))
    return root


def run(*arguments):
    result = CliRunner().invoke(main, ["export", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def by_centres(points, size):
    return coco_masks.decode(coco_masks.merge(coco_masks.frPyObjects([points.ravel().tolist()], *size))) > 0


def by_rounding_down(points, size):
    return cv2.fillPoly(np.zeros(size, np.uint8), [points.astype(np.int32)], 1) > 0


def by_pillow(points, size):
    image = Image.new("L", size[::-1])
    ImageDraw.Draw(image).polygon([tuple(point) for point in points.tolist()], fill=1, outline=1)
    return np.array(image) > 0


class TestOutlines:
    @pytest.mark.parametrize("draw", [by_centres, by_rounding_down, by_pillow])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.7, 0.95])
    def test_any_mask_comes_back_from_every_way_of_drawing(self, draw, share):
        rng = np.random.default_rng(int(share * 100))
        for size in [(1, 1), (1, 9), (7, 1), (13, 17), (24, 31)]:
            mask = rng.random(size) < share
            parts = outlines(mask)
            drawn = np.any([draw(points, size) for points in parts] or [np.zeros(size, bool)], axis=0)
            np.testing.assert_array_equal(drawn, mask)
            assert len(parts) == cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1

    def test_a_square_runs_clockwise_and_its_hole_the_other_way(self):
        mask = np.ones((5, 5), bool)
        (points,) = outlines(mask)
        assert points.tolist() == [[0.25, 0.25], [4.75, 0.25], [4.75, 4.75], [0.25, 4.75]]
        mask[2, 2] = False
        (points,) = outlines(mask)
        x, y = points.T
        doubled = x @ np.roll(y, -1) - y @ np.roll(x, -1)
        assert doubled / 2 == pytest.approx(4.5**2 - 1.5**2)

    def test_nothing_has_no_outline(self):
        assert outlines(np.zeros((3, 4), bool)) == []


class TestRoundTrip:
    @pytest.mark.parametrize(("kind", "shapes"), [way for way in WAYS if way[0] in IMPORTERS])
    def test_import_gives_the_dataset_back(self, dataset, tmp_path, kind, shapes):
        result = run(dataset, tmp_path / "out", "--format", kind, "--shapes", shapes)
        assert result.exit_code == 0, result.stderr
        made = import_labels(tmp_path / "out", tmp_path / "back", mapping={"ignore": "ignore"})
        assert (made.frames, made.undrawn, made.failures) == ({"train": 2, "val": 1}, (), ())
        for split in ("train", "val"):
            for number, _ in enumerate(names(dataset, split)):
                found, wanted = truth(tmp_path / "back", split, number), truth(dataset, split, number)
                np.testing.assert_array_equal(found, wanted)
        assert names(tmp_path / "back", "val") == ["upma_1"]

    @pytest.mark.parametrize(
        ("kind", "shapes", "package"),
        [(kind, shapes, package) for kind, shapes in WAYS for package in read_exports.READERS[kind]],
    )
    def test_the_tools_read_what_the_masks_say(self, dataset, tmp_path, kind, shapes, package):
        export_labels(dataset, tmp_path / "out", kind=kind, shapes=shapes)
        try:
            frames, _, differ, _ = read_exports.compare(read_exports.READERS[kind][package], tmp_path / "out", dataset)
        except ModuleNotFoundError as error:
            pytest.skip(str(error))
        assert (frames, differ) == (3, 0)

    @pytest.mark.parametrize("kind", ["coco", "yolo"])
    def test_with_the_background_nothing_needs_the_label_ignore(self, dataset, tmp_path, kind):
        assert run(dataset, tmp_path / "out", "--format", kind, "--background").exit_code == 0
        made = import_labels(tmp_path / "out", tmp_path / "back", unlabelled="ignore")
        assert "ignore" not in made.labels
        np.testing.assert_array_equal(truth(tmp_path / "back", "val"), truth(dataset, "val"))


def decoded(data):
    """Read a brush stroke as Label Studio's own program does, bit by bit."""
    bits = "".join(f"{byte:08b}" for byte in data)
    place = 0

    def take(count):
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    total, word = take(32), take(5) + 1
    lengths = [take(4) + 1 for _ in range(4)]
    values = []
    while len(values) < total:
        same, run = take(1), take(lengths[take(2)]) + 1
        values += [take(word)] * run if same else [take(word) for _ in range(run)]
    return values


class TestFormats:
    @pytest.mark.parametrize("size", [(3, 5), (48, 64), (260, 300)])
    def test_a_brush_stroke_is_the_mask_in_all_four_channels(self, size):
        mask = np.zeros(size, bool)
        mask[-2:, 1:] = True
        values = np.reshape(decoded(brush(mask)), (*size, 4))
        np.testing.assert_array_equal(values, np.repeat(mask[..., None] * 255, 4, axis=2))

    def test_label_studio_gets_tasks_that_tell_empty_from_unlabelled(self, tmp_path):
        add(tmp_path / "set", "train", "a b.png", np.full((8, 9), BACKGROUND, np.uint8))
        add(tmp_path / "set", "test", "c.png")
        made = export_labels(tmp_path / "set", tmp_path / "out", kind="labelstudio", shapes="polygons")
        (task,) = json.loads((tmp_path / "out/train.json").read_text())
        assert task["data"] == {"image": "/data/local-files/?d=images/train/a%20b.png", "split": "train"}
        assert task["annotations"] == [{"result": []}]
        assert json.loads((tmp_path / "out/test.json").read_text())[0]["annotations"] == []
        assert made.notes == ()
        view = ET.parse(tmp_path / "out/config.xml").getroot()
        for tag in ("BrushLabels", "PolygonLabels"):
            assert [label.get("value") for label in view.find(tag)] == ["stirrer", "food", "ignore"]

    def test_coco_marks_what_to_ignore_and_nothing_else(self, dataset, tmp_path):
        export_labels(dataset, tmp_path / "out", kind="coco")
        value = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())
        called = {category["id"]: category["name"] for category in value["categories"]}
        crowds = {(called[entry["category_id"]], entry["iscrowd"]) for entry in value["annotations"]}
        assert crowds == {("stirrer", 0), ("food", 0), ("ignore", 1)}
        entry = value["annotations"][0]
        encoded = {"size": entry["segmentation"]["size"], "counts": entry["segmentation"]["counts"].encode()}
        assert coco_masks.area(encoded) == entry["area"]
        assert coco_masks.toBbox(encoded).tolist() == entry["bbox"]
        assert coco_masks.encode(np.asfortranarray(coco_masks.decode(encoded))) == encoded

    def test_yolo_is_laid_out_as_ultralytics_looks_for_it(self, dataset, tmp_path):
        result = run(dataset, tmp_path / "out", "--format", "yolo")
        assert "ignore, which is learnt as a class like any other" in result.stdout
        assert (tmp_path / "out/data.yaml").read_text().splitlines() == [
            "train: images/train",
            "val: images/val",
            "test: images/test",
            "names:",
            '  0: "stirrer"',
            '  1: "food"',
            '  2: "ignore"',
        ]
        texts = sorted(path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("out/**/*.txt"))
        assert texts == ["images/train/labels/dosa #1.txt", "labels/train/upma_1.txt", "labels/val/upma_1.txt"]

    @pytest.mark.parametrize("kind", EXPORTERS)
    def test_images_are_copied_or_turned_upright(self, tmp_path, kind):
        plain = add(tmp_path / "set", "train", "a.jpg", class_map())
        exif = Image.Exif()
        exif[0x0112] = 6
        add(tmp_path / "set", "train", "b.jpg", np.zeros((64, 48), np.uint8), exif=exif)
        write_png(tmp_path / "set/train/masks/b.png", colorize(class_map(), CLASSES))
        (tmp_path / "set/classes.json").write_text(json.dumps(CLASSES.to_dict()))
        assert export_labels(tmp_path / "set", tmp_path / "out", kind=kind).frames == {"train": 2}
        (copied,) = tmp_path.glob("out/**/a.jpg")
        assert copied.read_bytes() == plain.read_bytes()
        (upright,) = tmp_path.glob("out/**/b.png")
        assert read_image(upright).shape == (48, 64, 3)


class TestWhatIsSaid:
    def test_frames_that_cannot_be_read_are_named_and_left_out(self, tmp_path):
        for name in ("a.png", "b.png", "c.png"):
            add(tmp_path / "set", "train", name, np.full((8, 9), FOOD, np.uint8))
        (tmp_path / "set/train/masks/a.png").unlink()
        Image.new("RGB", (8, 9), (0, 0, 255)).save(tmp_path / "set/train/masks/b.png")
        result = run(tmp_path / "set", tmp_path / "out", "--format", "labelme", "--json")
        assert result.exit_code == 5
        value = json.loads(result.stdout)
        assert value["frames"] == {"train": 1}
        assert value["labels"] == {"stirrer": {"shapes": 0, "pixels": 0}, "food": {"shapes": 1, "pixels": 72}}
        for name in ("a.png", "b.png"):
            assert sum(name in line for line in value["failures"]) == 1
            assert name in result.stderr
        assert sorted(path.name for path in (tmp_path / "out/train").iterdir()) == ["c.json", "c.png"]

    def test_images_of_one_stem_do_not_overwrite_each_other(self, tmp_path):
        for name in ("a.bmp", "a.png", "b.png"):
            add(tmp_path / "set", "test", name)
        result = run(tmp_path / "set", tmp_path / "out", "--format", "labelme")
        assert result.exit_code == 5
        assert "a.bmp and" in result.stderr
        assert sorted(path.name for path in (tmp_path / "out/test").iterdir()) == ["a.png", "b.png"]

    def test_where_nothing_can_be_exported_nothing_is_written(self, tmp_path):
        add(tmp_path / "set", "train", "a.png", np.full((8, 9), FOOD, np.uint8))
        Image.new("RGB", (8, 9), (0, 0, 255)).save(tmp_path / "set/train/masks/a.png")
        result = run(tmp_path / "set", tmp_path / "out", "--format", "cvat")
        assert (result.exit_code, (tmp_path / "out").exists()) == (1, False)
        assert "a.png" in result.stderr

    @pytest.mark.parametrize("kind", EXPORTERS)
    @pytest.mark.parametrize("name", ["caf\udce9", "a\x01"])
    def test_a_name_that_no_file_of_labels_can_hold_costs_its_frame_only(self, tmp_path, kind, name):
        for stem in (name, "b"):
            add(tmp_path / "set", "train", f"{stem}.png", np.full((8, 9), FOOD, np.uint8))
        result = run(tmp_path / "set", tmp_path / "out", "--format", kind)
        assert result.exit_code == 5
        assert "rename the image and its mask" in result.stderr
        assert import_labels(tmp_path / "out", tmp_path / "back").frames == {"train": 1}

    @pytest.mark.parametrize("kind", EXPORTERS)
    @pytest.mark.parametrize("name", ["a\x01", "a\x7f"])
    def test_nor_is_a_class_exported_under_such_a_name(self, tmp_path, kind, name):
        add(tmp_path / "set", "train", "a.png", np.full((8, 9), FOOD, np.uint8))
        (tmp_path / "set/classes.json").write_text(
            json.dumps(ClassTable(("b", name), ((0, 0, 0), (9, 9, 9))).to_dict())
        )
        with pytest.raises(InputError, match="rename the class in"):
            export_labels(tmp_path / "set", tmp_path / "out", kind=kind)

    @pytest.mark.parametrize("kind", ["coco", "labelme", "cvat"])
    def test_background_alone_looks_as_if_nobody_had_annotated_it(self, tmp_path, kind):
        add(tmp_path / "set", "train", "a.png", np.full((8, 9), BACKGROUND, np.uint8))
        result = run(tmp_path / "set", tmp_path / "out", "--format", kind)
        assert "1 frames show background only" in result.stdout
        assert "--background gives them one" in result.stdout
        assert import_labels(tmp_path / "out", tmp_path / "back", keep_unannotated=True).frames == {"train": 1}

    def test_other_classes_are_exported_all_and_without_a_label_for_the_rest(self, tmp_path):
        table = {"classes": [{"name": "ignore", "color": [1, 2, 3]}, {"name": "car", "color": [64, 0, 128]}]}
        mask = np.array([[0, 1, 255]], np.uint8)
        add(tmp_path / "set", "train", "a.png", mask)
        write_png(tmp_path / "set/train/masks/a.png", mask)
        (tmp_path / "set/classes.json").write_text(json.dumps(table))
        result = run(tmp_path / "set", tmp_path / "out", "--format", "coco", "--mask-format", "index", "--json")
        assert json.loads(result.stdout)["labels"] == {
            "ignore": {"shapes": 1, "pixels": 1},
            "car": {"shapes": 1, "pixels": 1},
        }

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"kind": "tiff"}, "`kind='tiff'` is not a format: choose one of coco"),
            ({"kind": "yolo", "shapes": "rle"}, "`shapes='rle'`: yolo files hold polygons"),
        ],
    )
    def test_what_a_format_cannot_hold_is_refused(self, dataset, tmp_path, options, said):
        with pytest.raises(InputError, match=said):
            export_labels(dataset, tmp_path / "out", **options)

    def test_a_new_format_is_one_class(self, dataset, tmp_path, monkeypatch):
        class Counts:
            """A line for each frame."""

            name, shapes, images, ignored, bare = "counts", ("rle",), "{split}", "", False

            def write(self, frames, folder, labels):
                lines = [f"{frame.name} {len(frame.regions or ())}" for frame in frames]
                (folder / "counts.txt").write_text(";".join(lines))

        monkeypatch.setitem(registry.EXPORTERS, "counts", Counts())
        export_labels(dataset, tmp_path / "out", kind="counts")
        said = (tmp_path / "out/counts.txt").read_text()
        assert said == "images/dosa #1.png 3;upma_1.jpg 3;upma_1.png 3;upma_9.jpg 0"
