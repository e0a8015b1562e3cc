"""What the importers of JSON files share: reading one, and all of a format below a folder."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cookseg.data.importers.importer import Request
from cookseg.data.importers.labels import Labels, split_in
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError
from cookseg.runtime.walk import list_files

SUFFIXES = (".json",)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: It is not valid; the message names file and line.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # also of decoding
        raise InputError(f"{path} is not valid JSON: {error}; export it again") from error


def is_json_of(path: Path, is_ours: Callable[[Any], bool]) -> bool:
    """Return whether a path is that of a JSON file of a format."""
    return path.is_file() and path.suffix.lower() in SUFFIXES and is_ours(read_json(path))


def json_files(
    request: Request, is_ours: Callable[[Any], bool], format_name: str, lacks: str, found: Labels
) -> Iterator[tuple[Path, Any, Split | None]]:
    """Yield path and content of all files of a format, and the split that names of file or folder tell.

    Args:
        request: What to read: a file, or a folder of files.
        is_ours: Tells whether a content is of the format.
        format_name: Its name, for people.
        lacks: What a content of another format lacks, for people.
        found: Gets each file below the folder that is of another format, and a note of it.

    Raises:
        InputError: A file is not valid, the one that was asked for is of another format, or there are none.
    """
    source = request.source
    paths = [source] if source.is_file() else list_files(source, SUFFIXES)
    for path in paths:
        value = read_json(path)
        if is_ours(value):
            yield path, value, None if source.is_file() else split_in(path.stem) or split_in(path.parent.name)
        elif source.is_file():
            raise InputError(f"{path}: not a {format_name} file: it lacks {lacks}")
        else:
            found.passed_over.append(path)
            found.notes.append(f"{path}: not a {format_name} file, left out")
    if not paths:
        raise InputError(f"{source}: no JSON file here")
