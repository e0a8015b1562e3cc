"""COCO JSON for each split: https://cocodataset.org/#format-data.

Masks are the run lengths that pycocotools compresses. Pixels to ignore are marked ``iscrowd``, which is what COCO means
by it: evaluation skips them, and many trainers drop them. A hole is part of one polygon, as several polygons of one
annotation are joined, not subtracted.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from cookseg.data.exporters.exporter import ExportedFrame, Label, Shapes
from cookseg.data.exporters.regions import Region, run_lengths
from cookseg.data.standard import Split
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.model.contract import IGNORE


class Coco:
    """A file for each split, ``annotations/instances_SPLIT.json``, with the images in ``images/SPLIT``."""

    name: ClassVar[str] = "coco"
    shapes: ClassVar[tuple[Shapes, ...]] = ("rle", "polygons")
    images: ClassVar[str] = "images/{split}"
    ignored: ClassVar[str] = "is marked iscrowd, which evaluation skips and many trainers drop"
    bare: ClassVar[bool] = True

    def write(self, frames: Iterable[ExportedFrame], folder: Path, labels: tuple[Label, ...]) -> None:
        """Write a file for each split."""
        numbers = {label.name: number for number, label in enumerate(labels, 1)}
        crowds = {label.name for label in labels if label.value == IGNORE}
        files: dict[Split, dict[str, Any]] = {}
        for frame in frames:
            content = files.setdefault(frame.split, _empty(numbers))
            height, width = frame.size
            number = len(content["images"]) + 1
            content["images"].append({"id": number, "file_name": frame.name, "width": width, "height": height})
            for region in frame.regions or ():
                content["annotations"].append(
                    {
                        "id": len(content["annotations"]) + 1,
                        "image_id": number,
                        "category_id": numbers[region.label],
                        "segmentation": _segmentation(region, frame.size),
                        "area": region.pixels,
                        "bbox": [region.left, region.top, *region.mask.shape[::-1]],
                        "iscrowd": int(region.label in crowds),
                    }
                )
        (folder / "annotations").mkdir()
        for split, content in files.items():
            (folder / f"annotations/instances_{split}.json").write_text(json.dumps(content), "utf-8")


def _empty(numbers: dict[str, int]) -> dict[str, Any]:
    categories = [{"id": number, "name": name, "supercategory": ""} for name, number in numbers.items()]
    return {"info": {}, "licenses": [], "images": [], "annotations": [], "categories": categories}


def _segmentation(region: Region, size: Size) -> Any:
    if region.outline is not None:
        return [region.outline.ravel().tolist()]
    return {"size": [*size], "counts": _compressed(run_lengths(region.placed(size).ravel(order="F")))}


def _compressed(counts: list[int]) -> str:
    """Return run lengths as COCO compresses them: differences to the last but one, in groups of five bits."""
    text = []
    for place, count in enumerate(counts):
        value = count - (counts[place - 2] if place > 2 else 0)
        more = True
        while more:
            code = value & 31
            value >>= 5
            more = value != (-1 if code & 16 else 0)
            text.append(chr(48 + (code | (32 if more else 0))))
    return "".join(text)
