"""Archives as tools offer them for download: a ``.zip``, unpacked where nothing in it can do harm.

An archive comes from a stranger. It is looked at as a whole before a byte is written: no name leads out of the folder,
no member is a link, is there twice, or is encrypted, and it does not grow beyond measure, as `Limits` say.
"""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cookseg.runtime.errors import InputError
from cookseg.runtime.walk import is_passed_over

_MAGIC = b"PK\x03\x04"
_LOCKED = 0x1 | 0x40  # flags of a member that is encrypted, or strongly so
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What an archive may become.

    Attributes:
        files: Members that it may have.
        size: Bytes of all of them when they are unpacked.
        ratio: Times that a member, or all of them, may grow; frames and masks hardly do, text some twenty times.
        small: Bytes below which the ratio does not matter.
    """

    files: int = 500_000
    size: int = 100 * 1024**3
    ratio: int = 150
    small: int = 32 * 1024**2


DEFAULT_LIMITS = Limits()
"""For any dataset of frames that one computer labels and trains with."""


def is_archive(path: Path) -> bool:
    """Return whether a file is a ``.zip``, by its name or its first bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return path.suffix.lower() == ".zip" or file.read(4) == _MAGIC


def unpack(path: Path, folder: Path, limits: Limits = DEFAULT_LIMITS) -> None:
    """Unpack an archive, without what systems put beside people's files.

    Args:
        path: The archive.
        folder: A new folder for what it holds.
        limits: What it may become.

    Raises:
        InputError: It is damaged, or holds what a dataset never does; nothing of it was run or followed.
    """
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _require_measure(path, members, limits, shutil.disk_usage(folder).free)
            for name, member in _named(path, members).items():
                if not any(map(is_passed_over, name.parts)):
                    _write(archive, member, folder / name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError(f"{path} is not a complete zip archive: {error}; download or pack it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be unpacked in {folder.parent}: {error.strerror or error}") from error


def _require_measure(path: Path, members: list[zipfile.ZipInfo], limits: Limits, free: int) -> None:
    if len(members) > limits.files:
        raise InputError(f"{path}: holds {len(members):,} files, more than {limits.files:,}: not unpacked")
    size, packed = sum(member.file_size for member in members), sum(member.compress_size for member in members)
    if size > limits.size:
        raise InputError(f"{path}: would be {size / 1e9:.0f} GB, more than {limits.size / 1e9:.0f}: not unpacked")
    if packed > path.stat().st_size:
        raise InputError(f"{path}: its members overlap, as those of a zip bomb do: not unpacked")
    growth = [(member.filename, member.file_size, member.compress_size) for member in members]
    for name, after, before in [*growth, ("all of it", size, packed)]:
        if after > max(limits.small, limits.ratio * before):
            times = after // max(before, 1)
            raise InputError(f"{path}: {name} would grow {times:,} times, as a zip bomb does: not unpacked")
    if size > free:
        raise InputError(f"{path}: needs {size / 1e9:.1f} GB to unpack, and {free / 1e9:.1f} are free: set TMPDIR")


def _named(path: Path, members: Iterable[zipfile.ZipInfo]) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the files among the members by their paths below the folder."""
    found: dict[PurePosixPath, zipfile.ZipInfo] = {}
    folders: set[PurePosixPath] = set()
    for member in members:
        name = _checked(path, member)
        if member.is_dir() or member.filename.endswith("\\"):
            folders.add(name)
        elif name in found:
            raise InputError(f"{path}: holds {name} twice: which is meant? Pack it again")
        else:
            found[name] = member
        folders.update(name.parents)
    if both := sorted(folders & found.keys()):
        raise InputError(f"{path}: {both[0]} is a file and a folder in it: pack it again")
    return found


def _checked(path: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    """Return a member's path below the folder."""
    shown = member.orig_filename
    name = PurePosixPath(shown.replace("\\", "/"))  # as some programs of Windows write it
    drive = bool(name.parts) and name.parts[0][1:2] == ":"
    if not name.parts or "\0" in shown or name.is_absolute() or drive or ".." in name.parts:
        raise InputError(f"{path}: holds {shown!r}, which leads out of its folder: not unpacked")
    if member.flag_bits & _LOCKED:
        raise InputError(f"{path}: {shown} is encrypted: pack it again without a password")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "a link" if kind == stat.S_IFLNK else "not a file"
        raise InputError(f"{path}: {shown} is {what}: pack the files themselves")
    return name


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with archive.open(member) as packed, target.open("xb") as file:  # no more bytes than the member declares
            shutil.copyfileobj(packed, file, _CHUNK)
    except FileExistsError as error:
        raise InputError(
            f"{archive.filename}: holds {member.filename} twice but for upper and lower case, which this disk does not"
            " tell apart: pack it again"
        ) from error
