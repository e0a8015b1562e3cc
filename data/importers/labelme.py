"""LabelMe JSON: a file for each image, with polygons, rectangles, circles and masks; https://github.com/wkentaro/labelme.

Its relatives write the same files with shapes of their own, such as X-AnyLabeling's rectangles of four corners
(https://github.com/CVHub520/X-AnyLabeling). A file without shapes is of an image that nobody has annotated yet: LabelMe
saves one when an image is looked at with automatic saving.
"""

import base64
import binascii
import math
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import cv2
import numpy as np

from cookseg.data.importers.importer import DAMAGE, Request
from cookseg.data.importers.json_files import SUFFIXES, is_json_of, read_json
from cookseg.data.importers.labels import Images, LabelledImage, Labels, split_in
from cookseg.data.importers.shapes import Box, Segmentation, Shape, bounds, box, ellipse, placed, polygon
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.walk import list_files

_CORNERS = 4
_ENDS = 2


class LabelMe:
    """LabelMe files: one, or all below a folder; folders named train, val or test tell the split."""

    name: ClassVar[str] = "labelme"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    def claims(self, path: Path) -> bool:
        """Return whether a file is of this format."""
        return is_json_of(path, _is_labelme)

    def read(self, request: Request) -> Labels:
        """Read all files."""
        source, images = request.source, request.images
        paths = [source] if source.is_file() else list_files(source, self.suffixes)
        found = Labels()
        for path in paths:
            below = path.relative_to(source) if source.is_dir() else Path(path.name)
            told = next((part for part in map(split_in, below.parts[:-1]) if part), request.split)
            try:
                finder = Images([images or path.parent])
                image = _labelled_image(path, _read_file(path, found), finder, below.parent, request.scratch)
                inside = Path(*(part for part in below.parent.parts if not split_in(part)))
                name = image.name if images else (inside / image.name).as_posix()
                found.images.append(replace(image, split=told, name=name))
            except (InputError, *DAMAGE) as error:
                found.failures.append(str(error) if str(path) in str(error) else f"{path}: {error}")
        if not paths:
            raise InputError(f"{source}: no JSON file here")
        return found


def _is_labelme(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("shapes"), list) and "imagePath" in value


def _read_file(path: Path, found: Labels) -> dict[str, Any]:
    value: dict[str, Any] = read_json(path)
    if not _is_labelme(value):
        found.passed_over.append(path)
        raise InputError(f"{path}: not a LabelMe file: it lacks shapes or imagePath")
    return value


def _labelled_image(path: Path, value: dict[str, Any], images: Images, below: Path, scratch: Path) -> LabelledImage:
    try:
        image, name = images.find(str(value["imagePath"]), below.as_posix())
    except InputError:
        if not value.get("imageData"):
            raise
        image, name = scratch / below / path.stem, path.stem
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(_decoded(value["imageData"]))
    height, width = value.get("imageHeight"), value.get("imageWidth")
    size = (int(height), int(width)) if height and width else None
    where = f"{path}: {PurePosixPath(str(value['imagePath']).replace(chr(92), '/')).name}"
    shapes = tuple(_shape(shape, size, f"{where}: shape {n}") for n, shape in enumerate(value["shapes"], 1))
    return LabelledImage("train", name, image, shapes, size, annotated=bool(shapes))


def _shape(shape: dict[str, Any], size: Size | None, where: str) -> Shape:
    label, kind = str(shape["label"]), str(shape.get("shape_type") or "polygon")
    why = f"LabelMe's {kind} has no area that is known"
    try:
        if segmentation := _segmentation(kind, shape, size):
            return Shape(label, segmentation, where)
    except KeyError as error:
        why = f"it lacks {error}"
    except (InputError, *DAMAGE) as error:
        why = str(error) if isinstance(error, InputError) else f"its points do not make a {kind}: {error}"
    return Shape(label, None, where, _bounds(kind, shape.get("points")), why)


def _segmentation(kind: str, shape: dict[str, Any], size: Size | None) -> Segmentation | None:
    points = shape["points"]
    match kind:
        case "polygon":
            return [polygon(points)]
        case "rectangle" | "oriented_rectangle" | "rotation" | "quadrilateral" if len(points) == _CORNERS:
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


def _bounds(kind: str, points: Any) -> Box | None:
    if kind == "circle" and isinstance(points, list) and len(points) < _ENDS:
        return None  # a centre says nothing of the radius
    return bounds(points)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError) as error:
        raise InputError(f"an image in the file is not base64: {error}") from error
