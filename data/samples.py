"""The decoded set: frames and masks at a network's size, in a file that processes map into their memory."""

import mmap
import os
import tempfile
import weakref
from collections.abc import Callable
from multiprocessing import reduction
from typing import IO, Any

import cv2
import numpy as np

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.imaging.preprocess import fit, fitted_size
from cookseg.runtime.model.contract import IGNORE, Preprocessing
from cookseg.runtime.scoring.dataset import Sample


def fit_sample(sample: Sample, spec: Preprocessing) -> Sample:
    """Bring a sample to the network's size; padding has no ground truth."""
    return Sample(fit(sample.frame, spec), fit_truth(sample.truth, spec), sample.off_colors)


def fit_truth(class_map: UInt8Array, spec: Preprocessing) -> UInt8Array:
    """Bring a class map to the network's size; padding has no ground truth."""
    rows, columns = fitted_size(class_map.shape[0], class_map.shape[1], spec)
    truth = np.full((spec.height, spec.width), IGNORE, np.uint8)
    # INTER_NEAREST takes the corner of each cell; _EXACT its centre, as the frame's interpolation does
    truth[:rows, :columns] = cv2.resize(class_map, (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT)
    return truth


class SampleFile:
    """Samples of one size, kept in a file instead of memory, and given back as views into it.

    The system holds as much of the file in memory as there is room for, once for all processes. The file has no name,
    and goes when the last process does, a killed one too. It lies in the system's folder for temporary files. Passed
    as an argument to a new process, it is the same file there.
    """

    def __init__(self, spec: Preprocessing, count: int) -> None:
        """Make room for so many samples.

        Raises:
            InputError: The disk is full.
        """
        with tempfile.TemporaryFile() as file:
            _reserve(file, _record(spec).itemsize * max(1, count))
            self._map(os.dup(file.fileno()), spec, count)

    def put(self, number: int, sample: Sample) -> None:
        """Keep a sample of the network's size, as `fit_sample` makes it."""
        if not hasattr(os, "pwrite"):  # Windows
            self._pixels["frame"][number], self._pixels["truth"][number] = sample.frame, sample.truth
            return
        # not through the mapping, where each page that is touched first costs a fault
        data = sample.frame.tobytes() + sample.truth.tobytes()
        start = number * len(data)
        while data:
            written = os.pwrite(self._descriptor, data, start)
            data, start = data[written:], start + written

    def get(self, number: int, off_colors: int) -> Sample:
        """Return a sample that was kept."""
        return Sample(self._pixels["frame"][number], self._pixels["truth"][number], off_colors)

    def _map(self, descriptor: int, spec: Preprocessing, count: int) -> None:
        self.spec, self._count, self._descriptor = spec, count, descriptor
        weakref.finalize(self, os.close, descriptor)
        record = _record(spec)
        self._pixels = np.ndarray(count, record, mmap.mmap(descriptor, record.itemsize * max(1, count)))

    def __reduce__(self) -> tuple[Callable[..., "SampleFile"], tuple[Any, ...]]:
        return _opened, (reduction.DupFd(self._descriptor), self.spec, self._count)


def _opened(descriptor: Any, spec: Preprocessing, count: int) -> SampleFile:
    """Open in a new process the file that its parent made."""
    samples = SampleFile.__new__(SampleFile)
    samples._map(descriptor.detach(), spec, count)
    return samples


def _record(spec: Preprocessing) -> np.dtype[np.void]:
    shape = (spec.height, spec.width)
    return np.dtype([("frame", np.uint8, (*shape, 3)), ("truth", np.uint8, shape)])


def _reserve(file: IO[bytes], size: int) -> None:
    """Make a file so large, before anything is mapped: the system kills a process that writes where no room is left."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    except OSError as error:
        folder = tempfile.gettempdir()
        raise InputError(
            f"{folder}: {error.strerror}: the decoded frames take {size / 1e6:,.0f} MB; make room, name another folder"
            " by the environment variable TMPDIR, or choose a smaller `preprocessing.height`"
        ) from error
