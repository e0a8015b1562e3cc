"""YOLO segmentation: a text file for each image, a line for each shape: class, then x and y as shares of the size.

As Ultralytics describes it: https://docs.ultralytics.com/datasets/segment/.
"""

from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from cookseg.data.importers.frames import Frame, Shape, Source, polygon
from cookseg.runtime.errors import InputError
from cookseg.runtime.scoring.dataset import list_images

_SPLITS = {"train": "train", "val": "val", "valid": "val", "test": "test"}


def find_config(source: Path) -> Path | None:
    """Return the YAML file that describes a dataset, or None."""
    if source.is_file():
        return source if source.suffix in (".yaml", ".yml") else None
    found = [path for path in sorted(source.glob("*.y*ml")) if b"names" in path.read_bytes()]
    return next((path for path in found if path.stem == "data"), found[0] if found else None)


def read(source: Path, images: Path | None, split: str) -> Source:
    """Read a dataset by its YAML file, or, where that names no folders, the images beside or given.

    Raises:
        InputError: The YAML file is missing or damaged, or a folder does not exist.
    """
    path = find_config(source)
    if path is None:
        raise InputError(f"{source}: no data.yaml here; it names the classes")
    try:
        config = yaml.safe_load(path.read_bytes().decode("utf-8-sig"))
        given = config["names"]
        names = {int(key): str(name) for key, name in (given.items() if isinstance(given, dict) else enumerate(given))}
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no YOLO dataset, which lists its classes as names: {error}") from error
    found = Source()
    folders = [(split, images)] if images else list(_folders(path, config))
    if not folders:
        folders = [(split, path.parent / "images")]
    for goal, folder in folders:
        if not folder.is_dir():
            raise InputError(f"{path}: the folder {folder} does not exist: name the images with --images")
        for image in list_images(folder):
            _read_frame(image, folder, goal, names, found)
    return found


def _folders(path: Path, config: dict[str, Any]) -> list[tuple[str, Path]]:
    """Return the split folders that lie below the YAML file; where it says others, their names are sought there."""
    found = []
    for key, split in _SPLITS.items():
        for entry in [config[key]] if isinstance(config.get(key), str) else config.get(key) or []:
            parts = [
                part for part in PurePosixPath(str(entry).replace("\\", "/")).parts if part not in ("..", "/", ".")
            ]
            tails = [path.parent.joinpath(*parts[start:]) for start in range(len(parts))]
            found.append((split, next((tail for tail in tails if tail.is_dir()), path.parent.joinpath(*parts))))
    return found


def _read_frame(image: Path, folder: Path, split: str, names: dict[int, str], found: Source) -> None:
    below = image.relative_to(folder).with_suffix("")
    parts = list(folder.parts)
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        parts[last] = "labels"
    choices = [Path(*parts) / below, image.with_suffix("")]
    labels = next((file for stem in choices if (file := stem.with_name(f"{stem.name}.txt")).is_file()), None)
    if labels is None:
        found.unlabelled.append(image)
        return
    shapes = []
    try:
        for number, line in enumerate(labels.read_bytes().decode("utf-8-sig").splitlines(), 1):
            if words := line.split():
                shapes.append(_shape(words, names, f"{labels}, line {number}"))
    except (InputError, UnicodeDecodeError) as error:
        found.failures.append(str(error))
        return
    found.frames.append(Frame(split, below.as_posix(), image, tuple(shapes), relative=True))


def _shape(words: list[str], names: dict[int, str], where: str) -> Shape:
    try:
        index, points = int(words[0]), [float(word) for word in words[1:]]
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    if index not in names:
        raise InputError(f"{where}: class {index} has no name in data.yaml")
    if len(points) == 4:
        raise InputError(f"{where}: this is a box, and a box is no mask: export for segmentation")
    try:
        return Shape(names[index], [polygon(points)])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
