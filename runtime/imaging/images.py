"""Image files in: the loader of training, evaluation and runtime.

Understood are JPEG, PNG, BMP, TIFF and WebP, by content and not by suffix. Alpha is dropped, not composited:
the colours are those that the file stores. 16-bit samples become 8-bit by ``>> 8``, whatever the image's
range. Of animations and files of several pages the first one counts. What OpenCV silently gets wrong is
refused:

- truncated files, also where the next image follows in the same file, and sequential JPEGs whose data ends
  before the last block (OpenCV fills up with grey);
- PNGs with a wrong checksum. No other kind has one: a flipped bit there alters pixels, and nobody can tell;
- images and files that would cost too much memory or time, as `cookseg.runtime.imaging.limits` has it;
- CMYK JPEGs without Adobe's marker (inverted or not? unknown), TIFFs with transparency (OpenCV
  multiplies it into the colours), 16-bit TIFFs with white as 0, and samples of other than 8 or 16 bits.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from cookseg.runtime.errors import ImageError, InputError, MaskError
from cookseg.runtime.files import read_regular
from cookseg.runtime.imaging import bmp, containers, jpeg, tiff
from cookseg.runtime.imaging.containers import container
from cookseg.runtime.imaging.limits import AGAIN, MAX_BYTES
from cookseg.runtime.imaging.unfilter import decode_png
from cookseg.runtime.keywords import checked_keywords

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})

UInt8Array = npt.NDArray[np.uint8]
S = TypeVar("S", bound=np.generic)
_Decoded = npt.NDArray[Any]  # uint8 or uint16

_REDUCED = (0, cv2.IMREAD_REDUCED_GRAYSCALE_2, cv2.IMREAD_REDUCED_GRAYSCALE_4, cv2.IMREAD_REDUCED_GRAYSCALE_8)
_AS_PNG = "save it as an 8-bit PNG"
_AS_GREY: dict[str | None, Callable[[bytes], bytes]] = {
    "PNG": containers.palette_png_as_grey,
    "BMP": bmp.palette_bmp_as_grey,
    "TIFF": tiff.palette_tiff_as_grey,
}

# OpenCV's warnings about bad files would stand beside this module's errors. 4 and 5 differ in the name.
if "OPENCV_LOG_LEVEL" not in os.environ:
    (cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel)(0)


@checked_keywords
def read_image(path: Path | str) -> UInt8Array:
    """Read an image file.

    Returns:
        (H, W, 3) uint8 RGB, rotated as its EXIF orientation says.

    Raises:
        ImageError: The file cannot be read, or as `decode_image`.
    """
    return decode_image(read_file(path), str(path))


def decode_image(data: bytes, name: str, halvings: int = 0) -> UInt8Array:
    """Decode the bytes of an image file.

    Args:
        data: The file's bytes.
        name: Its name, for errors.
        halvings: Times that a JPEG is halved, 0 to 3, while it is decoded.

    Returns:
        (H, W, 3) uint8 RGB, rotated as its EXIF orientation says.

    Raises:
        ImageError: The data is not an image, is truncated or damaged, or of a kind that OpenCV decodes wrongly.
    """
    with _in_memory(name):
        pixels = _narrowed(_decode(data, name, cv2.IMREAD_COLOR_RGB | _REDUCED[halvings]))
        return pixels if pixels.ndim == 3 else _uint8(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB))


def read_mask_image(path: Path | str, *, indices: bool = False) -> UInt8Array:
    """Read a ground-truth mask, rotated as its EXIF orientation says.

    Grey files of 16 bits give the values that they store, not those that a viewer shows.

    Args:
        path: The file.
        indices: True: a file with a palette gives its indices, as (H, W), and a grey PNG of fewer than 8 bits its
            samples, 0 and 1 for one bit. False: the colours that these show, black and white for one bit.

    Returns:
        (H, W) uint8 for grey files; (H, W, 3) uint8 RGB for colour files.

    Raises:
        ImageError: As `read_image`.
        MaskError: A value does not fit into 8 bits, or a TIFF shows other values than it stores.
    """
    return decode_mask_image(read_file(path), str(path), indices=indices)


def decode_mask_image(data: bytes, name: str, *, indices: bool = False) -> UInt8Array:
    """Return what `read_mask_image` does, of the bytes of a file; ``name`` is what messages call it."""
    with _in_memory(name):
        return _stored_values(data, name, indices)


def _stored_values(data: bytes, path: str, indices: bool) -> UInt8Array:
    kind = container(data)
    if indices and kind in _AS_GREY:
        with _named(path):
            data = _AS_GREY[kind](data)
    if kind == "PNG":
        with _named(path):
            data = containers.check_png(data)
        if (simple := decode_png(data)) is not None:
            return simple
    pixels = _decode(data, path, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    if pixels.ndim == 3 and kind != "TIFF":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    if kind == "PNG":
        pixels = _stored_grey(pixels, bits=data[24] if indices else 8, color_type=data[25])
    elif kind == "TIFF":
        stored = tiff.read_tiff_header(data)
        if stored.white_is_zero or stored.bits < 8:
            raise MaskError(f"{path} is a TIFF of fewer than 8 bits or with white as 0: {_AS_PNG}")
    if pixels.ndim == 3:
        return _narrowed(pixels)
    if pixels.max() > 255:
        raise MaskError(f"{path} has 16-bit values up to {pixels.max()}, masks end at 255: {_AS_PNG}")
    return _uint8(pixels)


def read_file(path: Path | str) -> bytes:
    """Return a file's bytes.

    Raises:
        ImageError: It cannot be read.
    """
    try:
        return read_regular(Path(path), MAX_BYTES)
    except InputError as error:
        raise ImageError(str(error)) from error.__cause__


def _decode(data: bytes, name: str, flags: int) -> _Decoded:
    """Decode to (H, W) or (H, W, 3), as the flags say. TIFFs come as they are stored, but as RGB, always."""
    with _named(name):
        match container(data):
            case "JPEG":
                return _decode_jpeg(data, flags)
            case "PNG":
                return _imdecode(containers.check_png(data), flags)
            case "BMP":
                return _imdecode(bmp.check_bmp(data), flags)
            case "TIFF":
                tiff.check_tiff(data)
                return _decode_tiff(data)
            case "WebP":
                containers.check_webp(data)
                # OpenCV 5 rotates WebPs, 4.11 does not.
                orientation = containers.webp_orientation(data)
                return turn(_imdecode(data, flags | cv2.IMREAD_IGNORE_ORIENTATION), orientation)
    if not data:
        raise ImageError(f"{name} is empty (0 bytes): {AGAIN}")
    raise ImageError(f"{name} is not a JPEG, PNG, BMP, TIFF or WebP, whatever its suffix says: convert it to one")


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put a file's name in front of the errors raised about its content."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{name} {error}") from error.__cause__


@contextmanager
def _in_memory(name: str) -> Iterator[None]:
    """Say which file needs more memory than the process can have, where a limit is set to that."""
    try:
        yield
    except (MemoryError, cv2.error) as error:
        raise ImageError(f"{name} needs more memory than there is: make the image smaller") from error


def _imdecode(data: bytes | bytearray, flags: int) -> _Decoded:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"cannot be decoded ({error.err}): {AGAIN}, or {_AS_PNG}") from error
    if pixels is None:
        raise ImageError(f"cannot be decoded, it is truncated, damaged or of a rare kind: {AGAIN}, or {_AS_PNG}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"has {pixels.dtype} samples, and it is unknown which value is white: {_AS_PNG}")
    return np.asarray(pixels)


def _decode_jpeg(data: bytes, flags: int) -> _Decoded:
    end, sequential = jpeg.check_jpeg(data)
    pixels = _imdecode(data, flags)
    if sequential and _has_grey_corner(pixels):
        # libjpeg fills missing blocks with grey and tells stderr alone. Without an end marker it fails
        # instead; a complete image has ended before the zeros, which only feed the bit reader's look-ahead.
        try:
            _imdecode(data[:end] + bytes(16), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        except ImageError:
            raise ImageError(f"is damaged, its data ends before the image does: {AGAIN}") from None
    return pixels


def _has_grey_corner(pixels: _Decoded) -> bool:
    """Tell whether a corner (which one depends on the orientation) has libjpeg's filling: 128, in CMYK 65."""
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]].reshape(4, -1).tolist()
    return any(set(corner) in ({128}, {65}) for corner in corners)


def _decode_tiff(data: bytes) -> _Decoded:
    pixels = _imdecode(data, cv2.IMREAD_UNCHANGED)  # with any other flag 16 bits are rounded and alpha is hidden
    stored = tiff.read_tiff_header(data)
    opaque = pixels.ndim == 3 and pixels.shape[2] == 4 and pixels[..., 3].min() == np.iinfo(pixels.dtype).max
    if stored.transparent and not opaque:
        raise ImageError("is a TIFF with transparency, which changes its colours: save it without alpha")
    if pixels.dtype == np.uint16 and stored.white_is_zero:
        raise ImageError(f"is a 16-bit TIFF with white as 0: {_AS_PNG}")
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    return pixels


def turn(pixels: npt.NDArray[S], orientation: int) -> npt.NDArray[S]:
    """Rotate and mirror pixels (H, W, ...) as an EXIF orientation of 1 to 8 says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _stored_grey(pixels: _Decoded, bits: int, color_type: int) -> _Decoded:
    """Undo what libpng did to a grey PNG: 1, 2 or 4 bits were stretched, grey with alpha is colour."""
    if color_type == 4 and pixels.ndim == 3:
        return pixels[..., 0]
    return pixels // (255 // (2**bits - 1)) if color_type == 0 and bits < 8 else pixels


def _narrowed(pixels: _Decoded) -> UInt8Array:
    if pixels.dtype != np.uint16:
        return _uint8(pixels)
    return np.right_shift(pixels, 8, out=np.empty(pixels.shape, np.uint8), casting="unsafe")  # no second 16-bit copy


def _uint8(pixels: npt.NDArray[np.generic]) -> UInt8Array:
    return np.ascontiguousarray(pixels, np.uint8)
