"""The work on one frame: decode, predict, hand to the sinks; what both ways to run share."""

from collections.abc import Iterable
from dataclasses import dataclass

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.model.segmenter import Segmentation, Segmenter
from cookseg.runtime.stream.sinks import Sink
from cookseg.runtime.stream.sources import Undecoded, origin_of


@dataclass(frozen=True)
class Failure:
    """A frame that was not segmented.

    Attributes:
        origin: Its path or address, or its name.
        message: What is wrong with it; names it too.
    """

    origin: str
    message: str


class Work:
    """Segments frames of a source for sinks."""

    def __init__(self, segmenter: Segmenter, sinks: Iterable[Sink]) -> None:
        """Join a segmenter and sinks, which have been entered."""
        every = list(sinks)
        self._segmenter = segmenter
        # a sink need not be derived from `Sink`
        self._parallel = [sink for sink in every if getattr(sink, "parallel", False)]
        self._in_order = [sink for sink in every if not getattr(sink, "parallel", False)]
        self._whole = any(getattr(sink, "needs_whole", False) for sink in every)

    def begin(self, item: Frame | Undecoded) -> tuple[Frame, Segmentation] | Failure | None:
        """Do what several threads may do at once; return what is wrong with the frame, or what is left to `finish`.

        Raises:
            TypeError: The source gave something else than a frame.
        """
        if not isinstance(item, Frame) and not hasattr(item, "decode"):
            raise TypeError(
                f"a source gives frames, not {type(item).__name__} as this one: `FileSource(path)` gives those of files"
            )
        try:
            frame = item if isinstance(item, Frame) else item.decode(self._segmenter.contract.preprocessing)
            if self._whole:
                _ = frame.whole  # now, before a sink has written anything
            result = self._segmenter.predict(frame)
        except InputError as error:
            return Failure(origin_of(item), str(error))
        except MemoryError:
            origin = origin_of(item)
            return Failure(origin, f"{origin} needs more memory than there is: make the image smaller")
        for sink in self._parallel:
            sink.write(frame, result)
        return (frame, result) if self._in_order else None

    def finish(self, begun: tuple[Frame, Segmentation] | Failure | None) -> Failure | None:
        """Do what is done frame by frame, in order; return what is wrong with the frame, or None."""
        if not isinstance(begun, tuple):
            return begun
        for sink in self._in_order:
            sink.write(*begun)
        return None
