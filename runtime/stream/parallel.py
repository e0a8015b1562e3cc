"""Work on many files with all cores that this process may use."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import cv2

from cookseg.runtime.cores import cores
from cookseg.runtime.errors import CooksegError

T = TypeVar("T")
R = TypeVar("R")

_WORTH_A_POOL = 32  # items; below, starting processes takes longer than the work


def map_on_cores(function: Callable[[T], R], items: Sequence[T], chunk: int = 4) -> Iterator[R]:
    """Yield ``function(item)`` for each item in order, computed by one process for each of `cores`.

    Args:
        function: A function of a module, or a `functools.partial` of one: it is sent to other processes.
        items: What to work on.
        chunk: Items that a process takes at a time.

    Raises:
        CooksegError: A process was killed, as systems do where memory runs out.
    """
    processes = min(cores(), -(-len(items) // chunk))
    if processes == 1 or len(items) < _WORTH_A_POOL:
        yield from map(function, items)
        return
    # a command that only counts cores must not load these
    import multiprocessing  # noqa: PLC0415
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415

    # forking a process that OpenCV has given threads to can hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        try:
            yield from pool.map(function, items, chunksize=chunk)
        except BrokenProcessPool as error:
            raise CooksegError(
                f"one of {processes} processes was killed, which systems do where memory runs out: allow more memory,"
                " or fewer cores (`taskset --cpu-list 0` before a command gives it one), each of which has a process"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)  # where the caller stopped early, with an error or Ctrl-C
