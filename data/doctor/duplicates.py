"""Frames that are nearly the same: across splits, where they falsify a score, and in a row, where a camera froze."""

import itertools
from collections import defaultdict
from collections.abc import Iterator

import cv2
import numpy as np

from cookseg.data.doctor.frames import BITS
from cookseg.data.doctor.reading import Record
from cookseg.data.sessions import natural_key
from cookseg.data.standard import SPLITS
from cookseg.runtime.imaging.images import UInt8Array, read_image

NEAR = 12
"""Largest Hamming distance of two fingerprints, in bits of 256, at which frames are near-duplicates."""

_STILL = 0.5  # grey levels of mean absolute difference; the noise of a living camera is above


def across_splits(records: list[Record]) -> Iterator[tuple[Record, Record, int]]:
    """Find the frames that have a near-duplicate in a split before theirs: in train for val, in both for test.

    Yields:
        The frame, its nearest in the other split, and their distance in bits.
    """
    usable = [record for record in records if record.measures and not record.measures.is_featureless]
    for position, split in enumerate(SPLITS[1:], 1):
        here = [record for record in usable if record.split == split]
        for other_split in SPLITS[:position]:
            others = [record for record in usable if record.split == other_split]
            if not here or not others:
                continue
            # one train index per query; brute force with population counts does 10,000 frames in seconds
            for match in cv2.BFMatcher(cv2.NORM_HAMMING).match(_fingerprints(here), _fingerprints(others)):
                if match.distance <= NEAR:
                    yield here[match.queryIdx], others[match.trainIdx], int(match.distance)


def frozen(records: list[Record]) -> Iterator[tuple[Record, Record, float]]:
    """Find the frames that show their predecessor of the same session again, down to the noise.

    Yields:
        The frame, its predecessor, and their mean absolute difference in grey levels.
    """
    rows = defaultdict(list)
    for record in records:
        if record.measures and not record.measures.is_featureless:
            rows[record.split, record.session].append(record)
    for row in rows.values():
        row.sort(key=lambda record: natural_key(record.name))
        for before, after in itertools.pairwise(row):
            if before.size != after.size or distance(before, after) > NEAR:
                continue
            difference = 0.0 if before.digest == after.digest else _difference(before, after)
            if difference <= _STILL:
                yield after, before, difference


def distance(one: Record, other: Record) -> int:
    """Return the Hamming distance of two frames' fingerprints, 0 to 256 bits."""
    return int(cv2.norm(_fingerprints([one]), _fingerprints([other]), cv2.NORM_HAMMING))


def _difference(one: Record, other: Record) -> float:
    frames = (cv2.cvtColor(read_image(record.image), cv2.COLOR_RGB2GRAY) for record in (one, other))
    return float(cv2.absdiff(*frames).mean())


def _fingerprints(records: list[Record]) -> UInt8Array:
    joined = b"".join(record.measures.fingerprint for record in records if record.measures)
    return np.frombuffer(joined, np.uint8).reshape(-1, BITS // 8)
