"""Which tool wrote a file or folder, and the importer for it."""

from pathlib import Path

from cookseg.data.importers import coco, cvat, indexed, labelme, yolo
from cookseg.data.importers.frames import Source, read_json
from cookseg.runtime.errors import InputError
from cookseg.runtime.scoring.dataset import list_images


def read(
    source: Path, kind: str, images: Path | None, split: str, table: Path | None, scratch: Path
) -> tuple[str, Source]:
    """Read what a labelling tool wrote.

    Args:
        source: Its file or folder.
        kind: The format, or ``auto``.
        images: Folder of the images, if not beside.
        split: Split of what the source puts into none.
        table: Labels of indices or colours, for masks.
        scratch: Folder for temporary files.

    Returns:
        The format, and what was read.

    Raises:
        InputError: The source is damaged, or of no known format.
    """
    kind = guess(source) if kind == "auto" else kind
    match kind:
        case "coco":
            found = coco.read(source, images, split)
        case "yolo":
            found = yolo.read(source, images, split)
        case "labelme":
            found = labelme.read(source, images, split, scratch)
        case "cvat":
            found = cvat.read(source, images, split)
        case _:
            found = indexed.read(source, images, split, table)
    if found.unlabelled:
        found.notes.append(
            f"{len(found.unlabelled)} images without a file of labels, such as {found.unlabelled[0]}, were left out"
        )
    return kind, found


def guess(source: Path) -> str:
    """Return the format of a file or folder: coco, yolo, labelme, cvat or index.

    Raises:
        InputError: It is none of them.
    """
    if yolo.find_config(source):
        return "yolo"
    files = [source] if source.is_file() else sorted(source.rglob("*"))
    for file in files:
        if file.suffix.lower() == ".xml":
            return "cvat"
        if file.suffix.lower() == ".json":
            value = read_json(file)
            if coco.is_coco(value):
                return "coco"
            if labelme.is_labelme(value):
                return "labelme"
    if source.is_dir() and list_images(source):
        return "index"
    raise InputError(f"{source}: no format that is known: pass --format if it is COCO, YOLO, LabelMe, CVAT or masks")
