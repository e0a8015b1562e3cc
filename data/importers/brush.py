"""Run lengths of Label Studio's brush, as ``label_studio_sdk.converter.brush`` writes and reads them (SDK 2.1.2).

A stream of bits: how many values there are (32 bits), their width less one (5), and four widths of lengths less one (4
each). Then come blocks: a bit that says whether one value is repeated, which width the length has (2), the length less
one, and the value, or as many as the length says. The values are red, green, blue and alpha of each pixel, along the
rows. The format is that of https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.limits import MAX_PIXELS

_CHANNELS = 4


class _Bits:
    """Reads numbers of some bits, one after another; the highest bit comes first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, width: int) -> int:
        """Return the next number."""
        start, self._at = self._at, self._at + width
        end = -(-self._at // 8)
        if end > len(self._data):
            raise InputError("its run lengths end too early")
        return int.from_bytes(self._data[start // 8 : end]) >> (8 * end - self._at) & (1 << width) - 1

    def are_set(self, count: int, width: int) -> npt.NDArray[np.bool_]:
        """Return whether the next numbers are not zero, (count,)."""
        start, self._at = self._at, self._at + count * width
        end = -(-self._at // 8)
        if end > len(self._data):
            raise InputError("its run lengths end too early")
        bits = np.unpackbits(np.frombuffer(self._data[start // 8 : end], np.uint8))[start % 8 :]
        return np.asarray(bits[: count * width].reshape(count, width).any(axis=1))


def decode_brush(rle: Any, size: Size) -> npt.NDArray[np.bool_]:
    """Return the pixels that were painted: those that are not transparent.

    Args:
        rle: The run lengths, a list of bytes.
        size: Height and width that the image has, by the same result.

    Returns:
        (H, W) bool.

    Raises:
        InputError: They are damaged, or those of an image of another size.
    """
    try:
        bits = _Bits(bytes(rle if isinstance(rle, list) else [rle]))
    except (TypeError, ValueError) as error:
        raise InputError("its run lengths are not a list of bytes") from error
    height, width = size
    count, word = bits.number(32), bits.number(5) + 1
    if height * width > MAX_PIXELS or count != _CHANNELS * height * width:
        raise InputError(f"its run lengths are of {count} values, not of {width}x{height} pixels in four channels")
    widths = [bits.number(4) + 1 for _ in range(4)]
    values = np.zeros(count, bool)
    done = 0
    while done < count:
        repeated = bits.number(1)
        length = bits.number(widths[bits.number(2)]) + 1
        if done + length > count:
            raise InputError(f"its run lengths go on after {count} values")
        values[done : done + length] = bits.are_set(1 if repeated else length, word)
        done += length
    return values.reshape(height, width, _CHANNELS)[..., -1]
