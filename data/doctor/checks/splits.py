"""Faults of the splits as wholes: classes that they lack, and what is in two of them."""

from collections import Counter

from cookseg.data.doctor import duplicates
from cookseg.data.doctor.check import Check, Found, Row
from cookseg.data.doctor.survey import Survey, by_session, class_pixels
from cookseg.data.standard import SPLITS, Split


class _MissingClass(Check):
    """Classes of which a split has no pixel."""

    columns = ("class",)
    split: Split

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for name, pixels in zip(survey.classes.names, class_pixels(survey)[self.split], strict=True):
            if not pixels and survey.listings[self.split].pairs:
                yield 0, Row((name,))


class ClassNotInTrain(_MissingClass):
    """A class that cannot be learned."""

    name = "class-not-in-train"
    severity = "error"
    title = "classes of which train has no pixel"
    remedy = "the model will never find them: label frames that show them, or take them out of classes.json"
    split = "train"


class ClassNotInVal(_MissingClass):
    """A class that cannot be scored."""

    name = "class-not-in-val"
    severity = "warning"
    title = "classes of which val has no pixel"
    remedy = "their scores will be undefined: `cook-data split` gives each split its share of all classes"
    split = "val"


class SessionInSplits(Check):
    """A cooking session of which frames are in more than one split."""

    name = "session-in-splits"
    severity = "warning"
    title = "cooking sessions in more than one split"
    remedy = (
        "frames of a session look alike, so the score will be better than the model: `cook-data split` never cuts"
        " sessions; `session_pattern` tells how names give them"
    )
    columns = ("session", *SPLITS)

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for session, group in by_session(survey.records).items():
            splits = Counter(record.split for record in group)
            if session is not None and len(splits) > 1:
                yield len(group), Row((session, *(splits[split] for split in SPLITS)))


class NearDuplicate(Check):
    """A frame that is nearly the same in another split."""

    name = "near-duplicate"
    severity = "warning"
    title = "frames that are nearly the same as one in another split"
    remedy = "the score on them is memory, not skill: keep both in one split"
    columns = ("file", "like", "bits apart")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record, other, bits in duplicates.across_splits(survey.records):
            yield -bits, Row((survey.name(record.image), survey.name(other.image), bits), record)
