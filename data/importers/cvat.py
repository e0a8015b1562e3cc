"""CVAT for images 1.1, XML: https://docs.cvat.ai/docs/manual/advanced/xml_format/."""

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import ClassVar

import numpy as np

from cookseg.data.importers.importer import Request
from cookseg.data.importers.labels import Images, LabelledImage, Labels, split_in
from cookseg.data.importers.shapes import Segmentation, Shape, box, ellipse, placed, polygon
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size


class Cvat:
    """A CVAT file, or the one in a folder; its subsets tell the splits."""

    name: ClassVar[str] = "cvat"
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)

    def claims(self, path: Path) -> bool:
        """Return whether a file is XML, which no other format is."""
        return path.is_file() and path.suffix.lower() in self.suffixes

    def read(self, request: Request) -> Labels:
        """Read all images; tracks of a video are refused."""
        source, images = request.source, request.images
        path = source if source.is_file() else next(iter(sorted(source.rglob("*.xml"))), None)
        if path is None:
            raise InputError(f"{source}: no XML file here")
        root = _read_xml(path)
        found, skipped = Labels(), Counter[str]()
        split = split_in(path.stem) or request.split
        finder = Images([images] if images else [path.parent / "images", path.parent])
        for element in root.iter("image"):
            name = element.get("name", "")
            try:
                found.images.append(_labelled_image(element, name, finder, split, skipped))
            except (InputError, ValueError, KeyError) as error:
                named = isinstance(error, InputError) and name in str(error)
                found.failures.append(str(error) if named else f"{name}: {error}")
        found.add_note("shapes without an area were left out", skipped)
        return found


def _read_xml(path: Path) -> ET.Element:
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
    return root


def _labelled_image(
    element: ET.Element, name: str, images: Images, split: Split, skipped: Counter[str]
) -> LabelledImage:
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
    return LabelledImage(split_in(subset) or split, stem.removeprefix(f"{subset}/"), file, tuple(shapes), size)


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
