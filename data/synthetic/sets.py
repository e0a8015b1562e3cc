"""Synthetic datasets: rendered cooking sessions with exact masks, in the standard layout."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from cookseg.data.parallel import map_on_cores
from cookseg.data.synthetic.scenes import Session, render, sessions
from cookseg.runtime.contract import COOKING
from cookseg.runtime.files import write_atomically
from cookseg.runtime.images import write_png
from cookseg.runtime.masks import colorize


@dataclass(frozen=True)
class Shot:
    """A frame to render: when in which session, and where its files go; ``mask`` is None for unlabelled frames."""

    session: Session
    progress: float
    image: Path
    mask: Path | None
    size: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """What dataset to render.

    Attributes:
        counts: Frames of each split; ``test`` gets no masks.
        per_session: Frames of each session, spread over its recipe.
        kitchens: Different rigs; 0 is a new one for each session.
        size: Height and width of the frames.
        seed: Same seed, same dataset.
    """

    counts: dict[str, int]
    per_session: int
    kitchens: int
    size: tuple[int, int]
    seed: int


def plan_shots(out: Path, plan: Plan) -> list[Shot]:
    """Plan the frames of a dataset; every session belongs to one split, so that a score on another means something."""
    needed = {split: -(-count // plan.per_session) for split, count in plan.counts.items()}
    cast = iter(sessions(sum(needed.values()), plan.seed, plan.kitchens))
    shots = []
    for split, count in plan.counts.items():
        chosen = itertools.islice(cast, needed[split])
        for session, number in itertools.islice(itertools.product(chosen, range(plan.per_session)), count):
            progress = (number + 0.5) / plan.per_session
            name = f"{session.name}_{round(progress * 1000)}"
            image, mask = out / split / "images" / f"{name}.jpg", out / split / "masks" / f"{name}.png"
            shots.append(Shot(session, progress, image, None if split == "test" else mask, plan.size))
    return shots


def write(shots: list[Shot]) -> Iterator[Shot]:
    """Render and write shots on all cores; yield each when it is done. The result does not depend on their number."""
    return map_on_cores(_write, shots)


def _write(shot: Shot) -> Shot:
    frame, class_map = render(shot.session, shot.progress, shot.size)
    encoded = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    write_atomically(shot.image, encoded.tobytes())
    if shot.mask:
        write_png(shot.mask, colorize(class_map, COOKING))
    return shot
