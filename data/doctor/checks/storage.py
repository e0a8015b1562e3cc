"""Files that other tools, or training, may read otherwise than they were meant."""

from cookseg.data.doctor.check import Check, Found, Row
from cookseg.data.doctor.survey import Survey


class ImageStorage(Check):
    """An image with more than 8 bits per sample, or with alpha."""

    name = "image-storage"
    severity = "warning"
    title = "images with samples that training does not see as they are"
    remedy = "save them as 8-bit RGB; `fix` does"
    columns = ("file", "stored as", "what happens")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record in survey.records:
            header, file = record.image_header, survey.name(record.image)
            if header and header.bits > 8:
                yield 0, Row((file, str(header), "the lower bits are dropped"), record)
            elif header and header.model in ("RGBA", "grey+alpha"):
                yield 0, Row((file, str(header), "alpha is dropped"), record)


class MaskStorage(Check):
    """A mask that is lossy, or not plain."""

    name = "mask-storage"
    severity = "warning"
    title = "masks that are not plain 8-bit PNGs"
    remedy = "other tools may read something else: save them as such; `fix` does"
    columns = ("file", "stored as")

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        for record in survey.records:
            header = record.mask_header
            if header and (header.lossy or not header.is_plain):
                yield 0, Row((survey.name(record.mask), str(header)), record)
