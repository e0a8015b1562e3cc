"""Reading a dataset's files: each once, on all cores, for all that is wanted of it, but for what is known."""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import reduction
from pathlib import Path

from cookseg.data.doctor.frames import FrameMeasures, measure_frame
from cookseg.data.doctor.labels import LabelMeasures, measure_label
from cookseg.data.doctor.masks import MaskMeasures, measure_mask
from cookseg.data.manifest import Facts, Manifest, Stamp
from cookseg.data.samples import SampleFile, fit_truth
from cookseg.data.standard import Split
from cookseg.data.truths import Truths, pack, unpack
from cookseg.runtime.errors import ImageError, MaskError
from cookseg.runtime.imaging.frame import Frame, Size
from cookseg.runtime.imaging.headers import Header, header_of
from cookseg.runtime.imaging.images import UInt8Array, decode_image, decode_mask_image, read_file
from cookseg.runtime.imaging.masks import to_class_map
from cookseg.runtime.imaging.preprocess import decode_frame, fit
from cookseg.runtime.model.contract import ClassTable, Preprocessing
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.scoring.dataset import Layout, Sample
from cookseg.runtime.stream.parallel import map_on_cores


@dataclass
class Record:
    """A frame of a split, its mask if it has one, and measures of both.

    Attributes:
        split: train, val or test.
        name: The image's path below its folder, without suffix.
        session: The cooking session that the name tells, or None.
        image: File of the image.
        mask: File of the mask, or None.
        image_facts: What the manifest knows of the image, then what is to be kept in it.
        mask_facts: The same of the mask.
        unreadable: What could not be read and why, by file.
        image_header: How the image is stored.
        mask_header: How the mask is stored.
        size: Height and width of the upright image.
        measures: Measures of the image's pixels.
        truth: Measures of the mask.
        label: Measures of the mask against the image.
        digest: Identifies the image's pixels.
        disagreement: Share of the labelled pixels for which a model is sure of another class, where one was given.
        is_kept: Whether what a network is given of it was kept.
        packed: Its truth for the network, packed; until it is kept only.
    """

    split: Split
    name: str
    session: str | None
    image: Path
    mask: Path | None
    image_facts: Facts | None = None
    mask_facts: Facts | None = None
    unreadable: dict[Path, str] = field(default_factory=dict)
    image_header: Header | None = None
    mask_header: Header | None = None
    size: Size | None = None
    measures: FrameMeasures | None = None
    truth: MaskMeasures | None = None
    label: LabelMeasures | None = None
    digest: bytes = b""
    disagreement: float | None = None
    is_kept: bool = False
    packed: bytes | None = None


class Reading:
    """Reads the files of a dataset's frames, and keeps what they hold in its manifest.

    Attributes:
        samples: Where frames and masks are kept for a network, numbered as the records; None where they are not.
    """

    def __init__(
        self,
        root: Path,
        classes: ClassTable,
        layout: Layout,
        samples: SampleFile | None = None,
        *,
        quick: bool = True,
        keep: bool = True,
    ) -> None:
        """Prepare to read.

        Args:
            root: Folder of the dataset.
            classes: Its class table.
            layout: Its layout.
            samples: Where to keep frames and masks for a network.
            quick: Leave out the measures that need pixels, and with them the files that the manifest knows.
            keep: Whether to write the manifest.
        """
        self.samples, self._quick, self._keep = samples, quick, keep
        self._manifest = Manifest.load(root, classes, layout)
        self._truths = Truths(root, classes, layout, samples.spec) if samples else None
        self._classes, self._layout = classes, layout

    def read(self, records: Sequence[Record], label: str, progress: Progress = silent) -> list[Record]:
        """Return records of frames with all that was seen of them filled in."""
        if self._quick:
            for record in records:
                record.image_facts = self._manifest.get(record.image)
                record.mask_facts = self._manifest.get(record.mask, mask=True) if record.mask else None
                if self._truths and record.mask_facts:
                    record.packed = self._truths.get(record.mask_facts.sha256)
        wanted = [number for number, record in enumerate(records) if self._is_wanted(record)]
        jobs = [(number, records[number]) for number in wanted]
        work = self._map(jobs)
        read = dict(zip(wanted, progress(work, label, len(jobs)), strict=True))
        found = [read.get(number) or _filled(record) for number, record in enumerate(records)]
        for record in read.values():
            for path, facts in ((record.image, record.image_facts), (record.mask, record.mask_facts)):
                if path and facts:
                    self._manifest.add(path, facts)
        if self._keep:
            self._manifest.save()
            if self._truths:
                self._truths.save({r.mask_facts.sha256: r.packed for r in found if r.mask_facts and r.packed})
        for record in found:
            record.packed = None
        return found

    def _is_wanted(self, record: Record) -> bool:
        """Tell whether there is anything to read."""
        is_known = record.image_facts and (record.mask_facts or not record.mask)
        return not (self._quick and not self.samples and is_known)

    def _map(self, jobs: list[tuple[int, Record]]) -> Iterator[Record]:
        """Read on all cores, with `samples` open in each process."""
        examine = functools.partial(_examine, classes=self._classes, layout=self._layout, quick=self._quick)
        try:
            if self.samples and not hasattr(reduction, "DupFd"):  # Windows: a file cannot be passed on so
                _open(self.samples)
                yield from map(examine, jobs)
            else:
                yield from map_on_cores(examine, jobs, setup=functools.partial(_open, self.samples))
        finally:
            _open(None)


def read_masks(
    root: Path, classes: ClassTable, layout: Layout, masks: Sequence[Path], progress: Progress = silent
) -> list[MaskMeasures]:
    """Return what masks of a dataset hold, those that its manifest knows unread.

    Raises:
        MaskError: A mask cannot be understood.
        ImageError: A mask cannot be decoded.
    """
    manifest = Manifest.load(root, classes, layout)
    known = [manifest.get(mask, mask=True) for mask in masks]
    unknown = [mask for mask, facts in zip(masks, known, strict=True) if not facts]
    work = map_on_cores(functools.partial(_mask_facts, classes=classes, layout=layout), unknown)
    found = dict(zip(unknown, progress(work, "counting", len(unknown)), strict=True))
    for mask, facts in found.items():
        manifest.add(mask, facts)
    manifest.save()
    return [_look(facts or found[mask]) for mask, facts in zip(masks, known, strict=True)]


def _look(facts: Facts) -> MaskMeasures:
    assert facts.mask
    return facts.mask


_here: list[SampleFile | None] = [None]  # of this process, one of several that read


def _open(samples: SampleFile | None) -> None:
    _here[0] = samples


def _examine(job: tuple[int, Record], classes: ClassTable, layout: Layout, quick: bool) -> Record:
    number, record = job
    samples, frame, class_map, truth = _here[0], None, None, None
    needs_pixels = samples is not None or not quick
    if needs_pixels or not record.image_facts:
        try:
            frame = _read_image(record, samples.spec if samples else None)
        except ImageError as error:
            record.unreadable[record.image] = str(error)
    if samples and record.packed and record.mask_facts:
        truth = unpack(record.packed, samples.spec)
    if record.mask and truth is None and (needs_pixels or not record.mask_facts):
        try:
            class_map = _read_mask(record, record.mask, classes, layout)
        except (ImageError, MaskError) as error:
            record.unreadable[record.mask] = str(error)
    record = _filled(record)
    if frame is None or not record.truth or record.truth.error or record.truth.size != record.size:
        class_map = truth = None
    if samples and class_map is not None and truth is None:
        truth = fit_truth(class_map, samples.spec)
        record.packed = pack(truth)
    if frame is not None and samples and truth is not None and record.truth:
        samples.put(number, Sample(fit(frame.pixels, samples.spec), truth, record.truth.off_pixels))
        record.is_kept = True
    if frame is not None and not quick:
        record.measures = measure_frame(frame.pixels)
        record.digest = hashlib.blake2b(frame.pixels.data, digest_size=16).digest()
        if class_map is not None:
            orientation = record.image_header.orientation if record.image_header else 1
            record.label = measure_label(frame.pixels, class_map, orientation)
    return record


def _filled(record: Record) -> Record:
    """Fill in what the facts say."""
    if facts := record.image_facts:
        record.size, record.image_header = facts.size, facts.header
    if facts := record.mask_facts:
        record.truth, record.mask_header = facts.mask, facts.header
    return record


def _read_image(record: Record, spec: Preprocessing | None) -> Frame:
    known, record.image_facts = record.image_facts, None
    data, stamp = _stamped(record.image)
    name = str(record.image)
    frame = decode_frame(data, name, spec) if spec else Frame.of(decode_image(data, name))
    record.size = frame.size
    record.image_facts = known or Facts(_sha256(data), header_of(data, name), frame.size, None, stamp)
    return frame


def _read_mask(record: Record, path: Path, classes: ClassTable, layout: Layout) -> UInt8Array | None:
    known, record.mask_facts = record.mask_facts, None
    data, stamp = _stamped(path)
    if known:
        pixels = decode_mask_image(data, str(path), indices=layout.mask_format == "index")
        record.mask_facts = known
        return to_class_map(pixels, path, classes, layout.mask_format)[0]
    class_map, record.truth = measure_mask(path, classes, layout, data)
    record.mask_facts = Facts(_sha256(data), header_of(data, str(path)), record.truth.size, record.truth, stamp)
    return class_map


def _mask_facts(path: Path, classes: ClassTable, layout: Layout) -> Facts:
    record = Record("train", path.stem, None, path, path)
    _read_mask(record, path, classes, layout)
    assert record.mask_facts
    assert record.truth
    if record.truth.error:
        raise MaskError(record.truth.error)
    return record.mask_facts


def _stamped(path: Path) -> tuple[bytes, Stamp | None]:
    """Return a file's bytes and its stamp, if that will tell of any change since they were read.

    Raises:
        ImageError: It cannot be read.
    """
    try:
        stamp = Stamp.of(path)
        settled = stamp.is_settled()
    except OSError:
        stamp, settled = None, False  # as reading will say
    data = read_file(path)
    return data, stamp if stamp and settled and stamp.size == len(data) else None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
