"""Datumaro's own JSON, as Datumaro 1.13.12 and CVAT's "Datumaro 1.0" write it.

A file for each subset in ``annotations/``, and its images in ``images/SUBSET/`` or ``images/``
(https://docs.cvat.ai/docs/dataset_management/formats/format-datumaro/). Shapes of a lower ``z_order`` lie below. Boxes
are drawn, as Datumaro's ``boxes_to_masks`` draws them, and rotated as CVAT's attribute says; one in the group of a
polygon or mask of its label only says where that is. An item without shapes is one that nobody has annotated yet.
"""

from pathlib import Path
from typing import Any, ClassVar

from cookseg.data.importers.importer import DAMAGE, Request
from cookseg.data.importers.json_files import SUFFIXES, is_json_of, json_files
from cookseg.data.importers.labels import Images, LabelledImage, Labels, split_in
from cookseg.data.importers.shapes import (
    NO_LABEL,
    Box,
    Segmentation,
    Shape,
    bounds,
    box,
    ellipse,
    number,
    polygon,
)
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.images import IMAGE_SUFFIXES

_OF_THE_IMAGE = ("label", "caption", "feature_vector")  # which say nothing of a place in it
_OUTLINES = ("polygon", "mask")


class Datumaro:
    """Datumaro files: one, or all below a folder; subsets, and names of folders, tell the splits."""

    name: ClassVar[str] = "datumaro"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    def claims(self, path: Path) -> bool:
        """Return whether a file is of this format."""
        return is_json_of(path, _is_datumaro)

    def read(self, request: Request) -> Labels:
        """Read all items of all files."""
        found = Labels()
        for path, value, told in json_files(request, _is_datumaro, "Datumaro", "categories or items", found):
            _read_file(path, value, request.images, split_in(path.stem) or told or request.split, found)
        return found


def _is_datumaro(value: Any) -> bool:
    return (
        isinstance(value, dict) and isinstance(value.get("categories"), dict) and isinstance(value.get("items"), list)
    )


def _read_file(path: Path, value: dict[str, Any], given: Path | None, split: Split, found: Labels) -> None:
    try:
        names = [str(label["name"]) for label in (value["categories"].get("label") or {"labels": []})["labels"]]
    except DAMAGE as error:
        raise InputError(f"{path}: not as Datumaro files are: {error!r} is missing or of another type") from error
    beside = path.parent.parent / "images"
    images = Images([given] if given else [beside / path.stem, beside, path.parent / "images", path.parent])
    for item in value["items"]:
        where = f"{path.name}: {item.get('id') if isinstance(item, dict) else item}"
        try:
            found.images.append(_labelled_image(item, names, images, path.stem, split, where))
        except (InputError, *DAMAGE) as error:
            reason = error if isinstance(error, InputError) else repr(error)
            found.failures.append(str(reason) if where in str(reason) else f"{where}: {reason}")


def _labelled_image(
    item: dict[str, Any], names: list[str], images: Images, subset: str, split: Split, where: str
) -> LabelledImage:
    entry = item.get("image")
    if not isinstance(entry, dict):
        raise InputError("holds no image, but a video, a point cloud or nothing")
    file, stem = _find(images, str(entry.get("path") or ""), str(item["id"]), subset)
    size = entry.get("size")
    annotations = item.get("annotations") or []
    outlined = {(a.get("group"), a.get("label_id")) for a in annotations if a.get("group") and a["type"] in _OUTLINES}
    placed = [
        annotation
        for annotation in sorted(annotations, key=lambda a: int(a.get("z_order") or 0))
        if annotation["type"] not in _OF_THE_IMAGE
        and not (annotation["type"] == "bbox" and (annotation.get("group"), annotation.get("label_id")) in outlined)
    ]
    shapes = tuple(_shape(annotation, names, f"{where}: annotation {annotation.get('id')}") for annotation in placed)
    stem = stem.removeprefix(f"{subset}/")
    return LabelledImage(
        split, stem, file, shapes, (int(size[0]), int(size[1])) if size else None, annotated=bool(shapes)
    )


def _find(images: Images, path: str, number: str, subset: str) -> tuple[Path, str]:
    """Return an item's image and its name, by its path; an export without images leaves that empty."""
    if path:
        return images.find(path, subset)
    for suffix in sorted(IMAGE_SUFFIXES):
        try:
            return images.find(f"{number}{suffix}", subset)
        except InputError as error:
            if "no such image" not in str(error):
                raise
    return images.find(f"{number}.jpg", subset)


def _shape(annotation: dict[str, Any], names: list[str], where: str) -> Shape:
    number, kind = annotation.get("label_id"), annotation["type"]
    if number is not None and not 0 <= int(number) < len(names):
        raise InputError(f"{where}: label {number} is not in the file")
    label = NO_LABEL if number is None else names[int(number)]
    why = f"Datumaro's {kind} has no area that is known"
    try:
        if segmentation := _segmentation(annotation, kind):
            return Shape(label, segmentation, where)
    except (InputError, *DAMAGE) as error:
        why = str(error) if isinstance(error, InputError) else f"it is damaged: {error!r}"
    return Shape(label, None, where, _bounds(annotation), why)


def _segmentation(annotation: dict[str, Any], kind: str) -> Segmentation | None:
    degrees = float((annotation.get("attributes") or {}).get("rotation") or 0)
    match kind:
        case "mask":
            rle = annotation["rle"]
            return {"size": list(rle["size"]), "counts": rle["counts"]}
        case "polygon":
            return [polygon(annotation["points"])]
        case "bbox":
            left, top, width, height = map(float, annotation["bbox"])
            return [box(left, top, left + width, top + height, degrees)]
        case "ellipse":
            left, top, right, bottom = map(float, annotation["points"])
            radii = (right - left) / 2, (bottom - top) / 2
            return [ellipse((left + radii[0], top + radii[1]), radii, degrees)]
    return None


def _bounds(annotation: dict[str, Any]) -> Box | None:
    """Return the bounds of what cannot be drawn, by all points that it, or a part of it, has."""
    points = [part.get("points") for part in (annotation, *(annotation.get("elements") or []))]  # of a skeleton
    if annotation["type"] == "bbox" and len(annotation.get("bbox") or []) == 4:
        left, top, width, height = map(number, annotation["bbox"])
        return bounds([left, top]) and bounds([left, top, left + width, top + height])
    return bounds([flat for flat in points if flat]) if annotation["type"] != "rotated_bbox" else None
