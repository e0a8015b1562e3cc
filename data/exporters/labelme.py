"""LabelMe JSON: a file for each image, beside it; https://github.com/wkentaro/labelme.

A ``mask`` is a PNG of the pixels in the bounds, of which the last row and column count; LabelMe has it since 5.3.
"""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cookseg.data.exporters.exporter import ExportedFrame, Label, Shapes
from cookseg.data.exporters.regions import Region
from cookseg.runtime.imaging.png import encode_png


class LabelMe:
    """Images and their JSON files in one folder for each split; an image without a mask has no JSON file."""

    name: ClassVar[str] = "labelme"
    shapes: ClassVar[tuple[Shapes, ...]] = ("rle", "polygons")
    images: ClassVar[str] = "{split}"
    ignored: ClassVar[str] = "is a label like any other"
    bare: ClassVar[bool] = True

    def write(self, frames: Iterable[ExportedFrame], folder: Path, labels: tuple[Label, ...]) -> None:
        """Write a file for each frame that has a mask."""
        for frame in frames:
            if frame.regions is not None:
                value: dict[str, Any] = {
                    "version": "5.5.0",
                    "flags": {},
                    "shapes": [_shape(region) for region in frame.regions],
                    "imagePath": frame.file.name,
                    "imageData": None,
                    "imageHeight": frame.size[0],
                    "imageWidth": frame.size[1],
                }
                (folder / frame.file).with_suffix(".json").write_text(json.dumps(value, indent=2), "utf-8")


def _shape(region: Region) -> dict[str, Any]:
    shape: dict[str, Any] = {"label": region.label, "group_id": None, "description": "", "flags": {}}
    if region.outline is not None:
        return {**shape, "points": region.outline.tolist(), "shape_type": "polygon", "mask": None}
    height, width = region.mask.shape
    corners = [[region.left, region.top], [region.left + width - 1, region.top + height - 1]]
    pixels = base64.b64encode(encode_png(region.mask.astype(np.uint8))).decode()  # 0 and 1, as LabelMe writes them
    return {**shape, "points": [[float(x), float(y)] for x, y in corners], "shape_type": "mask", "mask": pixels}
