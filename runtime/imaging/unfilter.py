"""PNGs as `cookseg.runtime.imaging.png` writes them, decoded by zlib-ng: three times faster than by OpenCV.

OpenCV's wheels inflate with an old zlib, which takes most of the time for large, flat areas: masks. What is of another
kind, or damaged, is for OpenCV. https://www.w3.org/TR/png-3/
"""

import contextlib
import importlib
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from cookseg.runtime.imaging.containers import png_chunks

_zlib: Any = zlib
with contextlib.suppress(ImportError):  # a processor for which nobody has built it
    _zlib = importlib.import_module("zlib_ng.zlib_ng")

_CHANNELS = {0: 1, 2: 3}  # of grey and RGB
_NONE, _UP = 0, 2  # filters of a row


def decode_png(data: bytes) -> npt.NDArray[np.uint8] | None:
    """Decode a PNG that `cookseg.runtime.imaging.containers.check_png` has passed.

    Returns:
        (H, W) or (H, W, 3) uint8, RGB; or None unless it has 8 bits, grey or RGB, no transparency or orientation, and
        rows that are stored as they are or as the difference to the one above.
    """
    chunks = list(png_chunks(data))
    width, height, bits, color_type, *how = struct.unpack_from(">IIBBBBB", data, 16)
    channels = _CHANNELS.get(color_type)
    if bits != 8 or any(how) or not channels or {kind for kind, *_ in chunks} != {b"IHDR", b"IDAT", b"IEND"}:
        return None
    length = width * channels
    stream = _zlib.decompressobj()
    try:
        packed = b"".join(data[start:end] for kind, start, end in chunks if kind == b"IDAT")
        inflated = stream.decompress(packed, height * (1 + length) + 1)
    except _zlib.error:
        return None
    if not stream.eof or len(inflated) != height * (1 + length):
        return None
    rows = np.frombuffer(inflated, np.uint8).reshape(height, 1 + length)
    filters = rows[:, 0].tolist()
    if not {_NONE, _UP}.issuperset(filters):
        return None
    pixels = np.empty((height, length), np.uint8)
    above = np.zeros(length, np.uint8)
    for row, kind, out in zip(rows[:, 1:], filters, pixels, strict=True):
        if kind == _UP:
            np.add(above, row, out=out)
        else:
            out[:] = row
        above = out
    return pixels.reshape((height, width, channels) if channels > 1 else (height, width))
