"""Frames that show little, or not what the rest of their session shows."""

from collections import Counter
from collections.abc import Iterator

from cookseg.data.doctor import duplicates
from cookseg.data.doctor.check import Check, Found, Row
from cookseg.data.doctor.frames import FrameMeasures
from cookseg.data.doctor.reading import Record
from cookseg.data.doctor.survey import Survey, by_session, size_text, usual_blur

_USELESS = "remove the frame and its mask, unless the appliance will see such frames too"


class Frozen(Check):
    """A frame that shows its predecessor again."""

    name = "frozen"
    severity = "warning"
    title = "frames that repeat the one before"
    remedy = "remove them, and check the camera"
    columns = ("file", "like", "grey levels apart")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record, before, difference in duplicates.frozen(survey.records):
            cells = survey.name(record.image), survey.name(before.image), round(difference, 2)
            yield -difference, Row(cells, record)


class Black(Check):
    """A frame in which next to nothing can be seen."""

    name = "black"
    severity = "warning"
    title = "frames that are black"
    remedy = _USELESS
    columns = ("file", "brightest")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record, measures in _measured(survey):
            if measures.is_black:
                yield -measures.brightest, Row((survey.name(record.image), round(measures.brightest)), record)


class BlownOut(Check):
    """A frame that is mostly white."""

    name = "blown-out"
    severity = "warning"
    title = "frames that are mostly white"
    remedy = _USELESS
    columns = ("file", "white")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record, measures in _measured(survey):
            if measures.is_blown_out and not measures.is_black:
                yield measures.blown, Row((survey.name(record.image), f"{measures.blown:.0%}"), record)


class Blurred(Check):
    """A frame that is less sharp than its session."""

    name = "blurred"
    severity = "warning"
    title = "frames that are blurred"
    remedy = "edges cannot be labelled or learned from them: remove them, or clean the lens"
    columns = ("file", "blur effect", "session's")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        usual = usual_blur(survey)
        for record, measures in _measured(survey):
            typical = usual[record.session]
            if not measures.is_featureless and measures.is_blurred(typical):
                cells = survey.name(record.image), round(measures.blur, 2), round(typical, 2)
                yield measures.blur, Row(cells, record)


class SizeInSession(Check):
    """A frame of another size than most of its session."""

    name = "size-in-session"
    severity = "warning"
    title = "frames of another size than the rest of their session"
    remedy = "one camera gives one size: was the frame cropped, rotated or scaled?"
    columns = ("file", "size", "session's")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for session, group in by_session(survey.records).items():
            sizes = Counter(record.size for record in group if record.size)
            usual, times = sizes.most_common(1)[0] if sizes else (None, 0)
            if session is None or 2 * times <= sizes.total():
                continue  # nothing is usual
            for record in group:
                if record.size and record.size != usual:
                    yield 0, Row((survey.name(record.image), size_text(record.size), size_text(usual)), record)


def _measured(survey: Survey) -> Iterator[tuple[Record, FrameMeasures]]:
    return ((record, record.measures) for record in survey.records if record.measures)
