"""Mapping over cores: as many processes as this one may use cores, results in order, no pool where it does not pay."""

import os
import subprocess
import sys

import pytest

from cookseg.runtime.stream import parallel
from cookseg.runtime.stream.parallel import cores, map_on_cores


def worker(_):
    return os.getpid()


def square(number):
    return number * number


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not bind processes to cores")
def test_cores_are_those_that_this_process_may_use():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from cookseg.runtime.stream.parallel import cores; print(cores())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
    assert cores() == len(os.sched_getaffinity(0))


def test_where_a_system_does_not_tell_all_cores_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


def test_results_are_in_order_and_made_by_no_more_processes_than_cores(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    assert list(map_on_cores(square, range(100))) == [n * n for n in range(100)]
    pids = set(map_on_cores(worker, range(100), chunk=1))
    assert os.getpid() not in pids
    assert len(pids) <= 2


@pytest.mark.parametrize(("processes", "items"), [(1, 100), (2, 5)])
def test_no_process_is_started_for_one_core_or_few_items(monkeypatch, processes, items):
    monkeypatch.setattr(parallel, "cores", lambda: processes)
    assert set(map_on_cores(worker, range(items))) == {os.getpid()}


def test_counting_cores_loads_no_multiprocessing():
    code = (
        "import sys; from cookseg.runtime.stream.parallel import cores;cores(); print('multiprocessing' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
