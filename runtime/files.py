"""Files that appear whole or not at all: written under another name in the same folder, then renamed."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cookseg.runtime.errors import InputError


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write a whole file, and its folder if need be, or leave what was there before.

    The temporary file lies in the same folder, because a rename across file systems copies, and can be caught
    half-way. Its name is random, so processes that share a folder do not meet.

    Raises:
        InputError: The file cannot be written. An old file of this name is as it was; nothing is left behind.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or the rename may reach the disk first, and a power cut leave an empty file
        temporary.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}; check that its folder may be written to and that"
            " the disk is not full"
        ) from error
    finally:
        with suppress(OSError):  # renamed, or never made
            temporary.unlink()
