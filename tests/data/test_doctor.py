"""`cook-data doctor` names every planted fault by its file, and no other file."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest
from planted import (
    ALSO,
    GREEN,
    PLANTS,
    RED,
    Frame,
    anti_aliased,
    cook_data,
    digest,
    doctor,
    files,
    indices,
    jpeg,
    mask_of_the_stored_image,
    other_size,
    save,
    scale,
    shifted,
    small_mask,
    was_jpeg,
)

from cookseg.data.doctor.checks import CHECKS
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.contract import COOKING


class TestFindings:
    def test_a_clean_set_has_none(self, clean):
        before = digest(clean)
        result = cook_data("doctor", clean, "--json", "--strict")
        value = json.loads(result.stdout)
        assert (result.exit_code, value["findings"], result.stderr) == (0, [], "")
        train = value["splits"]["train"]
        assert (train["frames"], train["sessions"], train["sizes"]) == (12, 3, {"320x240": 12})
        assert sum(train["pixels"].values()) == 12 * 320 * 240
        assert value["splits"]["test"]["frames"] == 2
        assert digest(clean) == before

    @pytest.mark.parametrize("plant", PLANTS)
    def test_a_planted_fault_is_found_in_its_file_and_nothing_else(self, clean, plant):
        frame = Frame(clean, "train", 7)
        name, path = plant(frame)
        code, findings = doctor(clean)
        found = files(findings)
        assert found.pop(name) == frame.names(path)
        assert set(found) <= ALSO.get(plant, set())
        assert all(frame.image.stem in file for names in found.values() for file in names)
        assert code == (3 if CHECKS[name].severity == "error" else 0)

    def test_all_faults_at_once_are_found_in_their_files(self, clean):
        """Each fault in a frame of its own, in a set that is large enough for all."""
        sources = [Frame(clean, "train", number) for number in range(12)]
        planted = {}
        for number, plant in enumerate(PLANTS):
            source = sources[number % 12]
            name = f"session{number}_1"
            for path in (source.image, source.mask):
                shutil.copy(path, path.with_stem(name))
            frame = Frame(clean, "train", 0)
            frame.image, frame.mask = source.image.with_stem(name), source.mask.with_stem(name)
            if plant is other_size:
                continue  # a session of one frame has no usual size
            finding, path = plant(frame)
            planted.setdefault(finding, set()).update(frame.names(path))
        code, findings = doctor(clean)
        assert code == 3
        found = {name: set(names) for name, names in files(findings).items()}
        assert {name: names - found.get(name, set()) for name, names in planted.items()} == {
            name: set() for name in planted
        }
        touched = re.compile(r"session\d+_\d|photo")
        assert all(touched.search(file) for names in found.values() for file in names)


class TestSplits:
    def test_a_session_in_two_splits_is_a_warning(self, clean):
        frame = Frame(clean, "train", 0)
        for path in (frame.image, frame.mask):
            path.rename(clean / "val" / path.parent.name / path.name)
        code, findings = doctor(clean)
        session = frame.image.stem.rpartition("_")[0]
        assert (code, findings) == (0, {"session-in-splits": [{"session": session, "train": 3, "val": 1, "test": 0}]})
        assert doctor(clean, "--strict")[0] == 3
        assert set(doctor(clean, "--session-pattern", r"(?P<session>.*)")[1]) == {"session-per-frame"}

    def test_a_copy_in_another_split_is_found_under_any_name_and_quality(self, clean):
        frame, copy = Frame(clean, "train", 3), "elsewhere_1"
        darker = jpeg(scale((read_image(frame.image) * 0.9).astype(np.uint8), 0.7, cv2.INTER_AREA), 60)
        save(clean / "val/images" / f"{copy}.jpg", darker)
        save(clean / "val/masks" / f"{copy}.png", scale(read_image(frame.mask), 0.7, cv2.INTER_NEAREST))
        _, findings = doctor(clean)
        (row,) = findings["near-duplicate"]
        assert (row["file"], row["like"]) == (f"val/images/{copy}.jpg", frame.names(frame.image)[0])
        assert row["bits apart"] <= 12

    def test_a_test_frame_that_is_in_train_is_found_too(self, clean):
        frame = Frame(clean, "train", 3)
        shutil.copy(frame.image, clean / "test/images/elsewhere_1.jpg")
        assert files(doctor(clean)[1])["near-duplicate"] == ["test/images/elsewhere_1.jpg"]

    def test_an_empty_split_is_an_error(self, clean):
        for path in (clean / "val").rglob("*.*"):
            path.unlink()
        code, findings = doctor(clean)
        assert (code, findings) == (3, {"empty-split": [{"folder": "val", "images": 0, "masks": 0}]})

    @pytest.mark.parametrize(("split", "expected"), [("train", 3), ("val", 0)])
    def test_classes_that_never_occur_are_an_error_in_train(self, clean, split, expected):
        for path in (clean / split / "masks").iterdir():
            mask = read_image(path)
            mask[(mask == RED).all(axis=2)] = GREEN
            save(path, mask)
        code, findings = doctor(clean)
        assert (code, findings[f"class-not-in-{split}"]) == (expected, [{"class": "stirrer"}])


class TestDetails:
    def test_wrong_colours_are_named_with_their_pixels_and_nearest_class(self, clean):
        frame = Frame(clean, "val", 0)
        frame.change_mask(lambda mask: cv2.rectangle(mask, (0, 0), (9, 9), (250, 10, 120), -1))
        frame.change_mask(lambda mask: cv2.rectangle(mask, (10, 0), (19, 4), (255, 255, 255), -1))
        (row, other) = doctor(clean)[1]["wrong-colors"]
        assert row["colour"], row["pixels"] == ("(250, 10, 120)", 100)
        assert (row["nearest"], row["distance"], row["looks like"]) == ("stirrer", 121, "painted")
        assert (other["colour"], other["pixels"]) == ("(255, 255, 255)", 50)

    @pytest.mark.parametrize(
        ("plant", "cause"), [(anti_aliased, "resized or anti-aliased"), (was_jpeg, "was a JPEG once")]
    )
    def test_the_cause_of_off_colours_is_told(self, clean, plant, cause):
        plant(Frame(clean, "train", 7))
        assert [row["looks like"] for row in doctor(clean)[1]["off-colors"]] == [cause]

    @pytest.mark.parametrize(
        ("plant", "looks_like"),
        [(small_mask, "scaled by 0.5"), (mask_of_the_stored_image, "drawn before EXIF rotated the image")],
    )
    def test_the_cause_of_another_size_is_told(self, clean, plant, looks_like):
        plant(Frame(clean, "train", 7))
        assert [row["looks like"] for row in doctor(clean)[1]["size-differs"]] == [looks_like]

    def test_the_shift_is_told_as_what_would_undo_it(self, clean):
        shifted(Frame(clean, "train", 7))
        (row,) = doctor(clean)[1]["shifted"]
        right, down = map(int, row["better at x,y"].split(","))
        assert abs(right + 4) <= 1
        assert abs(down - 5) <= 1

    def test_masks_of_other_names_are_found_with_the_option_that_the_report_names(self, clean):
        for path in list(clean.glob("*/masks/*.png")):
            path.rename(path.with_stem(f"{path.stem}_mask"))
        assert "--mask-suffix" in cook_data("doctor", clean).stdout
        assert doctor(clean, "--mask-suffix", "_mask") == (0, {})

    def test_masks_of_0_and_255_do_not_pass_unnoticed(self, clean):
        """255 is ignored in index masks: a labelling tool's black and white loses all its food."""
        table = {"classes": [{"name": "pan", "color": [0, 0, 0]}, {"name": "food", "color": [9, 9, 9]}]}
        (clean / "classes.json").write_text(json.dumps(table))
        for path in clean.glob("*/masks/*.png"):
            save(path, 255 * (read_image(path).argmax(axis=2) == 2))
        code, findings = doctor(clean, "--mask-format", "index")
        assert (code, findings["class-not-in-train"]) == (3, [{"class": "food"}])

    def test_a_mask_that_is_all_ignored_is_an_error(self, clean):
        table = {**COOKING.to_dict(), "ignore_color": [0, 0, 0]}
        (clean / "classes.json").write_text(json.dumps(table))
        frame = Frame(clean, "train", 0)
        frame.change_mask(np.zeros_like)
        assert doctor(clean) == (3, {"unlabelled": [{"file": frame.names(frame.mask)[0]}]})

    def test_indices_that_pass_for_the_ignore_colour_are_found(self, clean):
        """0, 1 and 2 are nearly black; where that is the ignore colour, the mask would be read without an error."""
        (clean / "classes.json").write_text(json.dumps({**COOKING.to_dict(), "ignore_color": [0, 0, 0]}))
        frame = Frame(clean, "train", 0)
        indices(frame)
        code, findings = doctor(clean)
        assert (code, files(findings)) == (3, dict.fromkeys(("unlabelled", "off-colors"), frame.names(frame.mask)))

    def test_a_test_split_with_masks_is_examined_like_the_others(self, clean):
        for path in (clean / "test/images").iterdir():
            save(clean / "test/masks" / f"{path.stem}.png", np.full((240, 320, 3), GREEN))
        Frame(clean, "test", 1).mask.unlink()
        frame = Frame(clean, "test", 0)
        assert files(doctor(clean)[1]) == {"one-class": frame.names(frame.mask)}
        small_mask(frame)
        assert doctor(clean)[1].keys() == {"size-differs", "one-class"}

    def test_other_layouts_are_read_with_the_options_that_describe_them(self, clean):
        for path in list(clean.glob("*/masks/*.png")):
            save(path.parent.parent / f"{path.stem}_L.png", read_image(path).argmax(axis=2))
            path.unlink()
        for path in list(clean.glob("*/images/*")):
            path.rename(path.parent.parent / path.name)
        options = ["--images", ".", "--masks", ".", "--mask-suffix", "_L", "--mask-format", "index"]
        assert doctor(clean, *options) == (0, {})


@pytest.mark.integration
def test_a_model_finds_the_mask_that_it_disagrees_with(scenes, model, tmp_path):
    root = shutil.copytree(scenes, tmp_path / "set")
    frame = Frame(root, "train", 2)
    frame.change_mask(lambda mask: mask[..., ::-1])  # stirrer and food exchanged
    found = files(doctor(root, "-m", model)[1])
    assert found["disagrees"] == frame.names(frame.mask)
    assert "disagrees" not in files(doctor(scenes, "-m", model)[1])
