"""Work on many files with all cores."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import cv2

T = TypeVar("T")
R = TypeVar("R")

_WORTH_A_POOL = 32  # items; below, starting processes takes longer than the work


def map_on_cores(function: Callable[[T], R], items: Sequence[T], chunk: int = 4) -> Iterator[R]:
    """Yield ``function(item)`` for each item in order, computed by one process per core.

    Args:
        function: A function of a module, or a `functools.partial` of one: it is sent to other processes.
        items: What to work on.
        chunk: Items that a process takes at a time.
    """
    cores = os.cpu_count() or 1
    if cores == 1 or len(items) < _WORTH_A_POOL:
        yield from map(function, items)
        return
    # forking a process that OpenCV has given threads to can hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        try:
            yield from pool.map(function, items, chunksize=chunk)
        finally:
            pool.shutdown(cancel_futures=True)  # where the caller stopped early, with an error or Ctrl-C
