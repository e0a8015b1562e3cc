"""Exports that tools make for segmentation: CVAT's and Roboflow's masks, Label Studio's and Datumaro's JSON.

The files are made here as the tools write them. What the importers read was compared with Datumaro 1.13.12 (its own
format and ``voc_segmentation``, as CVAT exports it) and label-studio-sdk 2.1.2 (``converter.brush``): 0 pixels differ
for masks and run lengths, 1 at some edges of polygons and ellipses.
"""

import json
import math

import cv2
import numpy as np
import pytest
from labelled import (
    BACKGROUND,
    FOOD,
    HEIGHT,
    INSIDE,
    SQUARE,
    STIRRER,
    WIDTH,
    area,
    assert_same_but_for_edges,
    flat,
    names,
    paint,
    picture,
    ring,
    run,
    truth,
    write,
)
from PIL import Image
from pycocotools import mask as coco_masks

from cookseg.data.importers.brush import decode_brush
from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import IGNORE

MAP = "egg=food,ladle=stirrer"
EGG_COLOR, LADLE_COLOR = (250, 50, 83), (10, 200, 30)
TABLE = "# label:color_rgb:parts:actions\nbackground:0,0,0::\negg:250,50,83::\nladle:10,200,30::\n"
CLASSES = "Pixel Value, Class\n0, background\n1, egg\n2, ladle\n"


def mask_file(path, *layers, of_colors=True):
    """A mask as a tool draws it: areas and their colour or index, from bottom to top."""
    mask = np.zeros((HEIGHT, WIDTH, 3) if of_colors else (HEIGHT, WIDTH), np.uint8)
    for where, value in layers:
        mask[where] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
    return path


class TestCvatMasks:
    def export(self, root, table=TABLE):
        """Two images with masks, one in a folder, and one that nobody has annotated."""
        for name in ("pan_1", "sub/pan 2", "pan_3"):
            picture(root / f"JPEGImages/{name}.jpg")
        mask_file(root / "SegmentationClass/pan_1.png", (INSIDE, EGG_COLOR), (ring(), LADLE_COLOR))
        mask_file(root / "SegmentationClass/sub/pan 2.png", (INSIDE, LADLE_COLOR))
        mask_file(root / "SegmentationObject/pan_1.png", (INSIDE, (128, 0, 0)))
        write(root / "ImageSets/Segmentation/train.txt", "pan_1\npan_3\n")
        write(root / "ImageSets/Segmentation/val.txt", "sub/pan 2\n")
        write(root / "labelmap.txt", table)
        return root

    def test_colours_are_labels_and_lists_are_splits(self, tmp_path):
        result = run(self.export(tmp_path / "in"), tmp_path / "new", "--map", MAP, "--json")
        assert result.exit_code == 0, result.stderr
        value = json.loads(result.stdout)
        assert (value["format"], value["frames"]) == ("cvat-masks", {"train": 1, "val": 1})
        assert value["unannotated"] == [str(tmp_path / "in/JPEGImages/pan_3.jpg")]
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, FOOD), (ring(), STIRRER)))
        np.testing.assert_array_equal(truth(tmp_path / "new", "val"), paint((INSIDE, STIRRER)))
        assert names(tmp_path / "new", "val") == ["sub/pan 2"]

    def test_unannotated_frames_are_background_if_they_are_kept(self, tmp_path):
        result = run(self.export(tmp_path / "in"), tmp_path / "new", "--map", MAP, "--keep-unannotated")
        assert result.exit_code == 0, result.stderr
        assert names(tmp_path / "new") == ["pan_1", "pan_3"]
        assert (truth(tmp_path / "new", number=1) == BACKGROUND).all()

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (["--map", MAP, "--unlabelled", "ignore"], IGNORE),
            (["--map", "egg=food,*=stirrer"], BACKGROUND),
            (["--map", f"{MAP},background=food"], FOOD),
        ],
    )
    def test_the_tools_background_is_what_has_no_shape_unless_it_is_mapped(self, tmp_path, options, expected):
        run(self.export(tmp_path / "in"), tmp_path / "new", *options)
        assert truth(tmp_path / "new")[0, 0] == expected

    def test_images_may_lie_elsewhere(self, tmp_path):
        self.export(tmp_path / "in")
        (tmp_path / "in/JPEGImages").rename(tmp_path / "frames")
        assert "--images" in run(tmp_path / "in", tmp_path / "new", "--map", MAP).stderr
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP, "--images", tmp_path / "frames")
        assert result.exit_code == 0, result.stderr

    def test_several_exports_may_share_a_folder_of_images(self, tmp_path):
        for name, color in (("pan_1", EGG_COLOR), ("pan_2", LADLE_COLOR)):
            picture(tmp_path / f"frames/{name}.jpg")
            mask_file(tmp_path / f"in/{name}/SegmentationClass/{name}.png", (INSIDE, color))
            write(tmp_path / f"in/{name}/ImageSets/Segmentation/default.txt", f"{name}\n")
            write(tmp_path / f"in/{name}/labelmap.txt", TABLE)
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP, "--images", tmp_path / "frames", "--json")
        assert result.exit_code == 0, result.stderr
        assert (names(tmp_path / "new"), json.loads(result.stdout)["unannotated"]) == (["pan_1", "pan_2"], [])

    def test_a_label_may_hold_a_colon(self, tmp_path):
        source = self.export(tmp_path / "in", TABLE.replace("egg", "egg:fried"))
        assert run(source, tmp_path / "new", "--map", "egg:fried=food,ladle=stirrer").exit_code == 0

    @pytest.mark.parametrize(
        ("table", "said"),
        [
            (TABLE.replace("10,200,30", "250,50,83"), "egg and ladle have the same colour, (250, 50, 83)"),
            (TABLE.replace("10,200,30", "10,300,30"), "above 255"),
            (TABLE.replace("ladle:10,200,30::\n", ""), "(10, 200, 30)"),
        ],
    )
    def test_a_table_that_does_not_say_what_a_colour_is_is_refused(self, tmp_path, table, said):
        result = run(self.export(tmp_path / "in", table), tmp_path / "new", "--map", MAP)
        assert result.exit_code != 0
        assert said in result.stderr

    def test_two_images_of_one_name_are_named(self, tmp_path):
        picture(self.export(tmp_path / "in") / "JPEGImages/pan_1.png")
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 5
        assert "which of them is pan_1?" in result.stderr


class TestRoboflowMasks:
    def export(self, root, classes=CLASSES):
        for split, layer in (("train", (INSIDE, 1)), ("valid", (ring(), 2))):
            picture(root / split / "pan_1_jpg.rf.0a1b.jpg")
            mask_file(root / split / "pan_1_jpg.rf.0a1b_mask.png", layer, of_colors=False)
            write(root / split / "_classes.csv", classes)
        return root

    def test_indices_are_labels_and_folders_are_splits(self, tmp_path):
        result = run(self.export(tmp_path / "in"), tmp_path / "new", "--map", MAP, "--json")
        assert result.exit_code == 0, result.stderr
        value = json.loads(result.stdout)
        assert (value["format"], value["frames"]) == ("roboflow-masks", {"train": 1, "val": 1})
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, FOOD)))
        np.testing.assert_array_equal(truth(tmp_path / "new", "val"), paint((ring(), STIRRER)))
        assert names(tmp_path / "new") == ["pan_1_jpg.rf.0a1b"]

    def test_images_without_masks_and_masks_without_images_are_told(self, tmp_path):
        source = self.export(tmp_path / "in")
        picture(source / "train/pan_2.jpg")
        orphan = mask_file(source / "train/pan_3_mask.png", of_colors=False)
        result = run(source, tmp_path / "new", "--map", MAP, "--json")
        value = json.loads(result.stdout)
        assert result.exit_code == 5
        assert value["unannotated"] == [str(source / "train/pan_2.jpg")]
        assert value["failures"] == [f"{orphan}: no image of this name beside it"]

    def test_splits_whose_tables_differ_are_refused(self, tmp_path):
        source = self.export(tmp_path / "in")
        write(source / "valid/_classes.csv", "Pixel Value, Class\n0, background\n1, ladle\n2, egg\n")
        result = run(source, tmp_path / "new", "--map", MAP)
        assert result.exit_code == 1
        assert "egg and ladle have the same index, 1" in result.stderr

    def test_a_table_of_its_classification_is_not_one_of_masks(self, tmp_path):
        source = self.export(tmp_path / "in", "filename, egg, ladle\npan_1.jpg, 1, 0\n")
        assert "_classes.csv" in run(source, tmp_path / "new", "--format", "roboflow-masks").stderr

    @pytest.mark.parametrize("kind", ["cvat", "roboflow"])
    def test_masks_of_indices_take_the_tables_of_tools_too(self, tmp_path, kind):
        if kind == "cvat":
            source = TestCvatMasks().export(tmp_path / "in")
            folders = [source / "SegmentationClass", "--images", source / "JPEGImages"]
            table = source / "labelmap.txt"
        else:
            source = self.export(tmp_path / "in")
            folders, table = [source, "--images", source], source / "train/_classes.csv"
        options = ["--format", "index", "--table", table, "--map", f"{MAP},background=pan+background"]
        result = run(folders[0], tmp_path / "new", *folders[1:], *options)
        assert result.exit_code == 0, result.stderr
        assert (truth(tmp_path / "new") == FOOD).sum() > 400


def brush(mask, literal=False):
    """Label Studio's run lengths of a mask, as repeated values or as they are."""
    values = np.repeat(np.where(mask, 255, 0).ravel(), 4)
    bits = f"{values.size:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
    for start in range(0, values.size, 4):
        run_of = values[start : start + 4]
        bits += "0" + "01" + f"{3:04b}" if literal else "1" + "00" + f"{3:03b}"
        bits += "".join(f"{value:08b}" for value in (run_of if literal else run_of[:1]))
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


class TestBrush:
    FROM_SDK = (0, 0, 0, 80, 57, 27, 254, 23, 0, 183, 255, 56, 4, 127, 241, 128, 71, 255, 132, 192, 35, 255, 0)

    def test_what_the_sdk_encoded_is_decoded(self):
        rows = ["00000", "01110", "01010", "00001"]
        expected = np.array([[pixel == "1" for pixel in row] for row in rows])
        np.testing.assert_array_equal(decode_brush(list(self.FROM_SDK), (4, 5)), expected)

    @pytest.mark.parametrize("literal", [False, True])
    def test_values_may_be_repeated_or_not(self, literal):
        np.testing.assert_array_equal(decode_brush(brush(ring(), literal), (HEIGHT, WIDTH)), ring())

    @pytest.mark.parametrize(
        ("rle", "said"),
        [
            (FROM_SDK[:-4], "end too early"),
            ((0, 0, 0, 60, *FROM_SDK[4:]), "of 60 values, not of 5x4 pixels"),
            ((255,) * 30, "values, not of 5x4"),
            ((0, 0), "end too early"),
            ((300,), "not a list of bytes"),
            ("abc", "not a list of bytes"),
            (None, "not a list of bytes"),
        ],
    )
    def test_damaged_run_lengths_are_refused(self, rle, said):
        with pytest.raises(InputError, match=said):
            decode_brush(list(rle) if isinstance(rle, tuple) else rle, (4, 5))


def region(kind, value, number="a", **more):
    """An entry of a result; lengths are in percent."""
    whole = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"id": number, "type": kind, "from_name": "x", "to_name": "y", "value": value, **whole, **more}


def percent(points):
    return [[x / WIDTH * 100, y / HEIGHT * 100] for x, y in points]


def square(label="egg", number="a"):
    return region("polygonlabels", {"points": percent(SQUARE), "closed": True, "polygonlabels": [label]}, number)


def annotation(*result, **more):
    return {"id": 1, "was_cancelled": False, "result": list(result), **more}


def labelstudio(folder, *annotations, image="/data/upload/1/0a1b2c3d-pan_1.png", **more):
    """An export of a task, beside its image."""
    picture(folder / "images/0a1b2c3d-pan_1.png")
    task = {"id": 7, "data": {"image": image}, "annotations": list(annotations), "predictions": [], **more}
    return write(folder / "export.json", [task])


class TestLabelStudio:
    def drawn(self, tmp_path, *result):
        source = labelstudio(tmp_path / "in", annotation(*result))
        done = run(source, tmp_path / "new", "--map", MAP)
        assert done.exit_code == 0, done.stderr
        return truth(tmp_path / "new")

    def test_brushes_are_exact_and_later_regions_lie_on_top(self, tmp_path):
        painted = region("brushlabels", {"format": "rle", "rle": brush(ring()), "brushlabels": ["ladle"]}, "b")
        np.testing.assert_array_equal(self.drawn(tmp_path, square(), painted), paint((INSIDE, FOOD), (ring(), STIRRER)))

    def test_a_box_is_rotated_around_its_corner_in_pixels(self, tmp_path):
        box = {"x": 50, "y": 25, "width": 25, "height": 50 / 3, "rotation": 30, "rectanglelabels": ["ladle"]}
        cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))
        corners = [[32 + x * cos - y * sin, 12 + x * sin + y * cos] for x, y in ((0, 0), (16, 0), (16, 8), (0, 8))]
        assert_same_but_for_edges(self.drawn(tmp_path, region("rectanglelabels", box)), (area(corners), STIRRER))

    def test_an_ellipse_lies_around_its_centre(self, tmp_path):
        value = {"x": 50, "y": 50, "radiusX": 25, "radiusY": 12.5, "rotation": 90, "ellipselabels": ["egg"]}
        y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        expected = ((x - 32) / 6) ** 2 + ((y - 24) / 16) ** 2 <= 1
        assert_same_but_for_edges(self.drawn(tmp_path, region("ellipselabels", value)), (expected, FOOD))

    def test_a_label_may_be_an_entry_of_its_own(self, tmp_path):
        box = {"x": 0, "y": 0, "width": 50, "height": 50, "rotation": 0}
        labelled, rated = {**box, "labels": ["egg"]}, {**box, "choices": ["good"]}
        egg = [region("rectangle", box), region("labels", labelled), region("choices", rated)]
        found = self.drawn(tmp_path, *egg, square("ladle", "b"))
        np.testing.assert_array_equal(found, paint((np.s_[:24, :32], FOOD), (INSIDE, STIRRER)))

    def test_regions_that_share_an_id_are_all_drawn(self, tmp_path):
        box = {"x": 50, "y": 0, "width": 50, "height": 10, "rectanglelabels": ["ladle"]}
        found = self.drawn(tmp_path, square(), region("rectanglelabels", box))
        assert {FOOD, STIRRER} < set(np.unique(found))

    @pytest.mark.parametrize(
        ("annotations", "more"),
        [
            ([], {}),
            ([annotation(square(), was_cancelled=True)], {}),
            ([], {"predictions": [{"result": [square()]}]}),
            ([], {"drafts": [{"result": [square()]}]}),
        ],
    )
    def test_what_was_skipped_or_predicted_is_not_annotated(self, tmp_path, annotations, more):
        source = labelstudio(tmp_path / "in", *annotations, **more)
        result = run(source, tmp_path / "new", "--map", MAP)
        assert result.exit_code == 1
        assert "1 images that nobody has annotated" in result.stderr
        run(source, tmp_path / "new", "--map", MAP, "--keep-unannotated")
        assert (truth(tmp_path / "new") == BACKGROUND).all()

    def test_an_empty_annotation_that_was_submitted_says_that_there_is_nothing(self, tmp_path):
        assert (self.drawn(tmp_path) == BACKGROUND).all()

    @pytest.mark.parametrize(
        ("marks", "label"),
        [
            (({"created_at": "2024-05-02T09:00:00Z"}, {"created_at": "2024-05-01T09:00:00Z"}), FOOD),
            (({}, {}), STIRRER),
            (({"ground_truth": True}, {"created_at": "2024-05-01T09:00:00Z"}), FOOD),
            (({}, {"was_cancelled": True, "ground_truth": True}), FOOD),
        ],
    )
    def test_of_several_annotations_the_ground_truth_counts_else_the_newest(self, tmp_path, marks, label):
        both = [annotation(square(name), **mark) for name, mark in zip(("egg", "ladle"), marks, strict=True)]
        result = run(labelstudio(tmp_path / "in", *both), tmp_path / "new", "--map", MAP)
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, label)))
        assert ("1 tasks have several annotations" in result.stdout) == ("was_cancelled" not in marks[1])

    @pytest.mark.parametrize(
        ("bad", "said", "box"),
        [
            (region("keypointlabels", {"x": 50, "y": 50, "width": 6.25, "keypointlabels": ["egg"]}, "b"),
             "no area", np.s_[22:26, 30:34]),
            (region("polygonlabels", {"points": percent([[44, 2], [60, 8]]), "polygonlabels": ["egg"]}, "b"),
             "4 coordinates", np.s_[2:8, 44:60]),
            (region("polygonlabels", {"points": percent([[44, 2], [60, 8], [50, 8]]), "closed": False,
                                      "polygonlabels": ["egg"]}, "b"), "no area", np.s_[2:8, 44:60]),
        ],
    )  # fmt: skip
    def test_what_has_no_area_is_ignored_and_named(self, tmp_path, bad, said, box):
        result = run(labelstudio(tmp_path / "in", annotation(square(), bad)), tmp_path / "new", "--map", MAP)
        assert result.exit_code == 5
        assert "task 7: 0a1b2c3d-pan_1.png: region 2 (egg)" in result.stderr
        assert said in result.stderr
        found = truth(tmp_path / "new")
        assert (found[box] == IGNORE).all()
        assert (found == IGNORE).sum() == found[box].size
        assert (found[INSIDE] == FOOD).sum() > 500

    @pytest.mark.parametrize(
        "bad",
        [
            region("brushlabels", {"format": "rle", "rle": [0, 0, 0, 9], "brushlabels": ["egg"]}, "b"),
            region("bitmasklabels", {"imageDataURL": "data:image/png;base64,", "bitmasklabels": ["egg"]}, "b"),
            region("newlabels", {"outline": [], "newlabels": ["egg"]}, "b"),
            square(number="b") | {"image_rotation": 90},
        ],
    )
    def test_what_lies_nobody_knows_where_costs_the_frame(self, tmp_path, bad):
        result = run(labelstudio(tmp_path / "in", annotation(square(), bad)), tmp_path / "new", "--map", MAP)
        assert result.exit_code == 1
        assert "nobody knows where in it this lies" in result.stderr

    def test_a_region_without_a_label_needs_a_class_too(self, tmp_path):
        bare = region("polygon", {"points": percent(SQUARE)})
        assert "no_label (1)" in run(labelstudio(tmp_path / "in", annotation(bare)), tmp_path / "new").stderr

    @pytest.mark.parametrize(
        ("image", "file"),
        [
            ("/data/upload/1/0a1b2c3d-pan_1.png", "pan_1.png"),
            ("/data/local-files/?d=kitchen/monday/pan%201.png", "kitchen/monday/pan 1.png"),
            ("s3://frames/monday/pan_1.png", "monday/pan_1.png"),
            ("https://example.org/pan%201.png?token=a/b.c", "pan 1.png"),
            ("C:\\frames\\pan_1.png", "pan_1.png"),
        ],
    )
    def test_images_are_found_by_any_reference(self, tmp_path, image, file):
        source = labelstudio(tmp_path / "in", annotation(square()), image=image)
        (tmp_path / "in/images/0a1b2c3d-pan_1.png").unlink()
        picture(tmp_path / "in/images" / file)
        result = run(source, tmp_path / "new", "--map", MAP)
        assert result.exit_code == 0, result.stderr
        assert names(tmp_path / "new") == [file.removesuffix(".png")]

    def test_of_several_images_the_one_that_was_drawn_on_counts(self, tmp_path):
        source = labelstudio(tmp_path / "in", annotation(square()))
        picture(tmp_path / "in/images/other.png")
        task = json.loads(source.read_text())[0]
        task["data"] = {"image": "other.png", "y": "/data/upload/1/0a1b2c3d-pan_1.png"}
        both = {**task, "id": 8, "annotations": [annotation(square(), {**square(number="b"), "to_name": "image"})]}
        write(source, [task, both])
        result = run(source, tmp_path / "new", "--map", MAP)
        assert result.exit_code == 5
        assert "task 8: has regions on several images: image, y" in result.stderr
        assert names(tmp_path / "new") == ["0a1b2c3d-pan_1"]

    def test_one_bad_task_costs_that_task(self, tmp_path):
        source = labelstudio(tmp_path / "in", annotation(square()))
        tasks = json.loads(source.read_text())
        write(source, [*tasks, {"id": 8, "data": {"text": "no image"}, "annotations": []}, None])
        result = run(source, tmp_path / "new", "--map", MAP, "--json")
        assert result.exit_code == 5
        failures = json.loads(result.stdout)["failures"]
        assert ["task 8" in failures[0], "task 3" in failures[1], len(failures)] == [True, True, 2]


def datumaro(folder, *annotations, subset="train", **item):
    """An item of a subset and its image."""
    picture(folder / "images" / subset / "pan_1.png")
    labels = {"labels": [{"name": name, "parent": "", "attributes": []} for name in ("egg", "ladle")]}
    entry = {"id": "pan_1", "image": {"path": "pan_1.png", "size": [HEIGHT, WIDTH]}, "annotations": list(annotations)}
    value = {"dm_format_version": "1.0", "categories": {"label": labels}, "items": [entry | item]}
    return write(folder / f"annotations/{subset}.json", value)


def shape(kind, label=0, **more):
    return {"id": 1, "type": kind, "label_id": label, "group": 0, "z_order": 0, "attributes": {}, **more}


class TestDatumaro:
    OUTLINE = shape("polygon", points=[float(value) for value in flat(SQUARE)])

    def mask(self, **more):
        encoded = coco_masks.encode(np.asfortranarray(ring().astype(np.uint8)))
        return shape("mask", 1, rle={"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()}, **more)

    @pytest.mark.parametrize(("order", "layers"), [(1, [0, 1]), (-1, [1, 0])])
    def test_shapes_are_drawn_by_their_z_order_in_all_subsets(self, tmp_path, order, layers):
        for subset in ("train", "val"):
            datumaro(tmp_path / "in", self.OUTLINE, self.mask(z_order=order), subset=subset)
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP, "--json")
        assert result.exit_code == 0, result.stderr
        value = json.loads(result.stdout)
        assert (value["format"], value["frames"]) == ("datumaro", {"train": 1, "val": 1})
        both = [(INSIDE, FOOD), (ring(), STIRRER)]
        np.testing.assert_array_equal(truth(tmp_path / "new", "val"), paint(*(both[layer] for layer in layers)))

    def test_boxes_and_ellipses_are_drawn_rotated_as_cvat_says(self, tmp_path):
        box = shape("bbox", bbox=[10.0, 10.0, 30.0, 20.0], attributes={"rotation": 90.0})
        round_one = shape("ellipse", 1, points=[44.0, 30.0, 60.0, 46.0])
        datumaro(tmp_path / "in", box, round_one)
        assert run(tmp_path / "in", tmp_path / "new", "--map", MAP).exit_code == 0
        disc = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (52, 38), 8, 1, -1) > 0
        assert_same_but_for_edges(truth(tmp_path / "new"), (np.s_[5:35, 15:35], FOOD), (disc, STIRRER))

    def test_a_box_around_a_mask_of_its_group_is_not_drawn(self, tmp_path):
        datumaro(tmp_path / "in", shape("bbox", 1, bbox=[30, 20, 30, 28], group=4), self.mask(group=4))
        run(tmp_path / "in", tmp_path / "new", "--map", MAP)
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((ring(), STIRRER)))

    def test_lines_points_and_skeletons_are_ignored_and_named(self, tmp_path):
        line = shape("polyline", points=[1, 1, 9, 5])
        skeleton = shape("skeleton", elements=[shape("points", points=[50, 2]), shape("points", points=[60, 8])])
        datumaro(tmp_path / "in", self.OUTLINE, line, skeleton)
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 5
        assert "train.json: pan_1: annotation 1 (egg): Datumaro's polyline has no area" in result.stderr
        expected = paint((INSIDE, FOOD), (np.s_[1:5, 1:9], IGNORE), (np.s_[2:8, 50:60], IGNORE))
        np.testing.assert_array_equal(truth(tmp_path / "new"), expected)

    @pytest.mark.parametrize("annotations", [[], [shape("label"), shape("caption")]])
    def test_items_without_shapes_are_not_annotated(self, tmp_path, annotations):
        datumaro(tmp_path / "in", *annotations)
        assert "nobody has annotated" in run(tmp_path / "in", tmp_path / "new", "--map", MAP).stderr

    def test_an_export_without_images_is_found_by_its_ids(self, tmp_path):
        source = datumaro(tmp_path / "in", self.OUTLINE, image={"path": ""})
        result = run(source, tmp_path / "new", "--map", MAP, "--images", tmp_path / "in/images/train")
        assert result.exit_code == 0, result.stderr

    @pytest.mark.parametrize(
        ("item", "said"),
        [
            ({"annotations": [shape("polygon", 5, points=flat(SQUARE))]}, "label 5 is not in the file"),
            ({"annotations": [{"label_id": 0}]}, "'type'"),
            ({"image": None, "video": {"path": "a.mp4"}}, "holds no image"),
            ({"image": {"path": "gone.png"}}, "gone.png: no such image"),
        ],
    )
    def test_a_bad_item_is_named(self, tmp_path, item, said):
        datumaro(tmp_path / "in", self.OUTLINE, subset="val")
        datumaro(tmp_path / "in", self.OUTLINE, **item)
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 5
        assert "train.json: pan_1: " in result.stderr
        assert said in result.stderr
