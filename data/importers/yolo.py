"""YOLO segmentation: a text file for each image, a line for each shape: class, then x and y as shares of the size.

As Ultralytics describes it (https://docs.ultralytics.com/datasets/segment/) and reads it: `yolo_config` finds the
images. An empty text file is an image of background; of an image without one, which Ultralytics takes for background
too (https://docs.ultralytics.com/yolov5/tutorials/tips_for_best_training_results/), nobody knows whether it was
annotated. Label Studio writes ``classes.txt`` and no YAML file (https://labelstud.io/guide/export#YOLO).
"""

import math
from pathlib import Path
from typing import ClassVar

from cookseg.data.importers.importer import Request
from cookseg.data.importers.labels import LabelledImage, Labels, split_in
from cookseg.data.importers.shapes import Shape, bounds, polygon
from cookseg.data.importers.yolo_config import (
    Config,
    Place,
    find_configs,
    is_config,
    listed_images,
    places,
    read_config,
)
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError
from cookseg.runtime.walk import list_files

_BOX = 4  # numbers of a box: its centre, width and height
_FAR = 2.0  # times the size: what lies beyond is no share of it


class Yolo:
    """Datasets by their YAML files or ``classes.txt``; where these name no folders, by the images beside or given."""

    name: ClassVar[str] = "yolo"
    suffixes: ClassVar[tuple[str, ...]] = (".yaml", ".yml")

    def claims(self, path: Path) -> bool:
        """Return whether a file describes such a dataset, or a folder holds such a file."""
        return is_config(path) if path.is_file() else bool(find_configs(path))

    def read(self, request: Request) -> Labels:
        """Read all splits of all datasets."""
        paths = find_configs(request.source)
        if not paths:
            raise InputError(f"{request.source}: no data.yaml or classes.txt here; it names the classes")
        if request.images and len(paths) > 1:
            raise InputError(f"{request.source}: holds several datasets: name one of {', '.join(map(str, paths))}")
        found = Labels()
        seen: set[tuple[Split, Path]] = set()
        for path in paths:
            config = read_config(path)
            own = [Place(request.split, request.images)] if request.images else places(config, request.split)
            taken = [(place, _read_place(place, config, found, seen)) for place in own]
            found.failures += _labels_alone(taken, config)
            seen.update((place.split, file.resolve()) for place, files in taken for file in files)
        return found


def _read_place(place: Place, config: Config, found: Labels, seen: set[tuple[Split, Path]]) -> list[Path]:
    """Read all images of a place, but for those that another dataset's file has named before, and list all."""
    files, failures = listed_images(place, config)
    found.failures += failures
    new = [file for file in files if (place.split, file.resolve()) not in seen]
    for file in new:
        try:
            found.images.append(_labelled_image(file, place, config))
        except (InputError, UnicodeDecodeError) as error:
            found.failures.append(str(error))
    return files


def _labelled_image(image: Path, place: Place, config: Config) -> LabelledImage:
    name = _name(image, place, config)
    labels = _labels_of(image, place, config)
    if labels is None:
        return LabelledImage(place.split, name, image, relative=True, annotated=False)
    lines = enumerate(labels.read_bytes().decode("utf-8-sig").splitlines(), 1)
    shapes = tuple(
        _shape(words, config.names, f"{labels}, line {number}") for number, line in lines if (words := line.split())
    )
    return LabelledImage(place.split, name, image, shapes, relative=True)


def _name(image: Path, place: Place, config: Config) -> str:
    """Return an image's path below its folder, without suffix and what only sorts: ``images`` and the split."""
    base = place.path if place.path.is_dir() else config.root
    below = image.relative_to(base) if image.is_relative_to(base) else Path(image.name)
    parts = [*below.with_suffix("").parts]
    if "images" in parts[:-1]:
        parts = parts[len(parts) - parts[::-1].index("images") :]
    if not place.path.is_dir() and len(parts) > 1 and split_in(parts[0]) == place.split:
        parts = parts[1:]
    return "/".join(parts)


def _labels_of(image: Path, place: Place, config: Config) -> Path | None:
    """Return an image's text file: below ``labels`` in place of the last ``images`` in its path, or beside it."""
    below = image.relative_to(place.path) if image.is_relative_to(place.path) else Path(image.name)
    choices = [folder / below for folder in _label_folders(place, config)]
    if own := _beside(image.parent):
        choices.insert(0, own / image.name)
    texts = (choice.with_name(f"{image.stem}.txt") for choice in (*choices, image))
    return next((text for text in texts if text.is_file()), None)


def _label_folders(place: Place, config: Config) -> list[Path]:
    """Return the folders below which the text files of a folder of images may lie as the images do."""
    if not place.path.is_dir():
        return []
    return [folder for folder in (_beside(place.path), config.file.parent / "labels") if folder]


def _beside(folder: Path) -> Path | None:
    """Return a folder with ``labels`` in place of the last ``images`` in its path."""
    if "images" not in folder.parts:
        return None
    last = len(folder.parts) - 1 - folder.parts[::-1].index("images")
    return Path(*folder.parts[:last], "labels", *folder.parts[last + 1 :])


def _labels_alone(taken: list[tuple[Place, list[Path]]], config: Config) -> list[str]:
    """Return a line for each text file of labels that belongs to no image of any place."""
    used = {text for place, files in taken for image in files if (text := _labels_of(image, place, config))}
    found: dict[Path, str] = {}
    for place, _ in taken:
        folder = next((folder for folder in _label_folders(place, config) if folder.is_dir()), None)
        for text in list_files(folder, (".txt",)) if folder else []:
            if text not in used and text.name != "classes.txt" and text.stat().st_size:
                found.setdefault(text, f"{text}: no image of this name below {place.path}")
    return [*found.values()]


def _shape(words: list[str], names: dict[int, str], where: str) -> Shape:
    try:
        index = float(words[0])
        label = names[int(index)] if index.is_integer() else ""
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where}: the class is not a number: {error}") from error
    except KeyError:
        label = ""
    if not label:
        raise InputError(f"{where}: class {words[0]} has no name in data.yaml")
    points = words[1:]
    try:
        numbers = [float(point) for point in points]
        if len(numbers) == _BOX:
            x, y, width, height = numbers
            around = bounds([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
            return Shape(label, None, where, around, "this is a box, and a box is not a mask: export for segmentation")
        if max(map(abs, filter(math.isfinite, numbers)), default=0) > _FAR:
            return Shape(label, None, where, None, "its coordinates are not shares of the image's size")
        return Shape(label, [polygon(numbers)], where)
    except (InputError, ValueError) as error:
        return Shape(label, None, where, bounds(points), str(error))
