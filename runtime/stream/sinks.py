"""Sinks: where results go. Five write PNGs; anything else is a class of the same form."""

from abc import abstractmethod
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol, Self

from cookseg.runtime.errors import InputError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.imaging.masks import overlay
from cookseg.runtime.imaging.png import encode_png
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.segmenter import Segmentation
from cookseg.runtime.stream.same_folder import SameFolder


class Sink(Protocol):
    """Something that takes results: a context manager, entered once for a run. A class derived from it needs `write`.

    >>> class Areas(Sink):
    ...     def write(self, frame, segmentation):
    ...         print(frame.name, (segmentation.class_map == 2).mean())

    Attributes:
        parallel: Whether `write` may be called by several threads at once, and with frames out of order. Where it is
            False, it is called by one thread, in the order of the frames.
        needs_whole: Whether it uses ``frame.whole``: a frame of which that cannot be decoded has failed then, before
            any sink has got it.
    """

    parallel: bool = False
    needs_whole: bool = False

    def __enter__(self) -> Self:
        """Open what the sink writes to."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close it, also after an error."""
        return

    @abstractmethod
    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        """Take the result of a frame; an error that is raised here ends the run."""
        ...


class PngSink(Sink):
    """Writes a PNG of each frame to ``folder/NAME.png``, by rename; a class derived from it says what is in it.

    `write` may be called by several threads at once, and several processes may share a folder. Within ``with``, a
    folder that is removed or replaced is an error.
    """

    parallel = True

    @checked_keywords
    def __init__(self, folder: Path | str) -> None:
        """Set the folder, which is made when the first PNG is written."""
        self.folder = Path(folder)
        self._same = SameFolder(self.folder)

    @abstractmethod
    def png(self, frame: Frame, segmentation: Segmentation) -> bytes:
        """Return a PNG."""
        ...

    def path(self, name: str) -> Path:
        """Return the path of the PNG of a frame of this name.

        Raises:
            InputError: The name is empty, or would lead out of the folder.
        """
        parts = PurePosixPath(name)
        if not parts.name or parts.is_absolute() or ".." in parts.parts:
            raise InputError(f"a frame's `name={name!r}` cannot be that of a file below {self.folder}")
        return self.folder / f"{name}.png"

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        """Write the PNG of a frame; a file of that name is replaced.

        Raises:
            InputError: It cannot be written, or the folder was removed or replaced.
        """
        write_atomically(self.path(frame.name), self.png(frame, segmentation))
        self._same.require()

    def __enter__(self) -> Self:
        """Watch the folder from now on."""
        self._same.watch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Watch it no more."""
        self._same.close()


class ColorMaskSink(PngSink):
    """Writes masks in the colours of the classes, RGB."""

    def png(self, frame: Frame, segmentation: Segmentation) -> bytes:
        """Return the mask."""
        return encode_png(segmentation.color)


class PaletteMaskSink(PngSink):
    """Writes masks whose pixels are class indices, with a palette of the classes' colours: smaller, and as coloured."""

    def png(self, frame: Frame, segmentation: Segmentation) -> bytes:
        """Return the mask."""
        return encode_png(segmentation.class_map, segmentation.contract.classes.colors)


class OverlaySink(PngSink):
    """Writes masks blended over their frames, RGB."""

    needs_whole = True

    def png(self, frame: Frame, segmentation: Segmentation) -> bytes:
        """Return the overlay."""
        return encode_png(overlay(frame.whole, segmentation.class_map, segmentation.contract.classes))


class IndexSink(PngSink):
    """Writes class indices as grey PNGs, which look black."""

    def png(self, frame: Frame, segmentation: Segmentation) -> bytes:
        """Return the class map."""
        return encode_png(segmentation.class_map)


class ConfidenceSink(PngSink):
    """Writes the probability of each pixel's class times 255 as grey PNGs."""

    def png(self, frame: Frame, segmentation: Segmentation) -> bytes:
        """Return the confidence."""
        return encode_png(segmentation.confidence)
