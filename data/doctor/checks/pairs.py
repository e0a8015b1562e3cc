"""Images and masks that do not pair up."""

from cookseg.data.doctor.check import Check, Found, Row
from cookseg.data.doctor.survey import Survey
from cookseg.data.standard import LABELLED


class ImageWithoutMask(Check):
    """An image of a labelled split that has no mask."""

    name = "image-without-mask"
    severity = "error"
    title = "images without a mask"
    remedy = "label them, or move them to the test split; `masks` and `mask_suffix` say where masks lie"
    columns = ("file",)

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        return ((0, Row((survey.name(path),))) for held in survey.listings.values() for path in held.images_alone)


class MaskWithoutImage(Check):
    """A mask that has no image."""

    name = "mask-without-image"
    severity = "error"
    title = "masks without an image"
    remedy = "add the image of the same name, or remove the mask"
    columns = ("file",)

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        return ((0, Row((survey.name(path),))) for held in survey.listings.values() for path in held.masks_alone)


class SameName(Check):
    """Two images, or two masks, of one name."""

    name = "same-name"
    severity = "error"
    title = "files of the same name"
    remedy = "nobody can tell which belongs to the pair: remove one"
    columns = ("file", "and")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for listing in survey.listings.values():
            for one, other in listing.clashes:
                yield 0, Row((survey.name(one), survey.name(other)))


class EmptySplit(Check):
    """A split without any pair."""

    name = "empty-split"
    severity = "error"
    title = "splits without a labelled frame"
    remedy = "add images and masks; `cook-data split` splits a set by session"
    columns = ("folder", "images", "masks")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for split in LABELLED:
            listing = survey.listings[split]
            if not listing.pairs:
                yield 0, Row((split, len(listing.images_alone), len(listing.masks_alone)))
