"""Masks of indices or of colours with a table of what they mean, as CamVid and Pascal VOC have them."""

import re
from pathlib import Path
from typing import ClassVar

from cookseg.data.importers.importer import Request
from cookseg.data.importers.labels import LabelledImage, Labels, read_json, split_in
from cookseg.runtime.errors import InputError
from cookseg.runtime.scoring.dataset import list_images

_LINE = re.compile(r"""^\s*(\d+)[\s,;]+(?:(\d+)[\s,;]+(\d+)[\s,;]+)?["']?(.+?)["']?\s*$""")


class IndexedMasks:
    """Masks below a folder, and the images of the same name below another.

    A sub-folder named train, val or test tells the split of what it holds. Without a table, indices are their own
    labels; see `read_table`.
    """

    name: ClassVar[str] = "index"
    suffixes: ClassVar[tuple[str, ...]] = ()

    def claims(self, path: Path) -> bool:
        """Return whether a folder holds images."""
        return path.is_dir() and bool(list_images(path))

    def read(self, request: Request) -> Labels:
        """Pair all masks with images."""
        source, images = request.source, request.images
        if not images:
            raise InputError(f"{source}: name the folder of the images that these masks belong to with `images`")
        found = Labels()
        if request.table:
            found.values, found.colors = read_table(request.table)
        else:
            found.values = {value: str(value) for value in range(256)}
        if not images.is_dir():
            raise InputError(f"{images}: no such folder of images")
        masks: dict[str, Path] = {}
        for path in list_images(source):
            other = masks.setdefault(path.relative_to(source).with_suffix("").as_posix(), path)
            if other is not path:
                raise InputError(f"{other} and {path}: two masks of one name: remove one of them")
        unused = set(masks.values())
        for image in list_images(images):
            unused.discard(image)
            name = image.relative_to(images).with_suffix("").as_posix()
            choices = (name, name.replace("/images/", "/masks/"), name.replace("/images/", "/labels/"), f"{name}_L")
            fitting = {masks[choice] for choice in choices if choice in masks and masks[choice] != image}
            if len(fitting) > 1:
                found.failures.append(f"{image}: has two masks: {', '.join(map(str, sorted(fitting)))}")
            unused -= fitting
            if not fitting:
                found.unlabelled.append(image)
            if len(fitting) != 1:
                continue
            mask = fitting.pop()
            told = split_in(name.partition("/")[0]) if "/" in name else None
            below = name.partition("/")[2] if told else name
            labelled = LabelledImage(told or request.split, below.removeprefix("images/"), image, mask=mask)
            found.images.append(labelled)
        found.failures += [f"{mask}: no image of this name below {images}" for mask in sorted(unused)]
        return found


def read_table(path: Path) -> tuple[dict[int, str], dict[tuple[int, int, int], str]]:
    """Read a table of labels: lines of ``index name`` or ``r g b name``, or a JSON list of names or object of them.

    Numbers and names may be separated by spaces, commas or semicolons. A line that does not start with a number, such
    as a heading, is left out.

    Returns:
        The label of each index, and the label of each RGB colour; one of the two is empty.

    Raises:
        InputError: The table holds no label.
    """
    if path.suffix.lower() == ".json":
        value = read_json(path)
        entries = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else [])
        try:
            return {int(index): str(name) for index, name in entries}, {}
        except ValueError as error:
            raise InputError(f"{path}: the keys should be indices: {error}") from error
    values: dict[int, str] = {}
    colors: dict[tuple[int, int, int], str] = {}
    for line in path.read_text("utf-8-sig").splitlines():
        if match := _LINE.match(line):
            first, second, third, name = match.groups()
            if second and third:
                colors[int(first), int(second), int(third)] = name
            else:
                values[int(first)] = name
    if bool(values) == bool(colors):
        raise InputError(f"{path}: a table has lines such as `3 spatula`, or such as `255 0 0 spatula`, not both")
    return values, colors
