"""Datasets as people lay them out: every image meets its own mask, and what is alone or doubled is named."""

import json
from pathlib import Path

import numpy as np
import pytest

from cookseg.runtime.errors import DatasetError, ImageError, InputError, MaskError
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.model.contract import COOKING
from cookseg.runtime.scoring.dataset import Layout, Pair, list_images, list_pairs, list_split, load_classes, read_pair

STANDARD = Layout()
TABLE = {"classes": [{"name": "pan", "color": [0, 0, 0]}, {"name": "dosa", "color": [255, 128, 0]}]}


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def below(folder, listing):
    """A listing with paths below a folder, as text."""
    return (
        [(p.name, str(p.image.relative_to(folder)), str(p.mask.relative_to(folder))) for p in listing.pairs],
        [str(path.relative_to(folder)) for path in listing.images_alone],
        [str(path.relative_to(folder)) for path in listing.masks_alone],
    )


LAYOUTS = {
    "standard": (
        STANDARD,
        ["images/b.jpg", "images/a.png", "masks/a.png", "masks/b.png"],
        [("a", "images/a.png", "masks/a.png"), ("b", "images/b.jpg", "masks/b.png")],
    ),
    "names as in the seed case": (
        STANDARD,
        [
            "images/palakpaneer_1610_533.jpg",
            "images/upma4_671.jpg",
            "masks/palakpaneer_1610_533.png",
            "masks/upma4_671.png",
        ],
        [
            ("palakpaneer_1610_533", "images/palakpaneer_1610_533.jpg", "masks/palakpaneer_1610_533.png"),
            ("upma4_671", "images/upma4_671.jpg", "masks/upma4_671.png"),
        ],
    ),
    "other folders": (Layout("rgb", "gt"), ["rgb/a.bmp", "gt/a.tif"], [("a", "rgb/a.bmp", "gt/a.tif")]),
    "suffix in a folder of its own": (
        Layout("frames", "labels", "_L"),
        ["frames/0006.png", "labels/0006_L.png", "labels/0006.txt"],
        [("0006", "frames/0006.png", "labels/0006_L.png")],
    ),
    "beside with suffix": (
        Layout("images", "images", "_mask"),
        ["images/a.png", "images/a_mask.png", "images/mask_b.jpg", "images/mask_b_mask.jpg"],
        [("a", "images/a.png", "images/a_mask.png"), ("mask_b", "images/mask_b.jpg", "images/mask_b_mask.jpg")],
    ),
    "beside without suffix": (
        Layout("images", "images"),
        ["images/a.jpg", "images/a.png", "images/b.JPEG", "images/b.PNG"],
        [("a", "images/a.jpg", "images/a.png"), ("b", "images/b.JPEG", "images/b.PNG")],
    ),
    "all in the split's folder": (
        Layout(".", ".", "_mask"),
        ["a.jpg", "a_mask.png", "late/a.jpg", "late/a_mask.png"],
        [("a", "a.jpg", "a_mask.png"), ("late/a", "late/a.jpg", "late/a_mask.png")],
    ),
    "the same folder by two names": (
        Layout("images", "./images"),
        ["images/a.jpg", "images/a.png"],
        [
            ("a", "images/a.jpg", "images/a.png"),
        ],
    ),
    "masks in a folder inside the images'": (
        Layout(".", "masks"),
        ["a.jpg", "masks/a.png", "late/a.jpg", "masks/late/a.png"],
        [("a", "a.jpg", "masks/a.png"), ("late/a", "late/a.jpg", "masks/late/a.png")],
    ),
    "images in a folder inside the masks'": (
        Layout("images", "."),
        ["images/a.jpg", "a.png"],
        [("a", "images/a.jpg", "a.png")],
    ),
    "sub-folders with the same names in each": (
        STANDARD,
        ["images/day1/0001.jpg", "images/day2/0001.jpg", "masks/day1/0001.png", "masks/day2/0001.png"],
        [
            ("day1/0001", "images/day1/0001.jpg", "masks/day1/0001.png"),
            ("day2/0001", "images/day2/0001.jpg", "masks/day2/0001.png"),
        ],
    ),
    "dots, spaces and other scripts": (
        STANDARD,
        ["images/पालक पनीर.v1.jpg", "images/brûlée.jpg", "masks/पालक पनीर.v1.png", "masks/brûlée.png"],
        [
            ("brûlée", "images/brûlée.jpg", "masks/brûlée.png"),
            ("पालक पनीर.v1", "images/पालक पनीर.v1.jpg", "masks/पालक पनीर.v1.png"),
        ],
    ),
    "what is no image": (
        STANDARD,
        ["images/a.jpg", "masks/a.png", "images/Thumbs.db", "images/a.txt", "images/._a.jpg", "masks/._a.png"],
        [("a", "images/a.jpg", "masks/a.png")],
    ),
    "hidden folders": (
        STANDARD,
        ["images/a.jpg", "masks/a.png", "images/.ipynb_checkpoints/a-checkpoint.jpg"],
        [("a", "images/a.jpg", "masks/a.png")],
    ),
    "folders named like images": (
        STANDARD,
        ["images/clip.png/1.jpg", "masks/clip.png/1.png"],
        [("clip.png/1", "images/clip.png/1.jpg", "masks/clip.png/1.png")],
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_every_image_meets_its_own_mask(tmp_path, case):
    layout, files, expected = LAYOUTS[case]
    touch(tmp_path / "train", *files)
    assert below(tmp_path / "train", list_split(tmp_path, "train", layout)) == (expected, [], [])


def test_what_is_alone_is_listed(tmp_path):
    touch(tmp_path / "val", "images/a.jpg", "images/b.jpg", "masks/b.png", "masks/c.png")
    pairs, images, masks = below(tmp_path / "val", list_split(tmp_path, "val", STANDARD))
    assert [name for name, *_ in pairs] == ["b"]
    assert (images, masks) == (["images/a.jpg"], ["masks/c.png"])


def test_names_differ_in_case_as_files_do(tmp_path):
    touch(tmp_path / "val", "images/Upma.jpg", "masks/upma.png")
    assert list_split(tmp_path, "val", STANDARD).pairs == []


def test_a_mask_named_only_by_its_suffix_belongs_to_no_image(tmp_path):
    touch(tmp_path / "val", "images/a.jpg", "masks/a_mask.png", "masks/_mask.png")
    listing = list_split(tmp_path, "val", Layout(mask_suffix="_mask"))
    assert below(tmp_path / "val", listing) == ([("a", "images/a.jpg", "masks/a_mask.png")], [], ["masks/_mask.png"])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            ["images/a.jpg", "images/b.jpg", "masks/b.png"],
            r"1 images have no mask.*images/a\.jpg.*`mask.*doctor",
        ),
        (["images/b.jpg", "masks/b.png", "masks/c.png"], r"1 masks have no image.*masks/c\.png"),
        (["images/notes.txt", "masks/notes.txt"], r"images: no images here"),
        (["masks/a.png"], "images"),
        (["images/a.png"], "masks"),
    ],
)
def test_incomplete_splits_are_refused(tmp_path, files, message):
    touch(tmp_path / "val", *files)
    with pytest.raises(DatasetError, match=message):
        list_pairs(tmp_path, "val", STANDARD)


def test_a_missing_mask_folder_leads_to_the_option_that_names_it(tmp_path):
    touch(tmp_path / "val", "images/a.png", "labels/a.png")
    with pytest.raises(DatasetError, match=r"val/masks.*`masks`"):
        list_pairs(tmp_path, "val", STANDARD)


@pytest.mark.parametrize("twins", [("images/a.jpg", "images/a.png"), ("masks/a.png", "masks/a.bmp")])
def test_two_files_of_one_stem_are_both_named(tmp_path, twins):
    touch(tmp_path / "val", "images/a.jpg", "masks/a.png", *twins)
    with pytest.raises(DatasetError) as caught:
        list_pairs(tmp_path, "val", STANDARD)
    assert all(str(tmp_path / "val" / twin) in str(caught.value) for twin in twins)


def test_images_are_listed_in_one_order_on_every_machine(tmp_path):
    touch(tmp_path, "b.jpg", "a/z.png", "a.WEBP", "c/.hidden.png", "c/d.tiff", "c/e.gif")
    assert [str(p.relative_to(tmp_path)) for p in list_images(tmp_path)] == ["a/z.png", "a.WEBP", "b.jpg", "c/d.tiff"]


def test_classes_are_the_cooking_ones_unless_the_set_says_otherwise(tmp_path):
    assert load_classes(tmp_path) == COOKING
    (tmp_path / "classes.json").write_text(json.dumps(TABLE))
    assert load_classes(tmp_path).names == ("pan", "dosa")
    assert load_classes(tmp_path).colors == ((0, 0, 0), (255, 128, 0))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{classes: []}", id="not JSON"),
        pytest.param('{"näme": 1}'.encode("latin-1"), id="not UTF-8"),
        pytest.param(json.dumps(TABLE["classes"]).encode(), id="bare list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"3", id="number"),
        pytest.param(json.dumps({**TABLE, "ignore": 3}).encode(), id="unknown field"),
        pytest.param(json.dumps({"classes": TABLE["classes"][:1]}).encode(), id="one class"),
    ],
)
def test_a_bad_class_file_is_named(tmp_path, content):
    (tmp_path / "classes.json").write_bytes(content)
    with pytest.raises(InputError, match=r"classes\.json"):
        load_classes(tmp_path)


def test_a_missing_set_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere"):
        load_classes(tmp_path / "nowhere")


@pytest.fixture
def pair(tmp_path):
    return Pair("a", tmp_path / "पालक 1.png", tmp_path / "mask ü.png")


def test_a_pair_is_read_as_frame_and_class_map(pair):
    frame = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8)
    mask = np.full((6, 4, 3), (0, 255, 0), np.uint8)
    mask[2, 3], mask[0, :2] = (0, 0, 255), (250, 0, 0)
    write_png(pair.image, frame)
    write_png(pair.mask, mask)
    sample = read_pair(pair, COOKING, STANDARD)
    np.testing.assert_array_equal(sample.frame, frame)
    assert sample.truth.tolist() == [[0, 0, 1, 1], [1] * 4, [1, 1, 1, 2], [1] * 4, [1] * 4, [1] * 4]
    assert sample.off_colors == 2


def test_the_layout_says_how_masks_are_read(pair):
    write_png(pair.image, np.zeros((1, 4, 3), np.uint8))
    write_png(pair.mask, np.array([[0, 1, 2, 255]], np.uint8))
    assert read_pair(pair, COOKING, Layout(mask_format="index")).truth.tolist() == [[0, 1, 2, 255]]
    with pytest.raises(MaskError, match=r"mask ü\.png"):
        read_pair(pair, COOKING, STANDARD)


def test_sizes_that_differ_are_named_with_both_files(pair):
    write_png(pair.image, np.zeros((6, 4, 3), np.uint8))
    write_png(pair.mask, np.full((4, 6, 3), (0, 255, 0), np.uint8))
    with pytest.raises(DatasetError, match=r"mask ü\.png.* is 6x4.*पालक 1\.png is 4x6"):
        read_pair(pair, COOKING, STANDARD)


@pytest.mark.parametrize("which", ["image", "mask"])
def test_an_unreadable_file_is_named(pair, which):
    write_png(pair.image, np.zeros((6, 4, 3), np.uint8))
    write_png(pair.mask, np.full((6, 4, 3), (0, 255, 0), np.uint8))
    bad: Path = getattr(pair, which)
    bad.write_bytes(bad.read_bytes()[:40])
    with pytest.raises(ImageError) as caught:
        read_pair(pair, COOKING, STANDARD)
    assert str(bad) in str(caught.value)
