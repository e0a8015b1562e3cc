"""The manifest: believed while files are the same, and never needed."""

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from planted import GREEN, Frame, cook_data, doctor

from cookseg.data import decoding, manifest
from cookseg.data.doctor import reading
from cookseg.data.doctor.report import require_sound
from cookseg.data.doctor.survey import survey
from cookseg.data.manifest import PLACE, Manifest
from cookseg.data.samples import fit_sample
from cookseg.runtime.errors import CheckFailedError, MaskError
from cookseg.runtime.model.contract import COOKING, Preprocessing
from cookseg.runtime.scoring.dataset import Layout, list_pairs, load_classes, read_pair
from cookseg.runtime.stream import parallel

SPEC = Preprocessing(64, 96)


def age(root, seconds=3600):
    """Let all files of a set have been changed a while ago."""
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - seconds,) * 2)


@pytest.fixture
def old(clean):
    """A set whose files were not changed just now."""
    age(clean)
    return clean


def load(root):
    return Manifest.load(root, load_classes(root), Layout())


def pairs_of(root):
    return [pair for split in ("train", "val") for pair in list_pairs(root, split, Layout())]


def decode(root, **options):
    return decoding.decode(root, Layout(), load_classes(root), pairs_of(root), SPEC, **options)


@pytest.fixture
def opened(monkeypatch):
    """The files whose bytes are read, in this process."""
    paths = []
    read = reading.read_file
    monkeypatch.setattr(reading, "read_file", lambda path: paths.append(path) or read(path))
    return paths


class TestBelief:
    def test_a_second_check_reads_no_file(self, old, opened):
        require_sound(old, Layout())
        assert len(opened) == len(set(opened)) == 2 * 16
        opened.clear()
        require_sound(old, Layout())
        assert opened == []

    @pytest.mark.parametrize("change", [lambda s: (s.st_atime_ns, s.st_mtime_ns + 1), None])
    def test_a_file_of_another_time_or_size_is_read_again(self, old, opened, change):
        require_sound(old, Layout())
        opened.clear()
        image = Frame(old, "train", 3).image
        before = image.stat()
        if not change:
            image.write_bytes(image.read_bytes() + b"\0")
        os.utime(image, ns=change(before) if change else (before.st_atime_ns, before.st_mtime_ns))
        require_sound(old, Layout())
        assert opened == [image]

    def test_a_file_that_was_changed_just_now_is_read_again(self, old, opened):
        image = Frame(old, "train", 3).image
        os.utime(image, (time.time() - 1,) * 2)
        require_sound(old, Layout())
        opened.clear()
        require_sound(old, Layout())
        assert opened == [image]

    def test_a_file_of_tomorrow_is_read_again(self, old, opened):
        mask = Frame(old, "train", 3).mask
        os.utime(mask, (time.time() + 86400,) * 2)
        require_sound(old, Layout())
        opened.clear()
        require_sound(old, Layout())
        assert opened == [mask]

    def test_other_classes_read_the_masks_again_and_no_image(self, old, opened):
        require_sound(old, Layout())
        opened.clear()
        (old / "classes.json").write_text(json.dumps(COOKING.to_dict()).replace(COOKING.names[0], "spoon"))
        require_sound(old, Layout())
        assert sorted(opened) == sorted(pair.mask for pair in pairs_of(old))

    @pytest.mark.parametrize("data", [b"", b"PK\3\4 no archive", None])
    def test_a_damaged_manifest_or_one_of_another_version_is_written_anew(self, old, opened, data, monkeypatch):
        if data is None:
            with monkeypatch.context() as patched:
                patched.setattr(manifest, "_VERSION", 0)
                require_sound(old, Layout())
        else:
            (old / PLACE).parent.mkdir()
            (old / PLACE).write_bytes(data)
        opened.clear()
        require_sound(old, Layout())
        assert len(opened) == 2 * 16
        opened.clear()
        require_sound(old, Layout())
        assert opened == []

    def test_any_cut_or_flipped_bit_is_survived(self, old):
        require_sound(old, Layout())
        data = (old / PLACE).read_bytes()
        rng = np.random.default_rng(0)
        for position in rng.integers(0, len(data), 40).tolist():
            (old / PLACE).write_bytes(data[:position])
            assert load(old).get(pairs_of(old)[0].image) is None
            (old / PLACE).write_bytes(data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :])
            known = load(old).get(pairs_of(old)[0].image)
            assert known is None or known.size == (240, 320)


class TestFaults:
    @pytest.mark.parametrize("content", [b"", b"no image"])
    def test_a_file_that_turned_bad_is_found(self, old, content):
        require_sound(old, Layout())
        frame = Frame(old, "train", 5)
        frame.image.write_bytes(content)
        with pytest.raises(CheckFailedError, match=frame.image.stem):
            require_sound(old, Layout())
        with pytest.raises(CheckFailedError, match=frame.image.stem):
            require_sound(survey(old, quick=True, spec=SPEC))

    def test_a_wrong_mask_is_found_every_time(self, old):
        frame = Frame(old, "train", 5)
        frame.change_mask(
            lambda pixels: np.where((pixels == GREEN).all(axis=2, keepdims=True), (128, 128, 128), pixels)
        )
        age(old)
        for _ in range(2):
            with pytest.raises(CheckFailedError, match=rf"{frame.mask.name}.*\(128, 128, 128\)"):
                require_sound(old, Layout())
            with pytest.raises(MaskError, match=rf"{frame.mask}: colours of no class: \(128, 128, 128\)"):
                decode(old)

    def test_the_doctor_says_the_same_with_and_without(self, old, tmp_path):
        frame = Frame(old, "val", 1)
        frame.change_mask(lambda pixels: np.clip(pixels, 3, 255))
        age(old)
        before = doctor(old)
        assert (old / PLACE).exists()
        require_sound(old, Layout())
        assert doctor(old) == before
        assert list(before[1]) == ["off-colors"]

    def test_a_split_counts_the_same_without_reading(self, old, opened):
        before = json.loads(cook_data("split", old, "--dry-run", "--json").stdout)
        opened.clear()
        assert json.loads(cook_data("split", old, "--dry-run", "--json").stdout) == before
        assert opened == []


class TestKeeping:
    def test_a_set_that_cannot_be_written_is_no_error(self, old, caplog):
        old.joinpath(".cookseg").write_text("a file where the folder should be")
        decode(old)
        require_sound(old, Layout())
        assert not [record for record in caplog.records if record.levelname != "DEBUG"]

    def test_only_the_first_of_several_processes_writes(self, old):
        decode(old, keep=False)
        assert not (old / PLACE).exists()

    def test_processes_that_write_at_once_leave_one_of_them(self, old, opened):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: require_sound(old, Layout()), range(8)))
        opened.clear()
        require_sound(old, Layout())
        assert opened == []
        assert [path.name for path in (old / PLACE).parent.iterdir()] == [PLACE.name]

    def test_files_that_are_gone_are_forgotten(self, old):
        require_sound(old, Layout())
        frame = Frame(old, "train", 5)
        for path in (frame.image, frame.mask):
            path.unlink()
        other = Frame(old, "train", 6)
        other.image.write_bytes(other.image.read_bytes())
        age(old)
        require_sound(old, Layout())
        assert frame.image.stem not in str(list(load(old)._known))


class TestDecoding:
    def test_samples_are_those_of_read_pair_and_fit_sample(self, old, opened, monkeypatch):
        monkeypatch.setattr(parallel, "_WORTH_A_POOL", 1)
        monkeypatch.setattr(parallel, "cores", lambda: 2)
        for _ in range(2):  # without a manifest, and with one
            decoded = decode(old)
            assert opened == []  # not here: other processes do it
            assert len(decoded.samples) == 16
            for pair, sample in zip(decoded.pairs, decoded.samples, strict=True):
                wanted = fit_sample(read_pair(pair, COOKING, Layout(), SPEC), SPEC)
                assert np.array_equal(sample.frame, wanted.frame)
                assert np.array_equal(sample.truth, wanted.truth)
                assert sample.off_colors == wanted.off_colors

    def test_each_file_is_read_once(self, old, opened):
        require_sound(survey(old, quick=True, spec=SPEC))
        assert len(opened) == len(set(opened)) == 2 * 16

    def test_a_second_decoding_reads_no_mask(self, old, opened):
        first = decode(old)
        opened.clear()
        second = decode(old)
        assert sorted(opened) == sorted(pair.image for pair in pairs_of(old))
        for one, other in zip(first.samples, second.samples, strict=True):
            assert np.array_equal(one.truth, other.truth)

    def test_truths_of_another_size_are_of_no_use(self, old, opened):
        decode(old)
        opened.clear()
        spec = Preprocessing(32, 32)
        decoded = decoding.decode(old, Layout(), load_classes(old), pairs_of(old), spec)
        assert len(opened) == 2 * 16
        wanted = fit_sample(read_pair(decoded.pairs[0], COOKING, Layout(), spec), spec)
        assert np.array_equal(decoded.samples[0].truth, wanted.truth)

    def test_a_changed_mask_has_another_truth(self, old):
        decode(old)
        frame = Frame(old, "train", 0)
        frame.change_mask(lambda pixels: pixels[::-1])
        age(old)
        decoded = decode(old)
        pair = next(pair for pair in decoded.pairs if pair.mask == frame.mask)
        wanted = fit_sample(read_pair(pair, COOKING, Layout(), SPEC), SPEC)
        assert np.array_equal(decoded.samples[decoded.pairs.index(pair)].truth, wanted.truth)

    def test_any_cut_or_flipped_bit_of_the_truths_is_survived(self, old):
        wanted = [sample.truth.copy() for sample in decode(old).samples]
        path = (old / PLACE).with_name("truths.npz")
        data = path.read_bytes()
        for position in np.random.default_rng(0).integers(0, len(data), 20).tolist():
            for damaged in (
                data[:position],
                data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :],
            ):
                path.write_bytes(damaged)
                assert all(map(np.array_equal, wanted, (sample.truth for sample in decode(old).samples)))

    def test_digests_are_the_same_however_they_come(self, old, tmp_path):
        first = decode(old)
        moved = shutil.copytree(old, tmp_path / "moved", ignore=shutil.ignore_patterns(".cookseg"))
        assert first.sha256 == decode(old).sha256 == decode(moved).sha256
        found = require_sound(survey(moved, quick=True, spec=SPEC))
        assert decoding.DecodedSet.of_survey(found).sha256 == first.sha256
