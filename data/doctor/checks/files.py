"""Files that nobody reads."""

from cookseg.data.doctor.check import Check, Found, Row
from cookseg.data.doctor.survey import Survey


class UnreadFiles(Check):
    """A file beside images or masks that is neither."""

    name = "unread-files"
    severity = "warning"
    title = "files in image and mask folders that no command reads"
    remedy = "convert images among them (HEIC, GIF, RAW) to PNG or JPEG"
    columns = ("file",)

    def find(self, survey: Survey) -> Found:
        """Yield all cases."""
        return ((0, Row((survey.name(path),))) for path in survey.foreign)
