"""The short way through PNGs of our own: the same pixels as OpenCV's, and nothing of any other PNG."""

import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging import images
from cookseg.runtime.imaging.images import decode_mask_image
from cookseg.runtime.imaging.png import encode_png
from cookseg.runtime.imaging.unfilter import decode_png
from cookseg.runtime.model.contract import COOKING

SCENE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def chunk(kind, content):
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def png(rows, header=(48, 32, 8, 2, 0, 0, 0), more=b"", cut=0):
    width, height, *rest = header
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", width.to_bytes(4) + height.to_bytes(4) + bytes(rest))
    return start + more + chunk(b"IDAT", zlib.compress(rows)[: -cut or None]) + chunk(b"IEND", b"")


def rows_of(kind, pixels=SCENE):
    return b"".join(bytes([kind]) + row.tobytes() for row in pixels)


@given(SHAPES.flatmap(lambda size: arrays(np.uint8, st.sampled_from([size, (*size, 3)]))))
def test_it_is_the_inverse_of_the_encoder(image):
    np.testing.assert_array_equal(decode_png(encode_png(image)), image)


def test_rows_that_are_stored_as_they_are_may_be_between():
    rows = rows_of(0, SCENE[:5]) + rows_of(2, SCENE[5:])
    decoded = decode_png(png(rows))
    np.testing.assert_array_equal(decoded, cv2.imdecode(np.frombuffer(png(rows), np.uint8), cv2.IMREAD_COLOR_RGB))
    np.testing.assert_array_equal(decoded[:5], SCENE[:5])


@pytest.mark.parametrize(
    "data",
    [
        cv2.imencode(".png", SCENE)[1].tobytes(),  # differences to the left
        cv2.imencode(".png", SCENE.astype(np.uint16) * 256)[1].tobytes(),
        cv2.imencode(".png", np.dstack([SCENE, SCENE[..., 0]]))[1].tobytes(),
        encode_png(SCENE[..., 0] % 3, COOKING.colors),
        png(rows_of(2), more=chunk(b"tRNS", bytes(6))),
        png(rows_of(2), (48, 32, 8, 2, 0, 0, 1)),
        png(rows_of(2)[:-1]),
        png(rows_of(2) + b"\0"),
        png(rows_of(2), cut=6),
        png(rows_of(2), cut=10**6),
        png(rows_of(7)),
    ],
    ids=[
        "sub",
        "16 bits",
        "alpha",
        "palette",
        "transparent",
        "interlaced",
        "short",
        "long",
        "cut",
        "empty",
        "no filter",
    ],
)
def test_any_other_png_is_for_opencv(data):
    assert decode_png(data) is None


def test_masks_go_the_short_way_after_their_checksums(monkeypatch):
    data = encode_png(SCENE)
    with monkeypatch.context() as patched:
        patched.setattr(images, "_decode", None)
        np.testing.assert_array_equal(decode_mask_image(data, "mask.png"), SCENE)
    position = data.index(b"IDAT") + 30
    with pytest.raises(ImageError, match=r"mask\.png is damaged, the checksum of its 'IDAT' chunk is wrong"):
        decode_mask_image(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :], "mask.png")
