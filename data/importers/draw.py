"""From shapes or foreign masks to a map of labels."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_masks

from cookseg.data.importers.importer import DAMAGE
from cookseg.data.importers.labels import LabelledImage
from cookseg.data.importers.rules import NOT_DRAWN, Rules
from cookseg.data.importers.shapes import Box, Segmentation, Shape
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.images import read_mask_image
from cookseg.runtime.imaging.masks import packed

_FARTHEST = 10  # times the longest side of the frame: what lies beyond is not a coordinate
_NO_SHAPE = -2
_NOWHERE: Box = (-1, -1, -1, -1)

IGNORED = -3
"""In a label map: here lies something labelled that could not be drawn."""


@dataclass(frozen=True)
class LabelMap:
    """The labels of an image, drawn.

    Attributes:
        labels: (H, W) int16: the position of each pixel's label among the targets, `IGNORED`, or another negative
            number where there is no shape.
        drawn: Number of shapes drawn of each label.
        undrawn: Shapes that could not be drawn; those that have no bounds are not in the map either.
    """

    labels: npt.NDArray[np.int16]
    drawn: Counter[str]
    undrawn: tuple[Shape, ...] = ()


def label_map(image: LabelledImage, size: Size, rules: Rules) -> LabelMap:
    """Draw an image's labels; in place of a shape that cannot be drawn, its bounds, to be ignored.

    Raises:
        InputError: A mask does not fit its table.
    """
    position = {name: index for index, name in enumerate(rules.targets)}
    if image.mask:
        return LabelMap(_labels_of_mask(image.mask, rules, position), Counter())
    labels = np.full(size, _NO_SHAPE, np.int16)
    shapes = [shape for shape in image.shapes if rules.targets[shape.label] != NOT_DRAWN]
    layers = [_layer(shape, size, image.relative) for shape in shapes]
    for shape, mask in _in_order(layers, rules):
        labels[mask] = position[shape.label] if shape.segmentation else IGNORED
    done = Counter(shape.label for shape, _ in layers if shape.segmentation)
    return LabelMap(labels, done, tuple(shape for shape, _ in layers if not shape.segmentation))


_Layer = tuple[Shape, npt.NDArray[np.bool_]]


def _layer(shape: Shape, size: Size, relative: bool) -> _Layer:
    """Return a shape and its pixels; if it cannot be drawn, as such and with the pixels in its bounds."""
    try:
        if shape.segmentation:
            mask = coverage(shape, size, relative=relative)
            empty = shape.undrawn("it has no area in the image")
            if mask.any() or isinstance(shape.segmentation, dict):  # a mask says itself that there is nothing
                return shape if mask.any() else replace(empty, box=_NOWHERE), mask
            shape = empty
    except InputError as error:
        shape = shape.undrawn(error)
    return shape, _inside(shape.box, size, relative)


def _inside(box: Box | None, size: Size, relative: bool) -> npt.NDArray[np.bool_]:
    """Return the pixels of an image that a box touches, one at least if it lies inside."""
    mask = np.zeros(size, bool)
    if box:
        scale = np.array(size[::-1]) if relative else np.ones(2)
        low, high = np.floor(np.array(box[:2]) * scale), np.array(box[2:]) * scale
        high = np.maximum(np.ceil(high), low + 1)
        (left, top), (right, bottom) = (np.clip(corner, 0, size[::-1]).astype(int) for corner in (low, high))
        mask[top:bottom, left:right] = True
    return mask


def _in_order(layers: list[_Layer], rules: Rules) -> list[_Layer]:
    if rules.order == "file":
        return layers
    if rules.order == "area":
        return sorted(layers, key=lambda layer: -np.count_nonzero(layer[1]))
    bottom_up = [rules.classes.names.index(name) for name in rules.order]
    targets = [rules.targets[shape.label] for shape, _ in layers]
    places = [bottom_up.index(target) if target in bottom_up else -1 for target in targets]
    return [layers[i] for i in sorted(range(len(layers)), key=lambda i: places[i])]


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
    if shape.segmentation is None:
        raise InputError(f"a shape of {shape.label} cannot be drawn: {shape.why}")
    try:
        encoded = coco_masks.merge(list(_encoded(shape.segmentation, size, relative)))
        return np.asarray(coco_masks.decode(encoded), bool)
    except DAMAGE as error:
        raise InputError(f"a shape of {shape.label} cannot be drawn: {error}") from error


def _encoded(segmentation: Segmentation, size: Size, relative: bool) -> Iterator[Any]:
    height, width = size
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        if [*segmentation["size"]] != [height, width]:
            raise ValueError(f"its mask is for {segmentation['size'][::-1]} pixels, the image has {[width, height]}")
        counts = counts if isinstance(counts, list) else _uncompressed(counts)
        if any(type(count) is not int or count < 0 for count in counts) or sum(counts) != height * width:
            raise ValueError(f"its run lengths add up to {sum(counts)}, not to {height * width}")
        yield coco_masks.frPyObjects({**segmentation, "counts": counts}, height, width)
        return
    for points in segmentation:
        flat = np.array(points) * (np.tile([width, height], len(points) // 2) if relative else 1)
        if not np.isfinite(flat).all() or np.abs(flat).max() > _FARTHEST * max(size):
            raise ValueError(f"it has a coordinate of {flat[np.abs(flat).argmax()]:g} in an image of {width}x{height}")
        yield from coco_masks.frPyObjects([flat.tolist()], height, width)


def _uncompressed(counts: Any) -> list[int]:
    """Return run lengths that COCO compressed: pycocotools reads what is damaged without a word, and beyond its end."""
    data = counts.encode("ascii") if isinstance(counts, str) else bytes(counts) if isinstance(counts, bytes) else None
    if data is None:
        raise TypeError(f"its run lengths are of the type {type(counts).__name__}")
    runs: list[int] = []
    value = shift = 0
    for code in (byte - 48 for byte in data):  # six bits each: more to come, and five of the number, lowest first
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            value -= (1 << shift) if code & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


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
            labels[labels == position[name]] = _NO_SHAPE
    return labels
