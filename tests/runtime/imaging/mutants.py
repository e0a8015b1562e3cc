"""Image files that are damaged or malicious: valid ones of every kind, and what became of them.

`python tests/mutants.py SEED COUNT` decodes that many mutants and prints a line for each before it and after it.
"""

import random
import resource
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from test_images import FILES, SCENE, encoded

from cookseg.runtime.errors import ImageError, MaskError
from cookseg.runtime.imaging import containers, jpeg, tiff
from cookseg.runtime.imaging.images import decode_image, read_mask_image
from cookseg.runtime.imaging.limits import check_size
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.model.contract import Preprocessing


def with_exif(kind, **options):
    exif = Image.Exif()
    exif[274] = 6
    exif[270] = "a pan"
    return encoded(SCENE, kind, exif=exif, **options)


def bmp(width, height, bits=24, compression=0, body=b""):
    palette = bytes(range(256)) * 4 if bits == 8 else b""
    fields = (40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return (
        struct.pack("<2sIHHI", b"BM", 54 + len(palette) + len(body), 0, 0, 54 + len(palette))
        + struct.pack("<IiiHHIIiiII", *fields)
        + palette
        + body
    )


def old_bmp(width, height, body):
    return struct.pack("<2sIHHIIHHHH", b"BM", 26 + len(body), 0, 0, 26, 12, width, height, 1, 24) + body


SEEDS = FILES | {
    "jpeg-exif": with_exif("JPEG"),
    "png-exif": with_exif("PNG"),
    "png-16bit": encoded(SCENE[..., 0].astype(np.uint16) * 257, "PNG"),
    "png-transparent-palette": encoded(SCENE, "PNG", "P", transparency=3),
    "bmp-rle": bmp(8, 4, 8, 1, b"\x08\x01\0\0" * 3 + b"\0\x05abcde\0\x03\x02\0\0\0\x01"),
    "bmp-old": old_bmp(4, 2, bytes(range(24))),
    "tiff-jpeg": encoded(SCENE, "TIFF", compression="jpeg"),
    "tiff-packbits": encoded(SCENE, "TIFF", compression="packbits"),
    "tiff-fax": encoded(SCENE, "TIFF", "1", compression="group4"),
    "tiff-16bit": encoded(SCENE[..., 0].astype(np.uint16) * 257, "TIFF"),
    "webp-exif": with_exif("WEBP"),
    "webp-alpha": encoded(np.dstack([SCENE, SCENE[..., 0]]), "WEBP"),
}

TELLING = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x1000, 0x4000, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF]


def edited(data, rng):
    """Return the file after one change: of a bit, a byte or a number, a cut, an insertion, a splice, a shorter file."""
    data = bytearray(data)
    at = rng.randrange(rng.choice((len(data), min(64, len(data)), min(400, len(data)))))  # headers come first
    match rng.randrange(8):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            data[at] = rng.randrange(256)
        case 2:
            size = rng.choice((2, 4))
            order = rng.choice(("big", "little"))
            data[at : at + size] = (rng.choice(TELLING) % 256**size).to_bytes(size, order)
        case 3:
            del data[at : at + rng.choice((1, 2, 8, 100))]
        case 4:
            data[at:at] = rng.randbytes(rng.choice((1, 4, 60)))
        case 5:
            data[at:at] = data[at : at + rng.choice((4, 50, 400))]
        case 6:
            other = SEEDS[rng.choice(list(SEEDS))]
            start = rng.randrange(len(other))
            data[at : at + rng.choice((0, 20))] = other[start : start + rng.choice((4, 40, 400))]
        case 7:
            data = data[: at + 1]
    return bytes(data)


def with_right_checksums(data):
    """Return a PNG whose checksums fit, so that damage gets beyond them."""
    data = bytearray(data)
    position = 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4])
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[position + 4 : end]).to_bytes(4)
        position = end + 4
    return bytes(data)


def mutant(seed):
    """Return a valid file after a few changes."""
    rng = random.Random(seed)
    data = SEEDS[rng.choice(list(SEEDS))]
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        data = edited(data, rng) or b"\0"
    return with_right_checksums(data) if data.startswith(b"\x89PNG") and rng.random() < 0.9 else data


SMALL = Preprocessing(16, 24)


def attempt(data, path):
    """Read a file as a frame, whole and small, and as a mask of both kinds; return what became of the frame.

    Its size must have been checked before it was decoded, or bombs of this kind would explode.
    """
    checked = []

    def recorded(height, width, bytes_per_pixel=1):
        checked.append(height * width)
        check_size(height, width, bytes_per_pixel)

    containers.check_size = jpeg.check_size = tiff.check_size = recorded
    path.write_bytes(data)
    for indices in (False, True):
        try:
            mask = read_mask_image(path, indices=indices)
        except (ImageError, MaskError) as error:
            assert str(error).startswith(f"{path} "), error  # noqa: PT017 - not raising may be right
        else:
            assert mask.dtype == np.uint8
            assert mask.size
    try:
        frame = decode_image(data, "mutant")
    except ImageError as error:
        assert str(error).startswith("mutant "), error  # noqa: PT017
        return "ImageError"
    assert (frame.dtype, frame.ndim, frame.shape[2]) == (np.uint8, 3, 3)
    assert frame.shape[0] * frame.shape[1] in checked, (frame.shape, checked)
    small = decode_frame(data, "mutant", SMALL)
    assert small.size == frame.shape[:2]
    assert small.pixels.size <= frame.size
    return "pixels"


def main(seed, count):
    """Attempt mutants within 4 GiB of memory."""
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    with tempfile.TemporaryDirectory() as folder:
        for number in range(seed, seed + count):
            sys.stdout.write(f"{number}: ")
            sys.stdout.flush()
            start = time.perf_counter()
            outcome = attempt(mutant(number), Path(folder, "mutant"))
            sys.stdout.write(f"{outcome} {time.perf_counter() - start:.3f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
