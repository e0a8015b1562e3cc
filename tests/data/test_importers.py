"""`cook-data import` draws what the labelling tools' own libraries wrote, by the rules that the user gave."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cookseg.data.cli import main
from cookseg.data.importers.draw import coverage
from cookseg.data.importers.labels import Images
from cookseg.data.importers.shapes import Shape, placed
from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import IGNORE, ClassTable
from cookseg.runtime.scoring.dataset import Layout, list_pairs, load_classes, read_pair

GOLDEN = Path(__file__).parent / "importers"
WIDTH, HEIGHT = 64, 48
EGG = [[8, 6], [40, 9], [44, 30], [20, 38], [6, 22]]
LADLE = [[36, 20], [60, 4], [62, 9], [42, 30]]
STIRRER, BACKGROUND, FOOD = range(3)
MAP = "egg=food,ladle=stirrer,bowl=food,dish=food"


def run(*arguments):
    result = CliRunner().invoke(main, ["import", *(str(argument) for argument in arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def picture(path, size=(HEIGHT, WIDTH), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(path, **options)
    return path


def truth(root, split="train", number=0):
    """Read the class map of a frame of the new set."""
    return read_pair(list_pairs(root, split, Layout())[number], load_classes(root), Layout()).truth


def area(points):
    """Pixels that a polygon covers, as OpenCV draws it, which includes the outline."""
    return cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [np.round(points).astype(np.int32)], 1) > 0


def ring():
    mask = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (48, 36), 9, 1, -1)
    return cv2.circle(mask, (48, 36), 3, 0, -1) > 0


def paint(*layers):
    """Background with areas of a class on it, from bottom to top."""
    expected = np.full((HEIGHT, WIDTH), BACKGROUND, np.uint8)
    for where, value in layers:
        expected[where] = value
    return expected


def assert_same_but_for_edges(found, *layers):
    """Tools differ in which pixels of an outline they count, by one pixel; nowhere else."""
    expected = paint(*layers)
    edges = np.zeros((HEIGHT, WIDTH), bool)
    for where, _ in layers:
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[where] = 1
        edges |= cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert (found == expected)[~edges].all()
    assert (found != expected).mean() < 0.05


@pytest.fixture
def golden(tmp_path):
    """A copy of what the tools wrote, with its images."""
    root = shutil.copytree(GOLDEN, tmp_path / "golden")
    for name in ("coco/pan_1.png", "labelme/pan_1.png", "yolo/images/pan_1.png", "cvat/images/pan_1.jpg"):
        picture(root / name)
    return root


class TestFormats:
    @pytest.mark.parametrize(
        ("source", "kind", "split", "layers"),
        [
            ("coco", "coco", "val", [(area(EGG), FOOD), (area(LADLE), STIRRER), (ring(), FOOD)]),
            ("coco/instances_val.json", "coco", "train", [(area(EGG), FOOD), (area(LADLE), STIRRER), (ring(), FOOD)]),
            ("yolo", "yolo", "train", [(area(EGG), FOOD), (area(LADLE), STIRRER)]),
            (
                "cvat",
                "cvat",
                "val",
                [(area(EGG), FOOD), (area(LADLE), STIRRER), (np.s_[36:44, 4:14], FOOD)],
            ),
            (
                "labelme",
                "labelme",
                "train",
                [
                    (area(EGG), FOOD),
                    (np.s_[9:20, 36:60], STIRRER),
                    (ring(), FOOD),
                    (cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (12, 40), 6, 1, -1) > 0, FOOD),
                ],
            ),
        ],
    )
    def test_what_the_tools_wrote_is_drawn_as_they_meant_it(self, golden, tmp_path, source, kind, split, layers):
        before = {path: path.read_bytes() for path in golden.rglob("*") if path.is_file()}
        result = run(golden / source, tmp_path / "new", "--map", MAP, "--json")
        assert result.exit_code == 0, result.stderr
        value = json.loads(result.stdout)
        assert value["format"] == kind
        assert_same_but_for_edges(truth(tmp_path / "new", split), *layers)
        assert {path: path.read_bytes() for path in golden.rglob("*") if path.is_file()} == before

    def test_run_lengths_are_exact(self, golden, tmp_path):
        run(golden / "coco", tmp_path / "new", "--map", "egg=none,ladle=stirrer,bowl=food")
        np.testing.assert_array_equal(truth(tmp_path / "new", "val"), paint((area(LADLE), STIRRER), (ring(), FOOD)))

    def test_labelme_may_embed_the_image_and_name_it_as_another_machine_does(self, golden, tmp_path):
        run(golden / "labelme", tmp_path / "new", "--map", MAP)
        names = [pair.name for pair in list_pairs(tmp_path / "new", "train", Layout())]
        assert names == ["pan_1", "pan_2"]
        assert_same_but_for_edges(truth(tmp_path / "new", number=1), (area(EGG), FOOD))

    def test_labelme_files_of_one_name_stay_in_their_folders(self, golden, tmp_path):
        for folder in ("train/monday", "train/tuesday", "val"):
            shutil.copytree(golden / "labelme", tmp_path / "all" / folder)
        result = run(tmp_path / "all", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 0, result.stderr
        names = [pair.name for pair in list_pairs(tmp_path / "new", "train", Layout())]
        assert names == ["monday/pan_1", "monday/pan_2", "tuesday/pan_1", "tuesday/pan_2"]
        assert len(list_pairs(tmp_path / "new", "val", Layout())) == 2

    def test_what_has_no_area_is_noted(self, golden, tmp_path):
        result = run(golden / "labelme", tmp_path / "new", "--map", MAP)
        assert "note: shapes without an area were left out: 1 line" in result.stdout

    @pytest.mark.parametrize("palette", [True, False])
    def test_masks_of_indices_with_a_table(self, tmp_path, palette):
        indices = np.zeros((4, 6), np.uint8)
        indices[1:3, 2:], indices[3] = 7, 2
        mask = Image.fromarray(indices)
        if palette:
            mask = mask.convert("P")
            mask.putpalette([7] * 768)
        (tmp_path / "masks/val").mkdir(parents=True)
        mask.save(tmp_path / "masks/val/a.png")
        picture(tmp_path / "images/val/a.jpg", (4, 6))
        (tmp_path / "table.csv").write_text("index,name\n0,table\n7,egg\n2,ladle\n")
        options = ["--images", tmp_path / "images", "--table", tmp_path / "table.csv"]
        result = run(
            tmp_path / "masks", tmp_path / "new", *options, "--map", "table=pan+background,egg=food,ladle=stirrer"
        )
        assert result.exit_code == 0, result.stderr
        np.testing.assert_array_equal(
            truth(tmp_path / "new", "val"), np.select([indices == 7, indices == 2], [2, 0], 1)
        )

    def test_masks_of_colours_with_a_table_as_camvid_has_it(self, tmp_path):
        colors = np.full((4, 6, 3), (64, 128, 64), np.uint8)
        colors[1:3, 2:], colors[3] = (192, 0, 128), (0, 128, 192)
        (tmp_path / "masks").mkdir()
        Image.fromarray(colors).save(tmp_path / "masks/a_L.png")
        picture(tmp_path / "images/a.png", (4, 6))
        (tmp_path / "colors.txt").write_text("64 128 64\tTable\n192 0 128\t\tFried egg\n0 128 192\tLadle\n")
        options = ["--images", tmp_path / "images", "--table", tmp_path / "colors.txt"]
        result = run(
            tmp_path / "masks", tmp_path / "new", *options, "--map", "Fried egg=food,Ladle=stirrer,*=pan+background"
        )
        assert result.exit_code == 0, result.stderr
        np.testing.assert_array_equal(truth(tmp_path / "new"), [[1] * 6, [1, 1, *[2] * 4], [1, 1, *[2] * 4], [0] * 6])

    def test_values_that_the_table_lacks_fail_by_name(self, tmp_path):
        (tmp_path / "masks").mkdir()
        Image.fromarray(np.uint8([[0, 9]])).save(tmp_path / "masks/a.png")
        picture(tmp_path / "images/a.png", (1, 2))
        (tmp_path / "table.json").write_text('["pan+background"]')
        result = run(
            tmp_path / "masks", tmp_path / "new", "--images", tmp_path / "images", "--table", tmp_path / "table.json"
        )
        assert result.exit_code == 1
        assert "masks/a.png has values that the table does not list: 9" in result.stderr

    def test_yolo_splits_and_windows_line_ends(self, tmp_path):
        root = tmp_path / "export"
        for split in ("train", "valid"):
            picture(root / split / "images/sub/a.jpg")
            labels = root / split / "labels/sub/a.txt"
            labels.parent.mkdir(parents=True)
            labels.write_bytes(b"\xef\xbb\xbf1 0.5 0 1 0 1 1 0.5 1\r\n\r\n")
        (root / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnames: {0: egg, 1: ladle}\n")
        result = run(root, tmp_path / "new", "--map", MAP, "--json")
        assert json.loads(result.stdout)["frames"] == {"train": 1, "val": 1}
        expected = paint((np.s_[:, WIDTH // 2 :], STIRRER))
        np.testing.assert_array_equal(truth(tmp_path / "new", "val"), expected)

    def test_images_without_labels_are_left_out_and_empty_labels_are_background(self, golden, tmp_path):
        picture(golden / "yolo/images/pan_2.png")
        picture(golden / "yolo/images/pan_3.png")
        (golden / "yolo/labels/pan_3.txt").write_text("")
        result = run(golden / "yolo", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 0
        assert "1 images without a file of labels, such as" in result.stdout
        names = [pair.name for pair in list_pairs(tmp_path / "new", "train", Layout())]
        assert names == ["pan_1", "pan_3"]
        assert (truth(tmp_path / "new", number=1) == BACKGROUND).all()

    def test_cvat_masks_turned_boxes_and_ellipses(self, tmp_path):
        shapes = """
            <box label="egg" xtl="20" ytl="10" xbr="40" ybr="20" rotation="90" z_order="0"/>
            <ellipse label="ladle" cx="50" cy="30" rx="8" ry="4" z_order="0"/>
            <mask label="ladle" rle="1,2,3" left="2" top="40" width="3" height="2" z_order="1"/>
            <points label="egg" points="1,1"/>"""
        name = f'<image name="a.png" width="{WIDTH}" height="{HEIGHT}" subset="Validation">{shapes}</image>'
        (tmp_path / "annotations.xml").write_text(f"<annotations>{name}</annotations>")
        picture(tmp_path / "images/a.png")
        result = run(tmp_path / "annotations.xml", tmp_path / "new", "--map", MAP)
        found = truth(tmp_path / "new", "val")
        np.testing.assert_array_equal(found[5:25, 25:35], np.full((20, 10), FOOD))
        assert (found == FOOD).sum() == 200
        assert found[40:42, 2:5].tolist() == [[1, 0, 0], [1, 1, 1]]
        assert (found == STIRRER).sum() - 2 == pytest.approx(np.pi * 32, abs=6)
        assert "1 points" in result.stdout


class TestRules:
    def coco(self, tmp_path, shapes, **image):
        """A COCO file of one image with rectangles (label, left, top, right, bottom)."""
        labels = sorted({shape[0] for shape in shapes})
        value = {
            "images": [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT, **image}],
            "categories": [{"id": i, "name": name} for i, name in enumerate(labels)],
            "annotations": [
                {"id": i, "image_id": 1, "category_id": labels.index(name), "segmentation": [[x, y, u, y, u, v, x, v]]}
                for i, (name, x, y, u, v) in enumerate(shapes)
            ],
        }
        (tmp_path / "labels.json").write_text(json.dumps(value))
        picture(tmp_path / "a.png")
        return tmp_path / "labels.json"

    SHAPES = (("ladle", 0, 0, 10, 10), ("egg", 4, 4, 30, 30), ("tongs", 20, 20, 24, 24))

    @pytest.mark.parametrize(
        ("order", "at_5_5", "at_22_22"),
        [("file", FOOD, STIRRER), ("area", STIRRER, STIRRER), ("stirrer,food", FOOD, FOOD), ("food,stirrer", 0, 0)],
    )
    def test_the_order_decides_what_lies_on_top(self, tmp_path, order, at_5_5, at_22_22):
        source = self.coco(tmp_path, self.SHAPES)
        run(source, tmp_path / "new", "--map", "egg=food,*=stirrer", "--order", order)
        found = truth(tmp_path / "new")
        assert (found[5, 5], found[22, 22], found[40, 40]) == (at_5_5, at_22_22, BACKGROUND)

    def test_labels_may_be_ignored_or_not_drawn(self, tmp_path):
        source = self.coco(tmp_path, self.SHAPES)
        run(source, tmp_path / "new", "--map", "egg=ignore,ladle=none,tongs=stirrer")
        found = truth(tmp_path / "new")
        assert (found[5, 5], found[1, 1], found[22, 22]) == (IGNORE, BACKGROUND, STIRRER)
        assert load_classes(tmp_path / "new").ignore_color == (0, 0, 0)

    def test_what_has_no_shape_may_be_unlabelled(self, tmp_path):
        source = self.coco(tmp_path, self.SHAPES)
        run(source, tmp_path / "new", "--map", "egg=food,*=stirrer", "--unlabelled", "ignore")
        assert truth(tmp_path / "new")[40, 40] == IGNORE

    def test_other_classes_are_those_of_the_file(self, tmp_path):
        table = ClassTable(("pot", "egg", "tongs", "ladle"), ((1, 2, 3), (9, 9, 9), (50, 0, 0), (0, 70, 0)))
        (tmp_path / "mine.json").write_text(json.dumps(table.to_dict()))
        source = self.coco(tmp_path, self.SHAPES)
        result = run(source, tmp_path / "new", "--classes", tmp_path / "mine.json")
        assert result.exit_code == 0, result.stderr
        found = truth(tmp_path / "new")
        assert (found[5, 5], found[22, 22], found[40, 40]) == (1, 2, IGNORE)

    def test_labels_without_a_class_are_listed_with_the_option_to_complete(self, tmp_path):
        result = run(self.coco(tmp_path, self.SHAPES), tmp_path / "new", "--map", "egg=food")
        assert result.exit_code == 1
        assert "ladle (1), tongs (1)" in result.stderr
        assert "--map egg=food,ladle=CLASS,tongs=CLASS\n" in result.stderr
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--map", "egg=fod"], "--map egg=fod:"),
            (["--map", "egg"], "--map egg:"),
            (["--map", "*=food", "--unlabelled", "none"], "--unlabelled none:"),
            (["--map", "*=food", "--order", "food,egg"], "--order food,egg: egg is not a class"),
        ],
    )
    def test_wrong_rules_are_named(self, tmp_path, options, said):
        result = run(self.coco(tmp_path, self.SHAPES), tmp_path / "new", *options)
        assert result.exit_code == 1
        assert said in result.stderr

    def test_the_table_says_what_each_label_became(self, tmp_path):
        result = run(self.coco(tmp_path, self.SHAPES), tmp_path / "new", "--map", "egg=food,*=stirrer", "--json")
        assert json.loads(result.stdout) == {
            "dataset": str(tmp_path / "new"),
            "format": "coco",
            "frames": {"train": 1},
            "labels": {
                "egg": {"class": "food", "shapes": 1, "pixels": 26 * 26 - 16},
                "ladle": {"class": "stirrer", "shapes": 1, "pixels": 100 - 36},
                "tongs": {"class": "stirrer", "shapes": 1, "pixels": 16},
            },
            "notes": [],
            "failures": [],
        }

    def test_the_next_step_is_named(self, tmp_path):
        result = run(self.coco(tmp_path, self.SHAPES), tmp_path / "new", "--map", "*=food")
        assert f"next: cook-data split {tmp_path / 'new'}" in result.stdout

    @pytest.mark.parametrize(("size", "turned"), [((HEIGHT, WIDTH), True), ((WIDTH, HEIGHT), False)])
    def test_the_declared_size_tells_whether_labels_were_drawn_before_exif(self, tmp_path, size, turned):
        source = self.coco(tmp_path, [("food", 0, 0, 20, 10)], height=size[0], width=size[1])
        exif = Image.Exif()
        exif[0x0112] = 6
        picture(tmp_path / "a.png", exif=exif)  # stored 64x48, shown 48x64
        result = run(source, tmp_path / "new")
        assert result.exit_code == 0, result.stderr
        expected = np.full((WIDTH, HEIGHT), BACKGROUND)
        expected[np.s_[:20, -10:] if turned else np.s_[:10, :20]] = FOOD
        np.testing.assert_array_equal(truth(tmp_path / "new"), expected)

    def test_another_size_is_a_failure(self, tmp_path):
        source = self.coco(tmp_path, [("food", 0, 0, 20, 10)], height=99)
        result = run(source, tmp_path / "new")
        assert result.exit_code == 1
        assert "was labelled at 64x99, but is 64x48" in result.stderr


class TestFailures:
    def two(self, tmp_path, **second):
        """A COCO file of a good image and one that is bad in some way."""
        value = {
            "images": [
                {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT},
                {"id": 2, "file_name": "b.png", "width": WIDTH, "height": HEIGHT, **second.get("image", {})},
            ],
            "categories": [{"id": 0, "name": "food"}],
            "annotations": [
                {"id": 5, "image_id": i, "category_id": 0, "segmentation": [[0, 0, 9, 0, 9, 9]], **entry}
                for i, entry in ((1, {}), (2, second.get("annotation", {})))
            ],
        }
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in/labels.json").write_text(json.dumps(value))
        picture(tmp_path / "in/a.png")
        picture(tmp_path / "in/b.png")
        return tmp_path / "in"

    @pytest.mark.parametrize(
        ("second", "said"),
        [
            ({"image": {"file_name": "gone.png"}}, "gone.png: no such image"),
            ({"image": {"file_name": "../b.png"}}, None),
            ({"image": {"file_name": "/etc/hostname"}}, "no such image"),
            ({"image": {"file_name": "../../outside.png"}}, "outside.png: no such image"),
            ({"image": {"file_name": "a.png"}}, "has the name of"),
            ({"image": {"height": "x"}}, "b.png"),
            ({"annotation": {"category_id": 8}}, "category 8 is not in the file"),
            ({"annotation": {"segmentation": [[0, 0, 9, 0]]}}, "4 coordinates"),
            ({"annotation": {"segmentation": [[0, 0, 9, "x", 9, 9]]}}, "not numbers"),
            ({"annotation": {"segmentation": [[0, 0, 1e12, 0, 9, 9]]}}, "coordinate of 1e+12"),
            ({"annotation": {"segmentation": [[0, 0, float("nan"), 0, 9, 9]]}}, "coordinate of nan"),
            ({"annotation": {"segmentation": {"size": [48, 64], "counts": [3, 4]}}}, "add up to 7, not to 3072"),
            ({"annotation": {"segmentation": {"size": [48, 64], "counts": [-1, 3073]}}}, "run lengths"),
            ({"annotation": {"segmentation": {"size": [4, 4], "counts": [16]}}}, "mask is for [4, 4]"),
            ({"annotation": {"segmentation": {"size": [48, 64], "counts": "o" * 40}}}, "cannot be drawn"),
        ],
    )
    def test_a_bad_frame_is_left_out_and_named_and_the_rest_done(self, tmp_path, second, said):
        source = self.two(tmp_path, **second)
        picture(tmp_path / "outside.png")
        result = run(source, tmp_path / "new", "--json")
        assert result.exit_code == (5 if said else 0), result.stderr
        value = json.loads(result.stdout)
        assert len(value["failures"]) == bool(said)
        assert said is None or said in value["failures"][0]
        assert [pair.name for pair in list_pairs(tmp_path / "new", "train", Layout())] == ["a", "b"][: 2 - bool(said)]

    def test_a_broken_image_is_left_out(self, tmp_path):
        source = self.two(tmp_path)
        (source / "b.png").write_bytes(b"no image")
        result = run(source, tmp_path / "new")
        assert result.exit_code == 5
        assert "b.png" in result.stderr

    def test_nothing_done_is_exit_1_and_no_folder(self, tmp_path):
        source = self.two(tmp_path)
        for path in source.glob("*.png"):
            path.unlink()
        result = run(source, tmp_path / "new")
        assert (result.exit_code, (tmp_path / "new").exists()) == (1, False)
        assert "--images" in result.stderr

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("a.json", b"{", "line 1"),
            ("a.json", b"\xff\xfe", "a.json is not valid JSON"),
            ("a.json", b'{"images": [{}], "annotations": []}', "'id'"),
            ("a.xml", b"<annotations>", "a.xml is not valid XML"),
            ("a.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "entities"),
            ("a.xml", b"<kml/>", "<kml>"),
            ("a.xml", b"<annotations><track/></annotations>", "CVAT for images"),
            ("data.yaml", b"names: [", "data.yaml"),
            ("data.yaml", b"path: x", "names"),
            ("a.txt", b"", "--format"),
        ],
    )
    def test_files_of_no_use_are_one_line_that_names_them(self, tmp_path, name, content, said):
        (tmp_path / name).write_bytes(content)
        result = run(tmp_path / name, tmp_path / "new")
        assert result.exit_code == 1
        assert said in result.stderr
        assert str(tmp_path / name) in result.stderr
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("0 0.5 0.5 0.2 0.2", "this is a box"),
            ("4 0 0 1 0 1 1", "class 4 has no name"),
            ("0 0 0 1", "3 coordinates"),
            ("0 0 0 1 zero 1 1", "zero"),
        ],
    )
    def test_yolo_lines_of_no_use_are_named(self, tmp_path, line, said):
        picture(tmp_path / "in/images/a.jpg")
        (tmp_path / "in/labels").mkdir()
        (tmp_path / "in/labels/a.txt").write_text(f"0 0 0 1 0 1 1\n{line}\n")
        (tmp_path / "in/data.yaml").write_text("names: [food]")
        result = run(tmp_path / "in", tmp_path / "new")
        assert result.exit_code == 1
        assert "a.txt, line 2" in result.stderr
        assert said in result.stderr


class TestPieces:
    def test_a_placed_mask_may_reach_beyond_the_frame(self):
        shape = Shape("egg", placed(np.ones((4, 4)), -2, 3, (5, 6)))
        expected = np.zeros((5, 6), bool)
        expected[3:, :2] = True
        np.testing.assert_array_equal(coverage(shape, (5, 6)), expected)

    def test_polygons_cover_the_pixels_whose_corners_they_go_through(self):
        shape = Shape("egg", [[1, 1, 4, 1, 4, 3, 1, 3]])
        expected = np.zeros((5, 6), bool)
        expected[1:3, 1:4] = True
        np.testing.assert_array_equal(coverage(shape, (5, 6)), expected)
        relative = Shape("egg", [[1 / 6, 1 / 5, 4 / 6, 1 / 5, 4 / 6, 3 / 5, 1 / 6, 3 / 5]])
        np.testing.assert_array_equal(coverage(relative, (5, 6), relative=True), expected)

    def test_parts_of_a_shape_add_up(self):
        shape = Shape("egg", [[0, 0, 2, 0, 2, 2, 0, 2], [1, 1, 4, 1, 4, 4, 1, 4]])
        assert coverage(shape, (5, 5)).sum() == 4 + 9 - 1

    def test_images_of_one_name_are_not_confused(self, tmp_path):
        picture(tmp_path / "a/1.png")
        picture(tmp_path / "b/1.png")
        images = Images([tmp_path])
        assert images.find("a\\1.png")[1] == "a/1"
        with pytest.raises(InputError, match="2 images have this name"):
            images.find("C:\\photos\\1.png")
