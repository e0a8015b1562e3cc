"""Formats of other tools that cannot be read: what they are called, and what to export instead."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cookseg.data.importers.json_files import read_json

_OUTLINES = "export COCO JSON (polygons or run lengths) or CVAT XML from it instead"
_OWN = ("classes.json", "notes.json")  # cookseg's, and what Label Studio adds to its export for YOLO


def refusal(files: list[Path]) -> str:
    """Return a message for the first file of labels that no importer reads, or nothing if there is none.

    Raises:
        InputError: A JSON file is damaged.
    """
    unknown = ""
    for path in files:
        match path.suffix.lower():
            case ".zip":
                return f"{path}: an archive: name it instead of its folder, or unpack the archive that it is in"
            case ".7z" | ".rar" | ".tar" | ".tgz" | ".gz" | ".xz" | ".bz2" | ".zst":
                return f"{path}: an archive that is not read: unpack it first, and name its folder, or pack a .zip"
            case ".json" if path.name not in _OWN:
                value = read_json(path)
            case ".xml":  # CVAT's was claimed
                unknown = unknown or f"{path}: XML of no format that is read, such as boxes of Pascal VOC: {_OUTLINES}"
                continue
            case ".ndjson" | ".jsonl":
                value = _first_line(path)
            case _:
                continue
        for tool, remedy, claims in _TOOLS:
            if claims(value):
                return f"{path}: written by {tool}, which is not read: {remedy}"
        unknown = unknown or f"{path}: of no format that is read: {_OUTLINES}"
    return unknown


def _first_line(path: Path) -> Any:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        try:
            return json.loads(file.readline())
        except ValueError:
            return None


def _first(value: Any) -> dict[str, Any]:
    """Return the first entry of a list or object, or the value itself, as an object."""
    inner = next(iter(value), None) if isinstance(value, list) else value
    return inner if isinstance(inner, dict) else {}


def _is_supervisely(value: Any) -> bool:
    held = _first(value)
    return {"objects", "size"} <= held.keys() or {"classes", "tags"} <= held.keys()


def _is_via(value: Any) -> bool:
    held = _first(value)
    entry = next(iter(held.values()), None)
    return (
        "_via_img_metadata" in held
        or {"project", "attribute", "metadata"} <= held.keys()
        or (isinstance(entry, dict) and {"filename", "regions"} <= entry.keys())
    )


def _is_labelbox(value: Any) -> bool:
    held = _first(value)
    return {"data_row", "projects"} <= held.keys() or {"Labeled Data", "Label"} <= held.keys()


def _is_label_studio_min(value: Any) -> bool:
    return {"annotation_id", "annotator"} <= _first(value).keys()


_Tool = tuple[str, str, Callable[[Any], bool]]

_TOOLS: tuple[_Tool, ...] = (
    ("Supervisely", 'export it there with the app "Export to COCO" (polygons or masks)', _is_supervisely),
    ("VIA, the VGG Image Annotator", 'choose Annotation, then "Export Annotations (COCO format)" there', _is_via),
    ("Labelbox", "convert it to COCO with polygons or run lengths", _is_labelbox),
    ("Label Studio as JSON-MIN", 'choose "JSON" there, which says what was skipped', _is_label_studio_min),
)
