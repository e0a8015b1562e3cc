"""The manifest of a dataset: what each file held when it was last read, believed while the file is the same.

It lies in the dataset's own folder, in ``.cookseg/manifest.npz``. A file is the same while size and time of its last
change are. Nothing depends on the manifest but time: where it is missing, damaged or cannot be written, files are read
again. Processes that write it at once do so by rename, and the last one wins.

Files with errors are not in it, so that every error is found again and said in today's words. Nor are those that had
just been changed when they were read: within the clock's resolution they may have been changed once more.
"""

import hashlib
import io
import json
import logging
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cookseg.data.doctor.masks import MaskMeasures, OffColor
from cookseg.runtime.errors import InputError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.headers import Header
from cookseg.runtime.model.contract import ClassTable
from cookseg.runtime.scoring.dataset import Layout

PLACE = Path(".cookseg", "manifest.npz")
"""Where the manifest is in a dataset's folder."""

_VERSION = 1  # to be raised with any change in what is kept, or in how files are understood
_NO_MASK = b"null]"  # the end of an image's facts as JSON
_SETTLED_NS = 2_000_000_000  # the coarsest resolution of a file's time, FAT's

_Row = tuple[int, int, bytes, bytes]  # size, time, digest, and header, image's size and mask as JSON: see `add`

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stamp:
    """What tells whether a file was changed: its size, and the time of the last change in nanoseconds."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Return a file's stamp.

        Raises:
            OSError: There is no such file.
        """
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns)

    def is_settled(self) -> bool:
        """Return whether any change from now on will show in the stamp."""
        return self.mtime_ns < time.time_ns() - _SETTLED_NS


@dataclass(frozen=True)
class Facts:
    """What a file holds.

    Attributes:
        sha256: The digest of its bytes, in hexadecimal.
        header: How it is stored.
        size: Height and width of the upright image.
        mask: What it holds as a mask; None for an image.
        stamp: By which to know it again; None where it had just been changed.
    """

    sha256: str
    header: Header
    size: Size
    mask: MaskMeasures | None = None
    stamp: Stamp | None = None


class Manifest:
    """What is known of a dataset's files."""

    def __init__(self, root: Path, classes: ClassTable, layout: Layout) -> None:
        """Know nothing yet of the files in a dataset's folder; masks are understood by class table and layout."""
        self.root = root
        self.masks = hashlib.sha256(repr((classes, layout.mask_format)).encode()).hexdigest()
        self._prefix = f"{root.as_posix()}/"
        self._known: dict[str, _Row] = {}
        self._seen: set[str] = set()
        self._changed = False

    @classmethod
    def load(cls, root: Path, classes: ClassTable, layout: Layout) -> "Manifest":
        """Read a dataset's manifest; it knows nothing where there is none that can be read."""
        manifest = cls(root, classes, layout)
        path = root / PLACE
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                known = _rows(stored)
                if stored["masks"].tobytes().decode() != manifest.masks:
                    known = {name: row for name, row in known.items() if row[3].endswith(_NO_MASK)}
                manifest._known = known
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            _log.debug("%s is not used: %s", path, error)
        return manifest

    def get(self, path: Path, *, mask: bool = False) -> Facts | None:
        """Return what is known of an image, or of a mask, if the file is the same still."""
        name = self._name(path)
        if not (row := self._known.get(name)):
            return None
        self._seen.add(name)
        size, mtime_ns, digest, rest = row
        try:
            stamp = Stamp.of(path)
            if stamp != Stamp(size, mtime_ns):
                return None
            header, shape, look = json.loads(rest)
            facts = Facts(digest.hex(), Header(*header), (shape[0], shape[1]), None, stamp)
            if not mask:
                return facts
            return replace(facts, mask=_look(look)) if look else None
        except (OSError, ValueError, TypeError) as error:
            _log.debug("%s is read again: %s", path, error)
            return None

    def add(self, path: Path, facts: Facts) -> None:
        """Keep what a file holds, if its stamp will tell when that changes."""
        name = self._name(path)
        self._seen.add(name)
        if facts.stamp is None or (facts.mask and facts.mask.error):
            self._changed |= self._known.pop(name, None) is not None
            return
        kept = (facts.stamp.size, facts.stamp.mtime_ns, bytes.fromhex(facts.sha256))
        if (known := self._known.get(name)) and known[:3] == kept and known[3].endswith(_NO_MASK) != bool(facts.mask):
            return
        rest = json.dumps(
            (astuple(facts.header), facts.size, facts.mask and astuple(facts.mask)), separators=(",", ":")
        )
        self._changed = True
        self._known[name] = (*kept, rest.encode())

    def save(self) -> None:
        """Write the manifest, if there is anything new in it; carry on where that is not possible."""
        if not self._changed:
            return
        known = {
            name: row for name, row in sorted(self._known.items()) if name in self._seen or (self.root / name).exists()
        }
        data = io.BytesIO()
        np.savez(
            data,
            version=np.array(_VERSION),
            masks=np.frombuffer(self.masks.encode(), np.uint8),
            names=np.frombuffer("\0".join(known).encode("utf-8", "surrogateescape"), np.uint8),
            sizes=np.array([row[0] for row in known.values()], np.int64),
            times=np.array([row[1] for row in known.values()], np.int64),
            sha256=np.frombuffer(b"".join(row[2] for row in known.values()), np.uint8),
            facts=np.frombuffer(b"\n".join(row[3] for row in known.values()), np.uint8),
        )
        try:
            write_atomically(self.root / PLACE, data.getbuffer())
            self._changed = False
        except InputError as error:
            _log.debug("the manifest is not kept: %s", error)

    def _name(self, path: Path) -> str:
        return path.as_posix().removeprefix(self._prefix)  # ten times faster than `Path.relative_to`


def _rows(stored: Mapping[str, npt.NDArray[Any]]) -> dict[str, _Row]:
    """Return what a manifest's file says of each file.

    Raises:
        ValueError: It is damaged, or of another version; KeyError likewise.
    """
    if int(stored["version"]) != _VERSION:
        raise ValueError("of another version")
    names = stored["names"].tobytes().decode("utf-8", "surrogateescape").split("\0")
    digests = stored["sha256"].tobytes()
    rows = zip(
        stored["sizes"].tolist(),
        stored["times"].tolist(),
        [digests[start : start + 32] for start in range(0, len(digests), 32)],
        stored["facts"].tobytes().split(b"\n"),
        strict=True,
    )
    return dict(zip(names, rows, strict=True))


def _look(value: list[object]) -> MaskMeasures:
    """Return a mask's measures from JSON values.

    Raises:
        ValueError: They are others; TypeError likewise.
    """
    size, pixels, ignored, error, off_pixels, off_colors, cause, blocks = value
    colors = tuple(OffColor(tuple(color), *rest) for color, *rest in off_colors)  # type: ignore[attr-defined]
    return MaskMeasures(tuple(size), tuple(pixels), ignored, error, off_pixels, colors, cause, blocks)  # type: ignore[arg-type]
