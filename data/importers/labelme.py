"""LabelMe JSON: a file for each image, with polygons, rectangles, circles and masks; https://github.com/wkentaro/labelme."""

import base64
import binascii
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cookseg.data.importers.frames import (
    Frame,
    Images,
    Segmentation,
    Shape,
    Size,
    Source,
    box,
    ellipse,
    placed,
    polygon,
    read_json,
    split_in,
)
from cookseg.runtime.errors import InputError


def is_labelme(value: Any) -> bool:
    """Return whether a JSON value is of this format."""
    return isinstance(value, dict) and isinstance(value.get("shapes"), list) and "imagePath" in value


def read(source: Path, images: Path | None, split: str, scratch: Path) -> Source:
    """Read a LabelMe file, or all below a folder; folders named train, val or test tell the split.

    Args:
        source: The file or folder.
        images: Folder of the images, if they are not beside.
        split: Split of what no folder tells.
        scratch: Folder for images that are embedded in their file, and nowhere else.

    Raises:
        InputError: There is no such file.
    """
    paths = [source] if source.is_file() else sorted(source.rglob("*.json"))
    found, skipped = Source(), Counter[str]()
    for path in paths:
        below = path.relative_to(source) if source.is_dir() else Path(path.name)
        told = next((name for part in below.parts[:-1] if (name := split_in(part))), split)
        try:
            value = _read_file(path)
            frame = _frame(path, value, Images([images or path.parent]), scratch / below.parent, skipped)
            inside = Path(*(part for part in below.parent.parts if not split_in(part)))
            name = frame.name if images else (inside / frame.name).as_posix()
            found.frames.append(replace(frame, split=told, name=name))
        except (InputError, KeyError, TypeError, ValueError) as error:
            found.failures.append(str(error) if str(path) in str(error) else f"{path}: {error}")
    if not paths:
        raise InputError(f"{source}: no JSON file here")
    found.add_note("shapes without an area were left out", skipped)
    return found


def _read_file(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = read_json(path)
    if not is_labelme(value):
        raise InputError(f"{path}: no LabelMe file: it lacks shapes or imagePath")
    return value


def _frame(path: Path, value: dict[str, Any], images: Images, scratch: Path, skipped: Counter[str]) -> Frame:
    try:
        image, name = images.find(str(value["imagePath"]))
    except InputError:
        if not value.get("imageData"):
            raise
        image, name = scratch / path.stem, path.stem
        scratch.mkdir(parents=True, exist_ok=True)
        image.write_bytes(_decoded(value["imageData"]))
    height, width = value.get("imageHeight"), value.get("imageWidth")
    size = (int(height), int(width)) if height and width else None
    shapes = []
    for shape in value["shapes"]:
        segmentation = _segmentation(shape, size)
        if segmentation is None:
            skipped[str(shape.get("shape_type"))] += 1
        else:
            shapes.append(Shape(str(shape["label"]), segmentation))
    return Frame("", name, image, tuple(shapes), size)


def _segmentation(shape: dict[str, Any], size: Size | None) -> Segmentation | None:
    points = shape["points"]
    match shape.get("shape_type") or "polygon":
        case "polygon":
            return [polygon(points)]
        case "rectangle":
            (left, right), (top, bottom) = (sorted(values) for values in zip(*points, strict=True))
            return [box(left, top, right, bottom)]
        case "circle":
            radius = math.dist(*points)
            return [ellipse(tuple(points[0]), (radius, radius))]
        case "mask":
            pixels = cv2.imdecode(np.frombuffer(_decoded(shape["mask"]), np.uint8), cv2.IMREAD_GRAYSCALE)
            if pixels is None or size is None:
                raise InputError("a mask that cannot be decoded, or has no imageHeight and imageWidth")
            left, top = (round(value) for value in points[0])
            return placed(pixels > 0, left, top, size)
    return None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError) as error:
        raise InputError(f"a picture in the file is no base64: {error}") from error
