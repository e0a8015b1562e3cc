"""Files and folders that appear whole or not at all: written under another name in the same folder, then renamed."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system has a way to.

    Raises:
        OSError: The disk failed.
    """
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # a file system that knows no such thing
            raise
    finally:
        os.close(descriptor)


def require_unused(path: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        InputError: It does, or a file has its name.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path}: this folder is not empty: name a new one, or remove it first")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill, which gets the wanted name when the body has ended without an error.

    Raises:
        InputError: The folder is there already and holds something, or cannot be made.
    """
    require_unused(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            path.rmdir()  # empty; Windows renames onto nothing that exists
        temporary.rename(path)
    except OSError as error:
        name = error.filename or path
        raise InputError(f"{name}: {error.strerror or error}; nothing was written to {path}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
