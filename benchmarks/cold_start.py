"""Cold start of an appliance's process: ``python -m cookseg.benchmarks.cold_start MODEL DEVICE MODE IMAGE``.

That process loads a model, segments one image and prints its peak memory; `cold_start` launches and times it.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cookseg.runtime import Segmenter


@dataclass(frozen=True)
class ColdStart:
    """Launch of a new process to its first mask: seconds, and peak resident bytes (None where unknown)."""

    seconds: float
    peak_bytes: int | None


def cold_start(model: Path, image: Path, device: str, mode: str) -> ColdStart:
    """Launch a process that loads a model and segments one image file."""
    from cookseg.export.latency import timed  # noqa: PLC0415 - the launched process needs the runtime alone

    command = [sys.executable, "-m", "cookseg.benchmarks.cold_start", str(model), device, mode, str(image)]
    result, seconds = timed(lambda: subprocess.run(command, capture_output=True, text=True, check=True))  # noqa: S603
    peak = int(result.stdout)
    return ColdStart(seconds, peak if peak > 0 else None)


def main(model: str, device: str, mode: str, image: str) -> None:
    """Segment one image, and print the peak memory of this process in bytes, or -1 where it is unknown."""
    segmenter = Segmenter.load(model, device, mode)  # type: ignore[arg-type]  # a name of MODES
    _ = segmenter.predict(image).color
    try:  # not ru_maxrss: Linux hands the launching process's peak on to the child
        status = Path("/proc/self/status").read_text()
        print(int(status.split("VmHWM:")[1].split()[0]) * 1024)  # noqa: T201 - its result
    except OSError:
        print(-1)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
