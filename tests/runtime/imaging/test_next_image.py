"""An image cut short and followed by the next one, as cameras and buffers leave them: never a part of either."""

import struct

import numpy as np
import pytest
from mutants import bmp
from PIL import Image
from test_images import FILES, SCENE, chunk, encoded

from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging.images import decode_image
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.model.contract import Preprocessing

RNG = np.random.default_rng(0)
FIRST, NEXT = (RNG.integers(0, 256, (96, 128, 3), np.uint8) for _ in range(2))
KINDS = {
    "jpeg": ("JPEG", {}),
    "jpeg-grey": ("JPEG", {"mode": "L"}),
    "jpeg-cmyk": ("JPEG", {"mode": "CMYK"}),
    "jpeg-restart": ("JPEG", {"restart_marker_blocks": 3}),
    "jpeg-progressive": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "bmp": ("BMP", {}),
    "bmp-palette": ("BMP", {"mode": "P"}),
    "tiff": ("TIFF", {}),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "webp": ("WEBP", {}),
    "webp-lossless": ("WEBP", {"lossless": True}),
}


def pair(kind):
    name, options = KINDS[kind]
    return encoded(FIRST, name, **options), encoded(NEXT, name, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.995])
def test_an_image_cut_short_is_not_completed_by_the_next(kind, share):
    first, following = pair(kind)
    with pytest.raises(ImageError, match=r"^cut .*again"):
        decode_image(first[: int(len(first) * share)] + following, "cut")


@pytest.mark.parametrize("kind", KINDS)
def test_a_complete_image_may_be_followed_by_the_next(kind):
    first, following = pair(kind)
    np.testing.assert_array_equal(decode_image(first + following, "x"), decode_image(first, "x"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("jpeg")])
def test_a_jpeg_cut_anywhere_is_refused_or_is_the_next_one(kind):
    """Wherever it was cut, also within a table or between two scans; a header's start alone is no image yet."""
    first, following = pair(kind)
    scan = first.index(b"\xff\xda")
    for length in [*range(2, scan + 40), *range(scan + 40, len(first) - 1, 487)]:
        try:
            image = decode_image(first[:length] + following, "cut")
        except ImageError:
            continue
        np.testing.assert_array_equal(image, decode_image(following, "next"))


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_the_next_frame_may_have_lost_its_own_start(share):
    first, following = pair("jpeg")
    for marker in (b"\xff\xdb", b"\xff\xc0", b"\xff\xc4", b"\xff\xda"):
        with pytest.raises(ImageError, match="truncated"):
            decode_image(first[: int(len(first) * share)] + following[following.index(marker) :], "cut")


@pytest.mark.parametrize("progressive", [False, True])
def test_the_first_of_two_images_of_an_mpo_counts(tmp_path, progressive):
    path = tmp_path / "two.jpg"
    options = {"save_all": True, "append_images": [Image.fromarray(NEXT)], "progressive": progressive}
    Image.fromarray(FIRST).save(path, "MPO", **options)
    data = path.read_bytes()
    alone = encoded(FIRST, "JPEG", progressive=progressive)
    np.testing.assert_array_equal(decode_image(data, "x"), decode_image(alone, "x"))
    end = data.index(b"\xff\xd9", data.index(b"\xff\xda"))
    for cut in (data[: end * 3 // 4] + data[end + 2 :], data[:end] + data[end + 2 :]):
        with pytest.raises(ImageError, match="truncated, another image starts before its end marker"):
            decode_image(cut, "x")


def test_the_first_image_of_an_mpo_may_have_its_end_marker_but_not_its_data(tmp_path):
    path = tmp_path / "two.jpg"
    Image.fromarray(FIRST).save(path, "MPO", save_all=True, append_images=[Image.fromarray(NEXT)])
    data = path.read_bytes()
    end = data.index(b"\xff\xd9", data.index(b"\xff\xda"))
    with pytest.raises(ImageError, match="ends before the image does"):
        decode_image(data[: end * 3 // 4] + data[end:], "x")


def test_a_reduced_frame_is_refused_too():
    first, following = pair("jpeg")
    with pytest.raises(ImageError, match="another image starts"):
        decode_frame(first[: len(first) // 2] + following, "cut", Preprocessing(16, 24))


def test_thumbnails_and_comments_between_scans_are_not_the_next_image():
    thumbnail = encoded(SCENE, "JPEG")
    exif = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    remark = b"\xff\xfe\0\x04hi"
    for kind in ("jpeg", "jpeg-progressive"):
        data, _ = pair(kind)
        scan = data.rindex(b"\xff\xda")
        for changed in (
            data[:2] + exif + data[2:],
            data[:scan] + exif + remark + b"\xff\xff" + data[scan:],
            data[:-2] + remark + data[-2:] + thumbnail,
            data[:-2] + b"\xff\xff" + data[-2:] + b"appended",
        ):
            np.testing.assert_array_equal(decode_image(changed, kind), decode_image(data, kind))


def test_what_only_looks_like_the_start_of_another_file_is_pixels():
    pixels = bytearray(bmp(64, 48, body=bytes(64 * 48 * 3)))
    pixels[200:208] = pixels[10:18]  # without the letters before it
    assert decode_image(bytes(pixels), "x").shape == (48, 64, 3)
    text = chunk(b"tEXt", b"a\0" + FILES["png"])
    assert decode_image(FILES["png"][:33] + text + FILES["png"][33:], "x").shape == SCENE.shape
    tiff = bytearray(encoded(FIRST, "TIFF"))
    assert tiff[:4] == b"II*\0"
    tiff[5000:5004] = b"II*\0"
    assert decode_image(bytes(tiff), "x").shape == FIRST.shape


def test_run_lengths_end_where_the_header_says():
    body = b"\x08\x01\0\0" * 3 + b"\x08\x02\0\x01"
    data = bytearray(bmp(8, 4, 8, 1, body))
    following = bytes(data)
    assert decode_image(following + following, "x").shape == (4, 8, 3)
    with pytest.raises(ImageError, match="another BMP starts"):
        decode_image(following[:-8] + following, "x")
