"""JPEG files before they are decoded: the header, read once for all who ask, and completeness (ITU T.81, annex B).

Errors raised here lack the file's name, as those of `cookseg.runtime.imaging.containers` do.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging.containers import AGAIN
from cookseg.runtime.imaging.limits import bounded, check_scans, check_size
from cookseg.runtime.imaging.tiff import orientation

_START_OF_SCAN, _END_OF_IMAGE, _EXIF, _ADOBE = 0xDA, 0xD9, 0xE1, 0xEE
_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_ARITHMETIC = 0xC9  # sequential too
# Not those without a length: libjpeg steps over them, and a length read there would hide what follows.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")


@dataclass
class JpegHeader:
    """Segments up to the first scan's header; what a header that is cut short does not tell keeps its default.

    Attributes:
        frame: Marker of the frame header, which tells the kind of coding; 0 if there is none.
        height: Rows as stored.
        width: Columns as stored.
        components: Samples of a pixel: 1 for grey, 3 for colour, 4 for CMYK.
        bits: Bits per sample.
        orientation: EXIF orientation, 1 to 8.
        adobe: Whether Adobe's marker is there, and so whether CMYK is known to be inverted.
        scan: Position of the first scan's header; -1 if the file ends before it.
    """

    frame: int = 0
    height: int = 0
    width: int = 0
    components: int = 0
    bits: int = 8
    orientation: int = 1
    adobe: bool = False
    scan: int = -1

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image, rotated as its EXIF orientation says; zeros where they are not known."""
        return (self.width, self.height) if self.orientation in (5, 6, 7, 8) else (self.height, self.width)


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Read the header of a JPEG, as far as it goes.

    Raises:
        ImageError: It consists of too many segments.
    """
    header = JpegHeader()
    try:
        for marker, start, end in _segments(data, 2):
            if marker == _START_OF_SCAN:
                header.scan = start
                break
            if marker in _STARTS_OF_FRAME:
                header.bits, header.height, header.width, header.components = struct.unpack_from(">BHHB", data, start)
                header.frame = marker
            elif marker == _EXIF and data[start : start + 6] == b"Exif\0\0":
                header.orientation = orientation(data[start + 6 : end])
            header.adobe |= marker == _ADOBE and data[start : start + 5] == b"Adobe"
    except struct.error:  # cut short there
        pass
    return header


def check_jpeg(data: bytes) -> tuple[int, bool]:
    """Refuse JPEGs that lack their end, or are CMYK of unknown polarity.

    Returns:
        Position of the end marker, and whether a single sequential scan holds the complete image.

    Raises:
        ImageError: The file is truncated, too large, or CMYK without Adobe's marker.
    """
    header = read_jpeg_header(data)
    check_size(header.height, header.width)
    # Searched from the end: thumbnails before the scan have end markers too, and cameras append things.
    end = data.rfind(b"\xff\xd9", header.scan) if header.scan >= 0 else -1
    if end < 0:
        raise ImageError(f"is truncated, a JPEG without its end marker: {AGAIN}")
    if header.components == 4 and not header.adobe:
        raise ImageError("is a CMYK JPEG that does not say whether it is inverted: save it as RGB")
    complete = data[header.scan] == header.components
    if not complete or header.frame not in {*_SEQUENTIAL, _ARITHMETIC}:
        check_scans(header.height, header.width, _count_scans(data, header.scan))
    return end, complete and header.frame in _SEQUENTIAL


@bounded
def _segments(data: bytes, position: int) -> Iterator[tuple[int, int, int]]:
    """Give the marker of each segment, and where its content starts and ends; `struct.error` where it is cut short."""
    while match := _MARKER.search(data, position):
        start = match.end()
        (length,) = struct.unpack_from(">H", data, start)
        position = start + length
        yield data[start - 1], start + 2, position


def _count_scans(data: bytes, position: int) -> int:
    scans = 1
    try:
        for marker, _, _ in _segments(data, position):
            if marker == _END_OF_IMAGE:
                break
            scans += marker == _START_OF_SCAN
    except struct.error:  # cut short there; libjpeg goes no further
        pass
    return scans
