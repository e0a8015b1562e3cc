"""Faults to plant in a data set, as a doctor must find them: each returns its name and the file that it is in."""

import hashlib
import json
import shutil

import cv2
import numpy as np
from click.testing import CliRunner
from PIL import Image

from cookseg.data.cli import main
from cookseg.data.doctor.labels import edge_strength, outlines
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.contract import COOKING

COLORS = np.array([*COOKING.colors, (0, 0, 0)], np.uint8)
RED, GREEN, BLUE = COOKING.colors


def cook_data(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def doctor(root, *options):
    """Exit code, and the rows of each finding by its name."""
    result = cook_data("doctor", root, "--json", *options)
    findings = {finding["name"]: finding["rows"] for finding in json.loads(result.stdout)["findings"]}
    return result.exit_code, findings


def files(findings):
    """The first column of each finding, which is the file except where a finding is about a split, class or session."""
    return {name: sorted({next(iter(row.values())) for row in rows}) for name, rows in findings.items()}


def digest(root):
    found = sorted(path for path in root.rglob("*") if path.is_file() and path.parent.name != ".cookseg")
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


class Frame:
    """A frame of the set and its mask, read and written as OpenCV does it, but in RGB."""

    def __init__(self, root, split, number):
        self.image = sorted((root / split / "images").iterdir())[number]
        self.mask = root / split / "masks" / f"{self.image.stem}.png"
        self.root = root

    def names(self, *paths):
        return [path.relative_to(self.root).as_posix() for path in paths]

    def change_image(self, function, path=None):
        save(path or self.image, function(read_image(self.image)))

    def change_mask(self, function):
        save(self.mask, function(read_image(self.mask)))


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = {"quality": 95} if path.suffix == ".jpg" else {}
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **quality)


def scale(pixels, factor, how):
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=how)


def jpeg(pixels, quality):
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def with_orientation(path, orientation):
    """Give a JPEG an EXIF orientation, as a phone does that was held otherwise; its pixels stay as they are."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(path).save(path, exif=exif, quality=95)


# Each plants a fault into a frame and returns what the doctor must say: the finding, and the file.


def no_mask(frame):
    frame.mask.unlink()
    return "image-without-mask", frame.image


def no_image(frame):
    frame.image.unlink()
    return "mask-without-image", frame.mask


def two_of_a_name(frame):
    shutil.copy(frame.mask, frame.image.with_suffix(".png"))
    return "same-name", frame.image


def truncated(frame):
    frame.image.write_bytes(frame.image.read_bytes()[:-900])
    return "unreadable", frame.image


def empty_mask(frame):
    frame.mask.write_bytes(b"")
    return "unreadable", frame.mask


def small_mask(frame):
    frame.change_mask(lambda mask: mask[::2, ::2])
    return "size-differs", frame.mask


def mask_of_the_stored_image(frame):
    with_orientation(frame.image, 6)
    return "size-differs", frame.mask


def yellow(frame):
    frame.change_mask(lambda mask: cv2.circle(mask, (100, 100), 12, (255, 255, 0), -1))
    return "wrong-colors", frame.mask


def indices(frame):
    frame.change_mask(lambda mask: mask.argmax(axis=2))
    return "wrong-values", frame.mask


def black(frame):
    frame.change_image(lambda image: image // 24)
    return "black", frame.image


def blown_out(frame):
    frame.change_image(lambda image: np.clip(image.astype(int) * 6 + 200, 0, 255))
    return "blown-out", frame.image


def blurred(frame):
    frame.change_image(lambda image: cv2.GaussianBlur(image, (0, 0), 5))
    return "blurred", frame.image


def deep(frame):
    pixels = cv2.imread(str(frame.image)).astype(np.uint16) * 257
    frame.image.unlink()
    frame.image = frame.image.with_suffix(".png")
    cv2.imwrite(str(frame.image), pixels)
    return "image-storage", frame.image


def deep_mask(frame):
    cv2.imwrite(str(frame.mask), cv2.imread(str(frame.mask)).astype(np.uint16) * 257)
    return "mask-storage", frame.mask


def anti_aliased(frame):
    frame.change_mask(lambda mask: scale(scale(mask, 0.5, cv2.INTER_LINEAR), 2, cv2.INTER_LINEAR))
    return "off-colors", frame.mask


def was_jpeg(frame):
    frame.change_mask(lambda mask: jpeg(mask, 90))
    return "off-colors", frame.mask


def coarse(frame):
    frame.change_mask(lambda mask: scale(mask[::4, ::4], 4, cv2.INTER_NEAREST))
    return "scaled-up", frame.mask


def never_labelled(frame):
    frame.change_mask(lambda mask: np.full_like(mask, GREEN))
    return "one-class", frame.mask


def upside_down(frame):
    with_orientation(frame.image, 3)
    return "turned", frame.mask


def shifted(frame):
    frame.change_mask(lambda mask: np.roll(mask, (-5, 4), axis=(0, 1)))
    return "shifted", frame.mask


def ragged(frame):
    def shake(mask):
        rows, columns = np.indices(mask.shape[:2], np.float32)
        noise = np.random.default_rng(0).normal(size=(2, *mask.shape[:2])).astype(np.float32)
        down, right = (28 * cv2.GaussianBlur(plane, (0, 0), 2) for plane in noise)
        return cv2.remap(mask, columns + right, rows + down, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)

    frame.change_mask(shake)
    return "ragged", frame.mask


def stray_click(frame):
    """A dot of another class where the frame is flat and the mask is of one class far around."""
    image = read_image(frame.image)
    mask = read_image(frame.mask)
    uneven = cv2.blur(edge_strength(image), (25, 25))
    uneven[cv2.dilate(outlines(mask.argmax(axis=2).astype(np.uint8)).astype(np.uint8), np.ones((61, 61))) > 0] = np.inf
    uneven[:20], uneven[-20:], uneven[:, :20], uneven[:, -20:] = (np.inf,) * 4
    y, x = np.unravel_index(uneven.argmin(), uneven.shape)
    color = RED if tuple(mask[y, x]) != RED else BLUE
    frame.change_mask(lambda mask: cv2.circle(mask, (int(x), int(y)), 2, color, -1))
    return "specks", frame.mask


def repeated(frame):
    session, _, number = frame.image.stem.rpartition("_")
    later = frame.image.with_stem(f"{session}_{int(number) + 1}")
    shutil.copy(frame.image, later)
    shutil.copy(frame.mask, frame.mask.with_stem(later.stem))
    return "frozen", later


def other_size(frame):
    frame.change_image(lambda image: image[20:-20, 20:-20])
    frame.change_mask(lambda mask: mask[20:-20, 20:-20])
    return "size-in-session", frame.image


def foreign(frame):
    photo = frame.image.with_name("photo.heic")
    photo.write_bytes(b"heic")
    return "unread-files", photo


PLANTS = [
    no_mask,
    no_image,
    two_of_a_name,
    truncated,
    empty_mask,
    small_mask,
    mask_of_the_stored_image,
    yellow,
    indices,
    black,
    blown_out,
    blurred,
    deep,
    deep_mask,
    anti_aliased,
    was_jpeg,
    coarse,
    never_labelled,
    upside_down,
    shifted,
    ragged,
    stray_click,
    repeated,
    other_size,
    foreign,
]
ALSO = {
    mask_of_the_stored_image: {"size-in-session"},  # turned upright, it is the only portrait
    anti_aliased: {"scaled-up"},
    shifted: {"ragged"},
    ragged: {"shifted", "specks"},
    other_size: {"blurred"},
}
"""What follows from a fault by itself, and may be said of the same frame."""
