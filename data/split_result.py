"""The result of splitting a dataset: what each split got, and the settings that led to it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookseg.data.sessions import compile_pattern
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError
from cookseg.runtime.results import Table

RECORD = "split.json"
"""In the new set's folder: how it was split, so that it can be audited and done again."""


def recorded_pattern(root: Path) -> re.Pattern[str] | None:
    """Return the pattern that told sessions when a set was split, None where there is no usable record."""
    try:
        return compile_pattern(json.loads((root / RECORD).read_bytes())["session_pattern"])
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None


@dataclass(frozen=True)
class SplitShare:
    """The content of a new split: frames, pixels of each class, and frames of each session where these are known."""

    frames: int
    pixels: dict[str, int]
    sessions: dict[str, int]


@dataclass(frozen=True)
class SplitResult:
    """A dataset split by cooking session.

    Attributes:
        seed: Same seed, same split.
        shares: Share of the frames that each split should get.
        session_pattern: Regular expression that finds the session in a frame's name.
        blocks: Whether names told no sessions, so that the frames were cut into contiguous blocks.
        splits: Content of each split.
        warnings: What the user should know.
        out: Folder of the new set, or None where nothing was written.
    """

    seed: int
    shares: dict[Split, float]
    session_pattern: str
    blocks: bool
    splits: dict[Split, SplitShare]
    warnings: tuple[str, ...]
    out: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values: what `RECORD` holds."""
        return {
            "seed": self.seed,
            "shares": self.shares,
            "session_pattern": self.session_pattern,
            "blocks": self.blocks,
            "splits": {split: dict(vars(held)) for split, held in self.splits.items()},
            "warnings": [*self.warnings],
        }

    def tables(self) -> Iterator[Table]:
        """Return what each split got, and all of them, with warnings below."""
        held = [*self.splits.values()]
        names = list(held[0].pixels)
        every = SplitShare(
            sum(share.frames for share in held),
            {name: sum(share.pixels[name] for share in held) for name in names},
            {session: 1 for share in held for session in share.sessions},
        )
        rows = []
        for split, share in [*self.splits.items(), ("all", every)]:
            total = max(1, sum(share.pixels.values()))
            parts = [f"{count / total:.2%}" for count in share.pixels.values()]
            of_all = f"{share.frames / every.frames:.1%}"
            rows.append([split, str(len(share.sessions) or "-"), str(share.frames), of_all, *parts])
        below = "\n".join(f"warning: {warning}" for warning in self.warnings)
        yield Table(["split", "sessions", "frames", "of all", *names], rows, below=below)
        if self.out:
            yield Table(above=f"written to {self.out}; how it was split is in {self.out / RECORD}")
