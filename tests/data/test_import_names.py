"""Names that are hard to tell apart: of labels, of classes and of images."""

import json
import unicodedata
import zipfile

import numpy as np
import pytest
import test_import_exports as exports
from labelled import BACKGROUND, FOOD, INSIDE, SQUARE, coco, labelme, names, paint, picture, ring, run, truth, write
from PIL import Image

from cookseg.data import import_labels
from cookseg.data.importers.tables import read_table
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.masks import read_mask_image
from cookseg.runtime.model.contract import ClassTable

MAP = ["--map", "egg=food,ladle=stirrer"]
COLORS = ((0, 0, 0), (9, 9, 9), (50, 50, 50), (99, 99, 99))


def split_off(text):
    return unicodedata.normalize("NFD", text)


class TestAccents:
    """macOS splits accents off in names of files, and so do zip archives that are packed there."""

    def test_an_image_is_found_by_either_form_of_its_name(self, tmp_path):
        picture(tmp_path / f"in/{split_off('crêpe')}_1.png")
        source = coco(tmp_path / "in/a.json", [{}], images=("crêpe_1.png",))
        assert run(source, tmp_path / "new", *MAP).exit_code == 0

    def test_so_are_the_images_of_a_list(self, tmp_path):
        source = exports.TestCvatMasks().export(tmp_path / "in")
        for path in (source / "JPEGImages/pan_1.jpg", source / "SegmentationClass/pan_1.png"):
            path.rename(path.with_stem(split_off("crêpe")))
        write(source / "ImageSets/Segmentation/train.txt", "crêpe\npan_3\n")
        assert run(source, tmp_path / "new", *MAP).exit_code == 0

    @pytest.mark.parametrize("written", ["crêpe", split_off("crêpe")])
    def test_a_label_never_goes_to_the_other_ones_because_of_its_accents(self, tmp_path, written):
        picture(tmp_path / "pan_1.png")
        source = coco(tmp_path / "a.json", [{}], categories=(written,))
        other = split_off(written) if written == "crêpe" else "crêpe"
        assert run(source, tmp_path / "new", "--map", f"{other}=food,*=pan+background").exit_code == 0
        assert (truth(tmp_path / "new")[INSIDE] == FOOD).all()


class TestImages:
    def test_a_folder_in_one_of_the_same_name_holds_other_images(self, tmp_path):
        for folder, shade in (("train", 10), ("train/train", 200)):
            picture(tmp_path / f"in/{folder}/pan_1.png")
            Image.fromarray(np.full((48, 64, 3), shade, np.uint8)).save(tmp_path / f"in/{folder}/pan_1.png")
        labelme(tmp_path / "in/train/pan_1.json", ("polygon", SQUARE))
        assert run(tmp_path / "in", tmp_path / "new", *MAP).exit_code == 0
        (image,) = tmp_path.glob("new/train/images/*.png")
        assert read_mask_image(image).max() == 10

    def test_so_it_does_in_the_folder_of_a_subset(self, tmp_path):
        for folder in ("images/train", "images/train/train"):
            picture(tmp_path / f"in/{folder}/pan_1.png")
        source = coco(tmp_path / "in/annotations/instances_train.json", [{}], images=("pan_1.png", "train/pan_1.png"))
        assert run(source, tmp_path / "new", *MAP, "--keep-unannotated").exit_code == 0
        assert names(tmp_path / "new") == ["pan_1", "train/pan_1"]

    def test_an_image_may_stand_in_two_lists_of_a_split(self, tmp_path):
        source = exports.TestCvatMasks().export(tmp_path / "in")
        write(source / "ImageSets/Segmentation/train_2.txt", "pan_1\npan_1\n")
        result = run(source, tmp_path / "new", *MAP)
        assert (result.exit_code, result.stderr) == (0, "")

    @pytest.mark.parametrize("names_of_files", ["ab", "ba"])
    @pytest.mark.parametrize("kind", ["coco", "labelme"])
    def test_two_formats_of_one_suffix_are_two(self, tmp_path, kind, names_of_files):
        one, other = names_of_files
        if kind == "coco":
            coco(tmp_path / f"in/{one}.json", [{}])
        else:
            labelme(tmp_path / f"in/{one}.json", ("polygon", SQUARE), image="pan_1.png")
        task = {"id": 1, "data": {"image": "pan_1.png"}, "annotations": [exports.annotation(exports.square())]}
        write(tmp_path / f"in/{other}.json", [task])
        picture(tmp_path / "in/pan_1.png")
        result = run(tmp_path / "in", tmp_path / "new", *MAP)
        assert result.exit_code == 1
        assert "holds labels of several formats" in result.stderr
        assert "choose one with --format" in result.stderr
        assert run(tmp_path / "in", tmp_path / "new", *MAP, "--format", "labelstudio").exit_code == 0

    def test_damage_beside_costs_no_other_file(self, tmp_path):
        picture(tmp_path / "in/pan_1.png")
        labelme(tmp_path / "in/a.json", ("polygon", SQUARE), image="pan_1.png")
        write(tmp_path / "in/b.json", "{")
        assert run(tmp_path / "in", tmp_path / "new", *MAP).exit_code == 5

    @pytest.mark.parametrize("options", [[], ["--keep-unannotated"]])
    def test_an_image_that_another_task_annotates_is_annotated(self, tmp_path, options):
        picture(tmp_path / "pan_1.png")
        task = {"data": {"image": "pan_1.png"}}
        skipped = {**task, "annotations": [exports.annotation(was_cancelled=True)]}
        source = write(tmp_path / "a.json", [skipped, {**task, "annotations": [exports.annotation(exports.square())]}])
        result = run(source, tmp_path / "new", *MAP, *options, "--json")
        assert (result.exit_code, json.loads(result.stdout)["unannotated"]) == (0, [])
        assert (truth(tmp_path / "new")[INSIDE] == FOOD).all()

    def test_an_archive_in_an_archive_is_to_be_unpacked_first(self, tmp_path):
        for name, content in (("inner.zip", "a.txt"), ("outer.zip", "inner.zip")):
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                archive.write(tmp_path / content if content != "a.txt" else write(tmp_path / "a.txt", "a"), content)
        assert "or unpack the archive that it is in" in run(tmp_path / "outer.zip", tmp_path / "new").stderr


class TestLabels:
    @pytest.mark.parametrize(
        ("name", "label"),
        [
            (" egg, sunny side", "egg, sunny side"),
            (" egg ", "egg"),
            ('"egg, ""sunny"""', 'egg, "sunny"'),
            (' 6" pan', '6" pan'),
            (' "hot', '"hot'),
        ],
    )
    def test_roboflows_names_are_read_as_they_are(self, tmp_path, name, label):
        table = write(tmp_path / "_classes.csv", f"Pixel Value, Class\n0, background \n1,{name}\n2, ladle\n")
        assert read_table(table).values == {0: "background", 1: label, 2: "ladle"}

    @pytest.mark.parametrize(("label", "shown"), [("", "'' (1)"), ("egg ", "'egg ' (1)"), ("egg", "egg (1)")])
    def test_labels_that_cannot_be_seen_are_quoted(self, tmp_path, label, shown):
        picture(tmp_path / "pan_1.png")
        result = run(coco(tmp_path / "a.json", [{}], categories=(label,)), tmp_path / "new")
        assert f"labels: {shown}; " in result.stderr


class TestClasses:
    def imported(self, tmp_path, classes, **options):
        picture(tmp_path / "pan_1.png")
        mask = {"size": [48, 64], "counts": exports.coco_masks.encode(np.asfortranarray(ring()))["counts"].decode()}
        source = coco(tmp_path / "a.json", [{}, {"category_id": 2, "segmentation": mask}])
        table = ClassTable(classes, COLORS[: len(classes)])
        import_labels(source, tmp_path / "new", classes=table, **options)
        return truth(tmp_path / "new")

    def test_a_class_with_a_comma_is_asked_for_in_a_file(self, tmp_path):
        with pytest.raises(InputError, match=r'put background, "food, fried", ignore, none .*labels.toml'):
            self.imported(tmp_path, ("background", "food, fried"))

    @pytest.mark.parametrize("order", ["food, fried, food", "food,food, fried", "food , food, fried"])
    def test_an_order_may_hold_classes_with_commas_and_blanks(self, tmp_path, order):
        classes = ("background", "food, fried", "food")
        mapping = {"egg": "food, fried", "ladle": "food"}
        found = self.imported(tmp_path, classes, mapping=mapping, order=order)
        layers = [(INSIDE, 1), (ring(), 2)]
        wanted = np.zeros_like(found)
        for where, value in layers if order.endswith(" food") else layers[::-1]:
            wanted[where] = value
        np.testing.assert_array_equal(found, wanted)

    def test_a_class_that_is_called_a_star_is_not_for_every_other_label(self, tmp_path):
        with pytest.raises(InputError, match=r"no class is known for these labels: egg \(1\), ladle \(1\)"):
            self.imported(tmp_path, ("background", "*"))

    @pytest.mark.parametrize("name", ["ignore", "none"])
    def test_a_class_that_has_the_name_of_another_target_is_not_mapped_to(self, tmp_path, name):
        with pytest.raises(InputError, match=f"{name} is a class, too: give that another name"):
            self.imported(tmp_path, ("background", name), mapping={"egg": name, "*": "background"})

    def test_an_empty_class_for_the_rest_is_not_the_default_one(self, tmp_path):
        picture(tmp_path / "pan_1.png")
        source = coco(tmp_path / "a.json", [{}])
        assert "--unlabelled ''" in run(source, tmp_path / "new", *MAP, "--unlabelled", "").stderr
        assert run(source, tmp_path / "new", *MAP).exit_code == 0
        np.testing.assert_array_equal(truth(tmp_path / "new"), paint((INSIDE, FOOD)))
        assert BACKGROUND in truth(tmp_path / "new")
