"""Label Studio's tasks as JSON: https://labelstud.io/guide/tasks and https://labelstud.io/tags/brushlabels.

A brush stroke is the frame as RGBA, all four values 255 where it covers, in run lengths of bits: 32 for how many values
there are, 5 for the bits of a value less one, 4 for the bits of each of four lengths less one. Then for each run one
bit, two for which of the lengths is used, the run's length less one in so many bits, and the value.
"""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar
from urllib.parse import quote

import numpy as np

from cookseg.data.exporters.exporter import ExportedFrame, Label, Shapes
from cookseg.data.exporters.regions import BoolArray, Region, run_lengths
from cookseg.data.standard import Split
from cookseg.runtime.imaging.frame import Size

_LENGTHS = (3, 4, 8, 16)  # bits of a run's length
_CHANNELS = 4
_BRUSH, _POLYGON = "brush", "polygon"  # names of the interface's controls


class LabelStudio:
    """``SPLIT.json`` for each split, ``config.xml`` for the labelling interface, and the images in ``images/SPLIT``."""

    name: ClassVar[str] = "labelstudio"
    shapes: ClassVar[tuple[Shapes, ...]] = ("rle", "polygons")
    images: ClassVar[str] = "images/{split}"
    ignored: ClassVar[str] = "is a label like any other"
    bare: ClassVar[bool] = False

    def write(self, frames: Iterable[ExportedFrame], folder: Path, labels: tuple[Label, ...]) -> None:
        """Write the tasks of each split, and the interface."""
        tasks: dict[Split, list[dict[str, Any]]] = {}
        for frame in frames:
            results = [_result(region, frame, number) for number, region in enumerate(frame.regions or (), 1)]
            annotations = [] if frame.regions is None else [{"result": results}]
            data = {"image": _address(frame.file), "split": frame.split}
            tasks.setdefault(frame.split, []).append({"data": data, "annotations": annotations})
        for split, held in tasks.items():
            (folder / f"{split}.json").write_text(json.dumps(held), "utf-8")
        ET.ElementTree(_interface(labels)).write(folder / "config.xml", "utf-8")


def _address(image: PurePosixPath) -> str:
    """Return where Label Studio finds an image of its local storage: https://labelstud.io/guide/storage#Local-storage."""
    return f"/data/local-files/?d={quote(str(image))}"


def _result(region: Region, frame: ExportedFrame, number: int) -> dict[str, Any]:
    height, width = frame.size
    kind = "brushlabels" if region.outline is None else "polygonlabels"
    return {
        "id": f"region{number}",
        "type": kind,
        "from_name": _BRUSH if region.outline is None else _POLYGON,
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {**_place(region, frame.size), kind: [region.label]},
    }


def _place(region: Region, size: Size) -> dict[str, Any]:
    if region.outline is None:
        return {"format": "rle", "rle": brush(region.placed(size))}
    percent = np.round(region.outline * 100 / np.array(size[::-1]), 6)
    return {"points": percent.tolist(), "closed": True}


def brush(mask: BoolArray) -> list[int]:
    """Return a mask, (H, W) bool, as the bytes of a brush stroke."""
    bits = [f"{mask.size * _CHANNELS:032b}{8 - 1:05b}", *(f"{length - 1:04b}" for length in _LENGTHS)]
    most = 2 ** _LENGTHS[-1]
    for place, count in enumerate(run_lengths(mask.ravel())):
        value = "1" * 8 if place % 2 else "0" * 8
        left = count * _CHANNELS
        while left:
            run = min(left, most)
            which = next(index for index, length in enumerate(_LENGTHS) if run <= 2**length)
            bits.append(f"1{which:02b}{run - 1:0{_LENGTHS[which]}b}{value}")
            left -= run
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return [*int(text, 2).to_bytes(len(text) // 8, "big")]


def _interface(labels: tuple[Label, ...]) -> ET.Element:
    view = ET.Element("View")
    ET.SubElement(view, "Image", name="image", value="$image", zoom="true")
    for tag, name in (("BrushLabels", _BRUSH), ("PolygonLabels", _POLYGON)):
        choices = ET.SubElement(view, tag, name=name, toName="image")
        for label in labels:
            ET.SubElement(choices, "Label", value=label.name, background=label.hexadecimal)
    return view
