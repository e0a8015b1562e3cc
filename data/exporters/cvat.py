"""CVAT for images 1.1, XML: https://docs.cvat.ai/docs/manual/advanced/xml_format/.

The file is that of a project, whose images lie below ``images/SUBSET/``; tasks take it too. A mask is its bounds, and
run lengths along the rows in them.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from cookseg.data.exporters.exporter import ExportedFrame, Label, Shapes
from cookseg.data.exporters.regions import Region, run_lengths


class Cvat:
    """``annotations.xml``, with the images in ``images/SPLIT``; the splits are subsets."""

    name: ClassVar[str] = "cvat"
    shapes: ClassVar[tuple[Shapes, ...]] = ("rle", "polygons")
    images: ClassVar[str] = "images/{split}"
    ignored: ClassVar[str] = "is a label like any other"
    bare: ClassVar[bool] = True

    def write(self, frames: Iterable[ExportedFrame], folder: Path, labels: tuple[Label, ...]) -> None:
        """Write the file."""
        root = ET.Element("annotations")
        ET.SubElement(root, "version").text = "1.1"
        meta = ET.SubElement(root, "meta")
        splits: dict[str, None] = {}
        for number, frame in enumerate(frames):
            splits[frame.split] = None
            height, width = map(str, frame.size)
            about = {"id": str(number), "name": frame.name, "subset": frame.split, "width": width, "height": height}
            image = ET.SubElement(root, "image", about)
            for region in frame.regions or ():
                image.append(_shape(region))
        meta.append(_project(labels, [*splits]))
        ET.indent(root)
        ET.ElementTree(root).write(folder / "annotations.xml", "utf-8", xml_declaration=True)


def _project(labels: tuple[Label, ...], splits: list[str]) -> ET.Element:
    project = ET.Element("project")
    ET.SubElement(project, "name").text = "cookseg"
    tasks = ET.SubElement(project, "tasks")
    for number, split in enumerate(splits):
        task = ET.SubElement(tasks, "task")
        for key, text in {"id": str(number), "name": split, "mode": "annotation", "subset": split}.items():
            ET.SubElement(task, key).text = text
    held = ET.SubElement(project, "labels")
    for label in labels:
        entry = ET.SubElement(held, "label")
        for key, text in {
            "name": label.name,
            "color": label.hexadecimal,
            "type": "any",
        }.items():
            ET.SubElement(entry, key).text = text
        ET.SubElement(entry, "attributes")
    return project


def _shape(region: Region) -> ET.Element:
    common = {"label": region.label, "source": "file", "occluded": "0", "z_order": "0"}
    if region.outline is not None:
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in region.outline.tolist())
        return ET.Element("polygon", {**common, "points": points})
    runs = ", ".join(map(str, run_lengths(region.mask.ravel())))
    height, width = map(str, region.mask.shape)
    place = {"left": str(region.left), "top": str(region.top), "width": width, "height": height}
    return ET.Element("mask", {**common, "rle": runs, **place})
