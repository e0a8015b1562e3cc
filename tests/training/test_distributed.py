"""Training in several processes: the same as in one, and what happens when one of them dies or all are stopped."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest
import torch

from cookseg.training import checkpoint

pytestmark = pytest.mark.integration


def torchrun(count, *arguments, **options):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", count, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True, env=environment, **options)


def cook_train(count, data, run, *options):
    fixed = () if "--resume" in options else ("--imgsz", 32, "--precision", "float32", "--no-check")
    return torchrun(count, "-m", "cookseg.training", data, "-o", run, *fixed, *options)


def finish(process, code=0):
    _, errors = process.communicate(timeout=300)
    assert (process.returncode == 0) == (code == 0), errors
    return errors


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(0.05)


def curve(run):
    return [float(row["train_loss"]) for row in csv.DictReader((run / "metrics.csv").read_text().splitlines())]


@pytest.mark.parametrize(("count", "mode"), [(2, ""), (3, ""), (2, "qat"), (3, "teacher")])
def test_several_processes_train_as_one_does(tmp_path, count, mode):
    """Shares are unequal, classes and pixels without truth unevenly spread: five frames over two or three processes."""
    torch.set_num_threads(1)
    (tmp_path / "one").mkdir()
    one = processes.train(tmp_path / "one", mode)
    file = tmp_path / "several.pt"
    finish(torchrun(count, processes.__file__, file, mode))
    several = torch.load(file)
    # sums in another order; a process's own batch norms, loss or gradients are wrong in the second digit
    for a, b in zip(one["gradients"], several["gradients"], strict=True):
        assert (a - b).norm() <= 1e-5 * a.norm()
    for a, b in zip(one["statistics"], several["statistics"], strict=True):
        torch.testing.assert_close(b, a, rtol=1e-12, atol=1e-12)
    assert several["losses"] == pytest.approx(one["losses"], rel=1e-5)
    for a, b in zip(one["history"], several["history"], strict=True):
        assert b == pytest.approx(a, rel=1e-5)


def test_a_run_resumes_with_another_number_of_processes(scenes, tmp_path):
    options = ["--epochs", 60, "--batch", 4, "--lr", 0.0005]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    finish(cook_train(1, scenes, whole, *options))
    process = cook_train(2, scenes, parts, *options)
    wait_for(parts / "metrics.csv", process)
    process.send_signal(signal.SIGTERM)
    assert "stopped by SIGTERM" in finish(process, code=1)
    stopped = checkpoint.load(parts / "last.pt")["run"]["progress"]["step"]
    assert 0 < stopped < 120
    errors = finish(cook_train(1, scenes, parts, "--resume"))
    assert "Error" not in errors
    assert curve(parts) == pytest.approx(curve(whole), rel=0.05)


def test_the_death_of_one_process_ends_the_run_with_a_message(scenes, tmp_path):
    process = cook_train(2, scenes, tmp_path / "run", "--epochs", 1000)
    wait_for(tmp_path / "run/metrics.csv", process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    errors = finish(process, code=1)
    assert "process 0 of 2 lost another one" in errors
    assert "--resume continues" in errors


def test_a_batch_smaller_than_the_processes_is_refused(scenes, tmp_path):
    errors = finish(cook_train(3, scenes, tmp_path / "run", "--batch", 2), code=1)
    assert "--batch 2: give each of the 3 processes a frame" in errors
    assert not (tmp_path / "run").exists()
