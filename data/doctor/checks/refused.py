"""Files and masks that training would refuse."""

from cookseg.data.doctor.check import Check, Found, Row
from cookseg.data.doctor.masks import is_scaled
from cookseg.data.doctor.reading import Record
from cookseg.data.doctor.survey import Survey, size_text
from cookseg.runtime.model.contract import IGNORE


class Unreadable(Check):
    """A file that cannot be decoded."""

    name = "unreadable"
    severity = "error"
    title = "files that cannot be read"
    remedy = "copy or export them again, or remove the pair; `fix` leaves them out"
    columns = ("file", "why")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record in survey.records:
            for path, why in record.unreadable.items():
                yield 0, Row((survey.name(path), why.removeprefix(str(path)).strip(" :")), record)


class SizeDiffers(Check):
    """A mask of another size than its image."""

    name = "size-differs"
    severity = "error"
    title = "masks of another size than their image"
    remedy = "export them again at the image's size; `fix` rotates and scales those of the same shape"
    columns = ("file", "mask", "image", "looks like")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record in survey.records:
            if record.truth and record.size and record.size != record.truth.size:
                sizes = size_text(record.truth.size), size_text(record.size)
                yield 0, Row((survey.name(record.mask), *sizes, self._cause(record)), record)

    @staticmethod
    def _cause(record: Record) -> str:
        """Guess how a mask came by another size than its image."""
        if not (record.size and record.truth):
            return ""
        (height, width), (rows, columns) = record.size, record.truth.size
        if (rows, columns) == (width, height):
            exif = record.image_header is not None and record.image_header.orientation > 4
            return "drawn before EXIF rotated the image" if exif else "rotated by 90 degrees"
        return f"scaled by {rows / height:.3g}" if is_scaled(record.size, record.truth.size) else "of another image"


class WrongColors(Check):
    """A colour that is too far from that of any class."""

    name = "wrong-colors"
    severity = "error"
    title = "masks with colours of no class"
    remedy = "fix the mask, or name the colour in classes.json; `fix` takes the nearest class"
    columns = ("file", "colour", "pixels", "nearest", "distance", "looks like")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        names = {**dict(enumerate(survey.classes.names)), IGNORE: "(ignored)"}
        for record in survey.records:
            if record.truth and record.truth.error:
                for off in record.truth.off_colors:
                    found = str(off.color), off.pixels, names[off.nearest], round(off.distance), record.truth.cause
                    yield off.pixels, Row((survey.name(record.mask), *found), record)


class WrongValues(Check):
    """A mask of values that are not classes."""

    name = "wrong-values"
    severity = "error"
    title = "masks that do not hold what `mask_format` says"
    remedy = "masks of class indices need `mask_format='index'`; `fix` writes grey masks of class indices in colours"
    columns = ("file", "why")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record in survey.records:
            if record.truth and record.truth.is_of_other_format:
                why = str(record.truth.error).removeprefix(str(record.mask)).strip(" :")
                yield 0, Row((survey.name(record.mask), why), record)


class Unlabelled(Check):
    """A mask whose pixels are all ignored."""

    name = "unlabelled"
    severity = "error"
    title = "masks without a labelled pixel"
    remedy = "label them, or remove the pair"
    columns = ("file",)

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record in survey.records:
            if record.truth and not record.truth.is_of_other_format and not any(record.truth.pixels):
                yield 0, Row((survey.name(record.mask),), record)
