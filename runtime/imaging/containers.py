"""What image files say of themselves before they are decoded: kind, completeness, checksums, size.

OpenCV keeps most of this to itself, and where a file is bad its libraries print to stderr, or crash (4.11,
damaged animated PNG). Errors raised here lack the file's name, which `cookseg.runtime.imaging.images` puts in front.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging.limits import bounded, check_inflation, check_scans, check_size
from cookseg.runtime.imaging.tiff import ORIENTATION, tiff_tags

AGAIN = "copy or record it again"

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Not those without a length: libjpeg steps over them, and a length read there would hide what follows.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")

# What a picture is made of; anything else, animations and profiles, libpng may only complain or stumble about.
_PNG_PICTURE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"})
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of each colour type

_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"RIFF": "WebP",
}


def container(data: bytes) -> str | None:
    """Return JPEG, PNG, BMP, TIFF or WebP, by content, or None for anything else."""
    kind = next((kind for magic, kind in _SIGNATURES.items() if data.startswith(magic)), None)
    return None if kind == "WebP" and data[8:12] != b"WEBP" else kind


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Give the marker of each segment up to the first scan's header, and where its content starts and ends.

    Raises:
        struct.error: A segment lies beyond the end.
        ImageError: There are too many.
    """
    for segment in _segments_from(data, 2):
        yield segment
        if segment[0] == _START_OF_SCAN:
            return


@bounded
def _segments_from(data: bytes, position: int) -> Iterator[tuple[int, int, int]]:
    while match := _MARKER.search(data, position):
        start = match.end()
        (length,) = struct.unpack_from(">H", data, start)
        position = start + length
        yield data[start - 1], start + 2, position


def check_jpeg(data: bytes) -> tuple[int, bool]:
    """Refuse JPEGs that lack their end, or are CMYK of unknown polarity (ITU T.81, annex B).

    Returns:
        Where the end marker stands, and whether a single sequential scan holds the whole picture.

    Raises:
        ImageError: The file is truncated, too large, or CMYK without Adobe's marker.
    """
    frame, components, adobe, scan = 0, 0, False, -1
    height = width = 0
    try:
        for marker, start, _ in jpeg_segments(data):
            if marker == _START_OF_SCAN:
                scan = start
            elif marker in STARTS_OF_FRAME:
                frame = marker
                height, width, components = struct.unpack_from(">HHB", data, start + 1)
                check_size(height, width)
            adobe |= marker == 0xEE and data[start : start + 5] == b"Adobe"
    except struct.error:
        scan = -1
    # Searched from the end: thumbnails before the scan have end markers too, and cameras append things.
    end = data.rfind(b"\xff\xd9", scan) if scan >= 0 else -1
    if end < 0:
        raise ImageError(f"is truncated, a JPEG without its end marker: {AGAIN}")
    if components == 4 and not adobe:
        raise ImageError("is a CMYK JPEG that does not say whether it is inverted: save it as RGB")
    whole = data[scan] == components
    if not whole or frame not in (0xC0, 0xC1, 0xC9):
        check_scans(height, width, _count_scans(data, scan))
    return end, frame in (0xC0, 0xC1) and whole


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return height and width of a JPEG's picture, turned as its EXIF orientation says.

    Raises:
        struct.error: The file is truncated before its frame header.
    """
    orientation = 1
    for marker, start, end in jpeg_segments(data):
        if marker == 0xE1 and data[start : start + 6] == b"Exif\0\0":
            orientation = tiff_tags(data[start + 6 : end]).get(ORIENTATION, 1)
        elif marker in STARTS_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, start + 1)
            return (width, height) if orientation in (5, 6, 7, 8) else (height, width)
    raise struct.error("no frame header")


def _count_scans(data: bytes, position: int) -> int:
    scans = 1
    try:
        for marker, _, _ in _segments_from(data, position):
            if marker == _END_OF_IMAGE:
                break
            scans += marker == _START_OF_SCAN
    except struct.error:  # cut short there; libjpeg goes no further
        pass
    return scans


@bounded
def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Give the type of each chunk up to IEND, and where its content starts and ends.

    Raises:
        ImageError: The file is truncated, or has too many.
    """
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", data[position : position + 8].ljust(8, b"\xff"))
        if len(data) < position + 12 + length:
            raise ImageError(f"is truncated, a PNG without its last chunk: {AGAIN}")
        yield kind, position + 8, position + 8 + length
        position += 12 + length


def check_png(data: bytes) -> bytes:
    """Refuse PNGs that are incomplete or have a wrong checksum.

    Returns:
        The PNG without what is not its picture. Of an animation that leaves the first picture to any reader, and
        OpenCV 4.11 unharmed.

    Raises:
        ImageError: The file is truncated, damaged or too large.
    """
    view = memoryview(data)
    kept = [view[:8]]
    pixels = []
    size = 0
    for kind, start, end in png_chunks(data):
        if zlib.crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise ImageError(f"is damaged, the checksum of its {kind.decode('latin1')!r} chunk is wrong: {AGAIN}")
        if (kind == b"IHDR") != (start == 16) or (kind == b"IHDR" and end != 29):
            raise ImageError(f"is damaged, a PNG without a header at its start: {AGAIN}")
        if kind == b"IHDR":
            width, height, bits, color_type = struct.unpack_from(">IIBB", data, start)
            bits *= _PNG_SAMPLES.get(color_type, 4)
            check_size(height, width, bits // 8)
            size = height * (1 + (width * bits + 7) // 8)
        elif kind == b"IDAT":
            pixels.append(view[start:end])
        if kind in _PNG_PICTURE:
            kept.append(view[start - 8 : end + 4])
    check_inflation(pixels, size)
    return data if sum(map(len, kept)) == end + 4 else b"".join(kept)


def palette_as_grey(data: bytes) -> bytes:
    """Return a palette PNG as the grey PNG whose samples are the indices; any other data as it is.

    OpenCV expands palettes to colours. That loses which index a colour had, where two entries are alike for good.

    Raises:
        ImageError: As `check_png`.
    """
    if container(data) != "PNG" or data[25:26] != b"\x03":
        return data
    data = check_png(data)
    header = b"IHDR" + data[16:25] + b"\x00" + data[26:29]  # colour type 0 instead of 3
    chunks = [data[:12], header, zlib.crc32(header).to_bytes(4)]
    for kind, start, end in png_chunks(data):
        if kind not in (b"IHDR", b"PLTE", b"tRNS"):
            chunks.append(data[start - 8 : end + 4])
    return b"".join(chunks)


def check_bmp(data: bytes) -> None:
    """Refuse BMPs that claim to be too large, or end within their header.

    Raises:
        ImageError: The file is truncated or too large.
    """
    if len(data) < 26:
        raise ImageError(f"is truncated, a BMP without its header: {AGAIN}")
    old = data[14:18] == b"\x0c\0\0\0"  # OS/2 1.x
    width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    check_size(abs(height), abs(width))


def check_webp(data: bytes) -> None:
    """Refuse WebPs that are cut short, or claim to be too large in any of their pictures (RFC 9649).

    Raises:
        ImageError: The file is truncated or too large.
    """
    if len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise ImageError(f"is truncated, a WebP that claims more bytes than it has: {AGAIN}")
    for kind, start, _ in _webp_chunks(data):
        if kind == b"VP8X":
            animated = int.from_bytes(data[start : start + 1]) & 2  # then OpenCV holds two pictures of RGBA
            check_size(_triple(data, start + 7) + 1, _triple(data, start + 4) + 1, 8 if animated else 4)
        elif kind == b"ANMF":
            check_size(_triple(data, start + 9) + 1, _triple(data, start + 6) + 1)
        elif kind == b"VP8 ":
            width, height = struct.unpack("<HH", data[start + 6 : start + 10].ljust(4, b"\0"))
            check_size(height & 0x3FFF, width & 0x3FFF)
        elif kind == b"VP8L":
            bits = int.from_bytes(data[start + 1 : start + 5], "little")
            check_size((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)


def webp_orientation(data: bytes) -> int:
    """Return the EXIF orientation of a WebP, 1 to 8.

    Raises:
        ImageError: The file has too many chunks.
    """
    for kind, start, end in _webp_chunks(data):
        if kind == b"EXIF":
            return tiff_tags(data[start:end].removeprefix(b"Exif\0\0")).get(ORIENTATION, 1)
    return 1


@bounded
def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Give the type of each chunk, and where its content starts and ends."""
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        yield kind, position + 8, position + 8 + length
        position += 8 + length + length % 2


def _triple(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 3], "little")
