"""Small inputs as labelling tools write them, the command that reads them, and what must come of it."""

import json
from pathlib import Path

import cv2
import numpy as np
from click.testing import CliRunner
from PIL import Image

from cookseg.data.cli import main
from cookseg.runtime.scoring.dataset import Layout, list_pairs, load_classes, read_pair

GOLDEN = Path(__file__).parent / "importers"
WIDTH, HEIGHT = 64, 48
EGG = [[8, 6], [40, 9], [44, 30], [20, 38], [6, 22]]
LADLE = [[36, 20], [60, 4], [62, 9], [42, 30]]
STIRRER, BACKGROUND, FOOD = range(3)
SQUARE = [[10, 10], [40, 10], [40, 30], [10, 30]]
INSIDE = np.s_[10:30, 10:40]
MAP = "egg=food,ladle=stirrer,bowl=food,dish=food"


def run(*arguments):
    result = CliRunner().invoke(main, ["import", *(str(argument) for argument in arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def picture(path, size=(HEIGHT, WIDTH), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(path, **options)
    return path


def truth(root, split="train", number=0):
    """Read the class map of a frame of the new set."""
    return read_pair(list_pairs(root, split, Layout())[number], load_classes(root), Layout()).truth


def area(points):
    """Pixels that a polygon covers, as OpenCV draws it, which includes the outline."""
    return cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [np.round(points).astype(np.int32)], 1) > 0


def ring():
    mask = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (48, 36), 9, 1, -1)
    return cv2.circle(mask, (48, 36), 3, 0, -1) > 0


def paint(*layers):
    """Background with areas of a class on it, from bottom to top."""
    expected = np.full((HEIGHT, WIDTH), BACKGROUND, np.uint8)
    for where, value in layers:
        expected[where] = value
    return expected


def assert_same_but_for_edges(found, *layers):
    """Tools differ in which pixels of an outline they count, by one pixel; nowhere else."""
    expected = paint(*layers)
    edges = np.zeros((HEIGHT, WIDTH), bool)
    for where, _ in layers:
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[where] = 1
        edges |= cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert (found == expected)[~edges].all()
    assert (found != expected).mean() < 0.05


def names(root, split="train"):
    """Names of the frames of a split of the new set, in order."""
    return [pair.name for pair in list_pairs(root, split, Layout())]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def flat(points):
    return [value for point in points for value in point]


def coco(path, annotations, images=("pan_1.png",), categories=("egg", "ladle", "food")):
    """A COCO file: images with ids from 1, and annotations, whose ids, image and category are 1 where not given."""
    whole = {"width": WIDTH, "height": HEIGHT}
    return write(
        path,
        {
            "images": [{"id": i, "file_name": name, **whole} for i, name in enumerate(images, 1)],
            "categories": [{"id": i, "name": name} for i, name in enumerate(categories, 1)],
            "annotations": [
                {"id": i, "image_id": 1, "category_id": 1, "segmentation": [flat(SQUARE)], **annotation}
                for i, annotation in enumerate(annotations, 1)
            ],
        },
    )


def labelme(path, *shapes, image=None):
    """A LabelMe file of shapes: type, points, and a label other than egg."""
    entries = [
        {"shape_type": kind, "points": points, "label": label[0] if label else "egg"} for kind, points, *label in shapes
    ]
    value = {"shapes": entries, "imagePath": image or f"{path.stem}.png", "imageData": None}
    return write(path, {**value, "imageWidth": WIDTH, "imageHeight": HEIGHT})


def cvat(path, **images):
    """A CVAT file: of each image, by its stem, the elements in it."""
    entries = (
        f'<image name="{stem}.png" width="{WIDTH}" height="{HEIGHT}">{shapes}</image>'
        for stem, shapes in images.items()
    )
    return write(path, f"<annotations>{''.join(entries)}</annotations>")
