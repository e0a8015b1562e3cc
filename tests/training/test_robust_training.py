"""Runs that are killed, disks that are full, and sets with little in them."""

import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import cv2
import pytest
import torch
from click.testing import CliRunner

from cookseg.training import checkpoint, cli
from cookseg.training.cli import main

pytestmark = pytest.mark.integration

# every validation is followed by a checkpoint, instead of one in 15 seconds
EAGER = (
    "import torch; torch.set_num_threads(1); from cookseg.training import trainer; trainer.SECONDS_BETWEEN_SAVES = 0;"
    " from cookseg.training.cli import main; main()"
)
OPTIONS = ["--imgsz", "32", "--epochs", "80", "--batch", "4", "--model", "edge-s", "--patience", "0", "--no-check"]


def start(data, run, *arguments, **options):
    command = [sys.executable, "-c", EAGER, data, "-o", run, *arguments]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen([*map(str, command)], text=True, **pipes, **options)


def complete(process):
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def test_a_run_killed_at_any_moment_ends_with_the_weights_of_one_that_was_not(scenes, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    complete(start(scenes, whole, *OPTIONS))
    arguments, steps = OPTIONS, []
    for _ in range(3):
        process = start(scenes, killed, *arguments)
        before = (killed / "last.pt").stat().st_mtime_ns if (killed / "last.pt").exists() else 0
        while process.poll() is None:
            if (killed / "last.pt").exists() and (killed / "last.pt").stat().st_mtime_ns > before:
                time.sleep(random.uniform(0, 0.1))
                break
            time.sleep(0.01)
        process.kill()
        process.communicate()
        arguments = ["--resume"]
        steps.append(checkpoint.load(killed / "last.pt")["run"]["progress"]["step"])
    assert 0 < steps[0] < steps[-1] < 160, f"the kills came too late to show anything: {steps}"
    (killed / ".0123456789abcdef.tmp").write_bytes(b"half a checkpoint")
    complete(start(scenes, killed, "--resume"))
    first, second = (checkpoint.load(run / "last.pt") for run in (whole, killed))
    assert first["run"]["progress"]["step"] == second["run"]["progress"]["step"] == 160
    for name in first["weights"]:
        assert torch.equal(first["weights"][name], second["weights"][name]), name
    best = [checkpoint.load(run / "best.pt")["weights"] for run in (whole, killed)]
    assert all(torch.equal(best[0][name], best[1][name]) for name in best[0])
    assert not list(killed.glob(".*"))


def test_a_full_disk_is_an_error_and_the_last_checkpoint_still_resumes(scenes, tmp_path, monkeypatch):
    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(cli, "_signals", lambda: nullcontext([signal.SIGTERM]))  # after the first step
        stopped = CliRunner().invoke(main, [str(scenes), "-o", str(run), *OPTIONS])
    assert stopped.exit_code == 128 + signal.SIGTERM, stopped.stderr
    before = (run / "last.pt").read_bytes()
    limit = len(before) // 2  # of the size of any file: what a disk with that much room left does to a checkpoint

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start(scenes, run, "--resume", preexec_fn=full)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "cannot be written: File too large; check that" in errors
    assert "Traceback" not in errors
    assert (run / "last.pt").read_bytes() == before
    assert not list(run.glob(".*"))
    complete(start(scenes, run, "--resume"))


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
