"""`cook-data import` reads YOLO datasets as Ultralytics and Label Studio write them, and names what it cannot read."""

import json

import numpy as np
import pytest
from labelled import BACKGROUND, FOOD, MAP, names, picture, run, truth, write

EGG_LINE = "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"


class TestYolo:
    """Datasets as https://docs.ultralytics.com/datasets/segment/ describes them."""

    def frame(self, root, image, line=EGG_LINE):
        """An image, and its text file where Ultralytics looks for it."""
        picture(root / image)
        labels = (root / image.replace("images/", "labels/")).with_suffix(".txt")
        if line is not None:
            write(labels, line)

    def read(self, tmp_path, source="in"):
        result = run(tmp_path / source, tmp_path / "new", "--map", MAP, "--json")
        return result.exit_code, json.loads(result.stdout or "{}").get("frames"), result.stderr

    @pytest.mark.parametrize(
        ("yaml", "root"),
        [
            ("path: .\ntrain: images/train\nval: images/val\n", "in"),
            ("path: pan\ntrain: images/train\nval: images/val\n", "in/pan"),
            ("path: ../pan\ntrain: images/train\nval: images/val\n", "pan"),
            ("path: /gone/from/here\ntrain: images/train\nval: images/val\n", "in"),
            ("train: ../images/train\nval: ../images/val\n", "in"),
            ("train: C:\\data\\images\\train\nval: C:\\data\\images\\val\n", "in"),
            ("train: [images/train]\nval: [images/val]\n", "in"),
            ("train: train.txt\nval: [val.txt]\n", "in"),
            ("path: pan\ntrain: images/train\nvalidation: images/val\n", "in/pan"),
        ],
    )
    @pytest.mark.parametrize("labels", ["names: [egg]\n", "names: {0: egg}\n"])
    def test_the_images_of_each_split(self, tmp_path, yaml, root, labels):
        for split in ("train", "val"):
            self.frame(tmp_path / root, f"images/{split}/{split}_1.png")
            write(tmp_path / root / f"{split}.txt", f"./images/{split}/{split}_1.png\n\n")
        write(tmp_path / "in/data.yaml", yaml + labels)
        assert self.read(tmp_path) == (0, {"train": 1, "val": 1}, "")
        assert names(tmp_path / "new") == ["train_1"]
        assert (truth(tmp_path / "new", "val") == FOOD).sum() == 32 * 24

    @pytest.mark.parametrize("line", ["images/train/a.png", "/elsewhere/images/train/a.png", "../images/train/a.png"])
    def test_lists_of_another_machine(self, tmp_path, line):
        self.frame(tmp_path / "in", "images/train/a.png")
        self.frame(tmp_path / "in", "images/val/a.png")
        write(tmp_path / "in/lists/train.txt", f"{line}\nimages/train/gone.png\n")
        write(tmp_path / "in/data.yaml", "train: lists/train.txt\nnames: [egg]")
        code, frames, stderr = self.read(tmp_path)
        assert (code, frames, names(tmp_path / "new")) == (5, {"train": 1}, ["a"])
        assert "lists/train.txt, line 2: images/train/gone.png: no such image" in stderr

    def test_several_folders_whose_images_have_one_name(self, tmp_path):
        self.frame(tmp_path / "in", "a/images/1.png")
        self.frame(tmp_path / "in", "b/images/1.png")
        write(tmp_path / "in/data.yaml", "train:\n- a/images\n- b/images\nnames: [egg]")
        assert self.read(tmp_path) == (0, {"train": 2}, "")
        assert names(tmp_path / "new") == ["a/images/1", "b/images/1"]

    def test_images_below_the_folder_of_a_split(self, tmp_path):
        self.frame(tmp_path / "in", "train/images/1.png")
        write(tmp_path / "in/data.yaml", "train: train\nval: train\nnames: [egg]")
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 0
        assert names(tmp_path / "new") == names(tmp_path / "new", "val") == ["1"]
        assert "1 images" in result.stdout
        assert "are in train and val" in result.stdout

    def test_two_splits_that_would_come_from_one_folder_are_refused(self, tmp_path):
        self.frame(tmp_path / "in", "images/1.png")
        write(tmp_path / "in/data.yaml", "train: ../a/images\nval: ../b/images\nnames: [egg]")
        code, _, stderr = self.read(tmp_path)
        assert code == 1
        assert "train is ../a/images and val is ../b/images, but of both only" in stderr

    def test_a_folder_that_can_be_two_is_refused(self, tmp_path):
        self.frame(tmp_path / "in", "train/images/1.png")
        self.frame(tmp_path, "train/images/1.png")
        write(tmp_path / "in/data.yaml", "train: ../train/images\nnames: [egg]")
        code, _, stderr = self.read(tmp_path)
        assert code == 1
        assert f"{tmp_path / 'train/images'} or {tmp_path / 'in/train/images'}" in stderr

    def test_several_datasets_below_a_folder_are_all_read(self, tmp_path):
        for name in ("a", "b"):
            self.frame(tmp_path / "in", f"{name}/images/1.png")
            write(tmp_path / f"in/{name}/data.yaml", "train: images\nnames: [egg]")
        assert self.read(tmp_path) == (0, {"train": 2}, "")

    def test_two_files_in_one_folder_are_refused(self, tmp_path):
        self.frame(tmp_path / "in", "images/1.png")
        for name in ("data", "other"):
            write(tmp_path / f"in/{name}.yaml", "train: images\nnames: [egg]")
        code, _, stderr = self.read(tmp_path)
        assert code == 1
        assert "data.yaml and other.yaml both describe a dataset" in stderr
        assert self.read(tmp_path, "in/other.yaml")[0] == 0

    @pytest.mark.parametrize("labels", ["{0: egg, 0: ladle}", '{0: egg, "0": ladle}'])
    def test_a_class_of_two_names_is_refused(self, tmp_path, labels):
        self.frame(tmp_path / "in", "images/1.png")
        write(tmp_path / "in/data.yaml", f"names: {labels}")
        code, _, stderr = self.read(tmp_path)
        assert code == 1
        assert "a class has two names" in stderr

    def test_label_studio_writes_classes_and_no_yaml(self, tmp_path):
        self.frame(tmp_path / "in", "images/1.png", EGG_LINE.replace("0 ", "1.0 ", 1))
        write(tmp_path / "in/classes.txt", "ladle\negg\n")
        write(tmp_path / "in/notes.json", {"categories": [], "info": {}})
        assert self.read(tmp_path) == (0, {"train": 1}, "")
        assert (truth(tmp_path / "new") == FOOD).sum() == 32 * 24

    def test_its_images_may_lie_elsewhere(self, tmp_path):
        picture(tmp_path / "photos/1.png")
        write(tmp_path / "in/labels/1.txt", EGG_LINE)
        write(tmp_path / "in/classes.txt", "egg\n")
        code, _, stderr = self.read(tmp_path)
        assert code == 1
        assert "--images" in stderr
        assert run(tmp_path / "in", tmp_path / "new", "--map", MAP, "--images", tmp_path / "photos").exit_code == 0
        assert {*np.unique(truth(tmp_path / "new"))} == {FOOD, BACKGROUND}

    def test_labels_without_an_image_are_named(self, tmp_path):
        self.frame(tmp_path / "in", "images/train/1.png")
        write(tmp_path / "in/labels/train/2.txt", EGG_LINE)
        write(tmp_path / "in/labels/train/3.txt", "")
        write(tmp_path / "in/data.yaml", "train: images/train\nnames: [egg]")
        code, frames, stderr = self.read(tmp_path)
        assert (code, frames) == (5, {"train": 1})
        assert "labels/train/2.txt: no image of this name" in stderr
        assert "3.txt" not in stderr
