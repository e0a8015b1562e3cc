"""What image files say of themselves before they are decoded: kind, completeness, checksums, tags.

OpenCV keeps most of this to itself, and where a file is bad its libraries print to stderr, or crash (4.11,
damaged animated PNG). Errors raised here lack the file's name, which `cookseg.runtime.images` puts in front.
"""

import struct
import zlib
from collections.abc import Iterator

from cookseg.runtime.errors import ImageError

MAX_PIXELS = 2**27
"""Largest picture that is decoded: 134 megapixels. A damaged header may promise 4000, and take all memory."""

AGAIN = "copy or record it again"
PHOTOMETRIC, BITS_PER_SAMPLE, EXTRA_SAMPLES, ORIENTATION = 262, 258, 338, 274  # TIFF 6.0 tags

_START_OF_SCAN = 0xDA
STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

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
    """
    position = 2
    while (position := data.find(b"\xff", position)) >= 0:
        marker, length = struct.unpack_from(">xBH", data, position)
        if marker in (0x00, 0x01, 0xFF):  # markers without a length
            position += 1
            continue
        yield marker, position + 4, position + 2 + length
        if marker == _START_OF_SCAN:
            return
        position += 2 + length


def check_jpeg(data: bytes) -> tuple[int, bool]:
    """Refuse JPEGs that lack their end, or are CMYK of unknown polarity (ITU T.81, annex B).

    Returns:
        Where the end marker stands, and whether a single sequential scan holds the whole picture.

    Raises:
        ImageError: The file is truncated, too large, or CMYK without Adobe's marker.
    """
    frame, components, adobe, scan = 0, 0, False, -1
    try:
        for marker, start, _ in jpeg_segments(data):
            if marker == _START_OF_SCAN:
                scan = start
            elif marker in STARTS_OF_FRAME:
                frame = marker
                height, width, components = struct.unpack_from(">HHB", data, start + 1)
                _check_size(height, width)
            adobe |= marker == 0xEE and data[start : start + 5] == b"Adobe"
    except struct.error:
        scan = -1
    # Searched from the end: thumbnails before the scan have end markers too, and cameras append things.
    end = data.rfind(b"\xff\xd9", scan) if scan >= 0 else -1
    if end < 0:
        raise ImageError(f"is truncated, a JPEG without its end marker: {AGAIN}")
    if components == 4 and not adobe:
        raise ImageError("is a CMYK JPEG that does not say whether it is inverted: save it as RGB")
    return end, frame in (0xC0, 0xC1) and data[scan] == components


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


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Give the type of each chunk up to IEND, and where its content starts and ends.

    Raises:
        ImageError: The file is truncated.
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
        The PNG without its animation, which leaves the first picture to any reader, and OpenCV 4.11 unharmed.

    Raises:
        ImageError: The file is truncated, damaged or too large.
    """
    view = memoryview(data)
    kept = [view[:8]]
    for kind, start, end in png_chunks(data):
        if zlib.crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise ImageError(f"is damaged, the checksum of its {kind.decode('latin1')!r} chunk is wrong: {AGAIN}")
        if kind == b"IHDR" and end - start == 13:
            _check_size(*struct.unpack_from(">II", data, start))
        if kind not in (b"acTL", b"fcTL", b"fdAT"):
            kept.append(view[start - 8 : end + 4])
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


def webp_orientation(data: bytes) -> int:
    """Return the EXIF orientation of a WebP, 1 to 8.

    Raises:
        ImageError: The file is truncated or too large.
    """
    if len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise ImageError(f"is truncated, a WebP that claims more bytes than it has: {AGAIN}")
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"VP8X":
            canvas = data[position + 12 : position + 18]
            _check_size(int.from_bytes(canvas[3:], "little") + 1, int.from_bytes(canvas[:3], "little") + 1)
        if kind == b"EXIF":
            exif = data[position + 8 : position + 8 + length].removeprefix(b"Exif\0\0")
            return tiff_tags(exif).get(ORIENTATION, 1)
        position += 8 + length + length % 2
    return 1


def tiff_tags(data: bytes) -> dict[int, int]:
    """Return the first value of each tag in the first directory of a TIFF file or EXIF block.

    Values of more than 4 bytes come as their place in the file. A directory cut short gives what it has.
    """
    tags: dict[int, int] = {}
    order = "<" if data.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        for position in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", data, position)
            short = kind == 3 and values <= 2
            (tags[tag],) = struct.unpack_from(order + ("H" if short else "I"), data, position + 8)
    except struct.error:
        pass
    return tags


def _check_size(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise ImageError(f"claims {width} x {height} pixels, more than {MAX_PIXELS}: {AGAIN}, or smaller")
