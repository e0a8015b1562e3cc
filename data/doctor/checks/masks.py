"""Masks that training takes, but that are not what they should be."""

from collections.abc import Iterator

from cookseg.data.doctor.check import Check, Found, Row
from cookseg.data.doctor.masks import MaskMeasures
from cookseg.data.doctor.reading import Record
from cookseg.data.doctor.survey import Survey
from cookseg.runtime.model.contract import IGNORE


class OffColors(Check):
    """Colours that are nearly, but not exactly, a class's."""

    name = "off-colors"
    severity = "warning"
    title = "masks with colours that are not exactly a class's"
    remedy = (
        "training takes the nearest class, a guess along edges: export as PNG without anti-aliasing and resize with"
        " nearest neighbour; `fix` writes exact colours"
    )
    columns = ("file", "pixels", "looks like", "commonest", "of it", "nearest")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        names = {**dict(enumerate(survey.classes.names)), IGNORE: "(ignored)"}
        for record, truth in _understood(survey):
            if truth.off_pixels and not truth.error:
                off = truth.off_colors[0]
                found = truth.off_pixels, truth.cause, str(off.color), off.pixels, names[off.nearest]
                yield truth.off_pixels, Row((survey.name(record.mask), *found), record)


class ScaledUp(Check):
    """A mask made of squares."""

    name = "scaled-up"
    severity = "warning"
    title = "masks scaled up from smaller ones"
    remedy = "their edges are steps: export at the image's size if the tool still has the outlines"
    columns = ("file", "steps")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record, truth in _understood(survey):
            if truth.blocks > 1:
                yield truth.blocks, Row((survey.name(record.mask), f"{truth.blocks} pixels"), record)


class OneClass(Check):
    """A mask that shows one class only."""

    name = "one-class"
    severity = "warning"
    title = "masks of a single class"
    remedy = "look at them: right for a frame that shows nothing else, wrong for one that was never labelled"
    columns = ("file", "class")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record, truth in _understood(survey):
            present = [name for name, pixels in zip(survey.classes.names, truth.pixels, strict=True) if pixels]
            if len(present) == 1:
                yield 0, Row((survey.name(record.mask), present[0]), record)


def _understood(survey: Survey) -> Iterator[tuple[Record, MaskMeasures]]:
    for record in survey.records:
        if record.truth and not record.truth.is_of_other_format:
            yield record, record.truth
