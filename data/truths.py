"""The truths of a dataset's masks at a network's size, packed: what spares a second start the decoding of all masks.

They lie in the dataset's own folder, in ``.cookseg/truths.npz``, by the SHA-256 of the mask's file; about a kilobyte
each. As with the manifest, nothing but time depends on them. They are of one size, the last one that was trained at.
"""

import hashlib
import io
import logging
import zipfile
import zlib
from pathlib import Path

import numpy as np

from cookseg.data.manifest import PLACE
from cookseg.runtime.errors import InputError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.model.contract import ClassTable, Preprocessing
from cookseg.runtime.scoring.dataset import Layout

_VERSION = 1  # to be raised with any change in how masks are understood, or brought to a network's size
_MOST = 2**26  # bytes, of all; more are not kept

_log = logging.getLogger(__name__)


class Truths:
    """Packed truths by the SHA-256, in hexadecimal, of their masks' files."""

    def __init__(self, root: Path, classes: ClassTable, layout: Layout, spec: Preprocessing) -> None:
        """Read what a dataset's folder has of truths for a network's input; nothing where they cannot be read."""
        self._path = (root / PLACE).with_name("truths.npz")
        made_for = (_VERSION, classes, layout.mask_format, spec.height, spec.width, spec.resize)
        self._key = hashlib.sha256(repr(made_for).encode()).digest()
        self._known: dict[str, bytes] = {}
        try:
            with np.load(io.BytesIO(self._path.read_bytes()), allow_pickle=False) as stored:
                if stored["key"].tobytes() == self._key:
                    digests, ends, data = stored["sha256"].tobytes(), stored["ends"].tolist(), stored["data"].tobytes()
                    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
                        self._known[digests[32 * number : 32 * number + 32].hex()] = data[start:end]
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            _log.debug("%s is not used: %s", self._path, error)

    def get(self, sha256: str) -> bytes | None:
        """Return the packed truth of a mask, or None."""
        return self._known.get(sha256)

    def save(self, truths: dict[str, bytes]) -> None:
        """Write the truths of a dataset, unless that is what is there; carry on where it is not possible."""
        if truths == self._known or sum(map(len, truths.values())) > _MOST:
            return
        data = io.BytesIO()
        np.savez(
            data,
            key=np.frombuffer(self._key, np.uint8),
            sha256=np.frombuffer(bytes.fromhex("".join(truths)), np.uint8),
            ends=np.cumsum([len(packed) for packed in truths.values()]),
            data=np.frombuffer(b"".join(truths.values()), np.uint8),
        )
        try:
            write_atomically(self._path, data.getbuffer())
        except InputError as error:
            _log.debug("the truths are not kept: %s", error)


def pack(truth: UInt8Array) -> bytes:
    """Pack a truth (H, W) uint8."""
    return zlib.compress(truth.tobytes(), 1)


def unpack(packed: bytes, spec: Preprocessing) -> UInt8Array | None:
    """Return a truth (H, W) uint8 of the network's size, or None where that is not what was packed."""
    try:
        return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(spec.height, spec.width)
    except (zlib.error, ValueError):
        return None
