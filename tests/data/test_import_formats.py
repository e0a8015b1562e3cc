"""`cook-data import` draws what the labelling tools' own libraries wrote, as they meant it."""

import json
import shutil

import cv2
import numpy as np
import pytest
from labelled import (
    BACKGROUND,
    EGG,
    FOOD,
    GOLDEN,
    HEIGHT,
    LADLE,
    MAP,
    STIRRER,
    WIDTH,
    area,
    assert_same_but_for_edges,
    names,
    paint,
    picture,
    ring,
    run,
    truth,
)
from PIL import Image

from cookseg.runtime.model.contract import IGNORE


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
        result = run(golden / source, tmp_path / "new", "--map", f"{MAP},edge=none", "--json")
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
        assert names(tmp_path / "new") == ["pan_1", "pan_2"]
        assert_same_but_for_edges(truth(tmp_path / "new", number=1), (area(EGG), FOOD))

    def test_labelme_files_of_one_name_stay_in_their_folders(self, golden, tmp_path):
        for folder in ("train/monday", "train/tuesday", "val"):
            shutil.copytree(golden / "labelme", tmp_path / "all" / folder)
        result = run(tmp_path / "all", tmp_path / "new", "--map", f"{MAP},edge=none")
        assert result.exit_code == 0, result.stderr
        assert names(tmp_path / "new") == ["monday/pan_1", "monday/pan_2", "tuesday/pan_1", "tuesday/pan_2"]
        assert len(names(tmp_path / "new", "val")) == 2

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
        assert "1 images that nobody has annotated, such as" in result.stdout
        assert names(tmp_path / "new") == ["pan_1", "pan_3"]
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
        assert result.exit_code == 5
        assert "a.png: points 4 (egg)" in result.stderr
        assert found[1, 1] == IGNORE
        assert (found == IGNORE).sum() == 1
