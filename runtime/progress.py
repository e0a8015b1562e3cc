"""Progress: how long work tells how far it is, to a callable that it is given; the default says nothing."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Told of work on items: passes them on, and may show how many have passed.

    >>> def tell(items, label, total):
    ...     for number, item in enumerate(items, 1):
    ...         yield item
    ...         print(f"{label}: {number} of {total}")
    >>> for _ in tell(["a.jpg", "b.jpg"], "checking", 2):
    ...     pass
    checking: 1 of 2
    checking: 2 of 2
    """

    def __call__(self, items: Iterable[T], label: str, total: int) -> Iterable[T]:
        """Return the items, of which there are ``total``; ``label`` says what is done with them."""
        ...


def silent(items: Iterable[T], label: str, total: int) -> Iterable[T]:
    """Pass items on and say nothing."""
    return items
