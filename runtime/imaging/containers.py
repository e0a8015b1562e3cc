"""Image files before they are decoded: kind by content, and completeness, checksums and size of PNG, BMP and WebP.

OpenCV keeps most of this to itself, and where a file is bad its libraries print to stderr, or crash (4.11,
damaged animated PNG). `cookseg.runtime.imaging.jpeg` and `tiff` do the same for the other two. Errors raised here lack
the file's name, which `cookseg.runtime.imaging.images` puts in front.
"""

import struct
import zlib
from collections.abc import Iterator

from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging.limits import bounded, check_inflation, check_size
from cookseg.runtime.imaging.tiff import orientation

AGAIN = "copy or record it again"

# Chunks that make the image; about anything else, animations and profiles, libpng may only complain or stumble.
_PNG_IMAGE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"})
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
        The PNG without what is not its image. Of an animation that leaves the first frame to any reader, and
        OpenCV 4.11 unharmed.

    Raises:
        ImageError: The file is truncated, damaged or too large.

    https://www.w3.org/TR/png-3/
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
        if kind in _PNG_IMAGE:
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
    """Refuse WebPs that are cut short, or claim to be too large in any of their frames (RFC 9649).

    Raises:
        ImageError: The file is truncated or too large.
    """
    if len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise ImageError(f"is truncated, a WebP that claims more bytes than it has: {AGAIN}")
    for kind, start, _ in _webp_chunks(data):
        if kind == b"VP8X":
            animated = int.from_bytes(data[start : start + 1]) & 2  # then OpenCV holds two RGBA images
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
            return orientation(data[start:end].removeprefix(b"Exif\0\0"))
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
