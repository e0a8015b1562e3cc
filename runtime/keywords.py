"""Wrong keywords to the public API: an error that names the right ones, where Python's own does not."""

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def checked_keywords(function: F) -> F:
    """Let a function, or a class, raise a `TypeError` that names its arguments where it is given another one.

    >>> @checked_keywords
    ... def load(model, *, device="auto", threads=0): ...
    >>> load("model.onnx", thread=2)
    Traceback (most recent call last):
    TypeError: load() has no argument 'thread', did you mean 'threads'? Its arguments are model, device, threads
    """
    if isinstance(function, type):
        function.__init__ = checked_keywords(function.__init__)  # type: ignore[misc]  # of a class, that is meant
        return function
    known = [name for name in inspect.signature(function).parameters if name not in {"self", "cls"}]
    called = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        for name in keywords:
            if name not in known:
                near = "".join(f", did you mean {other!r}?" for other in difflib.get_close_matches(name, known, 1))
                raise TypeError(
                    f"{called}() has no argument {name!r}{near or ';'} {'I' if near else 'i'}ts arguments are"
                    f" {', '.join(known)}"
                )
        return function(*arguments, **keywords)

    return call  # type: ignore[return-value]  # of the same form
