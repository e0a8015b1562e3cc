"""The one walk over a user's folders: what every command and importer finds below a folder.

Links to folders are followed, each folder once. Hidden files are passed over, and what systems put beside people's
files: ``._x.jpg`` and ``__MACOSX`` of macOS, ``Thumbs.db`` of Windows, ``@eaDir`` of network disks and the like.
"""

import functools
import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn

from cookseg.runtime.errors import DatasetError

_log = logging.getLogger(__name__)

_SIDE_FILES = frozenset({
    "__macosx", "icon\r",  # macOS; all its other ones are hidden
    "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information",  # Windows
    "@eadir", "#recycle", "lost+found",  # network disks and Linux
})  # fmt: skip


def is_passed_over(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, or is what a system puts beside people's files.

    >>> [is_passed_over(name) for name in ("._pan_1.json", "__MACOSX", "Thumbs.db", "pan_1.json")]
    [True, True, True, False]
    """
    return name.startswith(".") or name.casefold() in _SIDE_FILES


def list_files(folder: Path, suffixes: Collection[str] = ()) -> list[Path]:
    """Return all files in a folder and its sub-folders, sorted.

    Links to folders are followed after the folders themselves. One that leads to where it lies itself, or to a folder
    that was listed already, is left out with a warning. Links that lead nowhere, pipes and the like are listed too:
    reading them raises an error, so none is just missing.

    Args:
        folder: The folder. It may be hidden itself.
        suffixes: Of the files to list, in lower case with the dot, whatever the case of the files' own; empty for all.

    Raises:
        DatasetError: It or a sub-folder cannot be read.
    """
    found: list[Path] = []
    links = [folder]
    seen: dict[Path, Path] = {}  # where folders really are, and as what they were listed
    while links:
        start = links.pop(0)
        real = start.resolve()
        if reason := _reason_to_leave_out(start, real, seen) if start is not folder else "":
            _warn_once(f"{start}: this link leads to {reason}")
            continue
        further = []
        for parent, names, files in _walk(start):
            there = real / parent.relative_to(start)
            if there in seen:
                names.clear()
                continue
            seen[there] = parent
            further += [parent / name for name in names if (parent / name).is_symlink()]
            found += [parent / name for name in files]
        links += sorted(further)
    _warn_of_lost_folders(found, suffixes)
    return sorted(path for path in found if not suffixes or path.suffix.lower() in suffixes)


def _walk(start: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Give each folder, its sub-folders and its files, without what is passed over; links are not followed."""
    for parent, names, files in os.walk(start, onerror=_refuse):
        names[:] = [name for name in names if not is_passed_over(name)]
        yield Path(parent), names, [name for name in files if not is_passed_over(name)]


def _reason_to_leave_out(link: Path, real: Path, seen: dict[Path, Path]) -> str:
    if real in (around := link.parent.resolve(), *around.parents):
        return f"{real}, where it lies itself: left out"
    return f"what is listed as {seen[real]} already: left out" if real in seen else ""


def _warn_of_lost_folders(found: list[Path], suffixes: Collection[str]) -> None:
    """Name the links without a suffix that lead nowhere: likely to folders on a disk that is not there."""
    for path in found:
        if suffixes and not path.suffix and path.is_symlink() and not path.exists():
            _warn_once(f"{path}: this link leads nowhere, so what it stands for is left out")


@functools.lru_cache(1000)
def _warn_once(message: str) -> None:
    """Warn, but not again when the same folder is walked once more."""
    _log.warning("%s", message)


def _refuse(error: OSError) -> NoReturn:
    remedy = "check the path" if isinstance(error, FileNotFoundError) else "make this folder readable"
    raise DatasetError(f"{error.filename}: {error.strerror}; {remedy}") from error
