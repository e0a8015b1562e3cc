"""The newest frame always: its age is bounded by the network's time, whatever the camera's speed.

Time is counted in frames of a camera that delivers so many for each run of the network, and is held in between.
"""

import threading

import numpy as np
import pytest

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.stream import latest
from cookseg.runtime.stream.latest import run_latest
from cookseg.runtime.stream.sinks import Sink

WAIT = 20  # seconds until a test gives up on a state that should come at once


class Camera:
    """Delivers one frame, and others when it is told to, and a clock that ticks with each.

    Attributes:
        now: Frames that were delivered: the time.
        closed: Whether its iterator was closed.
        wanted: Frames that it may deliver.
    """

    def __init__(self, count, error=None):
        self.count, self.error = count, error
        self.now, self.closed = 0, False
        self.wanted, self._delivered = threading.Semaphore(0), threading.Semaphore(0)

    def __iter__(self):
        try:
            while self.now < self.count:
                assert not self.now or self.wanted.acquire(timeout=WAIT)
                self.now += 1
                yield Frame.of(np.zeros((8, 8, 3), np.uint8), str(self.now))
                if self.now > 1:
                    self._delivered.release()  # whoever took it has come back for the next one
            if self.error:
                raise self.error
        finally:
            self.closed = True

    def deliver(self, count):
        """Have frames delivered, and wait until they have been taken."""
        for _ in range(min(count, self.count - self.now)):
            self.wanted.release()
            assert self._delivered.acquire(timeout=WAIT)


class Names(Sink):
    def __init__(self):
        self.names, self.left = [], False

    def __exit__(self, *_):
        self.left = True

    def write(self, frame, segmentation):
        self.names.append(frame.name)


@pytest.fixture(autouse=True)
def threads():
    """No thread that a test starts is left."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def slow(segmenter, camera, frames, monkeypatch):
    """Make the network last as long as the camera takes for so many frames, and time the camera's."""
    real = segmenter.engine

    def engine(batch):
        camera.deliver(frames)
        return real(batch)

    monkeypatch.setattr(segmenter, "engine", engine)
    monkeypatch.setattr(latest, "monotonic", lambda: camera.now)


def test_the_age_stays_below_two_network_times_and_drops_are_counted(segmenter, monkeypatch):
    camera, sink = Camera(1000), Names()
    slow(segmenter, camera, 10, monkeypatch)
    found = list(run_latest(camera, segmenter, [sink]))
    assert len(found) > 90
    assert max(each.age for each in found) < 2 * 10
    assert sum(each.dropped for each in found) + len(found) == 1000
    assert [each.dropped for each in found[1:-1]] == [9] * (len(found) - 2)
    assert [each.origin for each in found] == sink.names
    assert sink.names == sorted(sink.names, key=int)
    assert sink.names[-1] == "1000"  # the last one is not lost
    assert all(each.failure is None for each in found)
    assert camera.closed
    assert sink.left


def test_a_slow_camera_has_every_frame_segmented(segmenter):
    camera, sink = Camera(20), Names()
    for each in run_latest(camera, segmenter, [sink]):
        assert each.dropped == 0
        camera.wanted.release()
    assert sink.names == [str(n) for n in range(1, 21)]


def test_an_error_of_the_source_comes_after_its_last_frame(segmenter):
    camera, sink = Camera(1, OSError("the camera was unplugged")), Names()
    with pytest.raises(OSError, match="unplugged"):
        list(run_latest(camera, segmenter, [sink]))
    assert sink.names == ["1"]
    assert sink.left


def test_a_source_that_cannot_even_start_is_an_error(segmenter):
    class Missing:
        def __iter__(self):
            raise InputError("/dev/video0: no such camera")

    with pytest.raises(InputError, match="no such camera"):
        list(run_latest(Missing(), segmenter, []))


def test_a_sink_that_cannot_write_ends_it(segmenter):
    class Full(Names):
        def write(self, frame, segmentation):
            raise InputError("No space left on device")

    def camera():
        while True:
            yield Frame.of(np.zeros((8, 8, 3), np.uint8), "a")

    sink = Full()
    with pytest.raises(InputError, match="No space left"):
        list(run_latest(camera(), segmenter, [sink]))
    assert sink.left


@pytest.mark.parametrize("how", ["event", "close", "event from another thread"])
def test_it_ends_when_it_is_told_to(segmenter, how):
    closed, stop = [], threading.Event()

    def camera():
        try:
            while True:
                yield Frame.of(np.zeros((8, 8, 3), np.uint8), "a")
        finally:
            closed.append(True)

    sink = Names()
    running = run_latest(camera(), segmenter, [sink], stop=stop)
    next(running)
    if how == "close":
        running.close()
    elif how == "event":
        stop.set()
        assert list(running) == []
    else:
        setter = threading.Thread(target=stop.set)
        setter.start()
        for _ in running:
            pass
        setter.join()
    assert closed
    assert sink.left


def test_it_ends_while_it_waits_for_a_frame(segmenter):
    """The camera delivers one frame, and the next only when the run wants to end."""
    stop, waiting, taken = threading.Event(), threading.Event(), threading.Event()

    def camera():
        yield Frame.of(np.zeros((8, 8, 3), np.uint8), "a")
        waiting.set()
        assert stop.wait(WAIT)
        yield Frame.of(np.zeros((8, 8, 3), np.uint8), "b")

    def end():
        assert waiting.wait(WAIT)
        assert taken.wait(WAIT)
        stop.set()

    ender = threading.Thread(target=end)
    ender.start()
    origins = []
    for each in run_latest(camera(), segmenter, [], stop=stop):
        origins.append(each.origin)
        taken.set()
    ender.join()
    assert origins == ["a"]


def test_a_bad_frame_is_told_and_the_next_one_segmented(segmenter):
    class Bad:
        origin = "bad"

        def decode(self, spec):
            raise InputError("bad is damaged")

    camera = threading.Semaphore(1)

    def source():
        for each in (Bad(), Frame.of(np.zeros((8, 8, 3), np.uint8), "good")):
            assert camera.acquire(timeout=WAIT)
            yield each

    found = []
    for each in run_latest(source(), segmenter, []):
        found.append((each.origin, each.failure and each.failure.message))
        camera.release()
    assert found == [("bad", "bad is damaged"), ("good", None)]
