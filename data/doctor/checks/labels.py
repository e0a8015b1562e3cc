"""Likely label faults: evidence and no proof, so each says to look at the mask."""

import statistics
from collections.abc import Iterator

from cookseg.data.doctor.check import Check, Found, Row
from cookseg.data.doctor.labels import LabelMeasures
from cookseg.data.doctor.reading import Record
from cookseg.data.doctor.survey import Survey, usual_blur

_DISAGREES = 0.02  # of the labelled pixels; what every model gets wrong along edges is below


class Rotated(Check):
    """A mask that was drawn on the image as it is stored."""

    name = "turned"
    severity = "warning"
    title = "masks that seem to be drawn before EXIF rotated the image"
    remedy = (
        "look at them: rotated as the image is, the outlines lie on edges that are so many times stronger; `fix`"
        " rotates them"
    )
    columns = ("file", "orientation", "times")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record, label in _clear(survey):
            if label.is_rotated and record.image_header:
                gain, orientation = label.rotated_gain, record.image_header.orientation
                yield gain, Row((survey.name(record.mask), orientation, round(gain, 2)), record)


class Shifted(Check):
    """A mask that lies beside what it covers."""

    name = "shifted"
    severity = "warning"
    title = "masks that seem to lie beside what they cover"
    remedy = "look at them: moved by x,y pixels the outlines lie on edges that are so many times stronger"
    columns = ("file", "better at x,y", "times")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record, label in _clear(survey):
            if label.is_shifted and not label.is_rotated:
                (right, down), gain = label.shift, label.shift_gain
                yield gain, Row((survey.name(record.mask), f"{right:+d},{down:+d}", round(gain, 2)), record)


class Ragged(Check):
    """A mask whose outline strays to both sides of the edges."""

    name = "ragged"
    severity = "warning"
    title = "masks with ragged outlines"
    remedy = "look at them: smoothed, the outlines lie on edges that are so many times stronger"
    columns = ("file", "of the outline", "times")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record, label in _clear(survey):
            if label.is_ragged and not label.is_rotated:
                cells = survey.name(record.mask), f"{label.ragged:.0%}", round(label.smooth_gain, 2)
                yield label.smooth_gain, Row(cells, record)


class Specks(Check):
    """A mask with dots of a class where the frame shows nothing."""

    name = "specks"
    severity = "warning"
    title = "masks with specks where the frame shows nothing"
    remedy = "look at them: a stray click in the labelling tool?"
    columns = ("file", "specks", "first at x,y")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record, label in _clear(survey):
            if label.specks and not label.is_rotated:
                x, y, _, _ = label.specks[0]
                count = len(label.specks)
                yield count, Row((survey.name(record.mask), count, f"{x},{y}"), record)


class Disagrees(Check):
    """A mask of which a model is sure that it is wrong, far more than of the others."""

    name = "disagrees"
    severity = "warning"
    title = "masks with which the model disagrees most"
    remedy = "look at them: on this share of the pixels the model is sure of another class"
    columns = ("file", "of the pixels", "median")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        judged = [(record.disagreement, record) for record in survey.records if record.disagreement is not None]
        if not judged:
            return
        median = statistics.median(share for share, _ in judged)
        spread = statistics.median(abs(share - median) for share, _ in judged)
        limit = max(_DISAGREES, median + 5 * spread)  # of a normal distribution, three and a half deviations
        for share, record in judged:
            if share > limit:
                yield share, Row((survey.name(record.mask), f"{share:.1%}", f"{median:.1%}"), record)


def _clear(survey: Survey) -> Iterator[tuple[Record, LabelMeasures]]:
    """Yield the masks whose frames are sharp and bright enough to speak against them."""
    usual = usual_blur(survey)
    for record in survey.records:
        frame, label = record.measures, record.label
        if frame and label and not frame.is_featureless and not frame.is_blurred(usual[record.session]):
            yield record, label
