"""What is labelled and cannot be drawn, and what nobody has labelled yet, never becomes background in silence."""

import json

import numpy as np
import pytest
from labelled import (
    BACKGROUND,
    FOOD,
    HEIGHT,
    INSIDE,
    MAP,
    SQUARE,
    WIDTH,
    coco,
    cvat,
    flat,
    labelme,
    names,
    paint,
    picture,
    run,
    truth,
    write,
)

from cookseg.data import import_labels
from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import COOKING, IGNORE
from cookseg.runtime.scoring.dataset import load_classes

NAN = float("nan")
LINE = np.s_[40:41, 2:20]


def imported(tmp_path, *options):
    """Import what lies in `in`: the exit code, the summary, and stderr."""
    picture(tmp_path / "in/pan_1.png")
    result = run(tmp_path / "in", tmp_path / "new", "--map", MAP, *options, "--json")
    return result.exit_code, json.loads(result.stdout or "{}"), result.stderr


class TestAreas:
    @pytest.mark.parametrize("kind", ["polygon", "rectangle", "oriented_rectangle", "rotation", "quadrilateral"])
    def test_four_corners_are_an_area_in_labelme_and_its_relatives(self, tmp_path, kind):
        labelme(tmp_path / "in/pan_1.json", (kind, SQUARE))
        assert imported(tmp_path)[0] == 0
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, FOOD)))

    def test_a_rotated_rectangle_is_not_its_bounds(self, tmp_path):
        labelme(tmp_path / "in/pan_1.json", ("rotation", [[30, 10], [40, 20], [30, 30], [20, 20]]))
        assert imported(tmp_path)[0] == 0
        assert (truth(tmp_path / "new") == FOOD).sum() == pytest.approx(200, abs=20)


class TestUndrawn:
    @pytest.mark.parametrize(
        ("shape", "ignored"),
        [
            (("linestrip", [[2, 40], [20, 40]]), LINE),
            (("line", [[2, 40], [20, 44]]), np.s_[40:44, 2:20]),
            (("point", [[5.5, 41.2]]), np.s_[41:42, 5:6]),
            (("points", [[5, 41], [9, 44]]), np.s_[41:44, 5:9]),
            (("polygon", [[2, 40], [20, 40]]), LINE),
            (("polygon", [[2, 40], [20, 40], [10, 40]]), LINE),
            (("rectangle", [[2, 40], [20, 40], [10, 44]]), np.s_[40:44, 2:20]),
            (("oriented_rectangle", [[2, 40], [20, 42]]), np.s_[40:42, 2:20]),
            (("cuboid", [[2, 40], [20, 40], [20, 44], [2, 44], [4, 38], [22, 38]]), np.s_[38:44, 2:22]),
            (("polygon", [[2, 40], [NAN, 40], [9, 44]]), np.s_[40:44, :]),
            (("polygon", [[2, 40], [-90, 44], [1e9, 44]]), np.s_[40:44, :]),
            (("line", [[-9, 40], [2, 99]]), np.s_[40:, :2]),
        ],
    )
    def test_labelme_bounds_are_ignored_and_the_other_labels_stay(self, tmp_path, shape, ignored):
        labelme(tmp_path / "in/pan_1.json", ("polygon", SQUARE), (*shape, "ladle"))
        code, value, stderr = imported(tmp_path)
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, FOOD), (ignored, IGNORE)))
        assert code == 5
        assert "pan_1.json: pan_1.png: shape 2 (ladle)" in stderr
        assert len(value["undrawn"]) == 1
        assert value["undrawn"][0] in stderr
        assert (value["failures"], value["frames"]) == ([], {"train": 1})
        assert load_classes(tmp_path / "new").ignore_color

    @pytest.mark.parametrize(
        ("shape", "ignored"),
        [
            ('<polyline label="ladle" points="2,40;20,40"/>', LINE),
            ('<points label="ladle" points="2.0,40.0"/>', np.s_[40:41, 2:3]),
            ('<polygon label="ladle" points="2,40;20,40"/>', LINE),
            ('<box label="ladle" xtl="2" ytl="40" xbr="20" ybr="40"/>', LINE),
            ('<mask label="ladle" rle="1,2" left="2" top="40" width="18" height="4"/>', np.s_[40:44, 2:20]),
            (
                '<skeleton label="ladle"><points label="a" points="2,40"/><points label="b" points="9,44"/></skeleton>',
                np.s_[40:44, 2:9],
            ),
            (
                '<cuboid label="ladle" xtl1="4" ytl1="38" xbl1="4" ybl1="42" xtr1="9" ytr1="38" xbr1="9" ybr1="42"'
                ' xtl2="2" ytl2="40" xbl2="2" ybl2="44" xtr2="7" ytr2="40" xbr2="7" ybr2="44"/>',
                np.s_[38:44, 2:9],
            ),
        ],
    )
    def test_cvat_bounds_are_ignored(self, tmp_path, shape, ignored):
        cvat(tmp_path / "in/a.xml", pan_1=f'<polygon label="egg" points="10,10;40,10;40,30;10,30"/>{shape}')
        code, value, _ = imported(tmp_path)
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, FOOD), (ignored, IGNORE)))
        assert code == 5
        assert "a.xml: pan_1.png: " in value["undrawn"][0]
        assert " 2 (ladle)" in value["undrawn"][0]

    @pytest.mark.parametrize(
        ("annotation", "ignored"),
        [
            ({"segmentation": [], "bbox": [2, 40, 18, 4]}, np.s_[40:44, 2:20]),
            ({"segmentation": None, "bbox": [2, 40, 18, 4]}, np.s_[40:44, 2:20]),
            ({"segmentation": [[]], "bbox": [2, 40, 18, 4]}, np.s_[40:44, 2:20]),
            ({"segmentation": [], "bbox": [6, 36, 4, 8], "attributes": {"rotation": 90}}, np.s_[38:42, 4:12]),
            ({"segmentation": [[5, 41]]}, np.s_[41:42, 5:6]),
            ({"segmentation": [[2, 40, 20, 44]]}, np.s_[40:44, 2:20]),
            ({"segmentation": [[2, 40, NAN, 44, 9, 44]], "bbox": [2, 38, 18, 9]}, np.s_[40:44, 2:20]),
            ({"segmentation": [[2, 40, 1e12, 40, 9, 44]]}, np.s_[40:44, 2:]),
            ({"segmentation": {"size": [4, 4], "counts": [16]}, "bbox": [2, 40, 18, 4]}, np.s_[40:44, 2:20]),
            ({"segmentation": {"size": [48, 64], "counts": ""}, "bbox": [2, 40, 18, 4]}, np.s_[40:44, 2:20]),
            ({"segmentation": {"size": [48, 64], "counts": "dk11[18K2N"}, "bbox": [2, 40, 18, 4]}, np.s_[40:44, 2:20]),
        ],
    )
    def test_coco_bounds_are_ignored(self, tmp_path, annotation, ignored):
        coco(tmp_path / "in/a.json", [{}, {"category_id": 2, **annotation}])
        code, value, _ = imported(tmp_path)
        found = truth(tmp_path / "new")
        np.testing.assert_array_equal(found, paint((INSIDE, FOOD), (ignored, IGNORE)))
        assert code == 5
        assert "a.json: pan_1.png: annotation 2 (ladle)" in value["undrawn"][0]

    def test_a_bad_part_of_an_annotation_costs_that_part(self, tmp_path):
        coco(tmp_path / "in/a.json", [{"segmentation": [flat(SQUARE), [5, 41]]}])
        assert imported(tmp_path)[0] == 5
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, FOOD), (np.s_[41, 5], IGNORE)))

    def test_a_box_among_outlines_of_yolo_costs_that_row(self, tmp_path):
        picture(tmp_path / "in/images/pan_1.png")
        write(tmp_path / "in/data.yaml", "names: [egg, ladle]")
        write(tmp_path / "in/labels/pan_1.txt", "0 0 0 0.5 0 0.5 0.5 0 0.5\n1 0.75 0.75 0.25 0.25\n")
        code, value, _ = imported(tmp_path)
        layers = (np.s_[: HEIGHT // 2, : WIDTH // 2], FOOD), (np.s_[30:42, 40:56], IGNORE)
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint(*layers))
        assert code == 5
        assert "pan_1.txt, line 2 (ladle): this is a box" in value["undrawn"][0]

    @pytest.mark.parametrize(("order", "at_overlap"), [((1, 2), IGNORE), ((2, 1), FOOD)])
    def test_what_is_not_known_lies_on_what_was_drawn_before(self, tmp_path, order, at_overlap):
        entries = {1: {"category_id": 1}, 2: {"category_id": 2, "segmentation": [], "bbox": [20, 20, 30, 5]}}
        coco(tmp_path / "in/a.json", [entries[number] for number in order])
        imported(tmp_path)
        found = truth(tmp_path / "new")
        assert (found[22, 30], found[22, 45], found[12, 30]) == (at_overlap, IGNORE, FOOD)

    def test_a_background_that_was_drawn_does_not_hide_it_either(self, tmp_path):
        frame = [[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]]
        labelme(
            tmp_path / "in/pan_1.json", ("polygon", frame, "pan+background"), ("line", [[2, 40], [20, 40]], "ladle")
        )
        imported(tmp_path)
        assert (truth(tmp_path / "new")[LINE] == IGNORE).all()

    def test_a_frame_may_be_skipped_instead(self, tmp_path):
        picture(tmp_path / "in/pan_2.png")
        labelme(tmp_path / "in/pan_1.json", ("polygon", SQUARE), ("line", [[2, 40], [20, 40]], "ladle"))
        labelme(tmp_path / "in/pan_2.json", ("polygon", SQUARE))
        code, value, stderr = imported(tmp_path, "--undrawn", "skip")
        assert (code, names(tmp_path / "new")) == (5, ["pan_2"])
        assert "shape 2 (ladle)" in value["undrawn"][0]
        assert "pan_1.png: left out" in value["failures"][0]
        assert value["undrawn"][0] in stderr
        assert load_classes(tmp_path / "new") == COOKING

    @pytest.mark.parametrize(
        "annotation",
        [
            {"segmentation": []},
            {"segmentation": [], "bbox": [0, 0, 0, 0]},
            {"segmentation": [[NAN, NAN, 3, 4, 5, 6]]},
            {"segmentation": {"size": [4, 4], "counts": [16]}},
        ],
    )
    def test_what_cannot_be_bounded_costs_the_frame(self, tmp_path, annotation):
        picture(tmp_path / "in/pan_2.png")
        coco(tmp_path / "in/a.json", [{}, annotation, {"image_id": 2}], images=("pan_1.png", "pan_2.png"))
        code, value, _ = imported(tmp_path)
        assert (code, names(tmp_path / "new")) == (5, ["pan_2"])
        assert "annotation 2 (egg)" in value["failures"][0]
        assert "annotation 2 (egg)" in value["undrawn"][0]

    def test_a_label_of_none_is_not_wanted_and_so_not_missed(self, tmp_path):
        labelme(tmp_path / "in/pan_1.json", ("polygon", SQUARE), ("line", [[2, 40], [20, 40]], "edge"))
        picture(tmp_path / "in/pan_1.png")
        assert run(tmp_path / "in", tmp_path / "new", "--map", f"{MAP},edge=none").exit_code == 0
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, FOOD)))

    def test_a_mask_that_says_itself_that_it_is_empty_is_named(self, tmp_path):
        coco(tmp_path / "in/a.json", [{}, {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}}])
        code, value, _ = imported(tmp_path)
        assert (code, len(value["undrawn"])) == (5, 1)
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, FOOD)))

    def test_from_python(self, tmp_path):
        picture(tmp_path / "in/pan_1.png")
        labelme(tmp_path / "in/pan_1.json", ("line", [[2, 40], [20, 40]]))
        made = import_labels(tmp_path / "in", tmp_path / "new")
        assert "shape 1 (egg)" in made.undrawn[0]
        with pytest.raises(InputError, match="nothing could be imported"):
            import_labels(tmp_path / "in", tmp_path / "skipped", undrawn="skip")
        with pytest.raises(InputError, match="`undrawn='drop'`"):
            import_labels(tmp_path / "in", tmp_path / "other", undrawn="drop")


class TestUnannotated:
    def two(self, tmp_path, kind):
        """Labels of pan_1, and pan_2, which nobody has annotated."""
        root = tmp_path / "in"
        for name in ("pan_1", "pan_2"):
            picture(root / ("images" if kind == "yolo" else "") / f"{name}.png")
        match kind:
            case "coco":
                coco(root / "a.json", [{}], images=("pan_1.png", "pan_2.png"))
            case "cvat":
                egg = '<polygon label="egg" points="10,10;40,10;40,30;10,30"/>'
                cvat(root / "a.xml", pan_1=egg, pan_2='<tag label="blurred"/>')
            case "labelme":
                labelme(root / "pan_1.json", ("polygon", SQUARE))
                labelme(root / "pan_2.json")
            case "yolo":
                write(root / "data.yaml", "names: [egg]")
                write(root / "labels/pan_1.txt", "0 0 0 1 0 1 1")
        return root

    @pytest.mark.parametrize("kind", ["coco", "cvat", "labelme", "yolo"])
    @pytest.mark.parametrize("keep", [False, True])
    def test_frames_that_nobody_annotated_are_told_and_left_out_unless_they_are_kept(self, tmp_path, kind, keep):
        root = self.two(tmp_path, kind)
        result = run(root, tmp_path / "new", "--map", MAP, *["--keep-unannotated"] * keep, "--json")
        value = json.loads(result.stdout)
        assert result.exit_code == 0
        assert names(tmp_path / "new") == ["pan_1", "pan_2"][: 1 + keep]
        assert [path.rpartition("/")[2] for path in value["unannotated"]] == ["pan_2.png"]
        assert any("1 images that nobody has annotated" in note for note in value["notes"])
        if keep:
            assert (truth(tmp_path / "new", number=1) == BACKGROUND).all()

    def test_if_nobody_annotated_any_that_is_said(self, tmp_path):
        picture(tmp_path / "in/pan_1.png")
        labelme(tmp_path / "in/pan_1.json")
        result = run(tmp_path / "in", tmp_path / "new")
        assert result.exit_code == 1
        assert "nobody has annotated" in result.stderr
        assert "--keep-unannotated" in result.stderr

    def test_an_empty_text_file_of_yolo_says_background(self, tmp_path):
        root = self.two(tmp_path, "yolo")
        write(root / "labels/pan_2.txt", "")
        assert run(root, tmp_path / "new", "--map", MAP).exit_code == 0
        assert (truth(tmp_path / "new", number=1) == BACKGROUND).all()

    def test_a_frame_of_lines_alone_has_been_annotated(self, tmp_path):
        picture(tmp_path / "in/pan_1.png")
        labelme(tmp_path / "in/pan_1.json", ("line", [[2, 40], [20, 40]]))
        code, value, _ = imported(tmp_path)
        assert (code, value["unannotated"]) == (5, [])
