"""A run that is killed in the middle of a step and of a checkpoint, resumed each time, and one that is left alone.

`python tests/training/kills.py DATA FOLDER OPTION...` trains DATA into FOLDER/whole and FOLDER/killed, and prints the
step of the checkpoint that each kill left, and the temporary files beside it. torch is imported once; each attempt is a
fork, killed by itself at a given call, so that no kill can come too early or too late.
"""

import json
import os
import signal
import sys
from pathlib import Path

from cookseg.evaluation.run import Run
from cookseg.runtime import files
from cookseg.training import checkpoint, runs, trainer  # noqa: F401 - runs: imported once, not by every fork
from cookseg.training.cli import main

trainer.SECONDS_BETWEEN_SAVES = 0  # every validation is followed by a checkpoint, instead of one in 15 seconds


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def before_step(number):
    """Die before a step of this process: the ones since the last checkpoint are lost."""
    step, calls = trainer.Trainer.step, iter(range(1, number))

    def counted(*arguments):
        return step(*arguments) if next(calls, None) else die()

    trainer.Trainer.step = counted


def while_saving(number):
    """Die when the last file of a checkpoint is written, but has not got its name."""
    write, calls = checkpoint.write_atomically, iter(range(1, number))

    def counted(path, data):
        if path == Run(path.parent).last and not next(calls, None):
            files.os.fsync = die
        write(path, data)

    checkpoint.write_atomically = counted


def after_saving(number):
    """Die as soon as a checkpoint is there."""
    save, calls = trainer.Trainer.save, iter(range(1, number))

    def counted(*arguments):
        save(*arguments)
        if not next(calls, None):
            die()

    trainer.Trainer.save = counted


def attempt(arguments, moment=None, number=0):
    """Run cook-train in a process of its own, which dies at a moment; return its exit code, or minus the signal."""
    child = os.fork()
    if not child:
        code = 1
        try:
            if moment:
                moment(number)
            main([*map(str, arguments)])
        except SystemExit as end:
            code = end.code or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def interrupt(data, folder, options):
    """Return what each kill left: exit code, step of the checkpoint, number of temporary files."""
    whole, killed = folder / "whole", folder / "killed"
    assert attempt([data, "-o", whole, *options]) == 0
    left = []
    for moment, number in ((before_step, 4), (while_saving, 2), (after_saving, 1)):
        code = attempt([data, "-o", killed, *(["--resume"] if left else options)], moment, number)
        step = checkpoint.load(Run(killed).last)["run"]["progress"]["step"]
        left.append((code, step, len(list(killed.glob(".*.tmp")))))
    assert attempt([data, "-o", killed, "--resume"]) == 0
    return left


if __name__ == "__main__":
    sys.stdout = sys.stderr  # what the command prints
    found = interrupt(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    sys.__stdout__.write(json.dumps(found))
