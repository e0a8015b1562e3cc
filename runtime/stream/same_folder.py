"""An output folder that must stay the same: outputs written to a removed or replaced one would be lost silently."""

import os
import threading
from pathlib import Path

from cookseg.runtime.errors import InputError


class SameFolder:
    """Notices that a folder was removed or replaced while it is watched.

    Writing makes a folder that is missing, so outputs would be lost without a word where one is removed in between.
    On Windows, which removes no folder that is in use, nothing is watched.
    """

    def __init__(self, folder: Path) -> None:
        """Set the folder; nothing is watched yet."""
        self.folder = folder
        self._lock = threading.Lock()
        self._watching = False
        self._held: int | None = None  # a descriptor: while it is open, no new folder can have the old one's number

    def watch(self) -> None:
        """Watch the folder from now on, or from the first `require` on where there is none yet."""
        self._watching = hasattr(os, "O_DIRECTORY")
        if self._watching and self.folder.is_dir():
            self._held = self._opened()

    def require(self) -> None:
        """Refuse to go on, after something was written to the folder, if that is another one now.

        Raises:
            InputError: It was removed or replaced.
        """
        if not self._watching:
            return
        with self._lock:
            if self._held is None:
                self._held = self._opened()
        try:
            same = os.path.samestat(self.folder.stat(), os.fstat(self._held))
        except (FileNotFoundError, NotADirectoryError):
            same = False
        if not same:
            raise self._replaced()

    def close(self) -> None:
        """Watch the folder no more."""
        self._watching = False
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _opened(self) -> int:
        try:
            return os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._replaced() from error

    def _replaced(self) -> InputError:
        return InputError(f"{self.folder} was removed or replaced, with the outputs in it: run this again")
