"""Importer: reads the labels of one tool or format. Each is a class in `cookseg.data.importers.registry`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from cookseg.data.importers.labels import Labels
from cookseg.data.standard import Split

DAMAGE = (LookupError, ArithmeticError, TypeError, ValueError, AttributeError)
"""Errors of code that takes a damaged file for an intact one: numbers without end and lists that are too short, too."""


@dataclass(frozen=True)
class Request:
    """Files to read.

    Attributes:
        source: The tool's file or folder.
        images: Folder of the images, if not beside.
        split: Split of what the source puts into none.
        table: Labels of indices or colours, for masks.
        scratch: Folder for images that are embedded in a file of labels.
    """

    source: Path
    images: Path | None
    split: Split
    table: Path | None
    scratch: Path


class Importer(Protocol):
    """Reads the labels of one format.

    Attributes:
        name: What the format is called by those who choose it.
        suffixes: Of the files by which it is recognised anywhere below a folder, in lower case.

    >>> class Outlines:
    ...     name, suffixes = "outlines", (".outline",)
    ...
    ...     def claims(self, path):
    ...         return path.suffix == ".outline"
    ...
    ...     def read(self, request):
    ...         return Labels([LabelledImage(request.split, "pan_1", request.source.with_suffix(".jpg"))])
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]

    def claims(self, path: Path) -> bool:
        """Return whether a file, or a folder as a whole, is of this format.

        Raises:
            InputError: A file is damaged.
        """
        ...

    def read(self, request: Request) -> Labels:
        """Read all labels: what is labelled and cannot be drawn too, as a shape without an area.

        Raises:
            InputError: There are none, or a file that holds all of them is damaged.
        """
        ...
