"""Files that are read without surprises; files and folders that appear complete or not at all.

They are written under another name in the same folder first, then renamed.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cookseg.runtime.errors import InputError


def read_regular(path: Path, most: int) -> bytes:
    """Read a regular file: not a pipe, which may block for ever, and not a device.

    Args:
        path: The file, or a link to it.
        most: Bytes that it may have.

    Raises:
        InputError: The path is not a regular file, too large, or cannot be read.
    """
    try:
        _require_file(path, path.stat(), most)  # before it is opened: that alone can start a device
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            _require_file(path, status, most)  # what was opened may be something else by now
            return file.read(status.st_size)  # of a file that still grows, what it had
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        cause = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {cause}; check the path and its permissions") from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has no such pipes


def _require_file(path: Path, status: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is a {_KINDS.get(stat.S_IFMT(status.st_mode), 'device')}: give a regular file")
    if status.st_size > most:
        raise InputError(f"{path} has {status.st_size / 1e6:.0f} MB, more than {most / 1e6:.0f}: give a smaller file")


_KINDS = {stat.S_IFDIR: "directory", stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write a file, and its folder if need be, or leave the old file as it was.

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
