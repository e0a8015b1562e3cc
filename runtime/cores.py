"""Cores that this process may use: those that it is bound to, and no more than its container's quota pays for."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath


def cores() -> int:
    """Return how many cores this process may use: `taskset`, a scheduler or a container may give it fewer than all."""
    return min(_bound(), quota() or _bound())


def threads_of_quota() -> int:
    """Return `cores` where a quota is what limits them, else 0: libraries see bindings for themselves, but no quota."""
    return cores() if cores() < _bound() else 0


def quota(root: Path = Path("/")) -> int | None:
    """Return how many cores the quotas of Linux's control groups allow, rounded up; None where there is none.

    Args:
        root: Folder that ``proc`` and the groups' file systems are in.
    """
    allowed = [share for folder in _groups(root) if (share := _share(folder)) is not None]
    return max(1, math.ceil(min(allowed))) if allowed else None


def _bound() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups that may limit processors, and of those around them."""
    with suppress(OSError, ValueError):  # no Linux, or a container that does not show them
        groups = [line.split(":", 2)[1:] for line in (root / "proc/self/cgroup").read_text().splitlines()]
        paths = {name: PurePosixPath(path) for names, path in groups for name in names.split(",")}
        for line in (root / "proc/self/mountinfo").read_text().splitlines():
            place, _, kind = line.partition(" - ")
            mounted, folder = place.split()[3:5]
            system, _, options = kind.split()[:3]
            name = {"cgroup2": "", "cgroup": "cpu"}.get(system)  # version 2 names no controllers
            if name not in paths or (name and name not in options.split(",")):
                continue
            path = paths[name]
            below = path.relative_to(mounted) if path.is_relative_to(mounted) else PurePosixPath()
            top = root / folder.lstrip("/")
            yield from (top / part for part in (below, *below.parents))


def _share(group: Path) -> float | None:
    """Return how many cores a control group allows, by its files of version 2 or 1."""
    with suppress(OSError, ValueError):
        amount, period = (group / "cpu.max").read_text().split()
        return None if amount == "max" else int(amount) / int(period)
    with suppress(OSError, ValueError):
        amount, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(amount) / int(period) if int(amount) > 0 else None
    return None
