"""CVAT for images 1.1, XML: https://docs.cvat.ai/docs/manual/advanced/xml_format/."""

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

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
    split_in,
)
from cookseg.runtime.errors import InputError


def read(source: Path, images: Path | None, split: str) -> Source:
    """Read a CVAT file, or the one in a folder; its subsets tell the splits.

    Raises:
        InputError: There is none, it is damaged, or it holds tracks of a video.
    """
    path = source if source.is_file() else next(iter(sorted(source.rglob("*.xml"))), None)
    if path is None:
        raise InputError(f"{source}: no XML file here")
    data = path.read_bytes()
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise InputError(f"{path}: declares entities, which CVAT never does: not read")
    try:
        root = ET.fromstring(data)  # noqa: S314 - what could harm was refused above
    except ET.ParseError as error:
        raise InputError(f"{path} is not valid XML: {error}; export it again") from error
    if root.tag != "annotations":
        raise InputError(f"{path}: the root is <{root.tag}>, not CVAT's <annotations>")
    if root.find("track") is not None:
        raise InputError(f'{path}: holds tracks of a video: export it as "CVAT for images 1.1", with its images')
    found, skipped = Source(), Counter[str]()
    split = split_in(path.stem) or split
    finder = Images([images] if images else [path.parent / "images", path.parent])
    for element in root.iter("image"):
        name = element.get("name", "")
        try:
            found.frames.append(_frame(element, name, finder, split, skipped))
        except (InputError, ValueError, KeyError) as error:
            found.failures.append(
                str(error) if isinstance(error, InputError) and name in str(error) else f"{name}: {error}"
            )
    found.add_note("shapes without an area were left out", skipped)
    return found


def _frame(element: ET.Element, name: str, images: Images, split: str, skipped: Counter[str]) -> Frame:
    subset = element.get("subset", "")
    try:
        file, stem = images.find(f"{subset}/{name}" if subset else name)
    except InputError:
        file, stem = images.find(name)
    size = int(element.attrib["height"]), int(element.attrib["width"])
    shapes = []
    for child in sorted(element, key=lambda child: int(child.get("z_order", 0))):
        segmentation = _segmentation(child, size)
        if segmentation is not None:
            shapes.append(Shape(child.attrib["label"], segmentation))
        elif child.get("label"):
            skipped[child.tag] += 1
    return Frame(split_in(subset) or split, stem.removeprefix(f"{subset}/"), file, tuple(shapes), size)


def _segmentation(element: ET.Element, size: Size) -> Segmentation | None:
    def number(name: str) -> float:
        return float(element.get(name, 0))

    match element.tag:
        case "polygon":
            points = [[float(value) for value in point.split(",")] for point in element.attrib["points"].split(";")]
            return [polygon(points)]
        case "box":
            return [box(number("xtl"), number("ytl"), number("xbr"), number("ybr"), number("rotation"))]
        case "ellipse":
            radii = number("rx"), number("ry")
            return [ellipse((number("cx"), number("cy")), radii, number("rotation"))]
        case "mask":
            runs = [int(run) for run in element.attrib["rle"].split(",")]
            height, width = int(element.attrib["height"]), int(element.attrib["width"])
            if min(runs) < 0 or sum(runs) != height * width:
                raise InputError(f"a mask of {width}x{height} whose run lengths add up to {sum(runs)}")
            flat = np.repeat(np.arange(len(runs)) % 2, runs)  # along the rows; the first run is outside
            return placed(flat.reshape(height, width), int(element.attrib["left"]), int(element.attrib["top"]), size)
    return None
