"""Runs that are killed, disks that are full, and sets with little in them."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext

import cv2
import kills
import pytest
import torch
from click.testing import CliRunner

from cookseg.training import checkpoint, cli, trainer
from cookseg.training.cli import main

pytestmark = pytest.mark.integration

OPTIONS = ["--imgsz", "32", "--epochs", "6", "--batch", "4", "--model", "edge-s", "--patience", "0", "--no-check"]


def test_a_run_killed_at_any_moment_ends_with_the_weights_of_one_that_was_not(scenes, tmp_path):
    """Two steps an epoch, a checkpoint after each: before the fourth step, in the third checkpoint, after the next."""
    command = [sys.executable, kills.__file__, scenes, tmp_path, *OPTIONS]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    left = json.loads(done.stdout)
    assert [code for code, *_ in left] == [-signal.SIGKILL] * 3
    assert [step for _, step, _ in left] == [2, 4, 6]
    assert [files for *_, files in left] == [0, 1, 0]  # half a checkpoint, which the next attempt removes
    first, second = (checkpoint.load(tmp_path / run / "last.pt") for run in ("whole", "killed"))
    assert first["run"]["progress"]["step"] == second["run"]["progress"]["step"] == 12
    for name in first["weights"]:
        assert torch.equal(first["weights"][name], second["weights"][name]), name
    best = [checkpoint.load(tmp_path / run / "best.pt")["weights"] for run in ("whole", "killed")]
    assert all(torch.equal(best[0][name], best[1][name]) for name in best[0])
    assert not list((tmp_path / "killed").glob(".*"))


@contextmanager
def full_disk(limit):
    """Limit the size of any file that this process writes, as a disk with that much room left does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_an_error_and_the_last_checkpoint_still_resumes(scenes, tmp_path, monkeypatch):
    def train(*arguments):
        return CliRunner().invoke(main, [str(scenes), "-o", str(run), *arguments])

    monkeypatch.setattr(trainer, "SECONDS_BETWEEN_SAVES", 0)
    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(cli, "_signals", lambda: nullcontext([signal.SIGTERM]))  # after the first step
        stopped = train(*OPTIONS)
    assert stopped.exit_code == 128 + signal.SIGTERM, stopped.stderr
    before = (run / "last.pt").read_bytes()
    with full_disk(len(before) // 2):
        failed = train("--resume")
    assert failed.exit_code == 1
    assert "cannot be written: File too large; check that" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert (run / "last.pt").read_bytes() == before
    assert not list(run.glob(".*"))
    resumed = train("--resume")
    assert resumed.exit_code == 0, resumed.stderr


class TestPoorSets:
    def train(self, data, run, *options):
        arguments = [data, "-o", run, "--imgsz", "32", "--epochs", "1", "--model", "edge-s", "--no-check", *options]
        return CliRunner().invoke(main, [*map(str, arguments)])

    def test_a_batch_larger_than_the_set_is_a_warning(self, scenes, tmp_path):
        result = self.train(scenes, tmp_path / "run", "--batch", 9)
        assert result.exit_code == 0, result.stderr
        assert "warning: --batch 9 is larger than the training set" in result.stderr
        assert "--batch 8 has" in result.stderr
        assert "warning" not in self.train(scenes, tmp_path / "other", "--batch", 8).stderr

    def test_a_class_that_only_the_validation_has_is_a_warning(self, scenes, tmp_path):
        shutil.copytree(scenes, tmp_path / "data")
        for path in (tmp_path / "data/train/masks").iterdir():
            mask = cv2.imread(str(path))
            mask[mask[..., 2] > 0] = (0, 255, 0)
            cv2.imwrite(str(path), mask)
        result = self.train(tmp_path / "data", tmp_path / "run")
        assert result.exit_code == 0, result.stderr
        assert "warning: no training pixel is stirrer" in result.stderr
        assert "label some" in result.stderr

    def test_no_images_are_an_error(self, scenes, tmp_path):
        shutil.copytree(scenes, tmp_path / "data")
        for folder in ("images", "masks"):
            shutil.rmtree(tmp_path / "data/train" / folder)
            (tmp_path / "data/train" / folder).mkdir()
        result = self.train(tmp_path / "data", tmp_path / "run")
        assert result.exit_code == 1
        assert "train/images: no images here" in result.stderr
        assert not (tmp_path / "run").exists()


def test_sessions_in_both_splits_are_a_warning_with_the_option_to_type(pristine, tmp_path):
    data = shutil.copytree(pristine, tmp_path / "data")
    for folder, suffix in (("images", ".jpg"), ("masks", ".png")):
        source = min((data / "train" / folder).iterdir())
        shutil.copy(source, data / "val" / folder / f"{source.stem.rpartition('_')[0]}_9999{suffix}")
    arguments = [data, "-o", tmp_path / "run", "--imgsz", "32", "--epochs", "1", "--model", "edge-s"]
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == 0, result.stderr
    assert "warning: cooking sessions in more than one split" in result.stderr
    assert "; --session-pattern tells" in result.stderr
