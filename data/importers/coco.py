"""COCO JSON: polygons and run-length masks, as in https://cocodataset.org/#format-data."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, ClassVar

from cookseg.data.importers.importer import Request
from cookseg.data.importers.labels import Images, LabelledImage, Labels, read_json, split_in
from cookseg.data.importers.shapes import Shape, polygon
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError


class Coco:
    """COCO files: one, or all below a folder, whose names or folders tell their splits."""

    name: ClassVar[str] = "coco"
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    def claims(self, path: Path) -> bool:
        """Return whether a file is of this format."""
        return path.is_file() and path.suffix.lower() in self.suffixes and _is_coco(read_json(path))

    def read(self, request: Request) -> Labels:
        """Read all files."""
        source = request.source
        paths = [source] if source.is_file() else sorted(source.rglob("*.json"))
        found = Labels()
        for path in paths:
            value = read_json(path)
            if not _is_coco(value):
                if source.is_file():
                    raise InputError(f"{path}: not a COCO file: it lacks images or annotations")
                found.notes.append(f"{path}: not a COCO file, left out")
                continue
            told = None if source.is_file() else split_in(path.stem) or split_in(path.parent.name)
            beside = path.parent.parent  # annotations/instances_val2017.json and val2017/, or images/
            folders = [path.parent, beside / "images", beside / path.stem.removeprefix("instances_")]
            images = Images([request.images] if request.images else folders)
            _read_file(path, value, images, told or request.split, found)
        if not paths:
            raise InputError(f"{source}: no JSON file here")
        return found


def _is_coco(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("images"), list) and "annotations" in value


def _read_file(path: Path, value: dict[str, Any], images: Images, split: Split, found: Labels) -> None:
    try:
        names = {category["id"]: str(category["name"]) for category in value.get("categories", [])}
        shapes = defaultdict(list)
        for annotation in value["annotations"]:
            shapes[annotation["image_id"]].append(annotation)
        entries = [(entry["id"], str(entry["file_name"]), entry) for entry in value["images"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not as COCO files are: {error!r} is missing or of another type") from error
    boxes: Counter[str] = Counter()
    empty = 0
    for number, name, entry in entries:
        try:
            file, stem = images.find(name)
            size = (int(entry["height"]), int(entry["width"])) if {"height", "width"} <= entry.keys() else None
            drawn = [shape for annotation in shapes[number] if (shape := _shape(annotation, names, boxes))]
        except (InputError, KeyError, TypeError, ValueError) as error:
            found.failures.append(f"{path.name}: {error if isinstance(error, InputError) else f'{name}: {error!r}'}")
            continue
        empty += not drawn
        found.images.append(LabelledImage(split, stem, file, tuple(drawn), size))
    if lost := sum(len(shapes[number]) for number in shapes.keys() - {number for number, _, _ in entries}):
        found.notes.append(f"{path.name}: {lost} annotations of images that it does not list were left out")
    found.add_note(f"{path.name}: annotations with boxes only were left out, a box is not a mask", boxes)
    if empty:
        found.notes.append(f"{path.name}: {empty} images have no shape")


def _shape(annotation: dict[str, Any], names: dict[Any, str], boxes: Counter[str]) -> Shape | None:
    label = names.get(annotation["category_id"])
    if label is None:
        raise InputError(f"annotation {annotation.get('id')}: category {annotation['category_id']} is not in the file")
    segmentation = annotation.get("segmentation")
    if not segmentation:
        boxes[label] += 1
        return None
    if isinstance(segmentation, dict):
        return Shape(label, segmentation)
    polygons = segmentation if isinstance(segmentation[0], list) else [segmentation]
    return Shape(label, [polygon(points) for points in polygons])
