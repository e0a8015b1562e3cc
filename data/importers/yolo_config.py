"""The file that describes a YOLO dataset: the names of its classes, and where the images of each split are.

Paths are those of Ultralytics (https://docs.ultralytics.com/datasets/segment/#dataset-yaml-format): ``path`` is the
dataset's folder, here relative to the file; ``train``, ``val`` and ``test`` are each a folder, a text file with an
image on each line, or a list of these, relative to that folder. A leading ``../`` is left out where it leads nowhere.
Files come from other machines: of a path that does not exist, the longest end that does is taken.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cookseg.data.importers.labels import Images, exists
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError, require_extra
from cookseg.runtime.imaging.images import IMAGE_SUFFIXES
from cookseg.runtime.scoring.dataset import list_images
from cookseg.runtime.walk import list_files

_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_NAMES = re.compile(rb"""^(?:\xef\xbb\xbf)?[{\s]*["']?names["']?\s*:""", re.MULTILINE)


@dataclass(frozen=True)
class Config:
    """A dataset's file.

    Attributes:
        file: The file.
        root: Folder that its paths are relative to.
        names: The name of each class.
        splits: What it says of each split that it has.
    """

    file: Path
    root: Path
    names: dict[int, str]
    splits: dict[Split, list[str]]


@dataclass(frozen=True)
class Place:
    """A folder of images, or a text file that lists them, and their split."""

    split: Split
    path: Path


def is_config(path: Path) -> bool:
    """Return whether a file is one that describes a dataset."""
    if path.name == "classes.txt":  # some tools put one among the text files of labels, too
        return any((path.parent / folder).is_dir() for folder in ("labels", "images"))
    return path.suffix.lower() in (".yaml", ".yml") and bool(_NAMES.search(path.read_bytes()))


def find_configs(source: Path) -> list[Path]:
    """Return a dataset's file, or all of them below a folder.

    Raises:
        InputError: A folder holds two of them.
    """
    if source.is_file():
        return [source]
    by_folder: dict[Path, Path] = {}
    for path in filter(is_config, list_files(source, (".yaml", ".yml"))):
        other = by_folder.setdefault(path.parent, path)
        if other != path:
            raise InputError(f"{path.parent}: {other.name} and {path.name} both describe a dataset: name one of them")
    for path in filter(is_config, [path for path in list_files(source, (".txt",)) if path.name == "classes.txt"]):
        by_folder.setdefault(path.parent, path)
    return [*by_folder.values()]


def read_config(path: Path) -> Config:
    """Read a dataset's file.

    Raises:
        InputError: It is damaged, or names no classes.
    """
    if path.suffix.lower() == ".txt":
        lines = path.read_bytes().decode("utf-8-sig", "replace").splitlines()
        return Config(path, path.parent, {i: line.strip() for i, line in enumerate(lines) if line.strip()}, {})
    with require_extra("import"):
        import yaml  # noqa: PLC0415 - of an extra
    try:
        text = path.read_bytes().decode("utf-8-sig")
        config = yaml.safe_load(text)
        given = config["names"]
        pairs = [
            (int(key), str(name)) for key, name in (given.items() if isinstance(given, dict) else enumerate(given))
        ]
        keys = _keys(yaml.compose(text))
        splits: dict[Split, list[str]] = {}
        for key, split in _SPLITS.items():
            entries = config.get(key) or []
            splits.setdefault(split, []).extend(map(str, [entries] if isinstance(entries, str) else entries))
        folder = str(config.get("path") or ".").replace("\\", "/")
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a YOLO dataset, which lists its classes as names: {error}") from error
    if len(set(keys)) < len(keys) or len(dict(pairs)) < len(pairs):
        raise InputError(f"{path}: a class has two names: give each of {', '.join(keys)} one")
    root = path.parent / folder
    return Config(
        path,
        root if exists(root) and root.is_dir() else path.parent,
        dict(pairs),
        {k: v for k, v in splits.items() if v},
    )


def _keys(node: Any) -> list[str]:
    """Return the keys of the names in a parsed YAML file as they stand there: of two, a parser takes the last."""
    held = next(value for key, value in node.value if key.value == "names")
    return [pair[0].value for pair in held.value if isinstance(pair, tuple)]


def places(config: Config, split: Split) -> list[Place]:
    """Return where the images of each split are; without any word of that, in ``images`` beside, of the given split.

    Raises:
        InputError: A path does not exist, or two can be meant, or two splits would be taken from one place that none of
            them names.
    """
    found = []
    guesses: dict[Path, tuple[Split, str]] = {}
    for own, entries in config.splits.items():
        for entry in entries:
            path, guessed = _resolved(config, entry)
            other = guesses.setdefault(path.resolve(), (own, entry))
            if guessed and other[0] != own:
                raise InputError(
                    f"{config.file}: {other[0]} is {other[1]} and {own} is {entry}, but of both only {path} exists: put"
                    " the folders where the file says"
                )
            found.append(Place(own, path))
    if not found:
        images = config.file.parent / "images"
        if not images.is_dir():
            raise InputError(f"{config.file}: the folder {images} does not exist: name the images with `images`")
        found.append(Place(split, images))
    return found


def _resolved(config: Config, entry: str) -> tuple[Path, bool]:
    """Return an existing path for an entry, and whether it is another one than the file says."""
    posix = entry.replace("\\", "/")
    said = [config.root / posix] + ([config.root / posix[3:]] if posix.startswith("../") else [])
    existing = {path.resolve(): path for path in said if exists(path)}
    if len(existing) > 1:
        raise InputError(f"{config.file}: {entry} can be {' or '.join(map(str, existing))}: move one of them away")
    if existing:
        return next(iter(existing.values())), False
    parts = [part for part in PurePosixPath(posix).parts if part not in ("..", "/", ".")]
    for start in range(len(parts)):
        for base in dict.fromkeys((config.root, config.file.parent)):
            if parts[start:] and exists(tail := base.joinpath(*parts[start:])):
                return tail, True
    raise InputError(f"{config.file}: the folder {said[0]} does not exist: name the images with `images`")


def listed_images(place: Place, config: Config) -> tuple[list[Path], list[str]]:
    """Return the images of a place, and a line for each that it lists and that is not there.

    Raises:
        InputError: A folder cannot be read.
    """
    if not place.path.is_file():
        return list_images(place.path), []
    found, failures = [], []
    finder = Images([config.root, config.file.parent])
    for number, line in enumerate(place.path.read_bytes().decode("utf-8-sig", "replace").splitlines(), 1):
        if name := line.strip().replace("\\", "/"):
            try:
                found.append(_listed_image(name, place, config, finder))
            except InputError as error:
                failures.append(f"{place.path}, line {number}: {error}")
    return found, failures


def _listed_image(name: str, place: Place, config: Config, finder: Images) -> Path:
    if PurePosixPath(name).suffix.lower() not in IMAGE_SUFFIXES:
        raise InputError(f"{name} is not an image")
    bases = [place.path.parent] if name.startswith("./") else [config.root, place.path.parent]
    direct = next((base / name for base in bases if exists(base / name) and (base / name).is_file()), None)
    return direct or finder.find(name)[0]
