"""The start of training: every file of the labelled splits is read once, checked, and decoded for the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cookseg.data.doctor.reading import Reading, Record
from cookseg.data.doctor.survey import Survey
from cookseg.data.samples import SampleFile
from cookseg.runtime.errors import DatasetError
from cookseg.runtime.model.contract import ClassTable, Preprocessing
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.scoring.dataset import Layout, Pair, Sample, read_pair


@dataclass(frozen=True)
class DecodedSet:
    """A dataset's pairs as a network is given them.

    Attributes:
        pairs: The pairs, those of train first.
        spec: What the samples were made for.
        samples: The sample of each, at the network's size.
        sha256: The digests of each one's image and mask.
    """

    pairs: list[Pair]
    spec: Preprocessing
    samples: list[Sample]
    sha256: list[tuple[str, str]]

    @classmethod
    def of(cls, records: Sequence[Record], samples: SampleFile, classes: ClassTable, layout: Layout) -> "DecodedSet":
        """Collect what `cookseg.data.doctor.reading.Reading` found.

        Raises:
            ImageError: A file could not be decoded.
            MaskError: A mask holds values of no class.
            DatasetError: An image and its mask differ in size.
        """
        decoded = cls([], samples.spec, [], [])
        for number, record in enumerate(records):
            assert record.mask
            pair = Pair(record.name, record.image, record.mask)
            if not (record.is_kept and record.truth and record.image_facts and record.mask_facts):
                read_pair(pair, classes, layout, samples.spec)  # says what is wrong
                raise DatasetError(f"{pair.image} or {pair.mask} was being written while it was read: start again")
            decoded.pairs.append(pair)
            decoded.samples.append(samples.get(number, record.truth.off_pixels))
            decoded.sha256.append((record.image_facts.sha256, record.mask_facts.sha256))
        return decoded

    @classmethod
    def of_survey(cls, survey: Survey) -> "DecodedSet | None":
        """Return what a survey kept of a sound dataset."""
        if not survey.samples:
            return None
        return cls.of(survey.records, survey.samples, survey.classes, survey.layout)


def decode(  # noqa: PLR0913
    root: Path,
    layout: Layout,
    classes: ClassTable,
    pairs: Sequence[Pair],
    spec: Preprocessing,
    *,
    keep: bool = True,
    progress: Progress = silent,
) -> DecodedSet:
    """Decode pairs on all cores, at a network's size, into a file that is mapped into memory.

    Args:
        root: Folder of the dataset.
        layout: Its layout.
        classes: Its class table.
        pairs: Those of train, then those of val.
        spec: The network's input.
        keep: Whether to write the dataset's manifest.
        progress: Is told how far it is.

    Raises:
        ImageError: A file cannot be decoded.
        MaskError: A mask holds values of no class.
        DatasetError: An image and its mask differ in size.
        InputError: There is no room for the decoded frames.
    """
    records = [Record("train", pair.name, None, pair.image, pair.mask) for pair in pairs]
    samples = SampleFile(spec, len(records))
    reading = Reading(root, classes, layout, samples, keep=keep)
    return DecodedSet.of(reading.read(records, "decoding", progress), samples, classes, layout)
