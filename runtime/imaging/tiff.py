"""The first directory of a TIFF file, or of an EXIF block, which is one too (TIFF 6.0)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging.limits import check_size

_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION, _SAMPLES_PER_PIXEL, _EXTRA_SAMPLES = 258, 262, 274, 277, 338
_NUMBERS = {_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLES_PER_PIXEL}
_SHORT, _LONG = 3, 4  # types


@dataclass(frozen=True)
class TiffHeader:
    """The first directory: how a TIFF file stores its first image. A directory cut short gives what it has.

    Attributes:
        height: Rows as stored.
        width: Columns as stored.
        tile: Height and width of its tiles, zeros if it has none.
        samples: Samples of a pixel.
        bits: Bits per sample, of the first.
        orientation: 1 to 8, as in EXIF.
        white_is_zero: Whether grey values are inverted.
        transparent: Whether some samples are not colours.
        odd: The first tag of a size that is not one number, 0 if there is none.
    """

    height: int
    width: int
    tile: tuple[int, int]
    samples: int
    bits: int
    orientation: int
    white_is_zero: bool
    transparent: bool
    odd: int


def read_tiff_header(data: bytes) -> TiffHeader:
    """Read the header of a TIFF file, or of an EXIF block."""
    tags: dict[int, int] = {}
    odd = 0
    for tag, kind, count, value in _entries(data):
        if tag in _NUMBERS and (kind not in {_SHORT, _LONG} or count != 1):
            odd = odd or tag
        listed = tag == _BITS_PER_SAMPLE and count > 2  # then the value is the place of a list
        # of a tag that is there twice, libtiff takes the first
        tags.setdefault(tag, _short_at(data, value) if listed else value)
    return TiffHeader(
        height=tags.get(_HEIGHT, 0),
        width=tags.get(_WIDTH, 0),
        tile=(tags.get(_TILE_HEIGHT, 0), tags.get(_TILE_WIDTH, 0)),
        samples=tags.get(_SAMPLES_PER_PIXEL, 1),
        bits=tags.get(_BITS_PER_SAMPLE, 1),
        orientation=tags.get(_ORIENTATION, 1),
        white_is_zero=tags.get(_PHOTOMETRIC) == 0,
        transparent=_EXTRA_SAMPLES in tags,
        odd=odd,
    )


def orientation(exif: bytes) -> int:
    """Return the orientation in an EXIF block, 1 to 8; 1 where it says none."""
    return read_tiff_header(exif).orientation


def check_tiff(data: bytes) -> None:
    """Refuse TIFFs whose first image, or a tile of it, claims to be too large.

    Raises:
        ImageError: It does, or its size is not written as the format has it, which libtiff may read otherwise.
    """
    header = read_tiff_header(data)
    if header.odd:
        raise ImageError(f"is a TIFF that states its size in a way of its own (tag {header.odd}): save it again as PNG")
    bytes_per_pixel = -(-header.bits * header.samples // 8)
    check_size(header.height, header.width, bytes_per_pixel)
    check_size(*header.tile, bytes_per_pixel)


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


def _short_at(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 2], "little" if _byte_order(data) == "<" else "big")


def _byte_order(data: bytes) -> str:
    return "<" if data.startswith(b"II") else ">"
