"""Synthetic datasets: rendered cooking sessions with exact masks, in the standard layout."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2

from cookseg.data.scenes import Session, render, sessions
from cookseg.runtime.contract import COOKING
from cookseg.runtime.errors import InputError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.images import write_png
from cookseg.runtime.masks import colorize

FRAMES_PER_SESSION = 8


@dataclass(frozen=True)
class Shot:
    """A frame to render: when in which session, and where its files go; ``mask`` is None for unlabelled frames."""

    session: Session
    progress: float
    image: Path
    mask: Path | None
    size: tuple[int, int]


def plan(out: Path, counts: dict[str, int], size: tuple[int, int], seed: int) -> list[Shot]:
    """Plan a dataset; every session belongs to one split, so that a score on another split means something.

    Args:
        out: Folder of the dataset; must be new or empty.
        counts: Frames of each split; ``test`` gets no masks.
        size: Height and width of the frames.
        seed: Same seed, same dataset.

    Raises:
        InputError: The folder holds something already.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: this folder is not empty: name a new one, or remove it first")
    needed = {split: -(-count // FRAMES_PER_SESSION) for split, count in counts.items()}
    cast = iter(sessions(sum(needed.values()), seed))
    return [
        shot
        for split, count in counts.items()
        for shot in _shots(out / split, [next(cast) for _ in range(needed[split])], count, size, split != "test")
    ]


def write(shots: list[Shot]) -> Iterator[Shot]:
    """Render and write shots on all cores; yield each when it is done. The result does not depend on their number."""
    # forking a process that OpenCV has given threads to can hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(_write, shots, chunksize=4)


def _shots(folder: Path, cast: list[Session], count: int, size: tuple[int, int], labelled: bool) -> Iterator[Shot]:
    for number in range(count):
        session = cast[number // FRAMES_PER_SESSION]
        progress = (number % FRAMES_PER_SESSION + 0.5) / FRAMES_PER_SESSION
        name = f"{session.name}_{round(progress * 1000)}"
        mask = folder / "masks" / f"{name}.png" if labelled else None
        yield Shot(session, progress, folder / "images" / f"{name}.jpg", mask, size)


def _write(shot: Shot) -> Shot:
    frame, class_map = render(shot.session, shot.progress, shot.size)
    encoded = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    write_atomically(shot.image, encoded.tobytes())
    if shot.mask:
        write_png(shot.mask, colorize(class_map, COOKING))
    return shot
