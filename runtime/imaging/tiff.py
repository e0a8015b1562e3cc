"""The first directory of a TIFF file, or of an EXIF block, which is one too (TIFF 6.0)."""

import struct
from collections.abc import Iterator

from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging.limits import check_size

PHOTOMETRIC, BITS_PER_SAMPLE, EXTRA_SAMPLES, SAMPLES_PER_PIXEL, ORIENTATION = 262, 258, 338, 277, 274

_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_NUMBERS = {_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT, SAMPLES_PER_PIXEL}
_SHORT, _LONG = 3, 4  # types


def check_tiff(data: bytes) -> None:
    """Refuse TIFFs whose first picture, or a tile of it, claims to be too large .

    Raises:
        ImageError: It does, or its size is not written as the format has it, which libtiff may read otherwise.
    """
    tags: dict[int, int] = {}
    for tag, kind, count, value in _entries(data):
        if tag in _NUMBERS and (kind not in {_SHORT, _LONG} or count != 1):
            raise ImageError(f"is a TIFF that states its size in a way of its own (tag {tag}): save it again as PNG")
        if tag == BITS_PER_SAMPLE and count > 2:  # the value is the place of a list
            bits = int.from_bytes(data[value : value + 2], "little" if _byte_order(data) == "<" else "big")
            tags.setdefault(tag, bits)
        tags.setdefault(tag, value)  # of a tag that is there twice, libtiff takes the first
    bytes_per_pixel = -(-tags.get(BITS_PER_SAMPLE, 1) * tags.get(SAMPLES_PER_PIXEL, 1) // 8)
    check_size(tags.get(_HEIGHT, 0), tags.get(_WIDTH, 0), bytes_per_pixel)
    check_size(tags.get(_TILE_HEIGHT, 0), tags.get(_TILE_WIDTH, 0), bytes_per_pixel)


def tiff_tags(data: bytes) -> dict[int, int]:
    """Return the first value of each tag in the first directory of a TIFF file or EXIF block.

    Values of more than 4 bytes come as their place in the file. A directory cut short gives what it has.
    """
    tags: dict[int, int] = {}
    for tag, _, _, value in _entries(data):
        tags.setdefault(tag, value)
    return tags


def _entries(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Give tag, kind, count and value of each entry in the first directory."""
    order = _byte_order(data)
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, start)
        for position in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", data, position)
            short = kind == _SHORT and count <= 2
            yield tag, kind, count, struct.unpack_from(order + ("H" if short else "I"), data, position + 8)[0]
    except struct.error:
        pass


def _byte_order(data: bytes) -> str:
    return "<" if data.startswith(b"II") else ">"
