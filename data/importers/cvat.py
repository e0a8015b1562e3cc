"""CVAT for images 1.1, XML: https://docs.cvat.ai/docs/manual/advanced/xml_format/.

CVAT exports a task as a whole: an ``<image>`` without shapes is one that nobody has annotated yet. A project's images
lie below ``images/SUBSET/``. A cuboid is a box in space, of which only the projected corners are known.
"""

import xml.etree.ElementTree as ET
import xml.parsers.expat
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from cookseg.data.importers.importer import DAMAGE, Request
from cookseg.data.importers.labels import Images, LabelledImage, Labels, split_in
from cookseg.data.importers.shapes import (
    Box,
    Segmentation,
    Shape,
    bounds,
    box,
    ellipse,
    number,
    placed,
    polygon,
    require_size,
)
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.walk import list_files


class Cvat:
    """CVAT files: one, or all below a folder; subsets, and names of files and folders, tell the splits."""

    name: ClassVar[str] = "cvat"
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)

    def claims(self, path: Path) -> bool:
        """Return whether a file is XML of this format."""
        return path.is_file() and path.suffix.lower() in self.suffixes and b"<annotations" in path.read_bytes()

    def read(self, request: Request) -> Labels:
        """Read all images of all files; tracks of a video are refused."""
        source = request.source
        paths = [source] if source.is_file() else list_files(source, self.suffixes)
        found = Labels()
        for path in paths:
            if not (source.is_file() or self.claims(path)):
                found.passed_over.append(path)
                found.notes.append(f"{path}: not a CVAT file, left out")
                continue
            try:
                root = _read_xml(path)
            except InputError as error:
                if len(paths) == 1:
                    raise
                found.failures.append(str(error))
                continue
            told = split_in(path.stem) or (None if source.is_file() else split_in(path.parent.name))
            _read_images(path, root, request.images, told or request.split, found)
        if not paths:
            raise InputError(f"{source}: no XML file here")
        return found


def _read_xml(path: Path) -> ET.Element:
    data = path.read_bytes()

    def refuse(*_declaration: Any) -> NoReturn:
        raise InputError(f"{path}: declares entities, which CVAT never does: not read")

    first = xml.parsers.expat.ParserCreate()  # in whatever encoding it is: a search for bytes would see ASCII only
    first.StartDoctypeDeclHandler = refuse
    try:
        first.Parse(data, True)
        root = ET.fromstring(data)  # noqa: S314 - what could harm was refused above
    except (ET.ParseError, xml.parsers.expat.ExpatError, ValueError, LookupError) as error:  # also of the encoding
        raise InputError(f"{path} is not valid XML: {error}; export it again") from error
    if root.tag != "annotations":
        raise InputError(f"{path}: the root is <{root.tag}>, not CVAT's <annotations>")
    if root.find("track") is not None:
        raise InputError(f'{path}: holds tracks of a video: export it as "CVAT for images 1.1", with its images')
    return root


def _read_images(path: Path, root: ET.Element, given: Path | None, split: Split, found: Labels) -> None:
    finder = Images([given] if given else [path.parent / "images", path.parent])
    for element in root.iter("image"):
        name = element.get("name", "")
        try:
            found.images.append(_labelled_image(element, finder, split, f"{path}: {name}"))
        except (InputError, *DAMAGE) as error:
            named = isinstance(error, InputError) and name in str(error)
            found.failures.append(str(error) if named else f"{path}: {name}: {error}")


def _labelled_image(element: ET.Element, images: Images, split: Split, where: str) -> LabelledImage:
    subset = element.get("subset", "")
    file, stem = images.find(element.get("name", ""), subset)
    size = int(element.attrib["height"]), int(element.attrib["width"])
    labelled = [
        (child, f"{where}: {child.tag} {number}")
        for number, child in enumerate(element, 1)
        if child.tag != "tag"  # which says something of the image, not of a place in it
    ]
    labelled.sort(key=lambda item: int(item[0].get("z_order", 0)))
    shapes = tuple(_shape(child, size, place) for child, place in labelled)
    name = stem.removeprefix(f"{subset}/")
    return LabelledImage(split_in(subset) or split, name, file, shapes, size, annotated=bool(shapes))


def _shape(element: ET.Element, size: Size, where: str) -> Shape:
    label = element.get("label")
    if label is None:
        raise InputError(f"{where}: has no label")
    why = f"CVAT's {element.tag} has no area that is known"
    try:
        if segmentation := _segmentation(element, size):
            return Shape(label, segmentation, where)
    except (InputError, *DAMAGE) as error:
        why = str(error) if isinstance(error, InputError) else f"it is damaged: {error!r}"
    return Shape(label, None, where, _bounds(element), why)


def _segmentation(element: ET.Element, size: Size) -> Segmentation | None:
    def given(name: str) -> float:
        return float(element.attrib[name])

    degrees = float(element.get("rotation", 0))
    match element.tag:
        case "polygon":
            return [polygon(_points(element))]
        case "box":
            return [box(given("xtl"), given("ytl"), given("xbr"), given("ybr"), degrees)]
        case "ellipse":
            return [ellipse((given("cx"), given("cy")), (given("rx"), given("ry")), degrees)]
        case "mask":
            runs = [int(run) for run in element.attrib["rle"].split(",")]
            height, width = int(element.attrib["height"]), int(element.attrib["width"])
            require_size((height, width))
            if min(runs) < 0 or sum(runs) != height * width:
                raise InputError(f"a mask of {width}x{height} whose run lengths add up to {sum(runs)}")
            flat = np.repeat(np.arange(len(runs)) % 2, runs)  # along the rows; the first run is outside
            return placed(flat.reshape(height, width), int(element.attrib["left"]), int(element.attrib["top"]), size)
    return None


def _points(element: ET.Element) -> list[list[str]]:
    return [point.split(",") for point in element.attrib["points"].split(";") if point.strip()]


def _bounds(element: ET.Element) -> Box | None:
    """Return the bounds of a shape by all coordinates that it, or a part of it, has."""
    if element.tag == "mask":
        left, top, width, height = (number(element.get(name)) for name in ("left", "top", "width", "height"))
        return bounds([left, top, left + width, top + height])
    points: list[Any] = []
    for part in element.iter():  # a skeleton holds points
        points += _points(part) if "points" in part.attrib else []
        corners = sorted({name[1:] for name in part.attrib if name[:2] in ("xt", "xb")})  # tl, br, tl1, bl2, ...
        points += [[number(part.get(f"x{corner}")), number(part.get(f"y{corner}"))] for corner in corners]
    return bounds(points)
