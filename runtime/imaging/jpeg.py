"""JPEG files before they are decoded: the header, read once for all who ask, and completeness (ITU T.81, annex B).

Errors raised here lack the file's name, as those of `cookseg.runtime.imaging.containers` do.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging.limits import AGAIN, bounded, check_scans, check_size
from cookseg.runtime.imaging.tiff import orientation

_START_OF_IMAGE, _START_OF_SCAN, _END_OF_IMAGE, _EXIF, _ADOBE = 0xD8, 0xDA, 0xD9, 0xE1, 0xEE
_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_ARITHMETIC = 0xC9  # sequential too
_NOT_BETWEEN_SCANS = _STARTS_OF_FRAME | {_START_OF_IMAGE}
# Not those without a length: libjpeg steps over them, and a length read there would hide what follows.
_IMAGE = b"\xff\xd8\xff"
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
        gap: Whether something lies between its segments. Where a header is cut short, the last one reaches into
            whatever follows.
        scan: Position of the first scan's header; -1 if the file ends before it.
    """

    frame: int = 0
    height: int = 0
    width: int = 0
    components: int = 0
    bits: int = 8
    orientation: int = 1
    adobe: bool = False
    gap: bool = False
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
    behind = 2
    try:
        for marker, start, end in _segments(data, behind):
            header.gap |= bool(data[behind : start - 4].strip(b"\xff"))
            behind = end
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
    """Refuse JPEGs whose first image is not complete, or that are CMYK of unknown polarity.

    Returns:
        Where the pixels of the first image end, and whether a single sequential scan holds all of them.

    Raises:
        ImageError: The file is truncated, too large, or CMYK without Adobe's marker.
    """
    header = read_jpeg_header(data)
    check_size(header.height, header.width)
    if header.scan < 0:
        raise ImageError(f"is truncated, a JPEG without its end marker: {AGAIN}")
    if header.gap and _IMAGE in data[2 : header.scan]:
        raise ImageError(f"is truncated, another image starts within its header: {AGAIN}")
    end, scans = _walk_scans(data, header.scan)
    if header.components == 4 and not header.adobe:
        raise ImageError("is a CMYK JPEG that does not say whether it is inverted: save it as RGB")
    complete = data[header.scan] == header.components
    if not complete or header.frame not in {*_SEQUENTIAL, _ARITHMETIC}:
        check_scans(header.height, header.width, scans)
    elif scans > 1:
        raise ImageError(f"is truncated, the data of another image follows: {AGAIN}")
    return end, complete and header.frame in _SEQUENTIAL


@bounded
def _segments(data: bytes, position: int) -> Iterator[tuple[int, int, int]]:
    """Give the marker of each segment, and where its content starts and ends; `struct.error` where it is cut short."""
    while match := _MARKER.search(data, position):
        start = match.end()
        marker = data[start - 1]
        (length,) = (0,) if marker == _END_OF_IMAGE else struct.unpack_from(">H", data, start)
        position = start + length
        yield marker, start + 2, position


def _walk_scans(data: bytes, scan: int) -> tuple[int, int]:
    """Return the place of the first marker behind the first scan, and the number of scans up to the end marker.

    In the data of a scan, no byte 255 starts a marker but those of restarts, so this is one search for each scan. The
    first end marker counts: what cameras append behind it may be images too.

    Raises:
        ImageError: There is none, or another image starts before it: this one was cut short.
    """
    position = scan - 2 + int.from_bytes(data[scan - 2 : scan])
    first, scans, behind = -1, 1, -1
    try:
        for marker, start, end in _segments(data, position):
            first = start - 4 if first < 0 else first
            if behind >= 0 and data[behind : start - 4].strip(b"\xff"):
                raise ImageError(f"is damaged, it holds something else between its scans: {AGAIN}")
            if marker == _END_OF_IMAGE:
                return first, scans
            if marker in _NOT_BETWEEN_SCANS:
                raise ImageError(f"is truncated, another image starts before its end marker: {AGAIN}")
            scans += marker == _START_OF_SCAN
            behind = -1 if marker == _START_OF_SCAN else end
    except struct.error:  # cut short there
        pass
    raise ImageError(f"is truncated, a JPEG without its end marker: {AGAIN}")
