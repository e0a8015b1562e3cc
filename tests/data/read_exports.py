"""Read exported labels with the labelling tools' own packages, and count the pixels that differ from the masks.

Needs numpy, Pillow and the package, and not cookseg: it runs in the environment of the tool.

    python tests/data/read_exports.py cvat data/sets/demo-cvat data/sets/demo

`EXPORT` is what ``cook-data export`` wrote of `DATASET`, whose masks are in the cooking colours. A pixel is off by more
than one where no pixel beside it has the label that it should have, or its own is not beside it in the mask.
"""

import json
import sys
import xml.etree.ElementTree as ET
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

COLORS = {"stirrer": (255, 0, 0), "pan+background": (0, 255, 0), "food": (0, 0, 255)}
NUMBERS = {"stirrer": 1, "pan+background": 2, "food": 3, "ignore": 4}


def labels_of(regions, shape):
    """Paint (label, mask) pairs; 0 where nothing is."""
    found = np.zeros(shape, np.uint8)
    for label, mask in regions:
        found[np.asarray(mask, bool)] = NUMBERS[label]
    return found


def pycocotools_(export):
    """COCO files by pycocotools."""
    from pycocotools.coco import COCO

    for path in sorted((export / "annotations").glob("*.json")):
        split = path.stem.removeprefix("instances_")
        coco = COCO(path)
        for image in coco.loadImgs(coco.getImgIds()):
            regions = [
                (coco.loadCats(annotation["category_id"])[0]["name"], coco.annToMask(annotation))
                for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
            ]
            file = export / "images" / split / image["file_name"]
            yield split, file, labels_of(regions, (image["height"], image["width"]))


def ultralytics_(export):
    """YOLO files by Ultralytics' dataset, with the segments that it trains on."""
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset, polygon2mask

    data = check_det_dataset(export / "data.yaml", autodownload=False)
    for split in ("train", "val", "test"):
        if not data.get(split) or not list((export / "labels" / split).rglob("*.txt")):
            continue
        dataset = YOLODataset(img_path=data[split], data=data, task="segment", augment=False, imgsz=64)
        for place, path in enumerate(dataset.im_files):
            label = dataset.update_labels_info(json_copy(dataset.labels[place]))
            height, width = dataset.labels[place]["shape"]
            regions = [
                (data["names"][int(number)], polygon2mask((height, width), [(points * (width, height)).reshape(-1)]))
                for number, points in zip(label["cls"].ravel(), label["instances"].segments, strict=True)
            ]
            yield split, Path(path), labels_of(regions, (height, width))


def json_copy(label):
    """Copy a label, which Ultralytics changes."""
    from copy import deepcopy

    return deepcopy(label)


def labelme_(export):
    """LabelMe files by LabelMe."""
    from labelme import utils

    try:
        from labelme._label_file import read_label_file
    except ImportError:  # before 6
        from labelme.label_file import LabelFile

        read_label_file = LabelFile
    for path in sorted(export.rglob("*.json")):
        data = read_label_file(str(path))
        name = getattr(data, "image_path", None) or data.imagePath
        value = json.loads(path.read_text())
        shape = (value["imageHeight"], value["imageWidth"])
        drawn, _ = utils.shapes_to_label(shape, data.shapes, NUMBERS)
        yield path.relative_to(export).parts[0], path.with_name(name), drawn.astype(np.uint8)


def datumaro_(export):
    """CVAT files by Datumaro."""
    from datumaro import Dataset
    from datumaro.components.annotation import AnnotationType
    from datumaro.util import mask_tools

    dataset = Dataset.import_from(str(export), "cvat")
    names = dataset.categories()[AnnotationType.label]
    for item in dataset:
        height, width = item.media.size
        regions = []
        for shape in item.annotations:
            if shape.type == AnnotationType.polygon:
                mask = mask_tools.rles_to_mask([shape.points], width, height)
            else:
                mask = shape.image
            regions.append((names[shape.label].name, mask))
        yield item.subset, Path(item.media.path), labels_of(regions, (height, width))


def cvat_sdk_(export):
    """Masks in CVAT files by the decoder of CVAT's SDK, given what the server makes of them."""
    from cvat_sdk.masks import decode_mask

    for image in ET.parse(export / "annotations.xml").getroot().iter("image"):
        width, height = int(image.get("width")), int(image.get("height"))
        regions = []
        if image.find("polygon") is not None:
            raise ModuleNotFoundError("it has nothing for polygons")
        for mask in image.iter("mask"):
            left, top, across, down = (int(mask.get(key)) for key in ("left", "top", "width", "height"))
            points = [*map(int, mask.get("rle").split(",")), left, top, left + across - 1, top + down - 1]
            regions.append((mask.get("label"), decode_mask(points, image_width=width, image_height=height)))
        split = image.get("subset")
        yield split, export / "images" / split / image.get("name"), labels_of(regions, (height, width))


def label_studio_sdk_(export):
    """Label Studio's tasks by its own converter: brush strokes by its decoder, polygons as its COCO export has them."""
    from label_studio_sdk.converter.brush import decode_rle

    yield from _label_studio(export, decode_rle)


def label_studio_converter_(export):
    """The same by the converter before it."""
    from label_studio_converter.brush import decode_rle

    yield from _label_studio(export, decode_rle)


def _label_studio(export, decode_rle):
    for path in sorted(export.glob("*.json")):
        for task in json.loads(path.read_text()):
            file = export / parse_qs(urlsplit(task["data"]["image"]).query)["d"][0]
            for annotation in task["annotations"]:
                size = Image.open(file).size[::-1]
                regions = []
                for result in annotation["result"]:
                    value = result["value"]
                    assert (result["original_height"], result["original_width"]) == size
                    if result["type"] == "brushlabels":
                        mask = np.reshape(decode_rle(value["rle"]), [*size, 4])[:, :, 3] > 0
                    else:
                        mask = _coco_mask(np.array(value["points"]) * size[::-1] / 100, size)
                    regions.append((value[result["type"]][0], mask))
                yield path.stem, file, labels_of(regions, size)


def _coco_mask(points, size):
    from pycocotools import mask

    return mask.decode(mask.merge(mask.frPyObjects([points.ravel().tolist()], *size)))


READERS = {
    "coco": {"pycocotools": pycocotools_},
    "yolo": {"ultralytics": ultralytics_},
    "labelme": {"labelme": labelme_},
    "cvat": {"datumaro": datumaro_, "cvat-sdk": cvat_sdk_},
    "labelstudio": {"label-studio-sdk": label_studio_sdk_, "label-studio-converter": label_studio_converter_},
}


def wanted_labels(mask, found):
    """Read a colour mask as labels; classes that were not exported are 0."""
    pixels = np.asarray(Image.open(mask).convert("RGB"))
    wanted = np.full(pixels.shape[:2], NUMBERS["ignore"], np.uint8)
    for name, color in COLORS.items():
        wanted[(pixels == color).all(axis=2)] = NUMBERS[name]
    if NUMBERS["pan+background"] not in found:
        wanted[wanted == NUMBERS["pan+background"]] = 0
    elif NUMBERS["ignore"] not in found:
        wanted[wanted == NUMBERS["ignore"]] = 0
    return wanted


def beside(labels, number):
    """Return where a pixel, or one of its eight neighbours, has a label."""
    held = np.pad(labels == number, 1)
    height, width = labels.shape
    return np.any([held[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)


def differences(found, wanted):
    """Count the pixels that differ, and those that are off by more than a pixel."""
    differ, near = found != wanted, np.zeros(found.shape, bool)
    for number in np.unique([found, wanted]):
        near |= (wanted == number) & ~beside(found, number)
        near |= (found == number) & ~beside(wanted, number)
    return int(differ.sum()), int((differ & near).sum())


def compare(reader, export, dataset):
    """Return frames, pixels, pixels that differ, and those off by more than one."""
    frames = pixels = differ = far = 0
    for split, file, found in reader(export):
        assert file.is_file(), file
        below = file.relative_to(export).parts
        name = Path(*below[below.index(split) + 1 :]).with_suffix(".png")
        mask = dataset / split / "masks" / name
        if not mask.exists():
            assert not found.any(), file
            continue
        one, two = differences(found, wanted_labels(mask, found))
        frames, pixels, differ, far = frames + 1, pixels + found.size, differ + one, far + two
    assert frames, export
    return frames, pixels, differ, far


def main(kind, export, dataset):
    """Print a line for each package that is installed."""
    for package, reader in READERS[kind].items():
        try:
            frames, pixels, differ, far = compare(reader, Path(export), Path(dataset))
        except ModuleNotFoundError as error:
            sys.stdout.write(f"{kind}: not read by {package}: {error}\n")
            continue
        said = f"{frames} frames, {pixels} pixels, {differ} differ, {far} by more than 1"
        sys.stdout.write(f"{kind}: {package} {version(package)}: {said}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
