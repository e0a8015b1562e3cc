"""Frames and truths at a network's size, in a file without a name."""

import mmap
import resource
import tempfile

import numpy as np
import pytest

from cookseg.data.samples import SampleFile, fit_sample
from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import IGNORE, Preprocessing
from cookseg.runtime.scoring.dataset import Sample


def test_they_are_what_they_were_and_not_in_memory():
    spec = Preprocessing(32, 64)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 64, 3), np.uint8)
    samples = [Sample(frame, frame[..., 0] % 3, number) for number, frame in enumerate(pixels)]
    file = SampleFile(spec, 4)
    for number, sample in enumerate(samples):
        file.put(number, sample)
    kept = [file.get(number, number) for number in range(4)]
    del file
    for sample, before in zip(kept, samples, strict=True):
        assert np.array_equal(sample.frame, before.frame)
        assert np.array_equal(sample.truth, before.truth)
        assert sample.off_colors == before.off_colors
        assert sample.frame.flags.c_contiguous
        assert isinstance(sample.frame.base.base, mmap.mmap)
        assert sample.truth.base.base is kept[0].frame.base.base


def test_a_full_disk_is_an_error_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, hard))
    try:
        with pytest.raises(InputError, match=rf"{tmp_path}: .*frames take 0 MB.* TMPDIR"):
            SampleFile(Preprocessing(32, 32), 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_fitted_samples_ignore_their_padding():
    sample = fit_sample(
        Sample(np.zeros((10, 20, 3), np.uint8), np.ones((10, 20), np.uint8), 0), Preprocessing(64, 64, "letterbox")
    )
    assert (sample.truth[:32] == 1).all()
    assert (sample.truth[32:] == IGNORE).all()
