"""How fast a run goes: images a second, and the share of that time in which it waits for data."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Throughput:
    """A clock of the steps since the last validation: validations and checkpoints are not counted.

    A step ends when its loss is known, which a GPU, too, then has computed; so time is attributed where it was spent.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start to count from here."""
        self.images, self.waited, self.computed = 0, 0.0, 0.0

    def batches(self, loader: Iterable[T]) -> Iterator[T]:
        """Give the batches of a loader; what it takes to get one is waiting."""
        iterator, end = iter(loader), object()
        while True:
            start = time.perf_counter()
            batch = next(iterator, end)
            self.waited += time.perf_counter() - start
            if batch is end:
                return
            yield batch  # type: ignore[misc]  # it is not `end`

    @contextmanager
    def step(self, images: int) -> Iterator[None]:
        """Count the body as the step on so many images."""
        start = time.perf_counter()
        yield
        self.computed += time.perf_counter() - start
        self.images += images

    def figures(self) -> dict[str, float | None]:
        """Return ``images_per_s``, and ``waiting``: the share of the steps' time spent waiting for data, 0 to 1."""
        seconds = self.waited + self.computed
        if not seconds:
            return {"images_per_s": None, "waiting": None}  # before the first step
        return {"images_per_s": round(self.images / seconds, 2), "waiting": round(self.waited / seconds, 4)}
