"""Cores: those that this process is bound to, and no more than a container's quota pays for."""

import os
import subprocess
import sys

import pytest

from cookseg.runtime import cores as module
from cookseg.runtime.cores import cores, quota, threads_of_quota


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not bind processes to cores")
def test_cores_are_those_that_this_process_may_use():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from cookseg.runtime.cores import cores; print(cores())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
    assert cores() == len(os.sched_getaffinity(0))


def test_where_a_system_does_not_tell_all_cores_count(monkeypatch):
    monkeypatch.setattr(module, "quota", lambda: None)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


def test_counting_cores_loads_no_multiprocessing():
    code = "import sys; from cookseg.runtime.cores import cores;cores(); print('multiprocessing' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def grouped(root, groups, mounts, files):
    """A root folder with what the system tells of control groups."""
    lines = {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts, **files}
    for name, text in lines.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V2 = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw\n"
V1 = "31 24 0:27 {root} /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "expected"),
    [
        ("0::/\n", V2.format(root="/"), {"sys/fs/cgroup/cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", V2.format(root="/"), {"sys/fs/cgroup/cpu.max": "250000 100000\n"}, 3),
        ("0::/\n", V2.format(root="/"), {"sys/fs/cgroup/cpu.max": "20000 100000\n"}, 1),
        ("0::/\n", V2.format(root="/"), {"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        (
            "0::/slice/unit\n",
            V2.format(root="/"),
            {
                "sys/fs/cgroup/slice/unit/cpu.max": "max 100000\n",
                "sys/fs/cgroup/slice/cpu.max": "200000 100000\n",
            },
            2,
        ),
        (
            "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n0::/\n",
            V1.format(root="/docker/a"),
            {
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
        (
            "4:cpu,cpuacct:/\n",
            V1.format(root="/"),
            {
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ("nonsense\n", "nonsense\n", {}, None),
    ],
)
def test_a_quota_is_rounded_up_to_cores(tmp_path, groups, mounts, files, expected):
    assert quota(grouped(tmp_path, groups, mounts, files)) == expected


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert quota(tmp_path) is None


def test_the_smaller_of_binding_and_quota_counts(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for allowed, expected in ((None, 8), (3, 3), (64, 8)):
        monkeypatch.setattr(module, "quota", lambda allowed=allowed: allowed)
        assert cores() == expected
        assert threads_of_quota() == (3 if allowed == 3 else 0)
