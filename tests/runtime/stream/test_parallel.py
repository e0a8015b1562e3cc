"""Mapping over cores: as many processes as this one may use cores, results in order, no pool where it does not pay."""

import os
import signal

import pytest

from cookseg.runtime.errors import CooksegError
from cookseg.runtime.stream import parallel
from cookseg.runtime.stream.parallel import map_on_cores


def worker(_):
    return os.getpid()


def square(number):
    return number * number


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


def dies(number):
    if number == 50:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_process_that_is_killed_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    with pytest.raises(CooksegError, match=r"one of 2 processes was killed, .* memory runs out"):
        list(map_on_cores(dies, range(100)))


def test_there_are_no_more_processes_than_the_work_needs(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 12)
    assert len(set(map_on_cores(worker, range(40), chunk=20))) <= 2
    assert set(map_on_cores(worker, range(40), chunk=40)) == {os.getpid()}
