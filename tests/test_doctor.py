"""`cook-data doctor` names every planted fault by its file, and no other file; `--fix` mends what it says it mends."""

import base64
import csv
import hashlib
import json
import re
import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cookseg.data.cli import main
from cookseg.data.doctor.catalogue import KINDS
from cookseg.data.doctor.labels import edge_strength, outlines
from cookseg.data.synthetic.sets import Plan, plan_shots, write
from cookseg.runtime.contract import COOKING
from cookseg.runtime.dataset import Layout, list_pairs, read_pair
from cookseg.runtime.images import read_image

COLORS = np.array([*COOKING.colors, (0, 0, 0)], np.uint8)
RED, GREEN, BLUE = COOKING.colors


def cook_data(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def doctor(root, *options):
    """Exit code, and the rows of each finding by its name."""
    result = cook_data("doctor", root, "--json", *options)
    findings = {finding["name"]: finding["rows"] for finding in json.loads(result.stdout)["findings"]}
    return result.exit_code, findings


def files(findings):
    """The first column of each finding, which is the file except where a finding is about a split, class or session."""
    return {name: sorted({next(iter(row.values())) for row in rows}) for name, rows in findings.items()}


def digest(root):
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """Exact masks of rendered scenes: 12, 4 and 2 frames of 320x240, in sessions of four frames."""
    root = tmp_path_factory.mktemp("pristine")
    list(write(plan_shots(root, Plan({"train": 12, "val": 4, "test": 2}, 4, 0, (240, 320), 1))))
    return root


@pytest.fixture
def clean(pristine, tmp_path):
    """A copy of it to plant faults in."""
    return shutil.copytree(pristine, tmp_path / "set")


class Frame:
    """A frame of the set and its mask, read and written as OpenCV does it, but in RGB."""

    def __init__(self, root, split, number):
        self.image = sorted((root / split / "images").iterdir())[number]
        self.mask = root / split / "masks" / f"{self.image.stem}.png"
        self.root = root

    def names(self, *paths):
        return [path.relative_to(self.root).as_posix() for path in paths]

    def change_image(self, function, path=None):
        save(path or self.image, function(read_image(self.image)))

    def change_mask(self, function):
        save(self.mask, function(read_image(self.mask)))


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = {"quality": 95} if path.suffix == ".jpg" else {}
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **quality)


def scale(pixels, factor, how):
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=how)


def jpeg(pixels, quality):
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def with_orientation(path, orientation):
    """Give a JPEG an EXIF orientation, as a phone does that was held otherwise; its pixels stay as they are."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(path).save(path, exif=exif, quality=95)


# Each plants a fault into a frame and returns what the doctor must say: the finding, and the file.


def no_mask(frame):
    frame.mask.unlink()
    return "image-without-mask", frame.image


def no_image(frame):
    frame.image.unlink()
    return "mask-without-image", frame.mask


def two_of_a_name(frame):
    shutil.copy(frame.mask, frame.image.with_suffix(".png"))
    return "same-name", frame.image


def truncated(frame):
    frame.image.write_bytes(frame.image.read_bytes()[:-900])
    return "unreadable", frame.image


def empty_mask(frame):
    frame.mask.write_bytes(b"")
    return "unreadable", frame.mask


def small_mask(frame):
    frame.change_mask(lambda mask: mask[::2, ::2])
    return "size-differs", frame.mask


def mask_of_the_stored_image(frame):
    with_orientation(frame.image, 6)
    return "size-differs", frame.mask


def yellow(frame):
    frame.change_mask(lambda mask: cv2.circle(mask, (100, 100), 12, (255, 255, 0), -1))
    return "wrong-colors", frame.mask


def indices(frame):
    frame.change_mask(lambda mask: mask.argmax(axis=2))
    return "wrong-values", frame.mask


def black(frame):
    frame.change_image(lambda image: image // 24)
    return "black", frame.image


def blown_out(frame):
    frame.change_image(lambda image: np.clip(image.astype(int) * 4 + 120, 0, 255))
    return "blown-out", frame.image


def blurred(frame):
    frame.change_image(lambda image: cv2.GaussianBlur(image, (0, 0), 5))
    return "blurred", frame.image


def deep(frame):
    pixels = cv2.imread(str(frame.image)).astype(np.uint16) * 257
    frame.image.unlink()
    frame.image = frame.image.with_suffix(".png")
    cv2.imwrite(str(frame.image), pixels)
    return "image-storage", frame.image


def deep_mask(frame):
    cv2.imwrite(str(frame.mask), cv2.imread(str(frame.mask)).astype(np.uint16) * 257)
    return "mask-storage", frame.mask


def anti_aliased(frame):
    frame.change_mask(lambda mask: scale(scale(mask, 0.5, cv2.INTER_LINEAR), 2, cv2.INTER_LINEAR))
    return "off-colors", frame.mask


def was_jpeg(frame):
    frame.change_mask(lambda mask: jpeg(mask, 90))
    return "off-colors", frame.mask


def coarse(frame):
    frame.change_mask(lambda mask: scale(mask[::4, ::4], 4, cv2.INTER_NEAREST))
    return "scaled-up", frame.mask


def never_labelled(frame):
    frame.change_mask(lambda mask: np.full_like(mask, GREEN))
    return "one-class", frame.mask


def upside_down(frame):
    with_orientation(frame.image, 3)
    return "turned", frame.mask


def shifted(frame):
    frame.change_mask(lambda mask: np.roll(mask, (-5, 4), axis=(0, 1)))
    return "shifted", frame.mask


def ragged(frame):
    def shake(mask):
        rows, columns = np.indices(mask.shape[:2], np.float32)
        noise = np.random.default_rng(0).normal(size=(2, *mask.shape[:2])).astype(np.float32)
        down, right = (28 * cv2.GaussianBlur(plane, (0, 0), 2) for plane in noise)
        return cv2.remap(mask, columns + right, rows + down, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)

    frame.change_mask(shake)
    return "ragged", frame.mask


def stray_click(frame):
    """A dot of another class where the frame is flat and the mask is of one class far around."""
    image = read_image(frame.image)
    mask = read_image(frame.mask)
    uneven = cv2.blur(edge_strength(image), (25, 25))
    uneven[cv2.dilate(outlines(mask.argmax(axis=2).astype(np.uint8)).astype(np.uint8), np.ones((61, 61))) > 0] = np.inf
    uneven[:20], uneven[-20:], uneven[:, :20], uneven[:, -20:] = (np.inf,) * 4
    y, x = np.unravel_index(uneven.argmin(), uneven.shape)
    color = RED if tuple(mask[y, x]) != RED else BLUE
    frame.change_mask(lambda mask: cv2.circle(mask, (int(x), int(y)), 2, color, -1))
    return "specks", frame.mask


def repeated(frame):
    session, _, number = frame.image.stem.rpartition("_")
    later = frame.image.with_stem(f"{session}_{int(number) + 1}")
    shutil.copy(frame.image, later)
    shutil.copy(frame.mask, frame.mask.with_stem(later.stem))
    return "frozen", later


def other_size(frame):
    frame.change_image(lambda image: image[20:-20, 20:-20])
    frame.change_mask(lambda mask: mask[20:-20, 20:-20])
    return "size-in-session", frame.image


def foreign(frame):
    photo = frame.image.with_name("photo.heic")
    photo.write_bytes(b"heic")
    return "unread-files", photo


PLANTS = [
    no_mask,
    no_image,
    two_of_a_name,
    truncated,
    empty_mask,
    small_mask,
    mask_of_the_stored_image,
    yellow,
    indices,
    black,
    blown_out,
    blurred,
    deep,
    deep_mask,
    anti_aliased,
    was_jpeg,
    coarse,
    never_labelled,
    upside_down,
    shifted,
    ragged,
    stray_click,
    repeated,
    other_size,
    foreign,
]
ALSO = {
    mask_of_the_stored_image: {"size-in-session"},  # turned upright, it is the only portrait
    anti_aliased: {"scaled-up"},
    shifted: {"ragged"},
    ragged: {"shifted", "specks"},
    other_size: {"blurred"},
}
"""What follows from a fault by itself, and may be said of the same frame."""


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
        frame = Frame(clean, "train", 5)
        name, path = plant(frame)
        code, findings = doctor(clean)
        found = files(findings)
        assert found.pop(name) == frame.names(path)
        assert set(found) <= ALSO.get(plant, set())
        assert all(frame.image.stem in file for names in found.values() for file in names)
        assert code == (3 if KINDS[name].severity == "error" else 0)

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
        assert doctor(clean, "--session-pattern", r"(?P<session>.*)")[1] == {}

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
        plant(Frame(clean, "train", 5))
        assert [row["looks like"] for row in doctor(clean)[1]["off-colors"]] == [cause]

    @pytest.mark.parametrize(
        ("plant", "looks_like"),
        [(small_mask, "scaled by 0.5"), (mask_of_the_stored_image, "drawn before EXIF turned the image")],
    )
    def test_the_cause_of_another_size_is_told(self, clean, plant, looks_like):
        plant(Frame(clean, "train", 5))
        assert [row["looks like"] for row in doctor(clean)[1]["size-differs"]] == [looks_like]

    def test_the_shift_is_told_as_what_would_undo_it(self, clean):
        shifted(Frame(clean, "train", 5))
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


class TestReport:
    def test_a_clean_set_in_words(self, clean):
        result = cook_data("doctor", clean)
        assert (result.exit_code, result.stderr) == (0, "")
        assert [line.split()[:4] for line in result.stdout.splitlines()[2:5]] == [
            ["train", "12", "3", "320x240"],
            ["val", "4", "1", "320x240"],
            ["test", "2", "1", "320x240"],
        ]
        assert result.stdout.endswith("nothing found\n")

    def test_a_fault_in_words(self, clean):
        frame = Frame(clean, "train", 5)
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
        frame = Frame(clean, "train", 5)
        _, path = plant(frame)
        before = digest(clean)
        code, _ = doctor(clean, "--fix", tmp_path / "mended")
        assert code == 0
        assert digest(clean) == before
        code, findings = doctor(tmp_path / "mended", "--strict")
        assert set(findings) <= {"size-in-session", "scaled-up"}
        with (tmp_path / "mended/changes.csv").open(newline="") as file:
            log = list(csv.DictReader(file))
        assert frame.names(path)[0] in {line["file"] for line in log}
        assert all(frame.image.stem in line["file"] for line in log)
        assert all(line["details"] for line in log)
        after = digest(tmp_path / "mended")
        untouched = {name: value for name, value in before.items() if frame.image.stem not in name}
        assert {name: after[name] for name in untouched} == untouched

    def test_a_mask_drawn_on_the_stored_image_is_turned_with_it(self, clean, tmp_path):
        frame = Frame(clean, "train", 5)
        stored = read_pair(list_pairs(clean, "train", Layout())[5], COOKING, Layout()).truth
        with_orientation(frame.image, 6)
        doctor(clean, "--fix", tmp_path / "mended")
        mended = read_pair(list_pairs(tmp_path / "mended", "train", Layout())[5], COOKING, Layout())
        np.testing.assert_array_equal(mended.truth, np.rot90(stored, -1))

    def test_indices_become_colours(self, clean, tmp_path):
        frame = Frame(clean, "train", 5)
        expected = read_image(frame.mask)
        indices(frame)
        doctor(clean, "--fix", tmp_path / "mended")
        np.testing.assert_array_equal(read_image(tmp_path / "mended/train/masks" / frame.mask.name), expected)

    def test_a_painted_colour_becomes_its_nearest_class_and_the_log_says_how_many_pixels(self, clean, tmp_path):
        frame = Frame(clean, "train", 5)
        frame.change_mask(lambda mask: cv2.rectangle(mask, (0, 0), (9, 9), (200, 90, 0), -1))
        doctor(clean, "--fix", tmp_path / "mended")
        assert (read_image(tmp_path / "mended/train/masks" / frame.mask.name)[:10, :10] == RED).all()
        log = (tmp_path / "mended/changes.csv").read_text()
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

    def test_what_cannot_be_mended_is_exit_3(self, clean, tmp_path):
        for path in (clean / "train/masks").iterdir():
            save(path, np.full((240, 320, 3), GREEN))
        result = cook_data("doctor", clean, "--fix", tmp_path / "mended")
        assert result.exit_code == 3
        assert "class-not-in-train" in result.stderr


class TestSheet:
    def test_the_worst_frames_come_first(self, clean, tmp_path):
        small_mask(Frame(clean, "train", 5))
        shifted(Frame(clean, "train", 7))
        result = cook_data("doctor", clean, "--sheet", tmp_path / "sheet.html")
        page = (tmp_path / "sheet.html").read_text()
        titles = re.findall(r"<figcaption><b>(.*?)</b>", page)
        assert titles == [f"train/{Frame(clean, 'train', number).image.stem}" for number in (5, 7)]
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
        frame = Frame(clean, "train", 5)
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
