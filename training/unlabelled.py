"""Unlabelled frames of a run: how it uses them, where they are found, and what of them is left out.

They are images and clips of the camera that the model is for, without masks. `self_training` says what becomes of them.
"""

import hashlib
import logging
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from cookseg.data.samples import SampleFile, fit_truth
from cookseg.runtime.cores import cores
from cookseg.runtime.errors import DatasetError, ImageError, InputError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.imaging.images import IMAGE_SUFFIXES, UInt8Array, read_file
from cookseg.runtime.imaging.preprocess import decode_frame, fit
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import Preprocessing
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.scoring.dataset import Sample
from cookseg.runtime.walk import list_files
from cookseg.training.fields import fit_types, require_range

_log = logging.getLogger(__name__)

CLIP_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
ADAPTATION_LR = 5e-4
"""Peak learning rate to adapt trained weights with, where no label is there to hold them."""
_WORTH_SEEKING = 100  # frames to pass over: seeking decodes from the key frame before


@checked_keywords
@dataclass(frozen=True)
class UnlabelledConfig:
    """How a run uses frames that have no masks.

    Attributes:
        source: Folder of images and clips, or one of these; empty for none. In a run that has begun, the SHA-256 of the
            files.
        ratio: Unlabelled frames in a step for each labelled one.
        weight: Weight of their loss beside the labelled frames'.
        rampup: Fraction of the steps over which the weight rises to that, as the average of the weights learns from the
            labelled frames; 0 for the whole weight from the first step, as where there are none.
        confidence: Probability from which a predicted class is learned; the other pixels count as without truth.
        cutmix: Probability that a part of an unlabelled frame is replaced by that of another one.
        clip_frames: Most frames to take of a clip; they are spread evenly over it.
        keep_labelled: Whether frames that the dataset has labels for may be among them, without these: validation
            then scores frames that the model was adapted to.
    """

    source: str = ""
    ratio: float = 1.0
    weight: float = 1.0
    rampup: float = 0.5
    confidence: float = 0.9
    cutmix: float = 0.5
    clip_frames: int = 200
    keep_labelled: bool = False

    def __post_init__(self) -> None:
        fit_types(self, "unlabelled.")
        require_range(self, ["rampup", "confidence", "cutmix"], 0, 1, "unlabelled.")
        require_range(self, ["weight"], 0, float("inf"), "unlabelled.")
        require_range(self, ["clip_frames"], 1, float("inf"), "unlabelled.")
        if not 0 < self.ratio < float("inf"):
            raise InputError(f"`unlabelled.ratio={self.ratio}`: it must be a positive number")

    def weight_at(self, done: float) -> float:
        """Return the weight when a fraction of the steps is done (the ramp of Laine and Aila, arXiv:1610.02242)."""
        missing = max(0.0, 1 - done / self.rampup) if self.rampup else 0.0
        return self.weight * math.exp(-5 * missing**2)

    def per_step(self, batch: int) -> int:
        """Return how many unlabelled frames a step of so many labelled ones has."""
        return max(1, round(self.ratio * batch))


@dataclass(frozen=True)
class Unlabelled:
    """Unlabelled frames at a network's size.

    Attributes:
        source: Where they were found.
        samples: The frames; their truth is 0, and 255 in the padding.
        images: How many are of images.
        clips: From how many clips the others are.
        sha256: The digest of all files.
        labelled: How many frames have labels in the dataset.
    """

    source: Path
    samples: list[Sample]
    images: int
    clips: int
    sha256: str
    labelled: int = 0

    def facts(self) -> dict[str, object]:
        """Return where they come from, for people to read in a model's provenance."""
        return {
            "name": self.source.resolve().name,
            "frames": len(self.samples),
            "images": self.images,
            "clips": self.clips,
            "sha256": self.sha256,
        }

    def without(self, labelled: Iterable[UInt8Array], config: UnlabelledConfig) -> "Unlabelled":
        """Leave out frames that have labels, or count them if they are to be kept; ``labelled`` are these, fitted.

        Raises:
            DatasetError: None is left.
        """
        known = {_digest(frame) for frame in labelled}
        others = [sample for sample in self.samples if _digest(sample.frame) not in known]
        found = len(self.samples) - len(others)
        if found and config.keep_labelled:
            _log.warning(
                "%d of the unlabelled frames are labelled ones of the dataset: their masks are not used with them, but"
                " the validation score is of a model that was adapted to its frames; say so wherever it stands",
                found,
            )
            others = self.samples
        elif found:
            _log.info(
                "%d of the unlabelled frames are labelled ones of the dataset: left out, so that validation stays one"
                " on frames never trained on; `unlabelled.keep_labelled=true` keeps them",
                found,
            )
        if not others:
            raise DatasetError(
                f"{self.source}: all frames are labelled ones of the dataset: name others with `unlabelled.source`, or"
                " set `unlabelled.keep_labelled=true`"
            )
        return Unlabelled(self.source, others, self.images, self.clips, self.sha256, found)


def find_unlabelled(source: Path) -> list[Path]:
    """Return the images and clips of a folder, sorted; or the file itself.

    Raises:
        DatasetError: There are none.
    """
    files = [source] if source.is_file() else list_files(source, IMAGE_SUFFIXES | CLIP_SUFFIXES)
    if not files:
        known = ", ".join(sorted(IMAGE_SUFFIXES | CLIP_SUFFIXES))
        raise DatasetError(f"{source}: no images and no clips there (known: {known})")
    return files


def read_unlabelled(
    source: Path, spec: Preprocessing, clip_frames: int = 200, *, progress: Progress = silent
) -> Unlabelled:
    """Decode all images of a folder, and frames of its clips, at a network's size.

    Args:
        source: The folder, or an image or clip.
        spec: The network's input.
        clip_frames: Most frames to take of a clip.
        progress: Told of the files.

    Raises:
        DatasetError: There are none.
        ImageError: A file cannot be decoded.
        InputError: The disk is full.
    """
    files = find_unlabelled(source)
    clips = [path for path in files if is_clip(path)]
    most = {path: min(clip_frames, _length(path)) for path in clips}
    kept = SampleFile(spec, len(files) - len(clips) + sum(most.values()))
    digest, count = hashlib.sha256(), 0
    with ThreadPoolExecutor(cores()) as pool:
        read = pool.map(partial(_read, spec=spec, most=most), files)
        for sha256, samples in progress(read, "unlabelled frames", len(files)):
            digest.update(sha256)
            for sample in samples:
                kept.put(count, sample)
                count += 1
    if clips:
        digest.update(str(clip_frames).encode())
        _log.info("%d frames taken of clips (%d), spread evenly over each", count - len(files) + len(clips), len(clips))
    samples = [kept.get(number, 0) for number in range(count)]
    return Unlabelled(source, samples, len(files) - len(clips), len(clips), digest.hexdigest())


def is_clip(path: Path) -> bool:
    """Return whether a file is a clip, by its name."""
    return path.suffix.lower() in CLIP_SUFFIXES


def clip_frames(path: Path, most: int) -> Iterator[Frame]:
    """Yield frames of a clip, at most so many, spread evenly over it; the same ones each time.

    Raises:
        ImageError: The clip cannot be read.
    """
    length = _length(path)
    count, place = min(most, length), 0
    clip = cv2.VideoCapture(str(path))
    for number in range(count):
        wanted = (2 * number + 1) * length // (2 * count)
        if wanted - place > _WORTH_SEEKING:
            clip.set(cv2.CAP_PROP_POS_FRAMES, wanted)
            place = wanted
        while place < wanted and clip.grab():
            place += 1
        found, pixels = clip.read()
        if not found:
            if number == 0:
                raise _unreadable(path)
            _log.warning("%s: only %d frames of %d can be read: is the clip complete?", path, number, count)
            return
        place += 1
        yield Frame.of(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8), f"{path}:{wanted}")


def _length(path: Path) -> int:
    """Return the number of frames of a clip; some files do not tell it, and are read for it."""
    clip = cv2.VideoCapture(str(path))
    if told := max(0, int(clip.get(cv2.CAP_PROP_FRAME_COUNT))):
        return told
    counted = 0
    while clip.grab():
        counted += 1
    if not counted:
        raise _unreadable(path)
    return counted


def _unreadable(path: Path) -> ImageError:
    return ImageError(
        f"{path}: OpenCV cannot read this clip: convert it (`ffmpeg -i CLIP -c:v libx264 clip.mp4`), or remove it"
    )


def _read(path: Path, spec: Preprocessing, most: dict[Path, int]) -> tuple[bytes, list[Sample]]:
    """Return the SHA-256 of a file and its frames."""
    if path not in most:
        data = read_file(path)
        return hashlib.sha256(data).digest(), [_fitted(decode_frame(data, str(path), spec), spec)]
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").digest()
    return sha256, [_fitted(frame, spec) for frame in clip_frames(path, most[path])]


def _fitted(frame: Frame, spec: Preprocessing) -> Sample:
    return Sample(fit(frame.pixels, spec), fit_truth(np.zeros(frame.size, np.uint8), spec), 0)


def _digest(frame: UInt8Array) -> bytes:
    return hashlib.blake2b(frame.tobytes(), digest_size=16).digest()
