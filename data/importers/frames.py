"""What all importers give: frames with labelled shapes, and where their images lie."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from cookseg.runtime.errors import InputError
from cookseg.runtime.scoring.dataset import list_images

Size = tuple[int, int]
"""Height and width."""

Segmentation = list[list[float]] | dict[str, Any]
"""As in COCO: polygons, each x, y, x, y, ... in pixels with (0, 0) the outer corner of the first one; or a mask as
``{"size": [height, width], "counts": ...}``, run lengths down the columns, as a list or compressed."""


@dataclass(frozen=True)
class Shape:
    """A labelled region."""

    label: str
    segmentation: Segmentation


@dataclass(frozen=True)
class Frame:
    """An image as a labelling tool knows it.

    Attributes:
        split: train, val or test.
        name: Path below the split's folder of images, without suffix.
        image: Its file.
        shapes: Labelled regions, what is drawn later lies on top.
        size: Height and width as the tool saw it, or None where the format does not say.
        relative: Whether coordinates are shares of width and height.
        mask: A file with an index for each pixel, instead of shapes.
    """

    split: str
    name: str
    image: Path
    shapes: tuple[Shape, ...] = ()
    size: Size | None = None
    relative: bool = False
    mask: Path | None = None


@dataclass
class Source:
    """What an importer found.

    Attributes:
        frames: All that can be converted.
        failures: What cannot, a line each that names the file.
        notes: What the user should know.
        unlabelled: Images for which there is no file of labels: left out, for nobody knows what they show.
        values: For masks of indices, the label of each value.
        colors: For masks of colours, the label of each colour.
    """

    frames: list[Frame] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unlabelled: list[Path] = field(default_factory=list)
    values: dict[int, str] = field(default_factory=dict)
    colors: dict[tuple[int, int, int], str] = field(default_factory=dict)

    def add_note(self, what: str, counts: dict[str, int]) -> None:
        """Note how often what occurred, where it did."""
        if counts:
            self.notes.append(f"{what}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))


class Images:
    """Finds images by what an annotation calls them: a path below one of some folders, or just a name there.

    Annotations come from other machines and from strangers: no name leads out of these folders.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
        self._by_name: dict[str, list[tuple[Path, Path]]] | None = None

    def find(self, name: str) -> tuple[Path, str]:
        """Return an image's file, and its path below its folder without suffix.

        Raises:
            InputError: There is none, or more than one.
        """
        path = PurePosixPath(name.replace("\\", "/"))
        if not path.is_absolute() and ".." not in path.parts and path.name and ":" not in path.parts[0]:
            for folder in self._folders:
                if (folder / path).is_file():
                    return folder / path, path.with_suffix("").as_posix()
        found = self._named(path.name)
        if len(found) == 1:
            file, folder = found[0]
            return file, file.relative_to(folder).with_suffix("").as_posix()
        if found:
            raise InputError(f"{name}: {len(found)} images have this name: {found[0][0]}, {found[1][0]}, ...")
        places = ", ".join(map(str, self._folders)) or "a folder that is not there"
        raise InputError(f"{name}: no such image below {places}: name its folder with --images")

    def _named(self, name: str) -> list[tuple[Path, Path]]:
        if self._by_name is None:
            self._by_name = defaultdict(list)
            seen = set()
            for folder in self._folders:
                for file in list_images(folder):
                    if file.resolve() not in seen:
                        seen.add(file.resolve())
                        self._by_name[file.name].append((file, folder))
        return self._by_name.get(name, [])


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: It is not valid; the message names file and line.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except ValueError as error:  # also of decoding
        raise InputError(f"{path} is not valid JSON: {error}; export it again") from error


def split_in(name: str) -> str | None:
    """Return the split that a file or folder name tells, as in ``instances_val2017`` or ``valid``.

    >>> split_in("instances_val2017"), split_in("valid"), split_in("Train"), split_in("annotations")
    ('val', 'val', 'train', None)
    """
    match = re.search(r"(?<![a-z])(train|val|test)(?:ing|id|idation)?(?![a-z])", name.lower())
    return match[1] if match else None


def polygon(points: Any) -> list[float]:
    """Return the coordinates of a polygon, flat.

    Raises:
        InputError: They are no numbers, or fewer than three points.
    """
    try:
        flat = np.asarray(points, np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise InputError(f"a polygon has coordinates that are no numbers: {str(points)[:60]}") from error
    if len(flat) < 6 or len(flat) % 2:
        raise InputError(f"a polygon has {len(flat)} coordinates; three points, which are six, are needed")
    return flat.tolist()


def ellipse(center: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0) -> list[float]:
    """Return an ellipse as a polygon of 96 points; angles run clockwise, as y runs down."""
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    return rotated(np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], axis=1), center, degrees)


def box(left: float, top: float, right: float, bottom: float, degrees: float = 0.0) -> list[float]:
    """Return a box, turned around its centre, as a polygon."""
    x, y = (right - left) / 2, (bottom - top) / 2
    return rotated(np.array([[-x, -y], [x, -y], [x, y], [-x, y]]), (left + x, top + y), degrees)


def rotated(points: Any, center: tuple[float, float], degrees: float) -> list[float]:
    """Turn points, (N, 2), clockwise around the origin, move that to the centre, and return them flat."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return polygon(np.asarray(points) @ np.array([[cos, sin], [-sin, cos]]) + center)


def placed(mask: Any, left: int, top: int, size: Size) -> Segmentation:
    """Return a small mask, (h, w), as part of a frame; run lengths down the columns, as COCO counts."""
    whole = np.zeros(size, bool)
    mask = np.asarray(mask, bool)
    rows, columns = slice(max(0, top), top + mask.shape[0]), slice(max(0, left), left + mask.shape[1])
    whole[rows, columns] = mask[max(0, -top) :, max(0, -left) :][
        : whole[rows, columns].shape[0], : whole[rows, columns].shape[1]
    ]
    flat = whole.ravel(order="F")
    borders = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *borders, flat.size]).tolist()
    return {"size": list(size), "counts": [0, *counts] if flat[0] else counts}
