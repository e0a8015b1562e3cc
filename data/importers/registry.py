"""The formats that can be imported: a new one is a class in a module beside, and a line here."""

from pathlib import Path

from cookseg.data.importers.coco import Coco
from cookseg.data.importers.cvat import Cvat
from cookseg.data.importers.importer import Importer, Request
from cookseg.data.importers.indexed import IndexedMasks
from cookseg.data.importers.labelme import LabelMe
from cookseg.data.importers.labels import Labels
from cookseg.data.importers.yolo import Yolo
from cookseg.runtime.errors import InputError

_TOOLS: tuple[Importer, ...] = (Coco(), Yolo(), LabelMe(), Cvat())
_MASKS: Importer = IndexedMasks()

IMPORTERS = {importer.name: importer for importer in (*_TOOLS, _MASKS)}
"""All importers by name."""


def importer_for(source: Path) -> Importer:
    """Return the importer that claims a file or folder, or the first of its files; images alone are masks.

    Raises:
        InputError: None does, or a file is damaged.
    """
    for importer in _TOOLS:
        if importer.claims(source):
            return importer
    for path in sorted(source.rglob("*")) if source.is_dir() else []:
        for importer in _TOOLS:
            if path.suffix.lower() in importer.suffixes and importer.claims(path):
                return importer
    if _MASKS.claims(source):
        return _MASKS
    raise InputError(
        f"{source}: not of a known format: pass `kind`, one of {', '.join(IMPORTERS)}, if it is one of them"
    )


def read(request: Request, kind: str = "auto") -> tuple[str, Labels]:
    """Read what a labelling tool wrote.

    Args:
        request: Its files.
        kind: Name of an importer, or ``auto``.

    Returns:
        The name of the importer, and what it read.

    Raises:
        InputError: The source is damaged, or of no known format.
    """
    if kind != "auto" and kind not in IMPORTERS:
        raise InputError(f"`kind={kind!r}` is not a format: choose auto or one of {', '.join(IMPORTERS)}")
    importer = importer_for(request.source) if kind == "auto" else IMPORTERS[kind]
    labels = importer.read(request)
    if labels.unlabelled:
        labels.notes.append(
            f"{len(labels.unlabelled)} images without a file of labels, such as {labels.unlabelled[0]}, were left out"
        )
    return importer.name, labels
