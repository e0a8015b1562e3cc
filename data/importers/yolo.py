"""YOLO segmentation: a text file for each image, a line for each shape: class, then x and y as shares of the size.

As Ultralytics describes it: https://docs.ultralytics.com/datasets/segment/.
"""

from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from cookseg.data.importers.importer import Request
from cookseg.data.importers.labels import LabelledImage, Labels
from cookseg.data.importers.shapes import Shape, polygon
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError, require_extra
from cookseg.runtime.scoring.dataset import list_images

_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "test": "test"}


class Yolo:
    """A dataset by its YAML file, or, where that names no folders, by the images beside or given."""

    name: ClassVar[str] = "yolo"
    suffixes: ClassVar[tuple[str, ...]] = ()

    def claims(self, path: Path) -> bool:
        """Return whether a file describes such a dataset, or a folder holds such a file."""
        return _find_config(path) is not None

    def read(self, request: Request) -> Labels:
        """Read all splits."""
        path = _find_config(request.source)
        if path is None:
            raise InputError(f"{request.source}: no data.yaml here; it names the classes")
        config, names = _read_config(path)
        found = Labels()
        images = request.images
        folders = [(request.split, images)] if images else list(_folders(path, config))
        for split, folder in folders or [(request.split, path.parent / "images")]:
            if not folder.is_dir():
                raise InputError(f"{path}: the folder {folder} does not exist: name the images with `images`")
            for image in list_images(folder):
                _read_image(image, folder, split, names, found)
        return found


def _find_config(source: Path) -> Path | None:
    """Return the YAML file that describes a dataset, or None."""
    if source.is_file():
        return source if source.suffix in (".yaml", ".yml") else None
    found = [path for path in sorted(source.glob("*.y*ml")) if b"names" in path.read_bytes()]
    return next((path for path in found if path.stem == "data"), found[0] if found else None)


def _read_config(path: Path) -> tuple[dict[str, Any], dict[int, str]]:
    """Read a YAML file, and the names of the classes in it."""
    with require_extra("import"):
        import yaml  # noqa: PLC0415 - of an extra
    try:
        config = yaml.safe_load(path.read_bytes().decode("utf-8-sig"))
        given = config["names"]
        names = {int(key): str(name) for key, name in (given.items() if isinstance(given, dict) else enumerate(given))}
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a YOLO dataset, which lists its classes as names: {error}") from error
    return config, names


def _folders(path: Path, config: dict[str, Any]) -> list[tuple[Split, Path]]:
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


def _read_image(image: Path, folder: Path, split: Split, names: dict[int, str], found: Labels) -> None:
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
    found.images.append(LabelledImage(split, below.as_posix(), image, tuple(shapes), relative=True))


def _shape(words: list[str], names: dict[int, str], where: str) -> Shape:
    try:
        index, points = int(words[0]), [float(word) for word in words[1:]]
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    if index not in names:
        raise InputError(f"{where}: class {index} has no name in data.yaml")
    if len(points) == 4:
        raise InputError(f"{where}: this is a box, and a box is not a mask: export for segmentation")
    try:
        return Shape(names[index], [polygon(points)])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
