"""Progress bars on stderr: on a terminal with the time left, and nothing elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import click

T = TypeVar("T")


def bar(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Pass items on behind a progress bar; a `cookseg.runtime.progress.Progress`."""
    with click.progressbar(
        items, length=total, label=label, file=sys.stderr, hidden=not interactive(), show_pos=True
    ) as shown:
        yield from shown


@contextlib.contextmanager
def step_progress(length: int, label: str, done: int = 0) -> Iterator[Callable[[str], None]]:
    """Show a progress bar that advances a step, with a status, each time that the yielded function is called."""
    with click.progressbar(
        length=length,
        label=label,
        file=sys.stderr,
        hidden=not interactive(),
        item_show_func=lambda status: status,
    ) as bar:
        bar.update(done)
        yield lambda status: bar.update(1, status)


def interactive() -> bool:
    """Return whether a person watches stderr."""
    return sys.stderr.isatty()
