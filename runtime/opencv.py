"""OpenCV, from any of its four packages: imported here first, so that one place says what is wrong with it.

The extras ``cpu``, ``gpu`` and ``openvino`` bring opencv-python-headless, which needs no graphics libraries.
"""

import re
import sys
from pathlib import Path
from types import TracebackType

from cookseg.runtime.errors import MissingExtraError

_PACKAGE = re.compile(r"(opencv_(?:contrib_)?python(?:_headless)?)-[^-]+\.dist-info", re.I)
_REPAIR = "`pip install --force-reinstall --no-deps opencv-python-headless`"
_COMMAND = re.compile(r"cook-\w+(\.exe|-script\.py)?|-m|__main__\.py")


def packages(folder: Path) -> list[str]:
    """Return the names of OpenCV's packages in a folder of installed ones, as pip calls them."""
    found = (_PACKAGE.fullmatch(path.name) for path in sorted(folder.iterdir()))
    return [match[1].lower().replace("_", "-") for match in found if match]


def doubt(folder: Path | None = None) -> str | None:
    """Return a warning where more than one of the packages is installed, for they overwrite each other's files.

    Args:
        folder: Where packages are installed; None for that of the one that is imported.
    """
    module = getattr(sys.modules.get("cv2"), "__file__", None)
    if not (folder or module):
        return None
    try:
        found = packages(folder or Path(str(module)).parent.parent)
    except OSError:  # in an archive
        return None
    if len(found) < 2:
        return None
    return (
        f"{' and '.join(found)} are installed together and overwrite each other's files:"
        f" `pip uninstall {' '.join(found)}`, then {_REPAIR}"
    )


def explanation(error: ImportError) -> str:
    """Say why OpenCV cannot be imported, and what to do."""
    if isinstance(error, ModuleNotFoundError) and error.name == "cv2":
        return (
            "OpenCV is not installed: `pip install 'cookseg[cpu]'` brings opencv-python-headless, as 'cookseg[gpu]' and"
            " 'cookseg[openvino]' do; opencv-python, opencv-contrib-python and opencv-contrib-python-headless serve too"
        )
    if library := re.match(r"(lib\S+?\.so\S*): cannot open shared object", str(error)):
        return (
            f"OpenCV cannot be imported: this system has no {library[1]}, which the packages for desktops need:"
            f" `pip uninstall opencv-python opencv-contrib-python`, then {_REPAIR}"
        )
    return f"OpenCV cannot be imported ({' '.join(str(error).split())}): {_REPAIR}"


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write an error that ends a command before it has begun as a line, as all others are."""
    if isinstance(error, MissingExtraError):
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201 - there is no terminal yet
    else:
        sys.__excepthook__(kind, error, trace)


try:
    from cv2 import imdecode  # noqa: F401 - where one of two packages was uninstalled, the folder is left without it
except ImportError as problem:
    if _COMMAND.fullmatch(Path(sys.argv[0] if sys.argv else "").name):
        sys.excepthook = _tell
    raise MissingExtraError(explanation(problem)) from problem
