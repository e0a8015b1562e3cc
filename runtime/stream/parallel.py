"""Work on many files with all cores that this process may use."""

import contextlib
import ctypes
import functools
import importlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import cv2

from cookseg.runtime.cores import cores
from cookseg.runtime.errors import CooksegError

T = TypeVar("T")
R = TypeVar("R")

_WORTH_A_POOL = 32  # items; below, starting processes takes longer than the work
_KEEP = {-1: 2**28, -3: 2**25}  # bytes by parameter of glibc's mallopt: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD


def map_on_cores(
    function: Callable[[T], R], items: Sequence[T], chunk: int = 4, setup: Callable[[], object] | None = None
) -> Iterator[R]:
    """Yield ``function(item)`` for each item in order, computed by one process for each of `cores`.

    The processes of one run that torchrun starts on a machine share its cores.

    Args:
        function: A function of a module, or a `functools.partial` of one: it is sent to other processes.
        items: What to work on.
        chunk: Items that a process takes at a time.
        setup: Called once in each process, before any item; a function as the first, whose arguments may be what can
            only be passed to a new process.

    Raises:
        CooksegError: A process was killed, as systems do where memory runs out.
    """
    share = max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    processes = min(share, -(-len(items) // chunk))
    if processes == 1 or len(items) < _WORTH_A_POOL:
        if setup:
            setup()
        yield from map(function, items)
        return
    # a command that only counts cores must not load these
    import multiprocessing  # noqa: PLC0415
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415

    # forking a process that OpenCV has given threads to can hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, functools.partial(_prepare, setup)) as pool:
        try:
            yield from pool.map(function, items, chunksize=chunk)
        except BrokenProcessPool as error:
            raise CooksegError(
                f"one of {processes} processes was killed, which systems do where memory runs out: allow more memory,"
                " or fewer cores (`taskset --cpu-list 0` before a command gives it one), each of which has a process"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)  # where the caller stopped early, with an error or Ctrl-C


@contextlib.contextmanager
def imported_meanwhile(*modules: str) -> Iterator[None]:
    """Import modules in a thread while the body runs, which waits for the processes of `map_on_cores` and needs none.

    An import that fails says nothing here: whoever needs the module imports it again.
    """

    def load() -> None:
        for module in modules:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _prepare(setup: Callable[[], object] | None) -> None:
    cv2.setNumThreads(1)
    with contextlib.suppress(OSError, AttributeError, TypeError):  # where there is no glibc
        # else it gives the memory of every frame back to the system; getting it again takes as long as decoding
        for parameter, value in _KEEP.items():
            ctypes.CDLL(None).mallopt(parameter, value)
    if setup:
        setup()
