"""From an image file, or a frame in memory, to the network's input: decode as small as it allows, then resize.

Training, evaluation and the appliance share it, so that a network sees on the appliance what it was trained
with. All other preprocessing is inside the graph.
"""

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from cookseg.runtime.errors import ImageError, InputError
from cookseg.runtime.imaging.containers import container
from cookseg.runtime.imaging.frame import Frame, Size
from cookseg.runtime.imaging.images import UInt8Array, decode_image, read_file
from cookseg.runtime.imaging.jpeg import read_jpeg_header
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import Preprocessing

_MOST_IN_JPEG = 3  # its decoder can make a half, a quarter or an eighth of each side


@checked_keywords
def read_frame(path: Path | str, spec: Preprocessing) -> Frame:
    """Read an image file no larger than a network needs it; see `decode_frame`.

    Raises:
        ImageError: The file cannot be read or decoded.
    """
    return decode_frame(read_file(path), str(path), spec)


def decode_frame(data: bytes, name: str, spec: Preprocessing) -> Frame:
    """Decode the bytes of an image file no larger than a network needs it; ``name`` stands in messages.

    A JPEG is decoded at a half, a quarter or an eighth, as often as `fit` would halve it: less work for the same frame.

    Returns:
        The frame, rotated as its EXIF orientation says. Its pixels, (h, w, 3) uint8 RGB, still need `fit`; its size
        is the image's; ``whole`` decodes all pixels.

    Raises:
        ImageError: As `decode_image`.
    """
    size = _jpeg_size(data) if container(data) == "JPEG" else None
    halvings = min(_MOST_IN_JPEG, _halvings(size, fitted_size(*size, spec))) if size else 0
    pixels = decode_image(data, name, halvings)
    if size and pixels.shape[:2] != tuple(side >> halvings for side in size):
        size, pixels = None, decode_image(data, name)  # its EXIF data can be read in two ways
    if not size:
        return Frame.of(pixels, name)
    return Frame(pixels, size, name, reread=partial(decode_image, data, name) if halvings else None)


def _jpeg_size(data: bytes) -> Size | None:
    """Return height and width of a JPEG, or None where it is truncated or worse, as decoding will say."""
    try:
        size = read_jpeg_header(data).size
    except ImageError:
        return None
    return size if all(size) else None


def fitted_size(height: int, width: int, spec: Preprocessing) -> Size:
    """Return the rows and columns of the network's input that a frame covers, from the top left.

    All of the input for ``stretch``; for ``letterbox`` the largest size of the frame's own shape.

    >>> fitted_size(1080, 1920, Preprocessing(256, 256, "letterbox"))
    (144, 256)
    """
    if spec.resize == "stretch":
        return spec.height, spec.width
    if spec.height * width <= spec.width * height:
        return spec.height, max(1, round(width * spec.height / height))
    return max(1, round(height * spec.width / width)), spec.width


def fit(frame: UInt8Array, spec: Preprocessing) -> UInt8Array:
    """Resize a frame to the network's input.

    A frame is halved, each pixel the mean of four, while it is even and covers the input; what is left is bilinear.
    For 1920x1080 that takes a tenth of the time of averaging over areas in one step, and differs from it by less than
    a grey level on average.

    Args:
        frame: (H, W, 3) uint8, RGB.
        spec: Size and rule. Letterbox pads with the spec's mean colour, which the network sees as zero.

    Returns:
        (spec.height, spec.width, 3) uint8, RGB; the frame itself where it fits already.

    Raises:
        InputError: The frame is not of this shape and type.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise InputError(f"a frame must be (H, W, 3) uint8, this one is {frame.shape} {frame.dtype}")
    rows, columns = fitted_size(frame.shape[0], frame.shape[1], spec)
    frame = _resized(frame, (rows, columns))
    if (rows, columns) == (spec.height, spec.width):
        return frame
    padded = np.empty((spec.height, spec.width, 3), np.uint8)
    padded[:] = [round(255 * value) for value in spec.mean]
    padded[:rows, :columns] = frame
    return padded


def _resized(frame: UInt8Array, size: Size) -> UInt8Array:
    height, width = frame.shape[:2]
    for _ in range(_halvings((height, width), size)):
        height, width = height // 2, width // 2
        frame = np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    if (height, width) == size:
        return frame
    # bilinear looks at two pixels: where more make one, it would skip some
    skips = height > 2 * size[0] or width > 2 * size[1]
    how = cv2.INTER_AREA if skips else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, size[::-1], interpolation=how), np.uint8)


def _halvings(size: Size, target: Size) -> int:
    """Return how often a size can be halved without a remainder, which would shift the image, and cover the target.

    >>> _halvings((1080, 1920), (256, 256)), _halvings((1081, 1920), (256, 256))
    (2, 0)
    """
    halvings = 0
    while all(s % (2 << halvings) == 0 and s >> halvings + 1 >= t for s, t in zip(size, target, strict=True)):
        halvings += 1
    return halvings
