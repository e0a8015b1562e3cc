"""Labelled images: what every importer reads, and where the images lie."""

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import cast

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
        shapes: Labelled regions, what is drawn later lies on top; also those that cannot be drawn.
        size: Height and width as the tool saw it, or None where the format does not say.
        relative: Whether coordinates are shares of width and height.
        mask: A file with an index for each pixel, instead of shapes.
        annotated: Whether anybody has worked on it, as far as the format tells.
    """

    split: Split
    name: str
    file: Path
    shapes: tuple[Shape, ...] = ()
    size: Size | None = None
    relative: bool = False
    mask: Path | None = None
    annotated: bool = True


@dataclass
class Labels:
    """Labels that an importer read.

    Attributes:
        images: All that can be converted.
        failures: What cannot, a line each that names the file.
        notes: What the user should know.
        passed_over: Files below the source that are of another format.
        unlabelled: Images without a mask: left out, for nobody knows what they show.
        values: For masks of indices, the label of each value.
        colors: For masks of colours, the label of each colour.
        background: For masks of tools, the label by which they mean pixels without a shape.
    """

    images: list[LabelledImage] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passed_over: list[Path] = field(default_factory=list)
    unlabelled: list[Path] = field(default_factory=list)
    values: dict[int, str] = field(default_factory=dict)
    colors: dict[tuple[int, int, int], str] = field(default_factory=dict)
    background: str = ""

    def take_unannotated(self, keep: bool) -> list[Path]:
        """Leave out, unless they are to be kept, the images that nobody has annotated yet, and return their files."""
        done = {image.file for image in self.images if image.annotated}  # maybe by another entry of the image
        bare = [image for image in self.images if not image.annotated and image.file not in done]
        self.images = [image for image in self.images if image.annotated or (keep and image.file not in done)]
        if self.unlabelled:
            self.notes.append(_counted(self.unlabelled, "without a mask", "were left out"))
        if bare:
            what = "were kept, and have no shape" if keep else "were left out; `keep_unannotated=True` keeps them"
            self.notes.append(_counted([image.file for image in bare], "that nobody has annotated", what))
        return [image.file for image in bare] + self.unlabelled


class Images:
    """Finds images by what an annotation calls them: a path below one of some folders, or just a name there.

    Annotations come from other machines and from strangers: no name leads out of these folders.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
        self._by_name: dict[str, list[tuple[Path, Path]]] | None = None

    def find(self, name: str, below: str = "") -> tuple[Path, str]:
        """Return an image's file, and its path below its folder without suffix.

        Where files of this name lie in several folders, the longest end of the annotation's path that exists decides.

        Args:
            name: What the annotation calls it.
            below: The folder, such as a subset's, that the name is relative to by the tool's rules, if it exists.

        Raises:
            InputError: There is none, or more than one.
        """
        parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("..", "/")]
        if not parts:
            raise InputError(f"an image has no name: {name!r}")
        above = PurePosixPath(below.replace("\\", "/")).parts
        full = [*above, *parts]
        outer = [folder for folder in self._folders if not above or folder.parts[-len(above) :] != above]
        for folders, path in ((outer, Path(*full)), (self._folders, Path(*parts))):  # not below train in train
            if exact := [(folder / path, folder) for folder in folders if _is_below(folder, path)]:
                return _longest(name, exact, full)
        found = self._named(parts[-1])
        if not found:
            places = ", ".join(map(str, self._folders)) or "a folder that is not there"
            raise InputError(f"{name}: no such image below {places}: name its folder with `images`")
        if len(parts) > 1 and len(found) == 1 and self._is_of_another_folder(found[0][0], full):
            raise InputError(f"{name}: no such image, and {found[0][0]} may be another: name its folder with `images`")
        return _longest(name, found, full)

    def _is_of_another_folder(self, file: Path, full: Sequence[str]) -> bool:
        """Return whether a file lies in a sub-folder, and of another name than the annotation's."""
        return file.parent not in self._folders and _common_end(file.parts, full) == 1

    def _named(self, name: str) -> list[tuple[Path, Path]]:
        if self._by_name is None:
            self._by_name = defaultdict(list)
            seen = set()
            for folder in self._folders:
                for file in list_images(folder):
                    if file.resolve() not in seen:
                        seen.add(file.resolve())
                        self._by_name[composed(file.name)].append((file, folder))
        return self._by_name.get(composed(name), [])


def _is_below(folder: Path, path: Path) -> bool:
    return not path.is_absolute() and not path.drive and exists(folder / path) and (folder / path).is_file()


def exists(path: Path) -> bool:
    """Return whether a path that a file of labels names is there; it may be none that a disk can hold."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long
        return False


def _longest(name: str, found: list[tuple[Path, Path]], full: list[str]) -> tuple[Path, str]:
    """Return the file whose path ends as an annotation's does for the longest, and its name."""
    lengths = [_common_end(file.parts, full) for file, _ in found]
    best = [hit for hit, length in zip(found, lengths, strict=True) if length == max(lengths)]
    if len({file.resolve() for file, _ in best}) > 1:
        raise InputError(f"{name}: {len(best)} images have this name: {best[0][0]}, {best[1][0]}, ...")
    file, folder = best[0]
    return file, file.relative_to(folder).with_suffix("").as_posix()


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(map(composed, reversed(one)), map(composed, reversed(other)), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _counted(files: list[Path], what: str, then: str) -> str:
    return f"{len(files)} images {what}, such as {files[0]}, {then}"


def composed(text: str) -> str:
    """Return a text with its accents as most systems write them; macOS splits them off in the names of files.

    >>> composed("cafe\u0301.png") == "caf\u00e9.png"
    True
    """
    return unicodedata.normalize("NFC", text)


def split_in(name: str) -> Split | None:
    """Return the split that a file or folder name tells, as in ``instances_val2017`` or ``valid``.

    >>> split_in("instances_val2017"), split_in("valid"), split_in("Train"), split_in("annotations")
    ('val', 'val', 'train', None)
    """
    match = re.search(r"(?<![a-z])(train|val|test)(?:ing|id|idation)?(?![a-z])", name.lower())
    return cast(Split, match[1]) if match else None
