"""BMP files before they are decoded: completeness, palettes as indices, and the channel masks that OpenCV ignores.

Errors raised here lack the file's name, as those of `cookseg.runtime.imaging.containers` do.
https://learn.microsoft.com/windows/win32/gdi/bitmap-storage
"""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging.limits import AGAIN, check_size

_OLD_HEADER, _HEADER, _MASKS_AT = 12, 40, 54  # OS/2 1.x; Windows; inside larger headers or behind the smallest
_RGB, _BITFIELDS, _ALPHA_BITFIELDS = 0, 3, 6  # ways to store pixels that are not compressed
_USUAL = (0xFF0000, 0xFF00, 0xFF)  # red, green, blue
_FIVE_BITS_EACH = (0x7C00, 0x3E0, 0x1F)  # what 16 bits mean without masks
_AT_ONCE = 2**18  # pixels
_MOST_BITS = 16  # of a channel: beyond that no program writes any


@dataclass(frozen=True)
class BmpHeader:
    """How a BMP stores its image.

    Attributes:
        size: Bytes of the second header, which tells the kind of BMP.
        width: Columns.
        height: Rows; negative where the first one is the top one.
        bits: Bits per pixel; up to 8 are indices of a palette.
        compression: 0 for none, 1 and 2 for run lengths, 3 and 6 for channels by masks.
        offset: Where the pixels start.
        end: Where they end, as far as the headers tell.
    """

    size: int
    width: int
    height: int
    bits: int
    compression: int
    offset: int
    end: int

    @property
    def has_masks(self) -> bool:
        """Whether the file says which bits of a pixel are red, green and blue."""
        return self.bits in {16, 32} and self.compression in {_BITFIELDS, _ALPHA_BITFIELDS}


def read_bmp_header(data: bytes) -> BmpHeader:
    """Read both headers of a BMP.

    Raises:
        ImageError: The file ends within them.
    """
    file_size, offset, size = struct.unpack_from("<I4xII", data.ljust(18, b"\0"), 2)
    compression = stored = 0
    try:
        if size == _OLD_HEADER:
            width, height, bits = struct.unpack_from("<HH2xH", data, 18)
        else:
            width, height, bits, compression, stored = struct.unpack_from("<ii2xHII", data, 18)
    except struct.error:
        raise ImageError(f"is truncated, a BMP without its header: {AGAIN}") from None
    if compression in {_RGB, _BITFIELDS, _ALPHA_BITFIELDS}:
        end = offset + -(-width * bits // 32) * 4 * abs(height)
    else:
        end = offset + stored if stored else file_size
    return BmpHeader(size, width, height, bits, compression, offset, end)


def check_bmp(data: bytes) -> bytes | bytearray:
    """Refuse BMPs that are incomplete, or claim to be too large.

    Returns:
        A BMP of the same pixels that any reader gets right: channels by masks come in the usual order. OpenCV takes
        them for blue, green and red in files of 40 and 52 bytes of header, whatever the masks say.

    Raises:
        ImageError: The file is truncated or too large, or its masks are not those of three channels.
    """
    header = read_bmp_header(data)
    check_size(abs(header.height), abs(header.width))
    if header.compression == _RGB and len(data) < header.end:
        raise ImageError(f"is truncated, a BMP that claims more pixels than it has: {AGAIN}")
    if _next_image(data, header) < header.end:
        raise ImageError(f"is truncated, another BMP starts within its pixels: {AGAIN}")
    if header.has_masks or (header.bits == 16 and header.compression == _RGB):
        return _in_usual_order(data, header)
    return data


def palette_bmp_as_grey(data: bytes) -> bytes:
    """Return a BMP of up to 256 colours as the grey one whose samples are the indices; any other as it is.

    Raises:
        ImageError: As `check_bmp`.
    """
    header = read_bmp_header(data)
    if header.bits > 8:
        return data
    check_bmp(data)
    old = header.size == _OLD_HEADER
    greys = [bytes([value] * 3) + b"\0" * (not old) for value in range(2**header.bits)]
    headers = bytearray(data[14 : 14 + header.size])
    if not old:
        headers[32:36] = bytes(4)  # the number of colours: all of them
    offset = 14 + len(headers) + sum(map(len, greys))
    return struct.pack("<2s8xI", b"BM", offset) + headers + b"".join(greys) + data[header.offset :]


def _next_image(data: bytes, header: BmpHeader) -> int:
    """Return where another BMP of the same kind starts, or the end of the data."""
    kind, last = data[10:18], header.end + 18  # where its pixels start, and the size of its second header
    at = data.find(kind, 18, last)
    while at >= 0:
        if data[at - 10 : at - 8] == b"BM":
            return at - 10
        at = data.find(kind, at + len(kind), last)
    return max(len(data), header.end)


def _in_usual_order(data: bytes, header: BmpHeader) -> bytes | bytearray:
    """Return the BMP of 32 bits, blue, green, red and nothing, of one of 16 or 32 bits in another order."""
    if len(data) < max(header.end, _MASKS_AT + 12 * header.has_masks):
        raise ImageError(f"is truncated, a BMP that claims more pixels than it has: {AGAIN}")
    masks = struct.unpack_from("<III", data, _MASKS_AT) if header.has_masks else _FIVE_BITS_EACH
    bits = [_bits_of(mask) for mask in masks]
    if sum(count for _, count in bits) != (masks[0] | masks[1] | masks[2]).bit_count():
        raise ImageError("is a BMP whose channel masks overlap: save it as an 8-bit PNG")
    if max(header.width, 0) * header.height == 0 or (header.bits == 32 and masks == _USUAL):
        return data
    fields = (_HEADER, header.width, header.height, 1, 32, _RGB, 0, 0, 0, 0, 0)
    start = struct.pack("<2s8xI", b"BM", _MASKS_AT) + struct.pack("<IiiHHIIiiII", *fields)
    words = _words(data, header)
    usual = bytearray(len(start) + 4 * words.size)
    usual[: len(start)] = start
    pixels = np.frombuffer(usual, "<u4", offset=len(start)).reshape(words.shape)
    table = _in_8_bits(np.arange(2**16, dtype=np.uint16), bits) if header.bits == 16 else None
    step = -(-_AT_ONCE // header.width)
    for row in range(0, len(words), step):  # or the indices of a table would take twice as much as the image
        some = words[row : row + step]
        pixels[row : row + step] = _in_8_bits(some, bits) if table is None else table[some]
    return usual


def _in_8_bits(words: npt.NDArray[np.unsignedinteger], bits: list[tuple[int, int]]) -> npt.NDArray[np.uint32]:
    """Return pixels (...) of 32 bits, blue in the first byte, from those whose red, green and blue have other bits."""
    pixels = np.zeros((*words.shape, 4), np.uint8)
    for channel, (shift, count) in zip((2, 1, 0), bits, strict=True):
        most = (1 << count) - 1
        values = words >> shift & most
        pixels[..., channel] = values if count == 8 else ((np.arange(most + 1) * 510 + most) // (2 * most))[values]
    return pixels.view("<u4")[..., 0]


def _words(data: bytes, header: BmpHeader) -> npt.NDArray[np.unsignedinteger]:
    """Return the pixels as the file has them, (H, W), without what fills up rows."""
    size = header.bits // 8
    words = np.frombuffer(data, f"<u{size}", (header.end - header.offset) // size, header.offset)
    return words.reshape(abs(header.height), -1)[:, : header.width]


def _bits_of(mask: int) -> tuple[int, int]:
    """Return how far the bits of a mask lie from the last one, and how many there are."""
    shift, count = (mask & -mask).bit_length() - 1, mask.bit_count()
    if not 0 < count <= _MOST_BITS or mask >> shift != (1 << count) - 1:
        raise ImageError(f"is a BMP with {mask:#x} as the mask of a channel: save it as an 8-bit PNG")
    return shift, count
