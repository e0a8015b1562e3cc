"""Bounds of the memory and the time that one image file may cost, whatever its bytes say.

The work of the decoders is counted before they do it. Errors raised here lack the file's name, as those of
`cookseg.runtime.imaging.containers` do.
"""

import functools
import zlib
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from cookseg.runtime.errors import ImageError

P = ParamSpec("P")
T = TypeVar("T")

MAX_BYTES = 2**28
"""Largest image file that is read, since it is read at once: 268 MB, or 89 megapixels of uncompressed RGB."""

MAX_PIXELS = 2**27
"""Largest image that is decoded: 134 megapixels. A damaged header may promise 4000, and take all memory."""

MAX_PARTS = 100_000
"""Most chunks or segments of a file. Cameras need some hundreds; 268 MB can hold 60 million, a microsecond each."""

_MAX_SCANNED = 2**33  # pixels times scans of a JPEG: 64 scans of the largest image, where encoders write about 10
_MAX_SAMPLES = 2**29  # bytes: the largest image in RGBA, or 67 megapixels of it in 16 bits
_FREELY_INFLATED = 2**22  # a compressed size, a thousandth of what it can inflate to in seconds


def check_size(height: int, width: int, bytes_per_pixel: int = 1) -> None:
    """Refuse images that would take too much memory.

    Raises:
        ImageError: There are more than `MAX_PIXELS`, or unusually large ones.
    """
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"claims {width} x {height} pixels, more than {MAX_PIXELS}: copy or record it again, or smaller"
        )
    if height * width * bytes_per_pixel > _MAX_SAMPLES:
        raise ImageError(f"claims {width} x {height} pixels of {bytes_per_pixel} bytes each: save it as an 8-bit PNG")


def bounded(parts: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
    """Let a generator of a file's parts raise an `ImageError` where there are more than `MAX_PARTS`."""

    @functools.wraps(parts)
    def at_most(*arguments: P.args, **options: P.kwargs) -> Iterator[T]:
        for number, part in enumerate(parts(*arguments, **options)):
            if number == MAX_PARTS:
                raise ImageError(f"consists of more than {MAX_PARTS} parts: save it again with another program")
            yield part

    return at_most


def check_scans(height: int, width: int, scans: int) -> None:
    """Refuse JPEGs of very many scans: each costs a pass over all pixels, and no more than 10 bytes of the file.

    Raises:
        ImageError: There are too many for the size.
    """
    if height * width * scans > _MAX_SCANNED:
        raise ImageError(f"is a JPEG of {width} x {height} pixels in {scans} scans: save it again, not progressive")


def check_inflation(compressed: list[memoryview], size: int) -> None:
    """Refuse zlib streams that hold far more than they should: libpng reads them to their end, a thousandfold.

    Small ones pass unseen, because this costs as much as half of the decoding.

    Args:
        compressed: The stream, in pieces.
        size: Bytes that it should hold.

    Raises:
        ImageError: It holds more than twice as many, or is itself more than twice as large.
    """
    most = 2 * size + 4096  # interlaced PNGs have some bytes more for each of seven passes
    total = sum(map(len, compressed))
    stream = zlib.decompressobj()
    inflated = 0
    try:
        if total > _FREELY_INFLATED:
            for piece in compressed:
                rest: bytes | memoryview = piece
                while rest and inflated <= most and not stream.eof:
                    inflated += len(stream.decompress(rest, 2**20))
                    rest = stream.unconsumed_tail
    except zlib.error:
        return  # the decoder will say so
    if max(total, inflated) > most:
        raise ImageError(f"holds far more data than the {size} bytes that its image takes: save it again")
