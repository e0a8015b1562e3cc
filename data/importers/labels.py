"""Labelled images: what every importer reads, and where the images lie."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, cast

from cookseg.data.importers.shapes import Shape
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.scoring.dataset import list_images


@dataclass(frozen=True)
class LabelledImage:
    """An image with its labels, as a labelling tool knows it.

    Attributes:
        split: The split that it belongs to.
        name: Path below the split's folder of images, without suffix.
        file: The image.
        shapes: Labelled regions, what is drawn later lies on top.
        size: Height and width as the tool saw it, or None where the format does not say.
        relative: Whether coordinates are shares of width and height.
        mask: A file with an index for each pixel, instead of shapes.
    """

    split: Split
    name: str
    file: Path
    shapes: tuple[Shape, ...] = ()
    size: Size | None = None
    relative: bool = False
    mask: Path | None = None


@dataclass
class Labels:
    """Labels that an importer read.

    Attributes:
        images: All that can be converted.
        failures: What cannot, a line each that names the file.
        notes: What the user should know.
        unlabelled: Images without a file of labels: left out, for nobody knows what they show.
        values: For masks of indices, the label of each value.
        colors: For masks of colours, the label of each colour.
    """

    images: list[LabelledImage] = field(default_factory=list)
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
        raise InputError(f"{name}: no such image below {places}: name its folder with `images`")

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


def split_in(name: str) -> Split | None:
    """Return the split that a file or folder name tells, as in ``instances_val2017`` or ``valid``.

    >>> split_in("instances_val2017"), split_in("valid"), split_in("Train"), split_in("annotations")
    ('val', 'val', 'train', None)
    """
    match = re.search(r"(?<![a-z])(train|val|test)(?:ing|id|idation)?(?![a-z])", name.lower())
    return cast(Split, match[1]) if match else None
