"""Ultralytics' YOLO segmentation: https://docs.ultralytics.com/datasets/segment/#dataset-yaml-format.

``data.yaml`` names the classes; an image in ``images/`` has a text file in ``labels/`` with a line for each polygon:
the class, then x and y in shares of width and height. There are polygons only, and no way to ignore pixels.
"""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from cookseg.data.exporters.exporter import ExportedFrame, Label, Shapes
from cookseg.data.exporters.regions import Region
from cookseg.runtime.imaging.frame import Size


class Yolo:
    """``data.yaml``, with ``images/SPLIT`` and ``labels/SPLIT``; an image without a mask has no text file."""

    name: ClassVar[str] = "yolo"
    shapes: ClassVar[tuple[Shapes, ...]] = ("polygons",)
    images: ClassVar[str] = "images/{split}"
    ignored: ClassVar[str] = "is learnt as a class like any other, because YOLO files cannot say what to ignore"
    bare: ClassVar[bool] = False

    def write(self, frames: Iterable[ExportedFrame], folder: Path, labels: tuple[Label, ...]) -> None:
        """Write a text file for each frame that has a mask, and the file that describes the set."""
        numbers = {label.name: number for number, label in enumerate(labels)}
        splits = {}
        for frame in frames:
            splits[frame.split] = self.images.format(split=frame.split)
            if frame.regions is not None:
                path = folder / _beside(frame.file).with_suffix(".txt")
                path.parent.mkdir(parents=True, exist_ok=True)
                lines = (_line(region, numbers[region.label], frame.size) for region in frame.regions)
                path.write_text("".join(lines), "utf-8")
        head = [f"{split}: {images}" for split, images in splits.items()]
        names = [f"  {number}: {json.dumps(name, ensure_ascii=False)}" for name, number in numbers.items()]
        (folder / "data.yaml").write_text("\n".join([*head, "names:", *names, ""]), "utf-8")


def _beside(image: PurePosixPath) -> PurePosixPath:
    """Return an image's path with ``labels`` in place of the last folder ``images``, where Ultralytics looks."""
    parts = [*image.parts]
    parts[len(parts) - 1 - parts[::-1].index("images", 1)] = "labels"
    return PurePosixPath(*parts)


def _line(region: Region, number: int, size: Size) -> str:
    if region.outline is None:
        raise ValueError("a YOLO file holds outlines only")
    shares = region.outline / np.array(size[::-1])
    return f"{number} {' '.join(f'{share:.8f}' for share in shares.ravel())}\n"
