"""Names of imported frames: one for each, from where the images lie."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cookseg.data.importers.labels import LabelledImage
from cookseg.data.standard import Split


def with_own_names(images: Iterable[LabelledImage]) -> tuple[list[LabelledImage], list[tuple[LabelledImage, str]]]:
    """Give frames of one name in one split longer names, by the folders of their images.

    Returns:
        The frames to import, and those to leave out, with the reason.
    """
    kept, refused = _labelled_once(images)
    by_name = defaultdict(list)
    for image in kept:
        by_name[image.split, image.name].append(image)
    named: dict[tuple[Split, str], LabelledImage] = {}
    for same in by_name.values():
        names = _told_apart([image.file for image in same]) if len(same) > 1 else [same[0].name]
        for image, name in zip(same, names, strict=True):
            other = named.setdefault((image.split, name), replace(image, name=name))
            if other.file != image.file:
                refused.append((image, f"{image.file}: has the name of {other.file} in {image.split}, which was taken"))
    return [*named.values()], refused


def _labelled_once(images: Iterable[LabelledImage]) -> tuple[list[LabelledImage], list[tuple[LabelledImage, str]]]:
    """Leave out images that are labelled twice in one split, both times unless the labels are the same."""
    by_file = defaultdict(list)
    for image in images:
        by_file[image.split, image.file.resolve()].append(image)
    kept, refused = [], []
    for first, *others in by_file.values():
        same = all(_content(image) == _content(first) for image in others)
        if same:
            kept.append(first)
        for image in others if same else (first, *others):
            then = "which was taken" if same else "with other labels: none was taken"
            refused.append((image, f"{image.file}: has the name of {first.file} in {image.split}, {then}"))
    return kept, refused


def _content(image: LabelledImage) -> object:
    return [(shape.label, shape.segmentation, shape.box) for shape in image.shapes], image.size, image.mask


def _told_apart(files: list[Path]) -> list[str]:
    """Return the shortest ends of paths, without suffixes, that differ; a.jpg and a.png in one folder cannot."""
    stems = [file.resolve().with_suffix("").parts[1:] for file in files]
    for length in range(2, max(map(len, stems)) + 1):
        names = ["/".join(parts[-length:]) for parts in stems]
        if len(set(names)) == len(names):
            return names
    return ["/".join(parts[-2:]) for parts in stems]


def in_two_splits(images: Iterable[LabelledImage]) -> list[str]:
    """Return a note if images are in more than one split."""
    splits = defaultdict(set)
    for image in images:
        splits[image.file.resolve()].add(image.split)
    shared = [file for file, held in splits.items() if len(held) > 1]
    if not shared:
        return []
    named = " and ".join(sorted({split for file in shared for split in splits[file]}))
    return [f"{len(shared)} images, such as {shared[0]}, are in {named}, as the source says: scores there say nothing"]
