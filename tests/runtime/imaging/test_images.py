"""The loader against Pillow as an independent judge, against damage, and against its own promises."""

import errno
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from cookseg.runtime import files
from cookseg.runtime.errors import ImageError, MaskError
from cookseg.runtime.imaging.containers import check_png
from cookseg.runtime.imaging.images import decode_image, read_image, read_mask_image
from cookseg.runtime.imaging.png import write_png

SCENE = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8), (48, 32))
FOUR = np.zeros((32, 48, 3), np.uint8)  # no two orientations of it are alike, and JPEG's blocks fit it
FOUR[:16, :16], FOUR[:16, 16:], FOUR[16:, :16] = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def encoded(array, kind, mode=None, **options):
    image = Image.fromarray(array)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def pillow(data):
    """Decode as Pillow does, with alpha dropped."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


def oriented(orientation, kind, **options):
    exif = Image.Exif()
    exif[274] = orientation
    return encoded(FOUR, kind, exif=exif, **options)


def png_of(samples, bits, color_type, palette=b""):
    """Write a PNG of (H, W) samples of any depth; Pillow writes too few kinds."""
    rows = (samples[..., None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8).reshape(len(samples), -1)
    raw = b"".join(b"\0" + np.packbits(row).tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], bits, color_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks if c[1] or c[0] == b"IEND")


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def mask_of(tmp_path, data, **options):
    path = tmp_path / "mask"
    path.write_bytes(data)
    return read_mask_image(path, **options)


def without_adobe(data):
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4]) :]


FILES = {
    "jpeg": encoded(SCENE, "JPEG"),
    "jpeg-444": encoded(SCENE, "JPEG", subsampling=0),
    "jpeg-progressive": encoded(SCENE, "JPEG", progressive=True),
    "jpeg-restart": encoded(SCENE, "JPEG", restart_marker_blocks=2),
    "jpeg-grey": encoded(SCENE, "JPEG", "L"),
    "jpeg-cmyk": encoded(SCENE, "JPEG", "CMYK"),
    "jpeg-ycck": encoded(SCENE, "JPEG", "CMYK").replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2"),
    "png": encoded(SCENE, "PNG"),
    "png-grey": encoded(SCENE, "PNG", "L"),
    "png-grey-alpha": encoded(SCENE, "PNG", "LA"),
    "png-palette": encoded(SCENE, "PNG", "P"),
    "png-1bit": encoded(SCENE, "PNG", "1"),
    "png-animated": encoded(SCENE, "PNG", save_all=True, append_images=[Image.fromarray(255 - SCENE)]),
    "bmp": encoded(SCENE, "BMP"),
    "bmp-grey": encoded(SCENE, "BMP", "L"),
    "bmp-palette": encoded(SCENE, "BMP", "P"),
    "bmp-1bit": encoded(SCENE, "BMP", "1"),
    "tiff": encoded(SCENE, "TIFF"),
    "tiff-lzw": encoded(SCENE, "TIFF", compression="tiff_lzw"),
    "tiff-deflate": encoded(SCENE, "TIFF", compression="tiff_adobe_deflate"),
    "tiff-grey": encoded(SCENE, "TIFF", "L"),
    "tiff-palette": encoded(SCENE, "TIFF", "P"),
    "tiff-1bit": encoded(SCENE, "TIFF", "1"),
    "tiff-opaque-alpha": encoded(SCENE, "TIFF", "RGBA"),
    "tiff-cmyk": encoded(SCENE, "TIFF", "CMYK"),
    "tiff-pages": encoded(SCENE, "TIFF", save_all=True, append_images=[Image.fromarray(255 - SCENE)]),
    "webp": encoded(SCENE, "WEBP"),
    "webp-lossless": encoded(SCENE, "WEBP", lossless=True),
    "webp-animated": encoded(SCENE, "WEBP", lossless=True, save_all=True, append_images=[Image.fromarray(255 - SCENE)]),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_decodes_as_in_pillow(kind):
    image = decode_image(FILES[kind], kind)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - pillow(FILES[kind])).max() <= 3  # the two round YCC and CMYK differently


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {"quality": 95}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})],
)
def test_orientation_turns_images_and_masks(tmp_path, kind, options, orientation):
    data = oriented(orientation, kind, **options)
    expected = pillow(data).astype(int)
    for turned in (decode_image(data, kind), mask_of(tmp_path, data)):
        assert turned.shape == expected.shape
        assert np.abs(turned - expected).max() <= 3


def test_webp_with_exif_as_jpegs_have_it_is_turned():
    data = oriented(6, "WEBP", lossless=True)
    at = data.index(b"EXIF")
    exif = b"Exif\0\0" + data[at + 8 :]
    body = data[8:at] + b"EXIF" + struct.pack("<I", len(exif)) + exif
    assert decode_image(b"RIFF" + struct.pack("<I", len(body)) + body, "x").shape == (48, 32, 3)


def test_opencv_never_sees_an_animation_in_a_png():
    still = check_png(FILES["png-animated"])
    assert b"acTL" in FILES["png-animated"]
    assert not any(kind in still for kind in (b"acTL", b"fcTL", b"fdAT"))
    assert check_png(FILES["png"]) is FILES["png"]


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_alpha_is_dropped_not_composited(kind, options):
    transparent = np.dstack([SCENE, np.zeros(SCENE.shape[:2], np.uint8)])
    assert np.array_equal(decode_image(encoded(transparent, kind, **options), kind), SCENE)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_tiff_is_refused(mode):
    transparent = Image.fromarray(SCENE).convert(mode)
    transparent.putalpha(7)
    with pytest.raises(ImageError, match=r"x.tif is a TIFF with transparency.*save it without alpha"):
        decode_image(encoded(np.asarray(transparent), "TIFF"), "x.tif")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("top", [65535, 900])
def test_16_bits_become_8_by_a_constant_rule(suffix, top):
    deep = np.random.default_rng(1).integers(0, top, (9, 7, 3), np.uint16)
    data = cv2.imencode(suffix, deep[..., ::-1])[1].tobytes()
    assert np.array_equal(decode_image(data, suffix), deep >> 8)
    grey = cv2.imencode(suffix, deep[..., 0].copy())[1].tobytes()
    assert np.array_equal(decode_image(grey, suffix), np.dstack([deep[..., 0] >> 8] * 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int16, np.int8])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
def test_samples_without_a_range_are_refused(dtype, shape):
    data = cv2.imencode(".tif", np.ones(shape, dtype))[1].tobytes()
    with pytest.raises(ImageError, match=rf"x.tif has {np.dtype(dtype)} samples.*8-bit PNG"):
        decode_image(data, "x.tif")


def test_inverted_16_bit_tiff_is_refused():
    data = encoded(np.ones((8, 8), np.uint16), "TIFF")
    inverted = data.replace(struct.pack("<HHIH", 262, 3, 1, 1), struct.pack("<HHIH", 262, 3, 1, 0))
    assert inverted != data
    with pytest.raises(ImageError, match="white as 0"):
        decode_image(inverted, "x.tif")


def test_cmyk_without_adobe_marker_is_refused():
    with pytest.raises(ImageError, match=r"CMYK JPEG .*save it as RGB"):
        decode_image(without_adobe(FILES["jpeg-cmyk"]), "x.jpg")


@pytest.mark.parametrize("kind", FILES)
def test_truncated_files_are_refused_at_any_length(kind, capfd):
    data = FILES[kind]
    # A CCITT or packbits strip, and a TIFF's later pages, may lose padding without losing pixels.
    harmless = decode_image(data, kind)
    for length in [*range(0, len(data), max(1, len(data) // 60)), *range(len(data) - 12, len(data))]:
        try:
            image = decode_image(data[:length], "cut.img")
        except ImageError as error:
            assert str(error).startswith("cut.img ")  # noqa: PT017 - not raising may be right
        else:
            assert kind.startswith("tiff")
            assert np.array_equal(image, harmless)
    if kind.startswith(("jpeg", "png")):
        assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("kind", "message"),
    [("jpeg", "without its end marker"), ("png", "without its last chunk"), ("webp", "more bytes than it has")],
)
def test_truncation_is_told_from_damage(kind, message):
    with pytest.raises(ImageError, match=message):
        decode_image(FILES[kind][:-9], kind)


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("kind", ["jpeg", "jpeg-444", "jpeg-restart", "jpeg-grey", "jpeg-cmyk"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_jpeg_that_ends_early_is_refused(kind, share, orientation):
    """A camera that loses data in the middle still writes the end marker."""
    big = np.tile(SCENE, (3, 4, 1))
    mode = {"jpeg-grey": "L", "jpeg-cmyk": "CMYK"}.get(kind, "RGB")
    options = {"jpeg-444": {"subsampling": 0}, "jpeg-restart": {"restart_marker_blocks": 3}}.get(kind, {})
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(big, "JPEG", mode, exif=exif, **options)
    start = data.rindex(b"\xff\xda")
    decode_image(data, kind)
    lost = data[: start + int((len(data) - start) * share)] + b"\xff\xd9"
    with pytest.raises(ImageError, match=r"ends before the image does.*again"):
        decode_image(lost, kind)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"optimize": True}, {"progressive": True}])
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (37, 61), (200, 320)])
def test_grey_jpegs_are_not_mistaken_for_broken_ones(mode, options, size):
    grey = np.full((*size, 3), 65 if mode == "CMYK" else 128, np.uint8)
    for quality in (30, 95):
        data = encoded(grey, "JPEG", mode, quality=quality, **options)
        assert np.abs(decode_image(data, "grey").astype(int) - grey).max() <= 1


def test_things_after_the_end_do_no_harm():
    for kind in ("jpeg", "png", "bmp", "webp"):
        trailed = FILES[kind] + b"\0\xff\xd9trailer" * 9
        assert np.array_equal(decode_image(trailed, kind), decode_image(FILES[kind], kind))


def test_thumbnail_does_not_hide_truncation():
    thumbnail = encoded(SCENE, "JPEG")
    app1 = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = FILES["jpeg"][:2] + app1 + FILES["jpeg"][2:]
    assert np.array_equal(decode_image(data, "x"), decode_image(FILES["jpeg"], "x"))
    with pytest.raises(ImageError, match="without its end marker"):
        decode_image(data[:-40], "x")


@pytest.mark.parametrize("kind", ["png", "png-palette", "png-animated"])
def test_any_flipped_bit_in_a_png_is_noticed(kind, capfd):
    data = FILES[kind]
    for at in range(0, len(data), 13):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        with pytest.raises(ImageError):
            decode_image(bytes(flipped), kind)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp-animated"])
def test_gigantic_claims_are_refused_before_memory_is_taken(kind):
    if kind == "png":
        data = png_of(np.zeros((1, 1), int), 8, 0)
        at = data.index(b"IHDR")
        header = b"IHDR" + struct.pack(">II", 60000, 60000) + data[at + 12 : at + 17]
        data = data[:at] + header + struct.pack(">I", zlib.crc32(header)) + data[at + 21 :]
    elif kind == "webp-animated":
        at = FILES[kind].index(b"VP8X") + 12
        data = FILES[kind][:at] + b"\0\xff\0" * 2 + FILES[kind][at + 6 :]
    else:
        at = FILES["jpeg"].index(b"\xff\xc0") + 5
        data = FILES["jpeg"][:at] + struct.pack(">HH", 30000, 30000) + FILES["jpeg"][at + 4 :]
    with pytest.raises(ImageError, match="claims"):
        decode_image(data, kind)


def decodes_or_explains(data):
    try:
        image = decode_image(data, "any.img")
    except ImageError as error:
        assert str(error).startswith("any.img ")  # noqa: PT017
    else:
        assert image.dtype == np.uint8
        assert image.shape[2] == 3


quick = settings(max_examples=150, deadline=2000, suppress_health_check=list(HealthCheck), derandomize=True)


@quick
@given(
    head=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"RIFF\0\0\0\0WEBP"]),
    body=st.binary(max_size=200),
)
def test_random_bytes_are_an_image_error(head, body):
    decodes_or_explains(head + body)


@settings(quick, max_examples=400)
@given(
    kind=st.sampled_from(sorted(FILES)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
    cut=st.integers(0, 20),
)
def test_mutated_files_are_an_image_or_an_image_error(kind, edits, cut):
    data = bytearray(FILES[kind])
    for place, content in edits:
        at = int(place**3 * len(data))  # headers are at the start
        data[at : at + len(content)] = content
    del data[len(data) // 2 : len(data) // 2 + cut]
    decodes_or_explains(bytes(data))


def test_content_counts_not_suffix(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(FILES["png"])
    assert np.array_equal(read_image(str(path)), SCENE)


def test_paths_beyond_ascii(tmp_path):
    path = tmp_path / "Küche 鍋" / "çorba №1.png"
    path.parent.mkdir()
    write_png(path, SCENE)
    assert np.array_equal(read_image(path), SCENE)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.png", None, "No such file"),
        (".", None, "directory|denied"),
        ("nul\0.png", None, "null"),
        ("empty.png", b"", "is empty"),
        ("text.png", b"hello", "is not a JPEG, PNG"),
        ("sound.webp", b"RIFF\x24\0\0\0WAVEfmt ", "is not a JPEG, PNG"),
        ("anim.gif", encoded(SCENE, "GIF"), "is not a JPEG, PNG"),
    ],
)
def test_unreadable_files_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    for read in (read_image, read_mask_image):
        with pytest.raises(ImageError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_permission_denied_is_named(tmp_path, monkeypatch):
    def deny(path, _flags):  # root, as whom CI may run, is never denied
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "x.png").write_bytes(FILES["png"])
    monkeypatch.setattr(files.os, "open", deny)
    with pytest.raises(ImageError, match=r"x\.png cannot be read: Permission denied; check"):
        read_image(tmp_path / "x.png")


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_masks_keep_their_samples(tmp_path, bits):
    indices = np.arange(24).reshape(4, 6) % min(2**bits, 24)
    assert np.array_equal(mask_of(tmp_path, png_of(indices, bits, 0)), indices)


def test_grey_masks_of_other_kinds_keep_their_samples(tmp_path):
    indices = (np.arange(24).reshape(4, 6) % 3).astype(np.uint8)
    with_alpha = Image.merge("LA", [Image.fromarray(indices), Image.fromarray(indices + 9)])
    for data in (
        encoded(np.asarray(with_alpha), "PNG"),
        encoded(indices, "PNG", transparency=1),
        encoded(indices, "TIFF"),
        encoded(indices, "BMP"),
        cv2.imencode(".tif", indices.astype(np.uint16))[1].tobytes(),
    ):
        mask = mask_of(tmp_path, data)
        assert mask.dtype == np.uint8
        assert np.array_equal(mask, indices)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
def test_colour_masks_are_exact_rgb(tmp_path, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(mask_of(tmp_path, encoded(FOUR, kind, **options)), FOUR)
    black = np.zeros_like(FOUR)  # still a colour file
    assert mask_of(tmp_path, encoded(black, kind, **options)).shape == FOUR.shape


def test_masks_that_would_change_are_refused(tmp_path):
    with pytest.raises(MaskError, match=r"values up to 300.*8-bit PNG"):
        mask_of(tmp_path, png_of(np.full((2, 2), 300), 16, 0))
    with pytest.raises(MaskError, match="fewer than 8 bits"):
        mask_of(tmp_path, FILES["tiff-1bit"])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_leads_back_to_indices(tmp_path, bits):
    colors = np.array([(i, 7 * i % 256, 255 - i) for i in range(2**bits)], np.uint8)
    indices = np.arange(64).reshape(8, 8) % 2**bits
    data = png_of(indices, bits, 3, colors.tobytes())
    assert np.array_equal(mask_of(tmp_path, data), colors[indices])
    assert np.array_equal(mask_of(tmp_path, data, indices=True), indices)


def test_indices_survive_a_palette_with_equal_entries(tmp_path):
    indices = np.arange(64).reshape(8, 8) % 4
    data = png_of(indices, 8, 3, bytes(3 * 4))
    assert np.array_equal(mask_of(tmp_path, data, indices=True), indices)


def test_a_truncated_palette_png_is_refused(tmp_path):
    with pytest.raises(ImageError, match="truncated"):
        mask_of(tmp_path, FILES["png-palette"][:45], indices=True)
