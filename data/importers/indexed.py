"""Masks of indices or of colours with a table of what they mean, as CamVid and Pascal VOC have them."""

from pathlib import Path
from typing import ClassVar

from cookseg.data.importers.importer import Request
from cookseg.data.importers.labels import LabelledImage, Labels, split_in
from cookseg.data.importers.tables import read_table
from cookseg.runtime.errors import InputError
from cookseg.runtime.scoring.dataset import list_images


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
            table = read_table(request.table)
            found.values, found.colors = table.values, table.colors
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
        beside = {path for name, path in masks.items() if name.endswith("_mask") and name[:-5] in masks}
        for image in list_images(images):
            if image in beside:  # frame_mask.png in the folder of frame.jpg
                continue
            unused.discard(image)
            name = image.relative_to(images).with_suffix("").as_posix()
            choices = [name, *(name.replace("/images/", f"/{folder}/") for folder in ("masks", "labels"))]
            choices += [f"{name}_L", f"{name}_mask"]
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
