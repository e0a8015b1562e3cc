"""Export: labels of a dataset as the files of a labelling tool."""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookseg.data.exporters.exporter import ExportedFrame, Exporter, Shapes
from cookseg.data.exporters.frames import Failure, Job, export_frame, labels_of, list_sources
from cookseg.data.exporters.registry import EXPORTERS
from cookseg.data.standard import STANDARD, require_new_set
from cookseg.runtime.errors import InputError
from cookseg.runtime.files import new_folder
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import IGNORE
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.results import Table, listed
from cookseg.runtime.scoring.dataset import Layout, load_classes
from cookseg.runtime.stream.parallel import map_on_cores


@dataclass(frozen=True)
class ExportSummary:
    """Summary of an export.

    Attributes:
        out: Its folder.
        kind: Name of the exporter.
        shapes: What regions were written as.
        frames: Frames of each split.
        labels: Shapes and pixels of each label.
        notes: What the user should know.
        failures: Frames that could not be exported, a line each that names the file.
    """

    out: Path
    kind: str
    shapes: Shapes
    frames: dict[str, int]
    labels: dict[str, tuple[int, int]]
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "out": str(self.out),
            "format": self.kind,
            "shapes": self.shapes,
            "frames": self.frames,
            "labels": {label: {"shapes": shapes, "pixels": pixels} for label, (shapes, pixels) in self.labels.items()},
            "notes": [*self.notes],
            "failures": [*self.failures],
        }

    def tables(self) -> Iterator[Table]:
        """Return a table of the labels, and notes."""
        rows = [[label, f"{shapes:,}", f"{pixels:,}"] for label, (shapes, pixels) in self.labels.items()]
        yield Table(["label", "shapes", "pixels"], rows)
        frames = ", ".join(f"{count} {split}" for split, count in self.frames.items())
        lines = [f"note: {note}" for note in self.notes]
        yield Table(above="\n".join([*lines, f"{self.kind}: {frames} frames written to {self.out}"]))


@checked_keywords
def export_labels(  # noqa: PLR0913 - all but three have defaults
    root: str | Path,
    out: str | Path,
    *,
    kind: str,
    shapes: Shapes | None = None,
    background: bool = False,
    layout: Layout = STANDARD,
    progress: Progress = silent,
) -> ExportSummary:
    """Write a dataset as a labelling tool reads it: `import_labels` turned round.

    >>> export_labels("data/sets/mine", "data/sets/mine-coco", kind="coco").frames  # doctest: +SKIP
    {'train': 448, 'val': 137, 'test': 129}

    Images are copied, byte for byte where every tool sees the same in them. Classes keep their names. Pixels to ignore
    become the label ``ignore``, unless every class is exported.

    Args:
        root: Folder of the dataset.
        out: New folder for the export, not inside the dataset.
        kind: Name of an exporter: ``coco``, ``yolo``, ``labelme``, ``cvat`` or ``labelstudio``.
        shapes: ``rle`` for one mask of each class in a frame, ``polygons`` for an outline of each part; by default what
            the format is exact with.
        background: Whether the background class is exported too, and not what has no shape.
        layout: Where in the dataset images and masks lie.
        progress: Is told how far it is.

    Raises:
        InputError: The format cannot hold such shapes, no frame could be exported, or the folder holds something.
        DatasetError: There are no frames, or no masks.
    """
    root, out = Path(root), Path(out)
    exporter = _exporter(kind)
    chosen = _shapes(exporter, shapes)
    require_new_set(out, root)
    classes = load_classes(root)
    labels = labels_of(classes, background)
    sources, failures = list_sources(root, layout)
    told = _Told({label.name: [0, 0] for label in labels}, failures)
    with new_folder(out) as folder:
        work = functools.partial(export_frame, job=Job(folder, exporter.images, classes, layout, labels, chosen))
        results = progress(map_on_cores(work, sources), "exporting", len(sources))
        exporter.write(told.passing(results), folder, labels)
        if not told.frames:
            raise InputError(f"nothing could be exported:\n{listed(told.failures)}")
    ignored = next((label.name for label in labels if label.value == IGNORE), "")
    counts = {name: (shapes, pixels) for name, (shapes, pixels) in told.labels.items() if shapes or name != ignored}
    notes = _notes(exporter, told, ignored)
    return ExportSummary(out, kind, chosen, dict(told.frames), counts, tuple(notes), tuple(told.failures))


def _exporter(kind: str) -> Exporter:
    if kind not in EXPORTERS:
        raise InputError(f"`kind={kind!r}` is not a format: choose one of {', '.join(EXPORTERS)}")
    return EXPORTERS[kind]


def _shapes(exporter: Exporter, shapes: Shapes | None) -> Shapes:
    if shapes is not None and shapes not in exporter.shapes:
        raise InputError(f"`shapes={shapes!r}`: {exporter.name} files hold {' or '.join(exporter.shapes)}")
    return shapes or exporter.shapes[0]


class _Told:
    """What has been exported so far."""

    def __init__(self, labels: dict[str, list[int]], failures: list[str]) -> None:
        self.labels = labels
        self.failures = failures
        self.frames: Counter[str] = Counter()
        self.bare = 0

    def passing(self, results: Iterable[ExportedFrame | Failure]) -> Iterator[ExportedFrame]:
        """Pass frames on and count them; keep the failures."""
        for result in results:
            if isinstance(result, Failure):
                self.failures.append(result.why)
                continue
            self.frames[result.split] += 1
            self.bare += result.regions == ()
            for region in result.regions or ():
                self.labels[region.label][0] += 1
                self.labels[region.label][1] += region.pixels
            yield result


def _notes(exporter: Exporter, told: _Told, ignored: str) -> Iterator[str]:
    if ignored and (pixels := told.labels[ignored][1]):
        yield f"{pixels:,} pixels to ignore are the label {ignored}, which {exporter.ignored}"
    if told.bare and exporter.bare:
        yield (
            f"{told.bare} frames show background only, and have no shape: {exporter.name} files cannot tell them from"
            " frames that nobody has annotated; `background=True` gives them one"
        )
