"""The calibration sample: training frames that cover all sessions and all light."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, zip_longest

import numpy as np

from cookseg.data.sessions import sessions_of
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.imaging.preprocess import fit, read_frame
from cookseg.runtime.model.contract import Preprocessing
from cookseg.runtime.scoring.dataset import Pair

_MORE = 3  # frames read for each that is kept


def calibration_frames(pairs: Sequence[Pair], spec: Preprocessing, count: int) -> UInt8Array:
    """Choose and read frames: in turn from each session, evenly over its length, then evenly from dark to bright.

    Args:
        pairs: The training set.
        spec: Size and resize rule of the network's input.
        count: How many frames at most.

    Returns:
        Frames (N, H, W, 3) uint8 RGB at the network's size, those of a session far apart.
    """
    frames = [fit(read_frame(pair.image, spec).pixels, spec) for pair in by_session(pairs)[: _MORE * count]]
    by_light = np.argsort([frame.mean() for frame in frames], kind="stable")
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return np.stack([frames[i] for i in sorted(by_light[chosen])])


def by_session(pairs: Sequence[Pair]) -> list[Pair]:
    """Order pairs so that the first n of them are of as many sessions as there can be, and far apart in each."""
    sessions: defaultdict[str | None, list[Pair]] = defaultdict(list)
    ordered = sorted(pairs, key=lambda pair: pair.name)
    for pair, session in zip(ordered, sessions_of([pair.name for pair in ordered]), strict=True):
        sessions[session].append(pair)
    rounds = zip_longest(*(_far_apart(frames) for frames in sessions.values()))
    return [pair for pair in chain.from_iterable(rounds) if pair]


def _far_apart(frames: list[Pair]) -> list[Pair]:
    """Order frames as the van der Corput sequence does: the first n of them divide the session evenly."""
    bits = max(1, (len(frames) - 1).bit_length())
    order = sorted(range(len(frames)), key=lambda index: int(f"{index:0{bits}b}"[::-1], 2))
    return [frames[index] for index in order]
