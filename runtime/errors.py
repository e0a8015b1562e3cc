"""Every error that cookseg raises on purpose, and the exit code that a command turns it into.

    CooksegError                 1   anything below that is not more precise
    ├── InputError               1   a file, folder or value of the user's; the message names it and the remedy
    │   ├── ImageError           1   an image that cannot be decoded
    │   ├── MaskError            1   a ground-truth mask that cannot be understood
    │   └── DatasetError         1   a dataset whose files do not fit together
    ├── ModelError               1   a model or checkpoint that is not cookseg's, or of an unknown version
    ├── MissingExtraError        1   a package of an extra that is not installed; the message is the pip command
    ├── CheckFailedError         3   a gate or consistency check said no; no artefact was left behind
    ├── DeviceError              4   the accelerator that was asked for is not available or not used
    └── PartialFailureError      5   some inputs failed, all others were done

Exit code 2 is click's: the command line itself was wrong. A training run that was interrupted exits with 128 plus
the signal's number, as shells do.

Messages name parameters as Python does, between backticks: `device='cuda'`. A command writes --device cuda instead.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager


class CooksegError(Exception):
    """Base of all errors of cookseg; its message is meant for the user."""

    exit_code = 1


class InputError(CooksegError):
    """A file, folder or value given by the user is wrong."""


class ImageError(InputError):
    """An image cannot be decoded."""


class MaskError(InputError):
    """A ground-truth mask cannot be understood."""


class DatasetError(InputError):
    """The files of a dataset do not fit together."""


class ModelError(CooksegError):
    """A model file or checkpoint is not cookseg's, is damaged, or has an unknown version."""


class MissingExtraError(CooksegError):
    """An optional package is not installed."""


class CheckFailedError(CooksegError):
    """A gate or consistency check failed."""

    exit_code = 3


class DeviceError(CooksegError):
    """The accelerator that was asked for is not available, or the session would not use it."""

    exit_code = 4


class PartialFailureError(CooksegError):
    """Some inputs failed; all others were done."""

    exit_code = 5


@contextmanager
def require_extra(extra: str, what: str = "this") -> Iterator[None]:
    """Turn a failed import in the body into the pip command that helps; ``what`` needs the package.

    Raises:
        MissingExtraError: A package that is not cookseg's could not be imported.
    """
    try:
        yield
    except ImportError as error:
        name = (error.name or "").partition(".")[0]
        if name == "cookseg":
            raise
        raise MissingExtraError(
            f"{what} needs {f'the package {name}' if name else 'a package'}, which cannot be imported ({error}):"
            f" `pip install 'cookseg[{extra}]'`"
        ) from error


def require_packages(extra: str, *names: str) -> None:
    """Say at once, before any work, which package of an extra is missing, without importing those that are there.

    Raises:
        MissingExtraError: There is no such package.
    """
    with require_extra(extra):
        for name in names:
            if importlib.util.find_spec(name) is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
