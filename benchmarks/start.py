"""How long `cook-train` takes from its launch to its first step, on a set that it has seen before and on a new one.

Run it as ``cook-bench start DATA``. The command itself is timed, in a new process each time, until it
says that it trains; then it is killed. With ``--against`` another build takes turns with this one, so a slow moment of
the machine falls on both: trust the ratio, on a busy machine that of the processors' seconds.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click

from cookseg.data.manifest import PLACE
from cookseg.runtime.errors import CheckFailedError
from cookseg.runtime.results import Table
from cookseg.runtime.terminal import console, params

_SAYS = "training "  # the beginning of the line before the first step


@dataclass(frozen=True)
class Starts:
    """Time to the first step by build and start, ``first`` without a manifest and ``second`` with it; a result.

    Attributes:
        data: The dataset.
        times: Seconds by the clock, and of all processors, of each start.
    """

    data: Path
    times: dict[tuple[str, str], list[tuple[float, float]]]

    def to_dict(self) -> dict[str, Any]:
        """Return all times as JSON values."""
        rows = [
            {
                "build": build,
                "start": start,
                "seconds": [t[0] for t in times],
                "processor_seconds": [t[1] for t in times],
            }
            for (build, start), times in self.times.items()
        ]
        return {"data": str(self.data), "starts": rows}

    def tables(self) -> Iterable[Table]:
        """Return the medians, and what share of the last build's first start they are."""
        medians = {key: [median(values) for values in zip(*times, strict=True)] for key, times in self.times.items()}
        last = [values for (_, start), values in medians.items() if start == "first"][-1]
        rows = [
            [
                *key,
                *(f"{value:.2f}" for pair in zip(values, last, strict=True) for value in (pair[0], pair[0] / pair[1])),
            ]
            for key, values in medians.items()
        ]
        yield Table(["build", "start", "seconds", "ratio", "processor seconds", "ratio"], rows)


def time_start(data: Path, arguments: list[str], build: Path | None = None) -> tuple[float, float]:
    """Return the seconds by the clock, and of all processors, from the launch of `cook-train` to its first step.

    Args:
        data: The dataset.
        arguments: Further arguments of the command.
        build: Folder that holds the package ``cookseg`` to run; None is this one.

    Raises:
        CheckFailedError: The command ends before that.
    """
    environment = os.environ | ({"PYTHONPATH": str(build)} if build else {})
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "cookseg.training", str(data), "-o", str(Path(folder, "run")), *arguments]
        began, used = time.perf_counter(), _processor_seconds()
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603
            assert process.stderr
            said = []
            for line in process.stderr:
                said.append(line)
                if line.startswith(_SAYS):
                    seconds = time.perf_counter() - began
                    process.kill()
                    process.wait()
                    return seconds, _processor_seconds() - used
    raise CheckFailedError(f"cook-train ended before its first step:\n{''.join(said)}")


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@click.command(cls=console.Command, epilog="Example: cook-bench start data/sets/demo --rounds 5")
@click.argument("data", type=params.folder_argument)
@click.option("--against", type=params.folder_argument, help="Folder with another build of the package cookseg.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Times that each is started.")
@click.option("--imgsz", default="256", show_default=True, help="Network input.")
@params.json_option
def main(data: Path, against: Path | None, rounds: int, imgsz: str, as_json: bool) -> None:
    """Time the start of `cook-train` on DATA, whose manifest is removed for every first start."""
    builds = {"this": None} | ({"other": against} if against else {})
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name, build in builds.items():
            shutil.rmtree(data / PLACE.parent, ignore_errors=True)
            for start in ("first", "second"):
                taken = time_start(data, ["--imgsz", imgsz, "--epochs", "1"], build)
                times.setdefault((name, start), []).append(taken)
    console.emit(as_json, Starts(data, times))
