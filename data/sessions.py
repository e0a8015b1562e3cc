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
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from cookseg.data.clocks import from_clocks
from cookseg.runtime.errors import InputError

DEFAULT_PATTERN = r"(?P<session>.*?)(?:[-_ .]+(?:frame|img|f))?[-_ .]*(?<!\d)\d+(?:_[a-z]+\.rf\.\w+)?"
"""Everything before the last number is the session. Roboflow appends ``_jpg.rf.<digest>`` to the names it exports."""

_NO_SESSION = re.compile(r"|frames?|im|ima?ge?s?|dsc[nf]?|photos?|pic(ture)?s?|pxl|out(put)?|snap(shot)?s?", re.I)
"""Words that cameras and tools put in front of every number."""

_DIGEST = re.compile(r"([0-9a-f]{8}(?:(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?|[0-9a-f]{9,64})[-_](?=.)")
_ENOUGH = 6  # frames; of fewer, each may well be a session
_WORD = re.compile(r"[^-_ .]+")


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


def sessions_of(names: Sequence[str], pattern: re.Pattern[str] = _DEFAULT) -> list[str | None]:
    """Return the session of each frame of a dataset, or None where its name does not tell.

    Where every name but for its last number is another one, only all of them together tell what stays: digests that
    tools put in front are left out (`plain_names`), clocks say what was filmed in one go (`cookseg.data.clocks`), and
    words that change with nearly every frame, such as the number of an event, are not the session.

    >>> sessions_of(["1a2b3c4d-upma_1", "9f8e7d6c-upma_2", "2024-05-01_12-33-07", "2024-05-01_12-33-09"])
    ['upma', 'upma', '2024-05-01_12-33-07', '2024-05-01_12-33-07']
    >>> sessions_of([f"upma{event // 5}_evt{event}_1" for event in range(9)])[3:7]
    ['upma0', 'upma0', 'upma1', 'upma1']

    Args:
        names: Paths of all frames below their folder, as for `session_of`; those of all splits together.
        pattern: Any but `DEFAULT_PATTERN` is taken at its word.
    """
    if pattern != _DEFAULT:
        return [session_of(name, pattern) for name in names]
    plain = plain_names(names)
    alone = [session_of(name) for name in plain]
    timed = from_clocks(plain, alone)
    others = [session if session == time else None for session, time in zip(alone, timed, strict=True)]
    steady = _without_counters(plain, others)
    return [words if session == time else time for session, time, words in zip(alone, timed, steady, strict=True)]


def plain_names(names: Sequence[str]) -> list[str]:
    """Return names without the digests that labelling tools put in front of them, such as Label Studio's.

    A digest is of hexadecimal digits, and another one for nearly every frame: one that stays is a session's name.
    """
    found = [_DIGEST.match(PurePosixPath(name).name) for name in names]
    digests = [match[1] for match in found if match]
    lettered = [digest for digest in digests if not digest.replace("-", "").isdecimal()]
    if 2 * len(lettered) <= len(digests) or not _changing(digests):
        return [*names]
    return [
        str(PurePosixPath(name).with_name(PurePosixPath(name).name[match.end() :])) if match else name
        for name, match in zip(names, found, strict=True)
    ]


def crowded(sessions: Sequence[str | None]) -> bool:
    """Say whether sessions, but for None, are nearly as many as their frames: then names tell something else."""
    known = [session for session in sessions if session is not None]
    return len(known) >= _ENOUGH and _changing(known)


def _changing(values: Sequence[str]) -> bool:
    """Say whether nearly every value is another one: there are more than half as many as places."""
    return 2 * len(set(values)) > len(values)


def _without_counters(names: Sequence[str], sessions: Sequence[str | None]) -> list[str | None]:
    """Return sessions without the words that change with nearly every frame, of names that are built alike."""
    alike = defaultdict(list)
    for index, (name, session) in enumerate(zip(names, sessions, strict=True)):
        folder = PurePosixPath(name).parent
        if session not in {None, str(folder)}:
            alike[folder, len(_WORD.findall(PurePosixPath(str(session)).name))].append(index)
    told = [*sessions]
    for (folder, _), group in alike.items():
        if not crowded([sessions[index] for index in group]):
            continue
        columns = list(zip(*(_WORD.findall(PurePosixPath(str(sessions[i])).name) for i in group), strict=True))
        staying = [column for column in columns if not _changing(column)]
        if len(staying) == len(columns):
            continue
        for place, index in enumerate(group):
            word = "_".join(column[place] for column in staying)
            word = "" if _NO_SESSION.fullmatch(word) else word
            told[index] = str(folder / word) if word or folder.name else None
    return told


def natural_key(name: str) -> list[str | int]:
    """Return a key that sorts ``upma_2`` before ``upma_10``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
