"""COCO JSON: polygons and run-length masks, as in https://cocodataset.org/#format-data.

Images and categories are found by their ids, so these are unique there; here a file that gives one id to two of them is
refused. Ids that differ only in type, ``1`` and ``"1"``, are one. CVAT puts the images of a subset, which names the
file, below ``images/`` (https://docs.cvat.ai/docs/dataset_management/formats/format-coco/).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cookseg.data.importers.importer import DAMAGE, Request
from cookseg.data.importers.json_files import SUFFIXES, is_json_of, json_files
from cookseg.data.importers.labels import Images, LabelledImage, Labels
from cookseg.data.importers.shapes import Box, Shape, bounds, box, polygon, tighter
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError


class Coco:
    """COCO files: one, or all below a folder, whose names or folders tell their splits."""

    name: ClassVar[str] = "coco"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    def claims(self, path: Path) -> bool:
        """Return whether a file is of this format."""
        return is_json_of(path, _is_coco)

    def read(self, request: Request) -> Labels:
        """Read all files."""
        found = Labels()
        for path, value, told in json_files(request, _is_coco, "COCO", "images or annotations", found):
            _read_file(path, value, request.images, told or request.split, found)
        return found


def _is_coco(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("images"), list) and "annotations" in value


@dataclass(frozen=True)
class _Content:
    """A file's content: entries of images, and names of categories and annotations of images, by id."""

    images: dict[str, dict[str, Any]]
    names: dict[str, str]
    annotations: dict[str, list[dict[str, Any]]]


def _content(path: Path, value: dict[str, Any]) -> _Content:
    try:
        images = _by_id(path, "image", value["images"])
        categories = _by_id(path, "category", value.get("categories", []), about="name")
        numbered = [entry for entry in value["annotations"] if entry.get("id") is not None]
        _by_id(path, "annotation", numbered)
        annotations = defaultdict(list)
        for annotation in value["annotations"]:
            annotations[_key(annotation["image_id"])].append(annotation)
        for entry in images.values():
            _ = entry["file_name"]
        names = {number: str(category["name"]) for number, category in categories.items()}
    except DAMAGE as error:
        raise InputError(f"{path}: not as COCO files are: {error!r} is missing or of another type") from error
    return _Content(images, names, annotations)


def _by_id(path: Path, what: str, entries: Iterable[dict[str, Any]], about: str = "") -> dict[str, dict[str, Any]]:
    """Return entries by their ids; entries of one id that say different things are refused."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        other = found.setdefault(_key(entry["id"]), entry)
        if other is not entry and (other[about] != entry[about] if about else other != entry):
            named = [_called(held) for held in (other, entry)]
            raise InputError(
                f"{path}: two things have the {what} id {entry['id']!r}: {named[0]} and {named[1]}: nobody can tell"
                " which is meant: export again, or give each its own id"
            )
    return found


def _called(entry: dict[str, Any]) -> str:
    return str(entry.get("file_name") or entry.get("name") or f"of image {entry.get('image_id')}")


def _key(number: Any) -> str:
    """Return an id as text; 1, 1.0 and "1" are one."""
    if isinstance(number, bool) or not isinstance(number, int | float | str):
        raise TypeError(f"the id {number!r}")
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number).strip()


def _read_file(path: Path, value: dict[str, Any], given: Path | None, split: Split, found: Labels) -> None:
    content = _content(path, value)
    subset = path.stem.removeprefix("instances_")
    beside = path.parent.parent  # annotations/instances_val2017.json and val2017/, or images/
    images = Images([given] if given else [beside / "images" / subset, beside / subset, path.parent, beside / "images"])
    for number, entry in content.images.items():
        name = str(entry["file_name"])
        annotations = content.annotations.get(number, [])
        try:
            file, stem = images.find(name, subset)
            size = (int(entry["height"]), int(entry["width"])) if {"height", "width"} <= entry.keys() else None
            shapes = tuple(
                shape
                for annotation in annotations
                for shape in _shapes(annotation, content.names, f"{path.name}: {name}")
            )
        except (InputError, *DAMAGE) as error:
            reason = error if isinstance(error, InputError) else repr(error)
            found.failures.append(f"{path.name}: {reason if name in str(reason) else f'{name}: {reason}'}")
            continue
        stem = stem.removeprefix(f"{subset}/")
        found.images.append(LabelledImage(split, stem, file, shapes, size, annotated=bool(annotations)))
    for number in content.annotations.keys() - content.images.keys():
        for annotation in content.annotations[number]:
            where = f"{path.name}: annotation {annotation.get('id')}"
            found.failures.append(f"{where}: of the image {annotation['image_id']!r}, which the file does not list")


def _shapes(annotation: dict[str, Any], names: dict[str, str], where: str) -> Iterator[Shape]:
    """Return an annotation's area; parts of it that cannot be drawn are shapes of their own."""
    where = f"{where}: annotation {annotation.get('id')}"
    label = names.get(_key(annotation["category_id"]))
    if label is None:
        raise InputError(f"{where}: category {annotation['category_id']} is not in the file")
    segmentation, around = annotation.get("segmentation"), _box(annotation)
    if isinstance(segmentation, dict):
        yield Shape(label, segmentation, where, around)
        return
    if not segmentation:
        yield Shape(label, None, where, around, "it has a box only, and a box is not a mask")
        return
    nested = isinstance(segmentation, list) and any(isinstance(points, list) for points in segmentation)
    good, bad = [], []
    for points in segmentation if nested else [segmentation]:
        try:
            good.append(polygon(points))
        except InputError as error:
            bad.append(Shape(label, None, where, _tight(points, around), str(error)))
    if good:
        yield Shape(label, good, where)
    yield from bad


def _tight(points: Any, around: Box | None) -> Box | None:
    """Return the bounds of points; where they hold what is not a coordinate, those of the annotation help."""
    own = bounds(points)
    return own if own and all(map(math.isfinite, own)) else tighter(own, around)


def _box(annotation: dict[str, Any]) -> Box | None:
    """Return the bounds that an annotation has beside its area, or None if they hold nothing."""
    try:
        left, top, width, height = map(float, annotation["bbox"])
        degrees = float((annotation.get("attributes") or {}).get("rotation") or 0)  # as CVAT adds it
        return bounds(box(left, top, left + width, top + height, degrees)) if width > 0 and height > 0 else None
    except DAMAGE:
        return None
