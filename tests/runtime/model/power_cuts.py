"""Installations and returns that are killed at every step, and what is left of them.

`python tests/runtime/model/power_cuts.py install 500` kills that many installations, or with `rollback` that many
returns, and prints what was found.
"""

import collections
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from cookseg.runtime.model import installation
from cookseg.runtime.model.installation import install, rollback
from cookseg.runtime.model.seal import seal

GOLDEN = Path(__file__).parents[2] / "appliance/golden/model.onnx"


def version(number):
    """Return a model that differs from others in its documentation, as protobuf appends a field, under its own seal."""
    doc = f"version {number}".encode()
    return seal(GOLDEN.read_bytes()[:-84] + b"\x32" + bytes([len(doc)]) + doc)


def trust(_):
    """Prove nothing, in no time."""


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def kill(action, count):
    """Kill installations or returns: before each of their system calls, then at random lines; check what is left."""
    oldest, old, new = (version(number) for number in range(3))
    wanted = new if action == "install" else oldest
    found = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        folder, source = Path(name, "installed"), Path(name, "source.onnx")
        source.write_bytes(wanted)
        act = (lambda: install(source, folder, trust)) if action == "install" else (lambda: rollback(folder, trust))
        step, lines = 1, 0
        for _ in range(count):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "model.onnx").write_bytes(old)
            (folder / "previous.onnx").write_bytes(oldest)
            killed, ran = interrupted(act, step, random.randint(1, max(1, lines)))
            lines = max(lines, ran)  # in the end, those of the one that came through
            how = ("killed at a call" if step else "killed at random") if killed else "came through"
            found[f"{how}, {look(folder, oldest, old, wanted)}"] += 1
            install(source, folder, trust)
            assert files(folder) == ["model.onnx", "previous.onnx"]
            assert look(folder, oldest, old, wanted) == "switched"
            if step and not killed:
                assert step > 8, f"an installation took {step - 1} calls: were they counted?"
            step = step + 1 if step and killed else None  # when it came through, go on at random
    return found


def interrupted(act, step, line):
    """Act in a process that is killed before its nth call, or from outside at its nth line.

    It tells every line of Python that it runs through a pipe: the kill from outside waits for a line, not for a time.

    Returns:
        Whether it was killed, and the lines that it ran.
    """
    receiver, sender = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            if step:
                die_before(step)
            tell_lines(sender)
            act()
            code = 0
        finally:
            os._exit(code)
    os.close(sender)
    lines = 0
    while told := os.read(receiver, 1 if not step and lines < line else 1 << 16):
        lines += len(told)
        if not step and lines == line:
            os.kill(child, signal.SIGKILL)  # it runs on until this arrives: in the middle of a system call, perhaps
    os.close(receiver)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or status == 0, "an installation failed"
    return os.WIFSIGNALED(status), lines


def tell_lines(sender):
    """Write a byte to a pipe for every line of Python that is run from now on."""

    def trace(_frame, event, _argument):
        if event == "line":
            os.write(sender, b".")
        return trace

    sys.settrace(trace)


def look(folder, oldest, old, wanted):
    """Return on which side of the switch a folder is; anything else fails."""
    current = (folder / "model.onnx").read_bytes()
    previous = installation._previous(folder).read_bytes()
    if (current, previous) == (old, oldest):
        return "not switched"
    assert (current, previous) == (wanted, old)
    return "switched"


def die_before(step):
    """Have this process killed before its nth system call that changes or flushes a file's name or content.

    Opening a file counts twice: a kill after it finds the file empty, as a write that was cut short would.
    """
    calls = 0

    def count():
        nonlocal calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(real):
        def call(*arguments, **options):
            count()
            result = real(*arguments, **options)
            if real is opened:
                count()
            return result

        return call

    opened = io.open
    io.open = counted(opened)
    for name in ("fsync", "replace", "unlink", "open", "utime"):
        setattr(os, name, counted(getattr(os, name)))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(kill(sys.argv[1], int(sys.argv[2]))))
