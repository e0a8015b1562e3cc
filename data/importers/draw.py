"""From shapes or foreign masks to a map of labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_masks

from cookseg.data.importers.labels import LabelledImage
from cookseg.data.importers.rules import NOT_DRAWN, Rules
from cookseg.data.importers.shapes import Segmentation, Shape
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.images import read_mask_image
from cookseg.runtime.imaging.masks import packed

_FARTHEST = 10  # times the longest side of the frame: what lies beyond is not a coordinate
_UNDRAWN = -2  # in a label map: no shape


def label_map(image: LabelledImage, size: Size, rules: Rules) -> npt.NDArray[np.int16]:
    """Draw an image's labels: (H, W) int16, the position of each pixel's label among the targets, or `_UNDRAWN`."""
    position = {name: index for index, name in enumerate(rules.targets)}
    labels = np.full(size, _UNDRAWN, np.int16)
    if image.mask:
        return _labels_of_mask(image.mask, rules, position)
    drawn = [(shape, coverage(shape, size, relative=image.relative)) for shape in image.shapes]
    drawn = [(shape, mask) for shape, mask in drawn if rules.targets[shape.label] != NOT_DRAWN]
    if rules.order == "area":
        drawn.sort(key=lambda item: -np.count_nonzero(item[1]))
    elif rules.order != "file":
        bottom_up = [rules.classes.names.index(name) for name in rules.order]
        targets = [rules.targets[shape.label] for shape, _ in drawn]
        places = [bottom_up.index(target) if target in bottom_up else -1 for target in targets]
        drawn = [drawn[i] for i in sorted(range(len(drawn)), key=lambda i: places[i])]
    for shape, mask in drawn:
        labels[mask] = position[shape.label]
    return labels


def coverage(shape: Shape, size: Size, *, relative: bool = False) -> npt.NDArray[np.bool_]:
    """Return the pixels of an image that a shape covers, as COCO's own tools draw it.

    Args:
        shape: The shape.
        size: Height and width of the image.
        relative: Whether polygons are in shares of width and height.

    Returns:
        (H, W) bool.

    Raises:
        InputError: Coordinates or run lengths make no sense for this size.
    """
    try:
        encoded = coco_masks.merge(list(_encoded(shape.segmentation, size, relative)))
        return np.asarray(coco_masks.decode(encoded), bool)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"a shape of {shape.label} cannot be drawn: {error}") from error


def _encoded(segmentation: Segmentation, size: Size, relative: bool) -> Iterator[Any]:
    height, width = size
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        if [*segmentation["size"]] != [height, width]:
            raise ValueError(f"its mask is for {segmentation['size'][::-1]} pixels, the image has {[width, height]}")
        if isinstance(counts, list):
            if any(type(count) is not int or count < 0 for count in counts) or sum(counts) != height * width:
                raise ValueError(f"its run lengths add up to {sum(counts)}, not to {height * width}")
            yield coco_masks.frPyObjects(segmentation, height, width)
        else:
            yield {"size": [height, width], "counts": counts.encode() if isinstance(counts, str) else counts}
        return
    for points in segmentation:
        flat = np.array(points) * (np.tile([width, height], len(points) // 2) if relative else 1)
        if not np.isfinite(flat).all() or np.abs(flat).max() > _FARTHEST * max(size):
            raise ValueError(f"it has a coordinate of {flat[np.abs(flat).argmax()]:g} in an image of {width}x{height}")
        yield from coco_masks.frPyObjects([flat.tolist()], height, width)


def _labels_of_mask(path: Path, rules: Rules, position: dict[str, int]) -> npt.NDArray[np.int16]:
    if rules.colors:
        pixels = read_mask_image(path)
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        keys = packed(pixels)
        codes = packed(np.array([*rules.colors], np.uint8))
        known = dict(zip(codes.tolist(), (position[name] for name in rules.colors.values()), strict=True))
    else:
        keys = read_mask_image(path, indices=True).astype(np.int64)
        if keys.ndim == 3:
            raise InputError(f"{path} is a colour image, not one of indices: `table` must list colours")
        known = {value: position[name] for value, name in rules.values.items() if name in position}
    values, inverse = np.unique(keys, return_inverse=True)
    if wrong := [int(value) for value in values if int(value) not in known]:
        shown = [(v >> 16, v >> 8 & 255, v & 255) if rules.colors else v for v in wrong[:4]]
        raise InputError(f"{path} has values that the table does not list: {', '.join(map(str, shown))}")
    table = np.array([known[int(value)] for value in values], np.int16)
    labels = table[inverse.reshape(keys.shape)]
    for name, target in rules.targets.items():
        if target == NOT_DRAWN:
            labels[labels == position[name]] = _UNDRAWN
    return labels
