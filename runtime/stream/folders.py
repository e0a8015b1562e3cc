"""Many images to many masks: what `cook-infer masks` reads and where it writes; one bad file stops nothing else."""

import contextlib
import glob
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.images import IMAGE_SUFFIXES, decode_image, read_file
from cookseg.runtime.imaging.masks import overlay
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.scoring.dataset import list_images

Png = Literal["rgb", "palette"]

T = TypeVar("T")


@dataclass(frozen=True)
class Outputs:
    """Which pictures to write for each image: the colour mask in ``folder``, all others in sub-folders of it."""

    folder: Path
    png: Png = "rgb"
    overlay: bool = False
    index: bool = False
    confidence: bool = False

    def paths(self, target: Path) -> dict[str, Path]:
        """Return the path of each kind of picture, ``""`` being the mask, for a mask's path below the folder."""
        kinds = ["", *(kind for kind in ("overlay", "index", "confidence") if getattr(self, kind))]
        return {kind: self.folder / kind / target for kind in kinds}


@dataclass(frozen=True)
class Job:
    """An image and the path of its mask below the output folder."""

    source: Path
    target: Path


def plan(sources: Sequence[str], outputs: Outputs) -> list[Job]:
    """Find all images and where their masks go, before anything is written.

    Sub-folders of a folder or of a glob's fixed part are kept. Images inside the output folder, which an earlier run
    wrote, are left out.

    Raises:
        InputError: A source does not exist or holds no image, or two images would have the same mask.
    """
    target_of: dict[Path, Path] = {}
    for source in sources:
        found = _expand(source)
        fresh = [job for job in found if outputs.folder.resolve() not in job.source.resolve().parents]
        if not found:
            raise InputError(f"{source}: no images there (known: {', '.join(sorted(IMAGE_SUFFIXES))})")
        if not fresh:
            raise InputError(f"{source}: all images there lie in the output folder {outputs.folder}: name another one")
        target_of |= {job.source: job.target for job in fresh}
    source_of: dict[Path, Path] = {}
    for image, target in target_of.items():
        for path in outputs.paths(target).values():
            other = source_of.setdefault(path, image)
            if other != image:
                raise InputError(
                    f"{other} and {image} would both be written to {path}: give them separately, each with its own"
                    " --output"
                )
    return [Job(image, target) for image, target in target_of.items()]


def process(
    segmenter: Segmenter, jobs: Sequence[Job], outputs: Outputs, workers: int = 1
) -> Iterator[tuple[Job, str | None]]:
    """Do all jobs, in so many threads; yield each, in order, with the error that its image met, or None.

    Decoding, network and encoding of different images overlap, and no more than twice as many images as threads are
    in memory.

    Raises:
        InputError: A mask cannot be written (disk full, say): all that follow would fail too.
    """
    running: deque[tuple[Job, Future[str | None]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for job in jobs:
                if len(running) == 2 * workers:
                    done, future = running.popleft()
                    yield done, future.result()
                running.append((job, pool.submit(_segment, segmenter, job, outputs)))
            while running:
                done, future = running.popleft()
                yield done, future.result()
        finally:
            for _, future in running:
                future.cancel()


def _segment(segmenter: Segmenter, job: Job, outputs: Outputs) -> str | None:
    """Segment an image and write its pictures; return what is wrong with the image, or None."""
    name = str(job.source)
    try:
        data = read_file(job.source)
        frame = decode_frame(data, name, segmenter.contract.preprocessing)
        reduced = frame.pixels.shape[:2] != frame.size
        whole = decode_image(data, name) if outputs.overlay and reduced else frame.pixels
        result = segmenter.predict(frame)
    except InputError as error:
        return str(error)
    except MemoryError:
        return f"{name} needs more memory than there is: make the picture smaller"
    classes = result.contract.classes
    for kind, path in outputs.paths(job.target).items():
        if kind == "overlay":
            write_png(path, overlay(whole, result.class_map, classes))
        elif kind == "index":
            write_png(path, result.class_map)
        elif kind == "confidence":
            write_png(path, result.confidence)
        elif outputs.png == "palette":
            write_png(path, result.class_map, classes.colors)
        else:
            write_png(path, result.color)
    return None


def in_one_folder(folder: Path, results: Iterable[T]) -> Iterator[T]:
    """Pass results on as long as the folder that they are written to stays the same.

    Writing makes a folder that is missing, so masks would be lost without a word where one is removed in between.

    Raises:
        InputError: The folder was removed or replaced.
    """
    with contextlib.ExitStack() as stack:
        held = None  # open, so that no new folder can have its number
        for result in results:
            if held is None and hasattr(os, "O_DIRECTORY") and folder.is_dir():  # not on Windows
                held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, held)
            if held is not None and not _is(folder, held):
                raise InputError(f"{folder} was removed or replaced, with the masks in it: run this again")
            yield result


def _is(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _expand(source: str) -> list[Job]:
    path = Path(source)
    if path.is_dir():
        return [_job(image, path) for image in list_images(path)]
    if path.exists():
        return [_job(path, path.parent)]
    if not glob.has_magic(source):
        raise InputError(f"{source}: no such file or folder")
    fixed = Path(*_before_magic(path))
    matches = (Path(match) for match in glob.glob(source, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    return [_job(m, fixed) for m in sorted(matches) if not m.is_dir() and m.suffix.lower() in IMAGE_SUFFIXES]


def _before_magic(path: Path) -> Iterator[str]:
    for part in path.parts:
        if glob.has_magic(part):
            return
        yield part


def _job(image: Path, base: Path) -> Job:
    return Job(image, image.relative_to(base).with_suffix(".png"))
