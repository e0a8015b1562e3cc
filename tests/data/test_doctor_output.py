"""What `cook-data doctor` says, fixes and draws: report, `--fix` and `--sheet`."""

import base64
import csv
import re

import cv2
import numpy as np
import pytest
from planted import (
    GREEN,
    RED,
    Frame,
    anti_aliased,
    cook_data,
    deep,
    deep_mask,
    digest,
    doctor,
    empty_mask,
    indices,
    mask_of_the_stored_image,
    no_image,
    no_mask,
    save,
    shifted,
    small_mask,
    stray_click,
    truncated,
    two_of_a_name,
    upside_down,
    was_jpeg,
    with_orientation,
    yellow,
)

from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.contract import COOKING
from cookseg.runtime.scoring.dataset import Layout, list_pairs, read_pair


class TestReport:
    def test_a_clean_set_in_words(self, clean):
        result = cook_data("doctor", clean)
        assert (result.exit_code, result.stderr) == (0, "")
        assert [line.split()[:4] for line in result.stdout.splitlines()[2:5]] == [
            ["train", "12", "3", "320x240"],
            ["val", "4", "2", "320x240"],
            ["test", "2", "1", "320x240"],
        ]
        assert result.stdout.endswith("nothing found\n")

    def test_a_fault_in_words(self, clean):
        frame = Frame(clean, "train", 7)
        small_mask(frame)
        result = cook_data("doctor", clean)
        assert result.exit_code == 3
        assert "error: masks of another size than their image (1)" in result.stdout
        assert frame.names(frame.mask)[0] in result.stdout
        assert result.stderr == f"Error: {clean}: 1 size-differs\n"

    @pytest.mark.parametrize(
        ("prepare", "named"),
        [
            (lambda root: (root / "classes.json").write_text("{"), "classes.json"),
            (lambda root: (root / "classes.json").write_text('[{"name": "pan", "color": [0, 0, 0]}]'), "classes.json"),
            (lambda root: (root / "val").rename(root / "valid"), "val"),
        ],
        ids=["broken classes.json", "classes.json is a list", "no val"],
    )
    def test_a_set_that_cannot_be_examined_is_one_line(self, clean, prepare, named):
        prepare(clean)
        result = cook_data("doctor", clean, "--json")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: ")
        assert str(clean / named) in result.stderr
        assert len(result.stderr.splitlines()) == 1

    @pytest.mark.parametrize("pattern", ["(", "no group"])
    def test_a_pattern_that_finds_no_session_is_refused(self, clean, pattern):
        result = cook_data("doctor", clean, "--session-pattern", pattern)
        assert result.exit_code == 2
        assert "--session-pattern" in result.stderr


class TestFix:
    @pytest.mark.parametrize(
        "plant",
        [
            small_mask,
            mask_of_the_stored_image,
            yellow,
            indices,
            deep,
            deep_mask,
            anti_aliased,
            was_jpeg,
            upside_down,
            truncated,
            no_mask,
            no_image,
            two_of_a_name,
            empty_mask,
        ],
    )
    def test_the_copy_has_no_errors_and_every_change_is_in_the_log(self, clean, tmp_path, plant):
        frame = Frame(clean, "train", 7)
        _, path = plant(frame)
        before = digest(clean)
        code, _ = doctor(clean, "--fix", tmp_path / "fixed")
        assert code == 0
        assert digest(clean) == before
        code, findings = doctor(tmp_path / "fixed", "--strict")
        assert set(findings) <= {"size-in-session", "scaled-up"}
        with (tmp_path / "fixed/changes.csv").open(newline="") as file:
            log = list(csv.DictReader(file))
        assert frame.names(path)[0] in {line["file"] for line in log}
        assert all(frame.image.stem in line["file"] for line in log)
        assert all(line["details"] for line in log)
        after = digest(tmp_path / "fixed")
        untouched = {name: value for name, value in before.items() if frame.image.stem not in name}
        assert {name: after[name] for name in untouched} == untouched

    def test_a_mask_drawn_on_the_stored_image_is_rotated_with_it(self, clean, tmp_path):
        frame = Frame(clean, "train", 7)
        stored = read_pair(list_pairs(clean, "train", Layout())[7], COOKING, Layout()).truth
        with_orientation(frame.image, 6)
        doctor(clean, "--fix", tmp_path / "fixed")
        fixed = read_pair(list_pairs(tmp_path / "fixed", "train", Layout())[7], COOKING, Layout())
        np.testing.assert_array_equal(fixed.truth, np.rot90(stored, -1))

    def test_indices_become_colours(self, clean, tmp_path):
        frame = Frame(clean, "train", 7)
        expected = read_image(frame.mask)
        indices(frame)
        doctor(clean, "--fix", tmp_path / "fixed")
        np.testing.assert_array_equal(read_image(tmp_path / "fixed/train/masks" / frame.mask.name), expected)

    def test_a_painted_colour_becomes_its_nearest_class_and_the_log_says_how_many_pixels(self, clean, tmp_path):
        frame = Frame(clean, "train", 7)
        frame.change_mask(lambda mask: cv2.rectangle(mask, (0, 0), (9, 9), (200, 90, 0), -1))
        doctor(clean, "--fix", tmp_path / "fixed")
        assert (read_image(tmp_path / "fixed/train/masks" / frame.mask.name)[:10, :10] == RED).all()
        log = (tmp_path / "fixed/changes.csv").read_text()
        assert '"100 pixels of (200, 90, 0) became stirrer, 105 away"' in log

    @pytest.mark.parametrize("place", ["inside", "."])
    def test_the_copy_is_never_inside_the_set(self, clean, place):
        before = digest(clean)
        result = cook_data("doctor", clean, "--fix", clean / place)
        assert result.exit_code == 1
        assert "inside" in result.stderr
        assert digest(clean) == before

    def test_a_folder_in_use_is_refused_before_anything_is_read(self, clean, tmp_path):
        (tmp_path / "used").mkdir()
        (tmp_path / "used/notes.txt").write_text("mine")
        (clean / "classes.json").write_text("{")
        result = cook_data("doctor", clean, "--fix", tmp_path / "used")
        assert result.exit_code == 1
        assert "used: this folder is not empty" in result.stderr

    def test_what_cannot_be_fixed_is_exit_3(self, clean, tmp_path):
        for path in (clean / "train/masks").iterdir():
            save(path, np.full((240, 320, 3), GREEN))
        result = cook_data("doctor", clean, "--fix", tmp_path / "fixed")
        assert result.exit_code == 3
        assert "class-not-in-train" in result.stderr


class TestSheet:
    def test_the_worst_frames_come_first(self, clean, tmp_path):
        small_mask(Frame(clean, "train", 7))
        shifted(Frame(clean, "train", 6))
        result = cook_data("doctor", clean, "--sheet", tmp_path / "sheet.html")
        page = (tmp_path / "sheet.html").read_text()
        titles = re.findall(r"<figcaption><b>(.*?)</b>", page)
        assert titles == [f"train/{Frame(clean, 'train', number).image.stem}" for number in (7, 6)]
        assert "2 frames drawn" in result.stdout
        data = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (240, 640, 3)
        assert not re.search(r"(src|href)=\"(?!data:)", page)

    def test_a_picture_shows_frame_and_mask(self, clean, tmp_path):
        cook_data("doctor", clean, "--sheet", tmp_path / "sheet.png")
        sheet = read_image(tmp_path / "sheet.png")
        frame = Frame(clean, "train", 0)
        np.testing.assert_array_equal(sheet[32:272, :320], read_image(frame.image))
        mask = read_image(frame.mask)
        stirrer = (mask == RED).all(axis=2)
        assert sheet[32:272, 320:640][stirrer].mean(axis=0).argmax() == 0

    def test_names_are_text_and_no_markup(self, clean, tmp_path):
        frame = Frame(clean, "train", 7)
        small_mask(frame)
        for path in (frame.image, frame.mask):
            path.rename(path.with_stem("<b>&amp;"))
        cook_data("doctor", clean, "--sheet", tmp_path / "sheet.html")
        assert "train/&lt;b&gt;&amp;amp;" in (tmp_path / "sheet.html").read_text()

    def test_every_fault_can_be_drawn(self, clean, tmp_path):
        for number, plant in enumerate([truncated, empty_mask, small_mask, yellow, indices, stray_click]):
            plant(Frame(clean, "train", number))
        result = cook_data("doctor", clean, "--sheet", tmp_path / "sheet.png")
        assert "6 frames drawn" in result.stdout

    def test_other_kinds_of_file_are_refused_before_anything_is_done(self, clean, tmp_path):
        result = cook_data("doctor", clean, "--sheet", tmp_path / "sheet.pdf")
        assert result.exit_code == 2
        assert "sheet.pdf" in result.stderr
