"""Writes the files that the importers are tested with, each by its format's own library.

Written by pycocotools 2.0.11, labelme 6.3.1, supervision 0.31.2 (YOLO) and datumaro 1.13.12 (CVAT). Run it in a fresh
environment that holds these and opencv-python-headless: ``python make_golden.py FOLDER``.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 64, 48
EGG = [[8, 6], [40, 9], [44, 30], [20, 38], [6, 22]]
LADLE = [[36, 20], [60, 4], [62, 9], [42, 30]]


def round_mask():
    """A disc with a hole, which only run lengths can tell."""
    mask = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (48, 36), 9, 1, -1)
    return cv2.circle(mask, (48, 36), 3, 0, -1)


def drawn(points):
    return cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [np.array(points)], 1)


def coco(folder):
    from pycocotools import mask as masks

    runs = masks.encode(np.asfortranarray(round_mask()))
    flat = drawn(LADLE).ravel(order="F")
    borders = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *borders, flat.size]).tolist()
    annotations = [
        {"category_id": 3, "segmentation": [np.ravel(EGG).tolist()], "iscrowd": 0},
        {"category_id": 7, "segmentation": {"size": [HEIGHT, WIDTH], "counts": counts}, "iscrowd": 1},
        {"category_id": 9, "segmentation": {**runs, "counts": runs["counts"].decode()}, "iscrowd": 0},
    ]
    value = {
        "images": [{"id": 5, "file_name": "pan_1.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": [{"id": i, "image_id": 5, **entry} for i, entry in enumerate(annotations)],
        "categories": [{"id": 3, "name": "egg"}, {"id": 7, "name": "ladle"}, {"id": 9, "name": "bowl"}],
    }
    (folder / "instances_val.json").write_text(json.dumps(value, indent=1))


def labelme(folder):
    from labelme._label_file import LabelFile
    from labelme.utils import img_arr_to_b64

    def shape(label, points, kind, mask=None):
        value = {"label": label, "points": points, "group_id": None, "description": "", "shape_type": kind, "flags": {}}
        return {**value, "mask": None if mask is None else img_arr_to_b64(mask)}

    shapes = [
        shape("egg", EGG, "polygon"),
        shape("ladle", [[36, 20], [60, 9]], "rectangle"),
        shape("bowl", [[39, 27], [57, 45]], "mask", round_mask()[27:46, 39:58]),
        shape("dish", [[12, 40], [12, 46]], "circle"),
        shape("edge", [[1, 1], [9, 9]], "line"),
    ]
    picture = cv2.imencode(".png", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))[1].tobytes()
    LabelFile().save(str(folder / "pan_1.json"), shapes, "pan_1.png", HEIGHT, WIDTH)
    LabelFile().save(str(folder / "pan_2.json"), shapes[:1], "..\\frames\\pan_2.png", HEIGHT, WIDTH, picture)


def yolo(folder):
    import supervision as sv

    masks = np.stack([drawn(EGG), drawn(LADLE)]).astype(bool)
    found = sv.Detections(xyxy=sv.mask_to_xyxy(masks).astype(float), mask=masks, class_id=np.array([0, 1]))
    image = "pan_1.png"
    cv2.imwrite(image, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    dataset = sv.DetectionDataset(["egg", "ladle"], [image], {image: found})
    dataset.as_yolo(annotations_directory_path=str(folder / "labels"), data_yaml_path=str(folder / "data.yaml"))


def cvat(folder):
    import datumaro as dm

    items = dm.Dataset.from_iterable(
        [
            dm.DatasetItem(
                id="pan_1",
                subset="val",
                media=dm.Image.from_numpy(np.zeros((HEIGHT, WIDTH, 3), np.uint8)),
                annotations=[
                    dm.Polygon(np.ravel(LADLE).tolist(), label=1, z_order=2),
                    dm.Polygon(np.ravel(EGG).tolist(), label=0, z_order=1),
                    dm.Bbox(4, 36, 10, 8, label=2, z_order=3),
                ],
            )
        ],
        categories=["egg", "ladle", "bowl"],
    )
    items.export(str(folder), "cvat", save_media=False)


if __name__ == "__main__":
    root = Path(sys.argv[1]).resolve()
    for writer in (coco, labelme, yolo, cvat):
        folder = root / writer.__name__
        folder.mkdir(parents=True, exist_ok=True)
        writer(folder)
