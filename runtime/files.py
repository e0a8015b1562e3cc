"""Files that appear whole or not at all: written under another name in the same folder, then renamed."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cookseg.runtime.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file that becomes ``path`` when the block ends without an error.

    For writers that want a path, such as ``torch.save``; the block must close the file. The temporary file
    lies in the same folder, because a rename across file systems copies, and can be caught half-way. Its name
    is random, so processes that share a folder do not meet.

    Raises:
        InputError: The file cannot be written. An old file of this name is as it was; nothing is left behind.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        # Without this the rename may reach the disk first, and a power cut leaves an empty file.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}; check that its folder exists and may be"
            " written to, and that the disk is not full"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file, or leave what was there before.

    Raises:
        InputError: As `replacing`.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)
