"""Clocks in the names of frames: which frames were taken in one go, by the time between them.

>>> from_clocks(["2024-05-01_12-33-07", "2024-05-01_12-33-09", "2024-05-01_18-02-11"], [None] * 3)
['2024-05-01_12-33-07', '2024-05-01_12-33-07', '2024-05-01_18-02-11']
"""

import itertools
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import PurePosixPath

_DATE = (
    r"(?:(?P<year>(?:19|20)\d\d)[-_. ]?(?P<month>0[1-9]|1[0-2])[-_. ]?(?P<day>0[1-9]|[12]\d|3[01])"
    r"|(?P<first>\d\d)[-_.](?P<second>\d\d)[-_.](?P<last>(?:19|20)\d\d))"
)
_TIME = r"(?P<h>[01]\d|2[0-3])[-_.:h]?(?P<m>[0-5]\d)(?:[-_.:m]?(?P<s>[0-5]\d))?"
_CLOCKS = (
    re.compile(rf"(?<!\d){_DATE}[-_. T]{{0,3}}(?:at[-_ ])?(?P<time>{_TIME})(?:s?\d{{1,6}}(?!\d)|s?(?!\d))"),
    re.compile(r"(?<!\d)(?P<time>(?P<epoch>1\d{9}))(?:\d{3}|\d{6}|\d{9})?(?!\d)"),
    re.compile(r"^(?P<time>(?P<h>\d\d)[-_.:h](?P<m>[0-5]\d)[-_.:m](?P<s>[0-5]\d))(?!\d)"),
    re.compile(r"(?<!\d)(?P<time>(?P<h>\d\d)(?::(?P<m>[0-5]\d):|h(?P<n>[0-5]\d)m)(?P<s>[0-5]\d))(?!\d)"),
)
"""A date and a time, Unix time, a name that begins with a time, and a time as only people write it."""

_NUMBERS = re.compile(r"[^-_ .]*\d[^-_ .]*|[-_ .]")
"""Words with a digit, and what separates words."""

_SHORTEST, _LONGEST = 60, 3600  # seconds without a frame that end a session, whatever the camera's pace
_PACES = 10  # of a camera's usual steps from frame to frame, the pause that ends a session


def from_clocks(names: Sequence[str], sessions: Sequence[str | None]) -> list[str | None]:
    """Return sessions by the clocks in names, where a session has a time of day in it or is unknown; others as given.

    A session ends where no frame follows for ten times as long as usual, but for a minute at least; after an hour
    always. It is called by its first clock.

    Args:
        names: Paths of frames below their folder, without suffix.
        sessions: The session of each, or None.
    """
    rows = defaultdict(list)
    for index, (name, session) in enumerate(zip(names, sessions, strict=True)):
        folder, stem = PurePosixPath(name).parent, PurePosixPath(name).name
        clock = next(filter(None, (kind.search(stem) for kind in _CLOCKS)), None)
        known = PurePosixPath(session).name if session and session != str(folder) else ""
        if clock and (not known or _begins_time(known, stem, clock)):
            before, after = stem[: clock.start()].strip("-_ ."), _NUMBERS.sub("", stem[clock.end() :])
            before = "" if before.isdecimal() else before  # the number of an event
            rows[folder, before, after].append((_seconds(clock), clock[0], index))
    told = list(sessions)
    for (folder, before, after), row in rows.items():
        for index, clock_text in _firsts(sorted(row)):
            told[index] = str(folder / "_".join(filter(None, (before, clock_text, after))))
    return told


def _firsts(row: list[tuple[int, str, int]]) -> Iterator[tuple[int, str]]:
    """Yield the index of each frame and the first clock of its session; a row is of times in seconds, clock, index."""
    steps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(row)]
    pause = min(max(_SHORTEST, _PACES * statistics.median(steps or [0])), _LONGEST)
    first = row[0][1]
    for step, (_, clock, index) in zip([0, *steps], row, strict=True):
        first = clock if step > pause else first
        yield index, first


def _begins_time(session: str, stem: str, clock: re.Match[str]) -> bool:
    """Say whether a session's name goes on into the time of day: then every minute, or second, would be one."""
    return stem.startswith(session) and len(session) > clock.start("time")


def _seconds(clock: re.Match[str]) -> int:
    """Return the time of a clock in seconds, since when does not matter."""
    held = {name: int(text) for name, text in clock.groupdict().items() if text and text.isdecimal()}
    if "epoch" in held:
        return held["epoch"]
    day = 0
    if "year" in held:
        day = _ordinal(held["year"], held["month"], held["day"])
    elif "last" in held:
        day = _ordinal(held["last"], held["second"], held["first"])
    minutes = held.get("m", held.get("n", 0))
    return 86400 * day + 3600 * held["h"] + 60 * minutes + held.get("s", 0)


def _ordinal(year: int, month: int, day: int) -> int:
    try:
        return date(year, *((month, day) if month <= 12 else (day, month))).toordinal()
    except ValueError:  # such as 31 February
        return 372 * year + 31 * month + day
