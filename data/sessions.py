r"""Cooking sessions: the frames that were filmed in one go, by their names.

Frames of one session look alike, so a score means something only where no session is in two splits.

>>> session_of("palakpaneer_1610_533"), session_of("0006R0_f00930"), session_of("kitchen2/frame_0007")
('palakpaneer_1610', '0006R0', 'kitchen2')
>>> session_of("IMG_4711") is None, session_of("000533") is None, session_of("pan") is None
(True, True, True)
>>> session_of("cam1-upma-0007-left", compile_pattern(r"cam\d+-(?P<session>\w+)-\d+-.*"))
'upma'
"""

import re
from pathlib import PurePosixPath

from cookseg.runtime.errors import InputError

DEFAULT_PATTERN = r"(?P<session>.*?)(?:[-_ .]+(?:frame|img|f))?[-_ .]*(?<!\d)\d+(?:_[a-z]+\.rf\.\w+)?"
"""Everything before the last number is the session. Roboflow appends ``_jpg.rf.<digest>`` to the names it exports."""

_NO_SESSION = re.compile(r"|frames?|im|ima?ge?s?|dsc[nf]?|photos?|pic(ture)?s?|pxl|out(put)?|snap(shot)?s?", re.I)
"""Words that cameras and tools put in front of every number."""


def compile_pattern(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    """Return the compiled form of a pattern that finds the session in the name of a frame.

    Raises:
        InputError: It is not a regular expression, or has no group named ``session``.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"`session_pattern={pattern!r}` is not a regular expression: {error}") from error
    if "session" not in compiled.groupindex:
        raise InputError(
            f"`session_pattern={compiled.pattern!r}` needs a group named session, such as (?P<session>.+)_\\d+"
        )
    return compiled


_DEFAULT = compile_pattern(DEFAULT_PATTERN)


def session_of(name: str, pattern: re.Pattern[str] = _DEFAULT) -> str | None:
    """Return the session of a frame, or None where its name does not tell.

    Args:
        name: The frame's path below the folder of its images, without the suffix, with forward slashes. Sub-folders
            are part of the session.
        pattern: Must match the whole stem; its group ``session`` is the session.
    """
    path = PurePosixPath(name)
    match = pattern.fullmatch(path.name)
    word = (match["session"] or "") if match else ""
    if pattern == _DEFAULT and _NO_SESSION.fullmatch(word):
        word = ""
    return str(path.parent / word) if word or path.parent.name else None


def natural_key(name: str) -> list[str | int]:
    """Return a key that sorts ``upma_2`` before ``upma_10``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
