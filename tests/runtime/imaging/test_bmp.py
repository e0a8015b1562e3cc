"""BMP of every header, depth and order of channels: the colours and indices that the file stores."""

import io
import itertools
import struct
import tracemalloc

import cv2
import numpy as np
import pytest
from mutants import old_bmp
from PIL import Image

from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging.bmp import check_bmp
from cookseg.runtime.imaging.headers import read_header
from cookseg.runtime.imaging.images import decode_image, read_mask_image
from cookseg.runtime.imaging.masks import read_mask
from cookseg.runtime.model.contract import COOKING

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
COLORS = np.array([[RED, GREEN, BLUE], [BLUE, (255, 255, 255), (0, 0, 0)]], np.uint8)
ORDERS = {
    "usual": (32, (0xFF0000, 0xFF00, 0xFF)),
    "swapped": (32, (0xFF, 0xFF00, 0xFF0000)),
    "high": (32, (0xFF000000, 0xFF0000, 0xFF00)),
    "ten bits each": (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "565": (16, (0xF800, 0x7E0, 0x1F)),
    "565 swapped": (16, (0x1F, 0x7E0, 0xF800)),
    "555": (16, (0x7C00, 0x3E0, 0x1F)),
    "444": (16, (0xF00, 0xF0, 0xF)),
}
HEADERS = (40, 52, 56, 108, 124)


def words(pixels, masks):
    """Pack colours into integers as the masks say, full for full."""
    total = np.zeros(pixels.shape[:2], np.uint64)
    for channel, mask in enumerate(masks):
        shift = (mask & -mask).bit_length() - 1
        values = pixels[..., channel].astype(np.uint64) * np.uint64(mask >> shift)
        total |= (values + np.uint64(127)) // np.uint64(255) << np.uint64(shift)
    return total


def rows(values, bits, top_down):
    values = values if top_down else values[::-1]
    stored = [row.astype(f"<u{bits // 8}").tobytes() for row in values]
    return b"".join(row + bytes(-len(row) % 4) for row in stored)


def bmp_of(size, shape, bits, body, *, compression=0, masks=(), alpha=0, palette=b""):
    """Write a BMP with a header of a size; masks stand in it, or behind one of 40 bytes."""
    height, width = shape
    fields = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    more = struct.pack(f"<{len(masks)}I", *masks) + (struct.pack("<I", alpha) if size > 52 or compression == 6 else b"")
    headers = (fields + more).ljust(size, b"\0") + palette
    return struct.pack("<2sI4xI", b"BM", 14 + len(headers) + len(body), 14 + len(headers)) + headers + body


def by_masks(order, size, top_down=False, pixels=COLORS, **options):
    bits, masks = ORDERS[order]
    height, width = pixels.shape[:2]
    body = rows(words(pixels, masks), bits, top_down)
    shape = (-height if top_down else height, width)
    return bmp_of(size, shape, bits, body, compression=3, masks=masks, **options)


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("size", HEADERS)
@pytest.mark.parametrize("order", ORDERS)
def test_channel_masks_say_which_colour_is_which(tmp_path, order, size, top_down):
    data = by_masks(order, size, top_down)
    np.testing.assert_array_equal(decode_image(data, "x"), COLORS)
    (tmp_path / "mask.bmp").write_bytes(data)
    np.testing.assert_array_equal(read_mask_image(tmp_path / "mask.bmp"), COLORS)


@pytest.mark.parametrize("order", ORDERS)
def test_shades_are_scaled_to_8_bits(order):
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(8, 32, 3)
    fewest = min(mask.bit_count() for mask in ORDERS[order][1])
    got = decode_image(by_masks(order, 40, pixels=ramp), "x").astype(int)
    assert np.abs(got - ramp).max() <= 255 / (2**fewest - 1) / 2 + 0.5
    assert fewest < 8 or np.array_equal(got, ramp)


@pytest.mark.parametrize("order", ["swapped", "565", "ten bits each"])
def test_large_images_take_little_more_than_their_pixels(order):
    large = np.tile(COLORS, (512, 512, 1))  # more than are worked on at once, in rows that are filled up
    data = by_masks(order, 40, pixels=large)
    np.testing.assert_array_equal(decode_image(data, "x"), large)
    tracemalloc.start()
    check_bmp(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * large.shape[0] * large.shape[1] + 12e6


def test_alpha_is_dropped(tmp_path):
    bits, masks = ORDERS["swapped"]
    half_seen = rows(words(COLORS, masks) | np.uint64(0x7F000000), bits, top_down=False)
    for size, compression in ((56, 3), (108, 3), (124, 3), (40, 6)):
        data = bmp_of(size, (2, 3), bits, half_seen, compression=compression, masks=masks, alpha=0xFF000000)
        np.testing.assert_array_equal(decode_image(data, "x"), COLORS)


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("size", HEADERS)
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_pixels_without_masks_are_blue_green_and_red(size, bits, top_down):
    if bits == 24:
        body = rows(COLORS[..., ::-1].reshape(2, -1), 8, top_down)
    else:
        body = rows(words(COLORS, ORDERS["555" if bits == 16 else "usual"][1]), bits, top_down)
    data = bmp_of(size, (-2 if top_down else 2, 3), bits, body)
    np.testing.assert_array_equal(decode_image(data, "x"), COLORS)


def test_stirrer_and_food_do_not_change_places(tmp_path):
    for order, size in itertools.product(ORDERS, HEADERS):
        (tmp_path / "mask.bmp").write_bytes(by_masks(order, size, pixels=COLORS[:1]))
        class_map, off_colors = read_mask(tmp_path / "mask.bmp", COOKING)
        assert [COOKING.names[value] for value in class_map[0]] == ["stirrer", "pan+background", "food"]
        assert off_colors == 0


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ((0xFF0000, 0xFF00, 0), "0x0 as the mask"),
        ((0xFF0000, 0xFF00, 0xF0F), "0xf0f as the mask"),
        ((0xFF0000, 0xFF00, 0x1FF), "overlap"),
        ((0xFFFFF000, 0xF00, 0xFF), "0xfffff000 as the mask"),
    ],
)
def test_masks_that_are_none_are_refused(masks, said):
    with pytest.raises(ImageError, match=rf"x is a BMP .*{said}.*PNG"):
        decode_image(bmp_of(40, (1, 2), 32, bytes(8), compression=3, masks=masks), "x")


@pytest.mark.parametrize("order", ["usual", "565"])
def test_pixels_by_masks_that_are_cut_short_are_refused(order):
    data = by_masks(order, 40)
    for length in range(len(data)):
        with pytest.raises(ImageError):
            decode_image(data[:length], "x")


def saved(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def paletted(indices, colors):
    image = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    image.putpalette(list(itertools.chain.from_iterable(colors)))
    return image


GREYS, CLASSES = [(value * 85,) * 3 for value in range(4)], [RED, GREEN, BLUE, (9, 9, 9)]
INDICES = (np.arange(70).reshape(7, 10) % 4).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("colors", [GREYS, CLASSES, [(0, 0, 0)] * 4])
def test_a_palette_gives_its_indices_in_any_kind_of_file(tmp_path, kind, colors):
    path = tmp_path / "mask"
    path.write_bytes(saved(paletted(INDICES, colors), kind))
    np.testing.assert_array_equal(read_mask_image(path, indices=True), INDICES)
    shown = read_mask_image(path)
    np.testing.assert_array_equal(shown if shown.ndim == 3 else np.dstack([shown] * 3), np.array(colors)[INDICES])


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("size", [12, *HEADERS])
def test_indices_of_any_depth_and_header(tmp_path, bits, size):
    indices = (np.arange(33 * 8).reshape(8, 33) % 2**bits).astype(np.uint8)
    packed = np.packbits((indices[..., None] >> np.arange(bits - 1, -1, -1) & 1).reshape(8, -1), axis=1)
    body = rows(packed, 8, top_down=False)
    palette = bytes(value % 256 for value in range(4 * 2**bits))
    if size == 12:
        palette = palette[: 3 * 2**bits]
        headers = struct.pack("<IHHHH", 12, 33, 8, 1, bits) + palette
        data = struct.pack("<2sI4xI", b"BM", 0, 14 + len(headers)) + headers + body
    else:
        data = bmp_of(size, (8, 33), bits, body, palette=palette)
    (tmp_path / "mask.bmp").write_bytes(data)
    np.testing.assert_array_equal(read_mask_image(tmp_path / "mask.bmp", indices=True), indices)
    assert read_header(tmp_path / "mask.bmp").model == "palette"


@pytest.mark.parametrize(("bits", "compression", "run"), [(8, 1, b"\x08\x02"), (4, 2, b"\x08\x22")])
def test_indices_in_run_lengths(tmp_path, bits, compression, run):
    body = (run + b"\0\0") * 3 + run + b"\0\1"
    data = bmp_of(40, (4, 8), bits, body, compression=compression, palette=bytes(4 * 2**bits))
    (tmp_path / "mask.bmp").write_bytes(data)
    assert (read_mask_image(tmp_path / "mask.bmp", indices=True) == 2).all()


def test_a_palette_may_have_fewer_colours_than_its_depth(tmp_path):
    data = bytearray(bmp_of(40, (1, 4), 8, bytes([0, 1, 2, 1]), palette=bytes(12)))
    data[46:50] = struct.pack("<I", 3)
    (tmp_path / "mask.bmp").write_bytes(data)
    assert read_mask_image(tmp_path / "mask.bmp", indices=True).tolist() == [[0, 1, 2, 1]]


def test_a_cut_palette_file_is_refused(tmp_path):
    path = tmp_path / "mask.bmp"
    data = saved(paletted(INDICES, CLASSES), "BMP")
    for length in range(2, len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ImageError, match=r"mask\.bmp"):
            read_mask_image(path, indices=True)


@pytest.mark.parametrize("order", ["II", "MM"])
def test_a_palette_tiff_of_either_byte_order(tmp_path, order):
    path = tmp_path / "mask.tif"
    entries = [(256, 4, 10), (257, 4, 7), (258, 3, 8), (259, 3, 1), (262, 3, 3), (273, 4, 2000), (277, 3, 1)]
    entries += [(278, 4, 7), (279, 4, 70), (320, 3, 300)]
    code = "<" if order == "II" else ">"
    directory = struct.pack(f"{code}H", len(entries))
    for tag, kind, value in entries:
        count = 768 if tag == 320 else 1
        short = kind == 3 and count == 1
        directory += struct.pack(f"{code}HHI", tag, kind, count)
        directory += struct.pack(f"{code}HH", value, 0) if short else struct.pack(f"{code}I", value)
    start = order.encode() + struct.pack(f"{code}HI", 42, 8)
    path.write_bytes((start + directory + bytes(4)).ljust(2000, b"\0") + INDICES.tobytes())
    np.testing.assert_array_equal(read_mask_image(path, indices=True), INDICES)


@pytest.mark.parametrize(
    ("data", "described"),
    [
        (old_bmp(4, 2, bytes(24)), "8-bit RGB BMP"),
        (by_masks("565", 40), "8-bit RGB BMP"),
        (by_masks("usual", 56), "8-bit RGBA BMP"),
    ],
)
def test_the_samples_of_a_bmp(tmp_path, data, described):
    (tmp_path / "a.bmp").write_bytes(data)
    assert str(read_header(tmp_path / "a.bmp")) == described


def test_opencv_alone_would_swap_them():
    """Shows that the check is needed; where a later OpenCV gets it right, it may go."""
    alone = cv2.imdecode(np.frombuffer(by_masks("swapped", 40), np.uint8), cv2.IMREAD_COLOR)
    assert not np.array_equal(alone[..., ::-1], COLORS)
