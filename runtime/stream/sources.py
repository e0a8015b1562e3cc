"""Sources: where frames come from. `FileSource` reads image files; a camera is a class of the same form.

A new source is one class whose ``__iter__`` yields frames. One whose frames take time to decode yields `Undecoded` ones
instead: they are decoded by the threads that segment them, and a frame that cannot be decoded costs nothing but itself.
"""

import contextlib
import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.imaging.images import IMAGE_SUFFIXES, read_file
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import Preprocessing
from cookseg.runtime.scoring.dataset import list_images
from cookseg.runtime.stream.sinks import PngSink, Sink


class Undecoded(Protocol):
    """A frame whose pixels are still to be decoded."""

    @property
    def origin(self) -> str:
        """What messages call it: its path, or its address."""
        ...

    def decode(self, spec: Preprocessing) -> Frame:
        """Decode it, no larger than a network of this input needs it.

        Raises:
            InputError: It cannot be decoded; the message names it.
        """
        ...


class Source(Protocol):
    """Something that frames come from; a list of frames is one too.

    >>> import numpy as np
    >>> class GreyFrames(Source):
    ...     def __iter__(self):
    ...         for number in range(3):
    ...             yield Frame.of(np.full((48, 64, 3), 128, np.uint8), f"{number:06}")
    >>> [frame.name for frame in GreyFrames()]
    ['000000', '000001', '000002']

    What ends it is raised as an error, or just ends the iteration. It must not wait for its next frame for ever: a run
    that is to stop waits with it. An iterator that has ``close``, as generators do, is closed at the end of a run, by
    the thread that took its frames. ``len``, where a source has one, is for progress.
    """

    def __iter__(self) -> Iterator[Frame | Undecoded]:
        """Yield frames, each with a name of its own, in the order in which they were taken."""
        ...


@contextlib.contextmanager
def iterating(source: Source) -> Iterator[Iterator[Frame | Undecoded]]:
    """Give an iterator of a source, and close it at the end."""
    frames = iter(source)
    try:
        yield frames
    finally:
        if hasattr(frames, "close"):
            frames.close()


def origin_of(frame: Frame | Undecoded) -> str:
    """Return what messages call a frame."""
    return frame.name if isinstance(frame, Frame) else frame.origin


@dataclass(frozen=True)
class ImageFile:
    """An image file that is a frame.

    Attributes:
        path: The file.
        name: The frame's name: the path below its source, without the suffix, with forward slashes.
    """

    path: Path
    name: str

    @property
    def origin(self) -> str:
        """The path, as text."""
        return str(self.path)

    def decode(self, spec: Preprocessing) -> Frame:
        """Read and decode the file.

        Raises:
            ImageError: It cannot be read or decoded.
        """
        return replace(decode_frame(read_file(self.path), self.origin, spec), name=self.name)


class FileSource(Source):
    """The image files of folders and globs, or files given one by one.

    Folders are searched with their sub-folders, which are kept in the frames' names, as are those below a glob's fixed
    part. All files are found when this is made, none is read: each is decoded when its turn comes.
    """

    @checked_keywords
    def __init__(self, paths: Path | str | Iterable[Path | str], *, sinks: Iterable[Sink] = ()) -> None:
        """Find all images.

        Args:
            paths: An image, a folder or a glob such as ``clips/**/*.png``; or several of them.
            sinks: Where outputs will go. Images in their folders, which an earlier run wrote, are left out, and images
                whose outputs would have the same path are refused.

        Raises:
            InputError: A path does not exist or holds no image, or two images would have the same name or output.
        """
        writers = [sink for sink in sinks if isinstance(sink, PngSink)]
        files: dict[Path, ImageFile] = {}
        for path in [paths] if isinstance(paths, Path | str) else paths:
            if not isinstance(path, Path | str):
                raise InputError(f"`paths={path!r}`: give an image, a folder or a glob, or several of them")
            files |= {file.path: file for file in _without_outputs(path, writers)}
        _require_apart(files.values(), writers)
        self._files = list(files.values())

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[ImageFile]:
        return iter(self._files)


def _without_outputs(path: Path | str, writers: Iterable[PngSink]) -> list[ImageFile]:
    found = _expand(path)
    if not found:
        raise InputError(f"{path}: no images there (known: {', '.join(sorted(IMAGE_SUFFIXES))})")
    fresh, within = found, None
    for folder in (writer.folder for writer in writers):
        outside = [file for file in fresh if folder.resolve() not in file.path.resolve().parents]
        within = within or (folder if len(outside) < len(fresh) else None)
        fresh = outside
    if not fresh:
        raise InputError(f"{path}: all images there lie in the output folder {within}: name another one")
    return fresh


def _require_apart(files: Iterable[ImageFile], writers: Iterable[PngSink]) -> None:
    """Refuse images whose outputs would have the same path, or that would have the same name."""
    file_of: dict[str, ImageFile] = {}
    for file in files:
        for output in [str(writer.path(file.name)) for writer in writers] or [file.name]:
            other = file_of.setdefault(output, file)
            if other is not file:
                raise InputError(
                    f"{other.path} and {file.path} would both be written to {output}: give them separately, each with"
                    " its own `sinks`"
                )


def _expand(path: Path | str) -> list[ImageFile]:
    base = Path(path)
    if base.is_dir():
        return [_file(image, base) for image in list_images(base)]
    if base.exists():
        return [_file(base, base.parent)]
    if not glob.has_magic(str(path)):
        raise InputError(f"{path}: no such file or folder")
    fixed = Path(*_before_magic(base))
    matches = map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    return [_file(m, fixed) for m in sorted(matches) if not m.is_dir() and m.suffix.lower() in IMAGE_SUFFIXES]


def _before_magic(path: Path) -> Iterator[str]:
    for part in path.parts:
        if glob.has_magic(part):
            return
        yield part


def _file(path: Path, base: Path) -> ImageFile:
    return ImageFile(path, path.relative_to(base).with_suffix("").as_posix())
