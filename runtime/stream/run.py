"""All frames of a source, in order: none is left out, and a source that is faster waits."""

import contextlib
import operator
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.segmenter import Segmentation, Segmenter
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.stream.sinks import Sink
from cookseg.runtime.stream.sources import Source, iterating
from cookseg.runtime.stream.work import Failure, Work

_Begun = Future[tuple[Frame, Segmentation] | Failure | None]


@dataclass(frozen=True)
class Ran:
    """What became of the frames of a run.

    Attributes:
        done: Frames that all sinks got.
        failures: The frames that could not be decoded or segmented, in order.
    """

    done: int
    failures: list[Failure]


@checked_keywords
def run(
    source: Source,
    segmenter: Segmenter,
    sinks: Iterable[Sink],
    *,
    workers: int = 1,
    stop: threading.Event | None = None,
    progress: Progress = silent,
) -> Ran:
    """Segment all frames of a source, and give each sink the results.

    Decoding, network and parallel sinks of different frames overlap in ``workers`` threads, and no more than twice as
    many frames are in memory. A frame that cannot be decoded or segmented is a `Failure` in what is returned, and
    stops nothing else. When the source fails, the frames that it gave before are done first.

    >>> from cookseg.runtime import STARTER, ColorMaskSink, FileSource, Segmenter, run
    >>> def masks_of(folder, output):
    ...     sinks = [ColorMaskSink(output)]
    ...     return run(FileSource(folder, sinks=sinks), Segmenter.load(STARTER), sinks, workers=2)

    Args:
        source: Where frames come from.
        segmenter: What segments them; ``mode="throughput"`` is made for several workers.
        sinks: Where results go; each is entered at the start and left at the end.
        workers: Threads; as many as cores, `cookseg.runtime.stream.parallel.cores`, is fastest for many frames.
        stop: Set by another thread or a signal handler, it ends the run: no more frames are taken from the source.
        progress: Told of each frame.

    Raises:
        InputError: A sink cannot write (disk full, say): all that follow would fail too.
    """
    if not isinstance(workers, int) or workers < 1:
        raise InputError(f"`workers={workers!r}`: give a whole number, 1 or more")
    done, failures = 0, []
    with contextlib.ExitStack() as stack:
        work = Work(segmenter, [stack.enter_context(sink) for sink in sinks])
        outcomes = stack.enter_context(contextlib.closing(_outcomes(source, work, workers, stop)))
        for failure in progress(outcomes, "frames", operator.length_hint(source)):
            if failure:
                failures.append(failure)
            else:
                done += 1
    return Ran(done, failures)


def _outcomes(source: Source, work: Work, workers: int, stop: threading.Event | None) -> Generator[Failure | None]:
    """Yield what is wrong with each frame, or None, in order."""
    running: deque[_Begun] = deque()
    broken: Exception | None = None
    with iterating(source) as frames, ThreadPoolExecutor(workers, "cookseg-run") as pool:
        try:
            while not (stop and stop.is_set()):
                while running and (len(running) == 2 * workers or running[0].done()):
                    yield work.finish(running.popleft().result())
                try:
                    running.append(pool.submit(work.begin, next(frames)))
                except StopIteration:
                    break
                except Exception as error:  # noqa: BLE001 - the source's, whatever it is: raised when the rest is done
                    broken = error
                    break
            while running:
                yield work.finish(running.popleft().result())
        finally:
            for future in running:
                future.cancel()
    if broken:
        raise broken
