"""`cook-data import` turns labels into classes by the rules that the user gave, and names what it cannot convert."""

import json

import numpy as np
import pytest
from labelled import BACKGROUND, FOOD, HEIGHT, STIRRER, WIDTH, picture, run, truth
from PIL import Image

from cookseg.data.importers.draw import coverage
from cookseg.data.importers.labels import Images
from cookseg.data.importers.shapes import Shape, placed
from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import IGNORE, ClassTable
from cookseg.runtime.scoring.dataset import Layout, list_pairs, load_classes


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
            "undrawn": [],
            "unannotated": [],
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
                {"id": 4 + i, "image_id": i, "category_id": 0, "segmentation": [[0, 0, 9, 0, 9, 9]], **entry}
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
            ({"annotation": {"segmentation": [[]]}}, "0 coordinates"),
            ({"annotation": {"segmentation": [[0, 0, 9]]}}, "3 coordinates"),
            ({"annotation": {"segmentation": [["x", "y", 9, 0, 9, 9]]}}, "not numbers"),
            ({"annotation": {"segmentation": [[float("nan"), float("inf"), 0, 0, 9, 9]]}}, "coordinate of nan"),
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
            ("4 0 0 1 0 1 1", "class 4 has no name"),
            ("0 0 0 1", "3 coordinates"),
            ("egg 0 0 1 0 1 1", "not a number"),
            ("0 0 0 300 0 300 200", "not shares"),
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
