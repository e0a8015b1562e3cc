"""Faults of the splits as wholes: classes that they lack, and what is in two of them."""

import itertools
import re
from collections import Counter, defaultdict

from cookseg.data.doctor import duplicates
from cookseg.data.doctor.check import Check, Found, Row
from cookseg.data.doctor.survey import Survey, by_session, class_pixels
from cookseg.data.sessions import crowded, natural_key, plain_names
from cookseg.data.standard import LABELLED, SPLITS, Split


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
    doubts_score = True

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for session, group in by_session(survey.records).items():
            splits = Counter(record.split for record in group)
            if session is not None and len(splits) > 1:
                yield len(group), Row((session, *(splits[split] for split in SPLITS)))


class SessionPerFrame(Check):
    """Names by which nearly every frame is a session of its own."""

    name = "session-per-frame"
    severity = "warning"
    title = "nearly as many cooking sessions as frames"
    remedy = (
        "the names seem to tell something else, so nobody sees whether frames that look alike are in two splits:"
        " `session_pattern` tells how names give sessions"
    )
    columns = ("sessions", "frames", "such as")
    doubts_score = True

    def find(self, survey: Survey) -> Found:
        """Yield the case, if it is one."""
        sessions = [record.session for record in survey.records if record.split in LABELLED]
        if crowded(sessions):
            yield 0, Row((len(set(sessions)), len(sessions), ", ".join(sorted(map(str, set(sessions)))[:3])))


class OneSessionInVal(Check):
    """A val split that shows a single session."""

    name = "one-session-in-val"
    severity = "warning"
    title = "val is a single cooking session"
    remedy = "its score says little of any other: `cook-data split` with a larger `val`, or label another session"
    columns = ("session", "frames")
    doubts_score = True

    def find(self, survey: Survey) -> Found:
        """Yield the case, if it is one."""
        sessions = [record.session for record in survey.records if record.split == "val"]
        if len(sessions) > 1 and len(set(sessions)) == 1 and sessions[0]:
            yield 0, Row((sessions[0], len(sessions)))


class NumberingInSplits(Check):
    """Frames of unknown session whose names are numbered on from train to val."""

    name = "numbering-in-splits"
    severity = "warning"
    title = "frames of val that are numbered next to one of train"
    remedy = (
        "they may show the same moment, so the score will be better than the model: `session_pattern` tells how names"
        " give sessions, and sub-folders do"
    )
    columns = ("val", "train", "such frames", "of val")
    doubts_score = True

    def find(self, survey: Survey) -> Found:
        """Yield a case for each way of numbering."""
        unknown = [record for record in survey.records if record.session is None and record.split in LABELLED]
        runs = defaultdict(list)
        for name, record in zip(plain_names([record.name for record in unknown]), unknown, strict=True):
            runs[re.sub(r"\d+", "#", name)].append((natural_key(name), record))
        for run in runs.values():
            ordered = [record for _, record in sorted(run, key=lambda named: named[0])]
            held = sum(record.split == "val" for record in ordered)
            borders = [pair for pair in itertools.pairwise(ordered) if pair[0].split != pair[1].split]
            nearest = {one.image if one.split == "val" else other.image: (one, other) for one, other in borders}
            if nearest:
                val, train = sorted(next(iter(nearest.values())), key=lambda record: record.split, reverse=True)
                yield len(nearest), Row((survey.name(val.image), survey.name(train.image), len(nearest), held), val)


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
