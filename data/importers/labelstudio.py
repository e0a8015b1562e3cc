"""Label Studio JSON, https://labelstud.io/guide/task_format: a list of tasks, each an image with annotations of people.

Coordinates are percentages of width and height. The x and y of a box are a corner, around which it is rotated, those
of an ellipse its centre; clockwise both. What comes later in the list lies on top. Of several annotations of a task the
one that is marked as ground truth counts, else the newest, as Label Studio's converter sorts them (SDK 2.1.2). Those
that were cancelled (skipped), predictions and drafts are not annotations; one that was submitted without a region says
that there is nothing. Of several labels of a region the first counts, as for the converter.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from cookseg.data.importers.brush import decode_brush
from cookseg.data.importers.importer import Request
from cookseg.data.importers.labels import Images, LabelledImage, Labels, read_json, split_in
from cookseg.data.importers.shapes import (
    NO_LABEL,
    Box,
    Segmentation,
    Shape,
    bounds,
    ellipse,
    placed,
    polygon,
    rotated,
)
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.images import IMAGE_SUFFIXES, read_image
from cookseg.runtime.walk import list_files

_GEOMETRY = ("x", "y", "width", "height", "rotation", "radiusX", "radiusY", "points", "closed", "vertices", "rle",
             "imageDataURL")  # fmt: skip
_UPLOADED = re.compile(r"[0-9a-f]{2,8}-(?=.)")  # what Label Studio puts in front of the names of uploaded files
_USUAL_KEYS = ("image", "img", "image_url", "url")


class LabelStudio:
    """Label Studio files: one, or all below a folder; names of files and folders tell the splits."""

    name: ClassVar[str] = "labelstudio"
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    def claims(self, path: Path) -> bool:
        """Return whether a file is of this format."""
        return path.is_file() and path.suffix.lower() in self.suffixes and bool(_tasks(read_json(path)))

    def read(self, request: Request) -> Labels:
        """Read all tasks of all files."""
        source = request.source
        paths = [source] if source.is_file() else list_files(source, self.suffixes)
        found, several = Labels(), _Counts()
        for path in paths:
            tasks = _tasks(read_json(path))
            if not tasks:
                if source.is_file():
                    raise InputError(f"{path}: not a Label Studio file: it lacks tasks with data and annotations")
                found.notes.append(f"{path}: not a Label Studio file, left out")
                continue
            told = None if source.is_file() else split_in(path.stem) or split_in(path.parent.name)
            images = Images([request.images] if request.images else [path.parent / "images", path.parent])
            for number, task in enumerate(tasks, 1):
                where = f"{path}: task {task.get('id', number) if isinstance(task, dict) else number}"
                try:
                    found.images.append(_labelled_image(task, images, told or request.split, where, several))
                except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
                    found.failures.append(f"{where}: {error if isinstance(error, InputError) else repr(error)}")
        if not paths:
            raise InputError(f"{source}: no JSON file here")
        found.notes += several.notes()
        return found


@dataclass
class _Counts:
    """Counts of what had to be chosen between."""

    tasks: int = 0
    regions: int = 0

    def notes(self) -> Iterator[str]:
        if self.tasks:
            yield f"{self.tasks} tasks have several annotations: of each the ground truth, else the newest was taken"
        if self.regions:
            yield f"{self.regions} regions have several labels: the first of each was taken"


def _tasks(value: Any) -> list[Any]:
    """Return the tasks of a file, or nothing if it is of another format."""
    tasks = value if isinstance(value, list) else [value]
    first = tasks[0] if tasks and isinstance(tasks[0], dict) else {}
    known = isinstance(first.get("data"), dict) and any(isinstance(first.get(key), list) for key in _LISTS)
    return tasks if known else []


_LISTS = ("annotations", "completions", "predictions")  # completions: until version 1.0


def _labelled_image(task: dict[str, Any], images: Images, split: Split, where: str, several: _Counts) -> LabelledImage:
    done = [a for a in task.get("annotations", task.get("completions")) or [] if not _is_cancelled(a)]
    several.tasks += len(done) > 1
    chosen: dict[str, Any] = max(reversed(done), key=_weight, default={})
    regions = _regions(chosen.get("result") or [])
    name = _image_name(task["data"], {str(entry.get("to_name")) for region in regions for entry in region.entries})
    file, stem = _find(images, name)
    if not done:
        return LabelledImage(split, stem, file, annotated=False)
    where = f"{where}: {PurePosixPath(name).name}"
    sizes = [_size(entry) for region in regions for entry in region.entries if "original_height" in entry]
    size = next(iter(sizes), None)
    if size is None and regions:
        height, width = read_image(file).shape[:2]
        size = height, width
    shapes = tuple(_shape(region, size, f"{where}: region {n}", several) for n, region in enumerate(regions, 1) if size)
    return LabelledImage(split, stem, file, shapes, size)


def _is_cancelled(annotation: dict[str, Any]) -> bool:
    return bool(annotation.get("was_cancelled") or annotation.get("skipped"))


def _weight(annotation: dict[str, Any]) -> tuple[bool, str]:
    """Return what the annotation to take has most of."""
    return bool(annotation.get("ground_truth")), str(annotation.get("created_at") or "")


def _size(entry: dict[str, Any]) -> Size:
    return int(entry["original_height"]), int(entry["original_width"])


def _image_name(data: dict[str, Any], drawn_on: set[str]) -> str:
    """Return the path of a task's image, from what may be a URL, a path of an upload or of a local file.

    Args:
        data: The task's data.
        drawn_on: Names of the tags that show what was drawn on, often those of the data.
    """
    if len(drawn_on) > 1:
        raise InputError(f"has regions on several images: {', '.join(sorted(drawn_on))}")
    named = {key: path for key, value in data.items() if isinstance(value, str) and (path := _path_of(value))}
    usual = [key for key in (*drawn_on, *_USUAL_KEYS) if key in named]
    if len(named) == 1 or usual:
        return named[usual[0] if usual else next(iter(named))]
    raise InputError(f"holds {len(named)} images: {', '.join(named) or 'no image that has a file name'}")


def _path_of(value: str) -> str:
    """Return the path in a reference to an image, or nothing if it is none."""
    value = value.replace("\\", "/")
    url = urlsplit(value)
    local = parse_qs(url.query).get("d")  # /data/local-files/?d=folder/pan_1.jpg
    is_url = url.scheme or url.query or value.startswith("/data/")
    path = local[0] if local else unquote(url.path) if is_url else value
    return path if PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES else ""


def _find(images: Images, path: str) -> tuple[Path, str]:
    """Return an image's file and name: of an upload too if it has its own name again."""
    if "/upload/" not in f"/{path}":
        return images.find(path)
    name = PurePosixPath(path).name  # the folder is a project's number
    try:
        return images.find(name)
    except InputError:
        own = _UPLOADED.sub("", name, count=1)
        if own == name:
            raise
        return images.find(own)


@dataclass
class _Region:
    """Entries of a result that say something of the same place: its area, and what it is."""

    entries: list[dict[str, Any]]

    @property
    def labels(self) -> list[str]:
        """Labels, in the order in which they were given."""
        kinds = [str(entry.get("type", "")) for entry in self.entries]  # brushlabels; of choices, choices
        keys = [kind if kind.endswith("labels") else "labels" for kind in kinds]
        held = [entry["value"].get(key) for entry, key in zip(self.entries, keys, strict=True)]
        return list(dict.fromkeys(str(label) for labels in held if isinstance(labels, list) for label in labels))


def _regions(result: list[dict[str, Any]]) -> list[_Region]:
    """Return the regions of a result; a region with a separate label, choice or text has several entries."""
    found: dict[tuple[str, str], _Region] = {}
    bare = []
    for number, entry in enumerate(result):
        value = entry.get("value")
        if not isinstance(value, dict):
            continue  # a relation
        area = json.dumps({key: value[key] for key in _GEOMETRY if key in value})
        name = str(entry.get("id", f"entry {number}"))
        kind = str(entry.get("type", ""))
        if area == "{}":
            bare.append((name, entry))
        elif kind.endswith("labels") or kind in _UNLABELLED or (name, area) in found:
            found.setdefault((name, area), _Region([])).entries.append(entry)
    for name, entry in bare:
        own = [region for (of, _), region in found.items() if of == name]
        if len(own) == 1:
            own[0].entries.append(entry)
        elif str(entry.get("type", "")).endswith("labels"):  # an area of a kind that is not known here
            found[name, "{}"] = _Region([entry])
    return [*found.values()]


_UNLABELLED = ("rectangle", "polygon", "ellipse", "brush", "keypoint", "vector", "bitmask", "magicwand")


def _shape(region: _Region, size: Size, where: str, several: _Counts) -> Shape:
    entry = region.entries[0]
    several.regions += len(region.labels) > 1
    label = next(iter(region.labels), NO_LABEL)
    why = f"Label Studio's {entry.get('type')} has no area that is known"
    try:
        _require_upright(entry)
        if segmentation := _segmentation(entry["value"], str(entry.get("type")), size):
            return Shape(label, segmentation, where)
    except (InputError, KeyError, TypeError, ValueError, OverflowError) as error:
        why = str(error) if isinstance(error, InputError) else f"it is damaged: {error!r}"
    return Shape(label, None, where, None if entry.get("image_rotation") else _bounds(entry["value"], size), why)


def _require_upright(entry: dict[str, Any]) -> None:
    if entry.get("image_rotation"):
        raise InputError("it was drawn on a rotated view: rotate that back in Label Studio, and export again")


def _segmentation(value: dict[str, Any], kind: str, size: Size) -> Segmentation | None:
    across, down = size[1] / 100, size[0] / 100

    def point(x: str, y: str) -> tuple[float, float]:
        return float(value[x]) * across, float(value[y]) * down

    if "rle" in value:
        return placed(decode_brush(value["rle"], size), 0, 0, size)
    if kind.startswith(("keypoint", "vector")) or value.get("closed") is False:
        return None
    if "points" in value:
        return [polygon(np.asarray(value["points"], np.float64) * (across, down))]
    if "radiusX" in value:
        return [ellipse(point("x", "y"), point("radiusX", "radiusY"), float(value.get("rotation") or 0))]
    if {"x", "y", "width", "height"} <= value.keys():
        width, height = point("width", "height")
        corners = [[0, 0], [width, 0], [width, height], [0, height]]
        return [rotated(np.array(corners), point("x", "y"), float(value.get("rotation") or 0))]
    return None


def _bounds(value: dict[str, Any], size: Size) -> Box | None:
    """Return the bounds of a region that cannot be drawn, by all points that it has."""
    across, down = size[1] / 100, size[0] / 100
    points = [[p.get("x"), p.get("y")] if isinstance(p, dict) else p for p in value.get("vertices") or []]
    points += value.get("points") or []
    x, y, width, height = (_number(value.get(key)) for key in ("x", "y", "width", "height"))
    if not points and "height" in value:
        points = [[x, y], [x + width, y + height]]
    elif not points and not {"radiusX", "rle"} & value.keys():  # a point: its width is that of its dot
        points = [[x - width / 2, y - width / 2 * across / down], [x + width / 2, y + width / 2 * across / down]]
    box = bounds(points)
    if not box:
        return None
    left, top, right, bottom = (round(value * scale, 6) for value, scale in zip(box, (across, down) * 2, strict=True))
    return left, top, right, bottom


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
