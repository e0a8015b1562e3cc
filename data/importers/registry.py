"""The formats that can be imported: a new one is a class in a module beside, and a line here."""

from pathlib import Path

from cookseg.data.importers import foreign
from cookseg.data.importers.coco import Coco
from cookseg.data.importers.cvat import Cvat
from cookseg.data.importers.cvat_masks import CvatMasks
from cookseg.data.importers.datumaro import Datumaro
from cookseg.data.importers.importer import Importer, Request
from cookseg.data.importers.indexed import IndexedMasks
from cookseg.data.importers.labelme import LabelMe
from cookseg.data.importers.labels import Labels
from cookseg.data.importers.labelstudio import LabelStudio
from cookseg.data.importers.roboflow import RoboflowMasks
from cookseg.data.importers.yolo import Yolo
from cookseg.runtime.errors import InputError
from cookseg.runtime.walk import list_files

_TOOLS: tuple[Importer, ...] = (
    Coco(),
    Yolo(),
    LabelMe(),
    Cvat(),
    LabelStudio(),
    Datumaro(),
    CvatMasks(),
    RoboflowMasks(),
)
_OF_ANYBODY = (".txt", ".csv")  # suffixes that tell no tool
_MASKS: Importer = IndexedMasks()

IMPORTERS = {importer.name: importer for importer in (*_TOOLS, _MASKS)}
"""All importers by name."""


def importer_for(source: Path) -> Importer:
    """Return the importer that claims a file or folder, or the first of its files; images alone are masks.

    Raises:
        InputError: None does, two do, it is of a format that is known and cannot be read, or a file is damaged.
    """
    files = list_files(source) if source.is_dir() else [source]
    claimed = {importer: source for importer in _TOOLS if importer.claims(source)} | _claims(files)
    _require_one(claimed, source)
    if claimed:
        return next(iter(claimed))
    if source.is_file():
        suffix = source.suffix.lower()
        owners = [importer for importer in _TOOLS if suffix in importer.suffixes and suffix not in _OF_ANYBODY]
        if len(owners) == 1:
            return owners[0]  # says what is wrong with it
    if refusal := foreign.refusal(files):
        raise InputError(f"{refusal}, or pass `kind`, one of {', '.join(IMPORTERS)}, if it is one of them")
    if _MASKS.claims(source):
        return _MASKS
    raise InputError(
        f"{source}: not of a known format: pass `kind`, one of {', '.join(IMPORTERS)}, if it is one of them"
    )


def _claims(files: list[Path]) -> dict[Importer, Path]:
    """Return the importers that claim files, one for each kind of suffix, and the first file of each."""
    claimed: dict[Importer, Path] = {}
    seen: set[str] = set()
    for path in files:
        suffix = path.suffix.lower()
        for importer in _TOOLS if suffix not in seen else ():
            if suffix in importer.suffixes and importer.claims(path):
                claimed.setdefault(importer, path)
                seen.update(importer.suffixes)
                break
    return claimed


def read(request: Request, kind: str = "auto") -> tuple[str, Labels]:
    """Read what a labelling tool wrote.

    Args:
        request: Its files.
        kind: Name of an importer, or ``auto``.

    Returns:
        The name of the importer, and what it read.

    Raises:
        InputError: The source is damaged, of no known format, or, with ``auto``, of several.
    """
    if kind != "auto" and kind not in IMPORTERS:
        raise InputError(f"`kind={kind!r}` is not a format: choose auto or one of {', '.join(IMPORTERS)}")
    importer = importer_for(request.source) if kind == "auto" else IMPORTERS[kind]
    found = importer.read(request)
    if kind == "auto":
        others = _claims(found.passed_over)
        _require_one({importer: request.source} | others, request.source)
    return importer.name, found


def _require_one(claimed: dict[Importer, Path], source: Path) -> None:
    if len(claimed) > 1:
        each = ", ".join(f"{importer.name} ({path})" for importer, path in claimed.items())
        raise InputError(f"{source}: holds labels of several formats: {each}: choose one with `kind`")
