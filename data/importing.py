"""Import: a dataset of what a labelling tool wrote."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from cookseg.data.importers import archive, registry, rules
from cookseg.data.importers import mapping as maps
from cookseg.data.importers.importer import Request
from cookseg.data.standard import SPLITS, Split
from cookseg.runtime.errors import InputError, require_extra
from cookseg.runtime.files import require_unused
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import COOKING, ClassTable
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.scoring.dataset import read_classes

if TYPE_CHECKING:
    from cookseg.data.importers.convert import ImportSummary


@checked_keywords
def import_labels(  # noqa: PLR0913 - all but two have defaults
    source: str | Path,
    out: str | Path,
    *,
    mapping: str | Path | Mapping[str, str] = "",
    kind: str = "auto",
    images: str | Path | None = None,
    split: Split = "train",
    classes: ClassTable | str | Path = COOKING,
    unlabelled: str | None = None,
    order: str | Sequence[str] = "file",
    table: str | Path | None = None,
    undrawn: Literal["ignore", "skip"] = "ignore",
    keep_unannotated: bool = False,
    progress: Progress = silent,
) -> "ImportSummary":
    """Make a dataset of what a labelling tool wrote; what cannot be converted is left out and named.

    >>> labels = {"ladle": "stirrer", "egg": "food"}
    >>> import_labels("annotations.json", "data/sets/mine", mapping=labels).frames  # doctest: +SKIP
    {'train': 448}

    Args:
        source: The tool's file or folder, or the ``.zip`` that it offers for download.
        out: Folder of the new dataset.
        mapping: The class of each label, as ``ladle=stirrer,egg=food``, a TOML or JSON file of such entries, or a
            mapping; ``*`` is every other label, ``ignore`` and ``none`` are targets beside the classes. A label that
            is a class's name needs no entry.
        kind: Name of an importer, or ``auto``.
        images: Folder of the images, if not beside.
        split: Split of what the source puts into none.
        classes: The classes of the new dataset, or their ``classes.json``.
        unlabelled: Class of pixels without a shape, or ``ignore``; the background by default.
        order: What is drawn last: ``file``, ``area`` (small shapes on top), or classes from bottom to top.
        table: File with the labels of indices or colours, for masks: lines of ``3 egg`` or ``255 0 0 egg``.
        undrawn: For shapes that cannot be drawn, such as lines, points and COCO boxes: ``ignore`` their bounds, which
            then count nowhere, or ``skip`` their frames.
        keep_unannotated: Whether frames that nobody has annotated yet are taken, all of them `unlabelled`.
        progress: Is told how far it is.

    Raises:
        InputError: A label has no class, the source is damaged, an archive holds what no dataset does, nothing could
            be converted, or the folder holds something.
        MissingExtraError: A package of the extra ``import`` is not installed.
    """
    source, out = Path(source), Path(out)
    require_unused(out)
    with require_extra("import"):
        from cookseg.data.importers import convert  # noqa: PLC0415 - of an extra
    if split not in SPLITS:
        raise InputError(f"`split={split!r}` is not a split: choose one of {', '.join(SPLITS)}")
    if undrawn not in get_args(convert.Undrawn):
        raise InputError(f"`undrawn={undrawn!r}`: expected ignore or skip")
    chosen = classes if isinstance(classes, ClassTable) else read_classes(Path(classes))
    targets, drawing = maps.read_mapping(mapping), rules.parse_order(order, chosen)
    with tempfile.TemporaryDirectory(prefix="cookseg-") as scratch, _unpacked(source, Path(scratch)) as (files, name):
        request = Request(files, _path(images), split, _path(table), Path(scratch))
        kind, found = registry.read(request, kind)
        unannotated = found.take_unannotated(keep_unannotated)
        known = rules.make_rules(found, chosen, targets, unlabelled, drawing)
        results = convert.convert(found, known, out, undrawn, progress)
        return _named(convert.summary(kind, found, known, results, unannotated, out), name)


_Name = Callable[[str], str]


@contextmanager
def _unpacked(source: Path, scratch: Path) -> Iterator[tuple[Path, _Name]]:
    """Give the folder of an archive, unpacked, or else the source itself; and what says in texts where files are.

    Raises:
        InputError: As the body does, with paths in the archive instead of those of the temporary folder.
    """
    if not archive.is_archive(source):
        yield source, str
        return
    folder = scratch / "unpacked" / source.name

    def name(text: str) -> str:
        return text.replace(str(folder), str(source))

    archive.unpack(source, folder)
    try:
        yield folder, name
    except InputError as error:
        raise type(error)(name(str(error))) from error


def _named(summary: "ImportSummary", name: _Name) -> "ImportSummary":
    notes, failures, undrawn = (tuple(map(name, lines)) for lines in (summary.notes, summary.failures, summary.undrawn))
    unannotated = tuple(Path(name(str(path))) for path in summary.unannotated)
    return replace(summary, notes=notes, failures=failures, undrawn=undrawn, unannotated=unannotated)


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)
