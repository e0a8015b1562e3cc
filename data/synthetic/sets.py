"""Synthetic datasets and films: rendered cooking sessions with exact masks, in the standard layout."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from cookseg.data.standard import Split
from cookseg.data.synthetic.scenes import Session, render, sessions
from cookseg.runtime.errors import InputError
from cookseg.runtime.files import new_folder, write_atomically
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import COOKING
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.results import Table
from cookseg.runtime.stream.parallel import map_on_cores

_BATCH = 16  # frames of a session that a process renders at a time


@dataclass(frozen=True)
class Shot:
    """A frame to render: when in which session, and where its files go; ``mask`` is None for unlabelled frames."""

    session: Session
    progress: float
    image: Path
    mask: Path | None
    size: Size


@dataclass(frozen=True)
class Plan:
    """The dataset to render.

    Attributes:
        counts: Frames of each split; ``test`` gets no masks.
        per_session: Frames of each session, spread over its recipe.
        kitchens: Different rigs; 0 is a new one for each session.
        sizes: Heights and widths of the frames; sessions take them in turn.
        seed: Same seed, same dataset.
    """

    counts: Mapping[Split, int] = field(default_factory=lambda: {"train": 448, "val": 137, "test": 129})
    per_session: int = 8
    kitchens: int = 0
    sizes: Sequence[Size] = ((480, 640),)
    seed: int = 0


@dataclass(frozen=True)
class Rendered:
    """A dataset, or a film, that was rendered.

    Attributes:
        dataset: Its folder.
        frames: Frames of each split.
        sessions: How many cooking sessions it shows.
    """

    dataset: Path
    frames: dict[Split, int]
    sessions: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"dataset": str(self.dataset), "frames": self.frames, "sessions": self.sessions}

    def tables(self) -> Iterator[Table]:
        """Return it in a line."""
        total = sum(self.frames.values())
        yield Table(above=f"{total} frames of {self.sessions} sessions written to {self.dataset}")


@checked_keywords
def render_set(out: str | Path, plan: Plan | None = None, *, progress: Progress = silent) -> Rendered:
    """Render a synthetic dataset with exact masks into a new folder.

    >>> render_set("data/sets/demo", Plan({"train": 96, "val": 32}, sizes=[(256, 256)])).sessions  # doctest: +SKIP
    16

    Raises:
        InputError: The folder holds something, or cannot be written.
    """
    plan = plan or Plan()
    with new_folder(Path(out)) as folder:
        shots = plan_shots(folder, plan)
        _render(shots, progress)
    return Rendered(Path(out), dict(plan.counts), len({shot.session for shot in shots}))


@checked_keywords
def render_clip(
    out: str | Path,
    *,
    seconds: float,
    fps: float = 10,
    size: Size = (480, 640),
    seed: int = 0,
    progress: Progress = silent,
) -> Rendered:
    """Render one session as a film into a new folder: ``clip.mp4``, and every frame with its mask as val.

    >>> render_clip("data/sets/film", seconds=20).frames  # doctest: +SKIP
    {'val': 200}

    Args:
        out: The folder.
        seconds: Length of the film, from the empty pan to the finished dish.
        fps: Frames of a second.
        size: Height and width of the frames.
        seed: Same seed, same film.
        progress: Is told how far it is.

    Raises:
        InputError: The folder holds something, or folder or film cannot be written.
    """
    with new_folder(Path(out)) as folder:
        shots = plan_clip(folder, seconds, fps, size, seed)
        _render(shots, progress)
        write_film(folder / "clip.mp4", shots, fps)
    return Rendered(Path(out), {"val": len(shots)}, 1)


def plan_shots(out: Path, plan: Plan) -> list[Shot]:
    """Plan the frames of a dataset; every session belongs to one split, so that a score on another means something."""
    needed = {split: -(-count // plan.per_session) for split, count in plan.counts.items()}
    cast = iter(sessions(sum(needed.values()), plan.seed, plan.kitchens))
    shots = []
    for split, count in plan.counts.items():
        chosen = zip(itertools.islice(cast, needed[split]), itertools.cycle(plan.sizes), strict=False)
        for (session, size), number in itertools.islice(itertools.product(chosen, range(plan.per_session)), count):
            progress = (number + 0.5) / plan.per_session
            name = f"{session.name}_{round(progress * 1000)}"
            image, mask = out / split / "images" / f"{name}.jpg", out / split / "masks" / f"{name}.png"
            shots.append(Shot(session, progress, image, None if split == "test" else mask, size))
    return shots


def plan_clip(out: Path, seconds: float, fps: float, size: Size, seed: int) -> list[Shot]:
    """Plan the frames of a film of one session, from the empty pan to the finished dish, as a set's val split."""
    (session,) = sessions(1, seed)
    count = max(1, round(seconds * fps))
    names = [f"{session.name}_{number:05d}" for number in range(count)]
    folder = out / "val"
    return [
        Shot(session, (n + 0.5) / count, folder / "images" / f"{name}.jpg", folder / "masks" / f"{name}.png", size)
        for n, name in enumerate(names)
    ]


def write(shots: list[Shot]) -> Iterator[Shot]:
    """Render and write shots on all cores; yield each when it is done. The result does not depend on their number."""
    jobs = [
        list(few)
        for _, shoot in itertools.groupby(shots, key=lambda shot: shot.session)
        for few in _batches(list(shoot))
    ]
    # a session's frames share their kitchen, so one process renders them
    return itertools.chain.from_iterable(map_on_cores(_write, jobs, chunk=1))


def write_film(path: Path, shots: list[Shot], fps: float) -> None:
    """Write the images of shots that are written already as a video (MPEG-4).

    Raises:
        InputError: The video cannot be written, or not all of it.
    """
    height, width = shots[0].size
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    if not film.isOpened():
        raise InputError(f"{path.name}: OpenCV cannot write a video of {width}x{height}: choose another `size`")
    for shot in shots:
        film.write(cv2.cvtColor(read_image(shot.image), cv2.COLOR_RGB2BGR))
    film.release()
    written = max(0, int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)))
    if written != len(shots):  # the writer itself says nothing of a full disk
        raise InputError(f"{path.name}: {written} of {len(shots)} frames could be written: is the disk full?")


def _render(shots: list[Shot], progress: Progress) -> None:
    for _ in progress(write(shots), "rendering", len(shots)):
        pass


def _batches(shots: list[Shot]) -> Iterator[list[Shot]]:
    return (shots[start : start + _BATCH] for start in range(0, len(shots), _BATCH))


def _write(shots: list[Shot]) -> list[Shot]:
    for shot in shots:
        frame, class_map = render(shot.session, shot.progress, shot.size)
        encoded = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
        write_atomically(shot.image, encoded.tobytes())
        if shot.mask:
            write_png(shot.mask, colorize(class_map, COOKING))
    return shots
