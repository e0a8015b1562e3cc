"""The newest frame of a source, always: what comes while the network computes is dropped, and nothing gets old.

A thread reads the source into one slot, where a newer frame replaces an older one; the caller's thread takes it from
there. A queue, however short, would make each frame as old as the queue is long.
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import monotonic

from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.stream.sinks import Sink
from cookseg.runtime.stream.sources import Source, Undecoded, iterating, origin_of
from cookseg.runtime.stream.work import Failure, Work


@dataclass(frozen=True)
class Latest:
    """What became of a frame that was the newest.

    Attributes:
        origin: Its path or address, or its name.
        age: Seconds from when the source gave it until all sinks had its result.
        dropped: Frames that were dropped since the one before, because a newer one came.
        failure: What is wrong with it, or None where it was segmented.
    """

    origin: str
    age: float
    dropped: int
    failure: Failure | None


@checked_keywords
def run_latest(
    source: Source, segmenter: Segmenter, sinks: Iterable[Sink], *, stop: threading.Event | None = None
) -> Iterator[Latest]:
    """Segment the newest frame of a source, again and again, and give each sink the results.

    It is a generator: it works while it is iterated over. It ends with the source (whose last frame is segmented),
    when it is closed, or when it is told to stop; the thread that reads the source has ended then, too.

    >>> def live(camera, segmenter, sink):
    ...     for latest in run_latest(camera, segmenter, [sink]):
    ...         print(f"{latest.origin}: {latest.age * 1e3:.0f} ms, {latest.dropped} dropped")

    Args:
        source: Where frames come from, read by a thread of its own.
        segmenter: What segments them; ``mode="latency"`` is made for this.
        sinks: Where results go; each is entered at the start and left at the end, and called by one thread, in order.
        stop: Set by another thread or a signal handler, it ends the run after the frame in work, or with the one that
            is waited for.

    Yields:
        What became of each frame that was not dropped.

    Raises:
        Exception: Whatever the source or a sink raises; a frame that cannot be decoded or segmented raises nothing.
    """
    slot = _Slot(stop or threading.Event())
    with contextlib.ExitStack() as stack:
        work = Work(segmenter, [stack.enter_context(sink) for sink in sinks])
        reader = threading.Thread(target=slot.fill, args=(source,), name="cookseg-reader", daemon=True)
        reader.start()
        stack.callback(reader.join)
        stack.callback(slot.close)
        while taken := slot.take():
            frame, arrived, dropped = taken
            failure = work.finish(work.begin(frame))
            latest = Latest(origin_of(frame), monotonic() - arrived, dropped, failure)
            del taken, frame  # its memory is free while the next one is waited for
            yield latest


class _Slot:
    """Place for one frame, with the time when it arrived."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._changed = threading.Condition()
        self._frame: tuple[Frame | Undecoded, float] | None = None
        self._dropped = 0
        self._ended = self._closed = False
        self._error: BaseException | None = None

    def fill(self, source: Source) -> None:
        """Put each frame of a source here, until it or the run ends; the reader's work."""
        try:
            with iterating(source) as frames:
                for frame in frames:
                    if self._over():
                        break
                    self._put(frame)
        except BaseException as error:  # noqa: BLE001 - `take` raises it, in the thread of whoever runs this
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()

    def take(self) -> tuple[Frame | Undecoded, float, int] | None:
        """Wait for a frame; return it, when it arrived and how many were dropped before it, or None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame or self._ended)
            if self._frame is None or self._over():
                if self._error:
                    raise self._error
                return None
            frame, arrived = self._frame
            dropped, self._dropped, self._frame = self._dropped, 0, None
            return frame, arrived, dropped

    def close(self) -> None:
        """Have the reader end with the next frame."""
        self._closed = True

    def _put(self, frame: Frame | Undecoded) -> None:
        with self._changed:
            self._dropped += self._frame is not None
            self._frame = frame, monotonic()
            self._changed.notify()

    def _over(self) -> bool:
        return self._closed or self._stop.is_set()
