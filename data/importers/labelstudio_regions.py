"""Regions of Label Studio's results, https://labelstud.io/guide/task_format, and the areas that they are.

Coordinates are percentages of width and height. The x and y of a box are a corner, around which it is rotated, those
of an ellipse its centre; clockwise both, in pixels.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from cookseg.data.importers.brush import decode_brush
from cookseg.data.importers.importer import DAMAGE
from cookseg.data.importers.shapes import (
    NO_LABEL,
    Box,
    Segmentation,
    Shape,
    bounds,
    ellipse,
    number,
    placed,
    polygon,
    rotated,
)
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size

_GEOMETRY = ("x", "y", "width", "height", "rotation", "radiusX", "radiusY", "points", "closed", "vertices", "rle",
             "imageDataURL")  # fmt: skip


@dataclass
class Region:
    """Entries of a result that say something of the same place: its area, and what it is."""

    entries: list[dict[str, Any]]

    @property
    def labels(self) -> list[str]:
        """Labels, in the order in which they were given."""
        kinds = [str(entry.get("type", "")) for entry in self.entries]  # brushlabels; of choices, choices
        keys = [kind if kind.endswith("labels") else "labels" for kind in kinds]
        held = [entry["value"].get(key) for entry, key in zip(self.entries, keys, strict=True)]
        return list(dict.fromkeys(str(label) for labels in held if isinstance(labels, list) for label in labels))


def regions_of(result: list[dict[str, Any]]) -> list[Region]:
    """Return the regions of a result; a region with a separate label, choice or text has several entries."""
    found: dict[tuple[str, str], Region] = {}
    bare = []
    for place, entry in enumerate(result):
        kind = str(entry.get("type", ""))
        if kind == "relation":
            continue
        value = entry.get("value")
        value = value if isinstance(value, dict) else {}  # a damaged area is one too
        area = json.dumps({key: value[key] for key in _GEOMETRY if key in value})
        name = str(entry.get("id", f"entry {place}"))
        if area == "{}":
            bare.append((name, {**entry, "value": value}))
        elif kind not in _REMARKS or (name, area) in found:
            found.setdefault((name, area), Region([])).entries.append(entry)
    for name, entry in bare:
        own = [region for (of, _), region in found.items() if of == name]
        if len(own) == 1:
            own[0].entries.append(entry)
        elif str(entry.get("type") or "labels").endswith(("labels", *_UNLABELLED)):  # of a kind that is not known here
            found[name, "{}"] = Region([entry])
    return [*found.values()]


_UNLABELLED = ("rectangle", "polygon", "ellipse", "brush", "keypoint", "vector", "bitmask", "magicwand")
_REMARKS = ("choices", "textarea", "rating", "number", "taxonomy", "datetime", "pairwise", "ranker")  # on regions, too


def shape_of(region: Region, size: Size, where: str) -> Shape:
    """Return the shape of a region, or, if it has no area, its bounds; ``where`` is for messages."""
    entry = region.entries[0]
    label = next(iter(region.labels), NO_LABEL)
    why = f"Label Studio's {entry.get('type')} has no area that is known"
    try:
        _require_upright(entry)
        if segmentation := _segmentation(entry["value"], str(entry.get("type")), size):
            return Shape(label, segmentation, where)
    except (InputError, *DAMAGE) as error:
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
    x, y, width, height = (number(value.get(key)) for key in ("x", "y", "width", "height"))
    if not points and "height" in value:
        points = [[x, y], [x + width, y + height]]
    elif not points and not {"radiusX", "rle"} & value.keys():  # a point: its width is that of its dot
        points = [[x - width / 2, y - width / 2 * across / down], [x + width / 2, y + width / 2 * across / down]]
    box = bounds(points)
    if not box:
        return None
    left, top, right, bottom = (round(value * scale, 6) for value, scale in zip(box, (across, down) * 2, strict=True))
    return left, top, right, bottom
