"""Training in several processes: the same as in one, and what happens when one of them dies or all are stopped."""

import csv
import gc
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import processes
import pytest
import torch
from click.testing import CliRunner

from cookseg.training import checkpoint, distributed
from cookseg.training.cli import main

pytestmark = pytest.mark.integration


OPTIONS = ("--imgsz", 32, "--precision", "float32", "--no-check")


def start(*arguments):
    return subprocess.Popen([sys.executable, *map(str, arguments)], stderr=subprocess.PIPE, text=True)


def torchrun(program, data, run, *options):
    """Start cook-train in two processes as users do."""
    command = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2, *program)
    return start(*command, data, "-o", run, *OPTIONS, *options)


def cook_train(data, run, *options):
    """Run cook-train in this process."""
    done = CliRunner().invoke(main, [*map(str, [data, "-o", run, *options])])
    assert done.exit_code == 0, done.stderr
    return done.stderr


def finish(process, code=0):
    _, errors = process.communicate(timeout=300)
    assert (process.returncode == 0) == (code == 0), errors
    return errors


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(0.05)


def curve(run):
    return [float(row["train_loss"]) for row in csv.DictReader((run / "metrics.csv").read_text().splitlines())]


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """What trainings in two and in three processes found, by their number and mode."""
    found = {}
    for count, modes in ((2, ("", "qat")), (3, ("", "teacher", "unlabelled"))):
        file = tmp_path_factory.mktemp("several") / "found.pt"
        finish(start(processes.__file__, "noise", count, file, *modes))
        found |= {(count, mode): value for mode, value in torch.load(file).items()}
    return found


@pytest.mark.parametrize(("count", "mode"), [(2, ""), (3, ""), (2, "qat"), (3, "teacher"), (3, "unlabelled")])
def test_several_processes_train_as_one_does(tmp_path, several, count, mode):
    """Shares are unequal, classes and pixels without truth unevenly spread: five frames over two or three processes."""
    one, several = processes.train(tmp_path, mode), several[count, mode]
    # sums in another order; a process's own batch norms, loss or gradients are wrong in the second digit
    for a, b in zip(one["gradients"], several["gradients"], strict=True):
        assert (a - b).norm() <= 1e-5 * a.norm()
    for a, b in zip(one["statistics"], several["statistics"], strict=True):
        torch.testing.assert_close(b, a, rtol=1e-12, atol=1e-12)
    assert several["losses"] == pytest.approx(one["losses"], rel=1e-5)
    for a, b in zip(one["history"], several["history"], strict=True):
        assert b == pytest.approx(a, rel=1e-5)


def test_a_run_resumes_with_another_number_of_processes(scenes, tmp_path):
    options = ("--epochs", 20, "--batch", 4, "--lr", 0.0005)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    cook_train(scenes, whole, *OPTIONS, *options)
    process = torchrun((processes.__file__, "patient"), scenes, parts, *options)
    wait_for(parts / "metrics.csv", process)
    process.send_signal(signal.SIGTERM)
    assert "stopped by SIGTERM" in finish(process, code=1)
    stopped = checkpoint.load(parts / "last.pt")["run"]["progress"]["step"]
    assert 0 < stopped <= 5
    assert "Error" not in cook_train(scenes, parts, "--resume")
    assert curve(parts) == pytest.approx(curve(whole), rel=0.05)


def test_the_death_of_one_process_ends_the_run_with_a_message(scenes, tmp_path):
    process = torchrun(("-m", "cookseg.training"), scenes, tmp_path / "run", "--epochs", 1000)
    wait_for(tmp_path / "run/metrics.csv", process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    errors = finish(process, code=1)
    assert "process 0 of 2 lost another one" in errors
    assert "--resume continues" in errors


def test_a_batch_smaller_than_the_processes_is_refused(scenes, tmp_path):
    command = (processes.__file__, "cook-train", 3, scenes, "-o", tmp_path / "run", *OPTIONS, "--batch", 2)
    errors = finish(start(*command), code=1)
    assert "--batch 2: give each of the 3 processes a frame" in errors
    assert not (tmp_path / "run").exists()


def test_a_group_outlives_whoever_held_it():
    """The end of a run would hang now and then where the last holder took the group, and gloo's threads, with it."""

    class Group:
        pass

    group = Group()
    alive = weakref.ref(group)
    distributed._keep_until_exit(group)
    del group
    gc.collect()
    assert alive() is not None
