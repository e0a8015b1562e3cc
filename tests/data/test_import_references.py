"""References of labels that point at two things, or at none, are resolved by the tool's own rule or refused by name."""

import json

import numpy as np
import pytest
from labelled import (
    FOOD,
    INSIDE,
    MAP,
    SQUARE,
    coco,
    cvat,
    labelme,
    names,
    paint,
    picture,
    run,
    truth,
    write,
)
from PIL import Image

from cookseg.data.importers.labels import Images
from cookseg.runtime.errors import InputError

POLYGON = '<polygon label="egg" points="10,10;40,10;40,30;10,30"/>'
OTHER = [[2, 2], [8, 2], [8, 8], [2, 8]]


def edited(path, change):
    """Change the content of a JSON file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


class TestIds:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda value: value["images"][1].update(id=1), "image id 1: pan_1.png and pan_2.png"),
            (lambda value: value["images"][1].update(id="1"), "image id '1': pan_1.png and pan_2.png"),
            (lambda value: value["categories"][1].update(id=1), "category id 1: egg and ladle"),
            (lambda value: value["categories"][1].update(id=1.0), "category id 1.0: egg and ladle"),
            (lambda value: value["annotations"][1].update(id=1), "annotation id 1: of image 1 and of image 2"),
            (lambda value: value["images"][1].update(id=True), "id True"),
            (lambda value: value["images"][1].update(id=None), "id None"),
        ],
    )
    def test_one_id_of_two_things_is_refused(self, tmp_path, change, said):
        picture(tmp_path / "in/pan_1.png")
        picture(tmp_path / "in/pan_2.png")
        path = coco(tmp_path / "in/a.json", [{}, {"image_id": 2}], images=("pan_1.png", "pan_2.png"))
        edited(path, change)
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 1
        assert f"{path}: " in result.stderr
        assert said in result.stderr

    def test_ids_of_two_types_are_one(self, tmp_path):
        picture(tmp_path / "in/pan_1.png")
        coco(tmp_path / "in/a.json", [{"image_id": "1", "category_id": "1"}])
        assert run(tmp_path / "in", tmp_path / "new", "--map", MAP).exit_code == 0
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, FOOD)))

    def test_an_entry_that_is_there_twice_says_one_thing(self, tmp_path):
        picture(tmp_path / "in/pan_1.png")
        path = coco(tmp_path / "in/a.json", [{}])
        edited(path, lambda value: [value[key].append(value[key][0]) for key in ("images", "categories")])
        assert run(tmp_path / "in", tmp_path / "new", "--map", MAP).exit_code == 0

    def test_annotations_of_an_image_that_is_not_listed_are_named(self, tmp_path):
        picture(tmp_path / "in/pan_1.png")
        coco(tmp_path / "in/a.json", [{}, {"image_id": 7}])
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 5
        assert "a.json: annotation 2: of the image 7" in result.stderr


class TestSeveralFiles:
    def test_all_files_of_cvat_below_a_folder_are_read(self, tmp_path):
        for task in (1, 2):
            picture(tmp_path / f"in/task_{task}/images/frame_0.png")
            cvat(tmp_path / f"in/task_{task}/annotations.xml", frame_0=POLYGON)
        assert run(tmp_path / "in", tmp_path / "new", "--map", MAP).exit_code == 0
        assert names(tmp_path / "new") == ["task_1/images/frame_0", "task_2/images/frame_0"]

    def test_one_that_cannot_be_read_is_named_and_the_rest_done(self, tmp_path):
        picture(tmp_path / "in/a/images/pan_1.png")
        cvat(tmp_path / "in/a/annotations.xml", pan_1=POLYGON)
        write(tmp_path / "in/b/annotations.xml", "<annotations><track/></annotations>")
        write(tmp_path / "in/c/voc.xml", "<annotation/>")
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 5
        assert "b/annotations.xml: holds tracks" in result.stderr
        assert "c/voc.xml: not a CVAT file" in result.stdout
        assert names(tmp_path / "new") == ["pan_1"]

    def test_labels_of_two_formats_are_refused(self, tmp_path):
        picture(tmp_path / "in/pan_1.png")
        cvat(tmp_path / "in/a.xml", pan_1=POLYGON)
        coco(tmp_path / "in/b.json", [{}])
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 1
        assert f"coco ({tmp_path / 'in/b.json'})" in result.stderr
        assert f"cvat ({tmp_path / 'in/a.xml'})" in result.stderr
        assert run(tmp_path / "in", tmp_path / "new", "--map", MAP, "--format", "cvat").exit_code == 0

    @pytest.mark.parametrize("same", [True, False])
    def test_an_image_that_is_labelled_twice_is_named(self, tmp_path, same):
        picture(tmp_path / "in/pan_1.png")
        picture(tmp_path / "in/pan_2.png")
        labelme(tmp_path / "in/a.json", ("polygon", SQUARE), image="pan_1.png")
        labelme(tmp_path / "in/b.json", ("polygon", SQUARE if same else OTHER), image="pan_1.png")
        labelme(tmp_path / "in/pan_2.json", ("polygon", SQUARE))
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 5
        assert "pan_1.png: has the name of" in result.stderr
        assert names(tmp_path / "new") == (["pan_1", "pan_2"] if same else ["pan_2"])

    def test_two_masks_of_one_name_are_refused(self, tmp_path):
        for name in ("masks/a.png", "masks/a.bmp", "images/a.png"):
            picture(tmp_path / name)
        result = run(tmp_path / "masks", tmp_path / "new", "--images", tmp_path / "images")
        assert result.exit_code == 1
        assert "two masks of one name" in result.stderr


class TestNames:
    @pytest.mark.parametrize("path", ["../../images/{}/frame_1.png", "frame_1.png", "C:\\photos\\{}\\frame_1.png"])
    def test_the_longest_end_of_a_path_decides(self, tmp_path, path):
        for session, points in (("s1", SQUARE), ("s2", OTHER)):
            picture(tmp_path / f"images/{session}/frame_1.png")
            labelme(tmp_path / f"labels/{session}/frame_1.json", ("polygon", points), image=path.format(session))
        result = run(tmp_path / "labels", tmp_path / "new", "--images", tmp_path / "images", "--map", MAP)
        assert result.exit_code == 0, result.stderr
        assert names(tmp_path / "new") == ["s1/frame_1", "s2/frame_1"]
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, FOOD)))

    @pytest.mark.parametrize("beside", [True, False])
    def test_the_subset_of_a_coco_file_names_the_folder_of_its_images(self, tmp_path, beside):
        for subset in ("Train", "Validation"):
            picture(tmp_path / f"in/images/{subset}/frame_0.png")
            coco(tmp_path / f"in/annotations/instances_{subset}.json", [{}], images=("frame_0.png",))
        given = [] if beside else ["--images", tmp_path / "in/images"]
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP, *given)
        assert result.exit_code == 0, result.stderr
        assert names(tmp_path / "new") == names(tmp_path / "new", "val") == ["frame_0"]

    def test_the_subset_of_a_cvat_image_does_too(self, tmp_path):
        for subset in ("a", "b"):
            picture(tmp_path / f"in/images/{subset}/frame_0.png")
        entries = (
            f'<image name="frame_0.png" subset="{subset}" width="64" height="48">{POLYGON}</image>' for subset in "ab"
        )
        write(tmp_path / "in/annotations.xml", f"<annotations>{''.join(entries)}</annotations>")
        assert run(tmp_path / "in", tmp_path / "new", "--map", MAP).exit_code == 0
        assert names(tmp_path / "new") == ["a/frame_0", "b/frame_0"]

    def test_what_still_can_be_two_images_is_refused(self, tmp_path):
        for folder in ("a", "b"):
            picture(tmp_path / folder / "x/1.png")
        images = Images([tmp_path])
        assert images.find("/elsewhere/b/x/1.png")[1] == "b/x/1"
        assert images.find("1.png", "a/x")[1] == "a/x/1"
        for name in ("1.png", "x/1.png", "c/x/1.png"):
            with pytest.raises(InputError, match="2 images have this name"):
                images.find(name)
        with pytest.raises(InputError, match="2 images have this name"):
            Images([tmp_path / "a", tmp_path / "b"]).find("x/1.png")

    def test_a_folder_that_is_linked_holds_no_other_images(self, tmp_path):
        picture(tmp_path / "a/1.png")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        assert Images([tmp_path / "a", tmp_path / "b"]).find("1.png")[1] == "1"

    def test_an_image_of_another_folder_is_not_taken(self, tmp_path):
        picture(tmp_path / "images/s2/1.png")
        for name in ("s1/1.png", "/photos/s1/1.png"):
            with pytest.raises(InputError, match=r"s2/1\.png may be another"):
                Images([tmp_path / "images"]).find(name)
        assert Images([tmp_path / "images/s2"]).find("s1/1.png")[1] == "1"

    def test_masks_that_have_no_image_and_images_that_have_two_are_named(self, tmp_path):
        for name in ("masks/a.png", "masks/b.png", "masks/b_L.png", "masks/c.png"):
            picture(tmp_path / name).unlink()
            Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / name)
        for name in ("images/a.png", "images/b.png"):
            picture(tmp_path / name, (4, 6))
        result = run(tmp_path / "masks", tmp_path / "new", "--images", tmp_path / "images", "--map", "*=food")
        assert result.exit_code == 5
        assert "images/b.png: has two masks" in result.stderr
        assert "masks/c.png: no image of this name" in result.stderr
        assert names(tmp_path / "new") == ["a"]
