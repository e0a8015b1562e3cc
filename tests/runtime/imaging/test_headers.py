"""What a file says of itself is what decoding does with it."""

import cv2
import numpy as np
import pytest
from PIL import Image

from cookseg.data.standard import write_image
from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging.headers import Header, read_header
from cookseg.runtime.imaging.images import read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def pil(path, mode, **options):
    Image.fromarray(PIXELS).convert(mode).save(path, **options)


def deep(path):
    cv2.imwrite(str(path), PIXELS.astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ("name", "write", "expected"),
    [
        ("a.jpg", lambda path: pil(path, "RGB"), Header("JPEG", "RGB", lossy=True)),
        ("a.jpg", lambda path: pil(path, "L"), Header("JPEG", "grey", lossy=True)),
        ("a.jpg", lambda path: pil(path, "CMYK"), Header("JPEG", "CMYK", lossy=True)),
        ("a.jpg", lambda path: pil(path, "RGB", progressive=True), Header("JPEG", "RGB", lossy=True)),
        ("a.png", lambda path: pil(path, "RGB"), Header("PNG", "RGB")),
        ("a.png", lambda path: pil(path, "RGBA"), Header("PNG", "RGBA")),
        ("a.png", lambda path: pil(path, "LA"), Header("PNG", "grey+alpha")),
        ("a.png", lambda path: pil(path, "L"), Header("PNG", "grey")),
        ("a.png", lambda path: pil(path, "1"), Header("PNG", "grey", 1)),
        ("a.png", lambda path: pil(path, "P"), Header("PNG", "palette")),
        ("a.png", deep, Header("PNG", "RGB", 16)),
        ("a.bmp", lambda path: pil(path, "RGB"), Header("BMP", "RGB")),
        ("a.bmp", lambda path: pil(path, "L"), Header("BMP", "palette")),
        ("a.tif", lambda path: pil(path, "RGB"), Header("TIFF", "RGB")),
        ("a.tif", lambda path: pil(path, "L"), Header("TIFF", "grey")),
        ("a.tif", deep, Header("TIFF", "RGB", 16)),
        ("a.webp", lambda path: pil(path, "RGB"), Header("WebP", "RGB", lossy=True)),
        ("a.webp", lambda path: pil(path, "RGB", lossless=True), Header("WebP", "RGB")),
        ("a.webp", lambda path: pil(path, "RGBA", lossless=True), Header("WebP", "RGB")),  # opaque: not even stored
        ("wrong.png", lambda path: pil(path, "RGB", format="JPEG"), Header("JPEG", "RGB", lossy=True)),
    ],
)
def test_the_kind_and_samples_of_a_file(tmp_path, name, write, expected):
    write(tmp_path / name)
    assert read_header(tmp_path / name) == expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_the_orientation_is_the_one_that_decoding_applies(tmp_path, suffix, orientation):
    path, upright = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {"quality": 100} if suffix == "jpg" else {}
    Image.fromarray(PIXELS).save(path, exif=exif, **options)
    Image.fromarray(PIXELS).save(upright, **options)
    header = read_header(path)
    assert header.orientation == orientation
    assert header.is_plain == (orientation == 1 and suffix in ("jpg", "png"))
    turned = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.swapaxes(0, 1),
        6: lambda x: np.rot90(x, -1),
        7: lambda x: x.swapaxes(0, 1)[::-1, ::-1],
        8: np.rot90,
    }
    np.testing.assert_array_equal(read_image(path), turned[orientation](read_image(upright)))


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff\xe1"])
def test_what_is_no_image_is_refused(tmp_path, data):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.jpg"):
        read_header(tmp_path / "a.jpg")


def test_plain_images_are_copied_byte_for_byte_and_others_become_png(tmp_path):
    pil(tmp_path / "plain.png", "RGB", format="JPEG")
    pil(tmp_path / "other.bmp", "RGB")
    copy = write_image(tmp_path / "plain.png", tmp_path / "out/sub", "x")
    assert (copy.name, copy.read_bytes()) == ("x.jpg", (tmp_path / "plain.png").read_bytes())
    copy = write_image(tmp_path / "other.bmp", tmp_path / "out/sub", "y")
    assert copy.name == "y.png"
    np.testing.assert_array_equal(read_image(copy), PIXELS)
