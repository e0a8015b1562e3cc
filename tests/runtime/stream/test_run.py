"""All frames in order: none lost, none twice, no more in memory than promised; and what a failure ends."""

import gc
import threading
import weakref

import numpy as np
import pytest
from PIL import Image

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.contract import COOKING
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.stream.run import run
from cookseg.runtime.stream.sinks import ColorMaskSink, OverlaySink, Sink
from cookseg.runtime.stream.sources import FileSource

WAIT = 20  # seconds until a test gives up on a state that should come at once


def frame(number):
    return Frame.of(np.full((20, 40, 3), COOKING.colors[number % 3], np.uint8), f"{number:02}")


class Kept(Sink):
    """Keeps names and classes in the order in which they come, and the threads that bring them."""

    def __init__(self):
        self.names, self.classes, self.threads, self.state = [], [], set(), []

    def __enter__(self):
        self.state.append("entered")
        return self

    def __exit__(self, *_):
        self.state.append("left")

    def write(self, frame, segmentation):
        self.names.append(frame.name)
        self.classes.append(int(segmentation.class_map[0, 0]))
        self.threads.add(threading.current_thread())


class KeptInParallel(Kept):
    parallel = True


@pytest.fixture
def threads():
    """No thread that a test starts is left."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


pytestmark = pytest.mark.usefixtures("threads")


@pytest.mark.parametrize("workers", [1, 4])
def test_results_come_in_order_whatever_the_number_of_threads(segmenter, workers):
    """Of every two frames the first is held in the network until the second has been there."""
    seen = [threading.Event() for _ in range(30)]

    def network(frames):
        scores = frames.transpose(0, 3, 1, 2)
        return scores.argmax(axis=1).astype("uint8"), scores

    class Turned(Segmenter):
        def predict(self, frame):
            number = int(frame.name)
            if workers > 1 and number % 2 == 0:
                assert seen[number + 1].wait(WAIT)
            seen[number].set()
            return super().predict(frame)

    sink = Kept()
    ran = run([frame(n) for n in range(30)], Turned(segmenter.contract, network), [sink], workers=workers)
    assert (ran.done, ran.failures) == (30, [])
    assert sink.names == [f"{n:02}" for n in range(30)]
    assert sink.classes == [n % 3 for n in range(30)]
    assert sink.threads == {threading.current_thread()}
    assert sink.state == ["entered", "left"]


def test_a_sink_that_may_be_called_by_several_threads_is(segmenter):
    """Two frames are inside the sink at once."""
    together = threading.Barrier(2)

    class Meeting(KeptInParallel):
        def write(self, frame, segmentation):
            together.wait(WAIT)
            super().write(frame, segmentation)

    sink = Meeting()
    assert run([frame(n) for n in range(10)], segmenter, [sink], workers=2).done == 10
    assert sorted(sink.names) == [f"{n:02}" for n in range(10)]
    assert threading.current_thread() not in sink.threads


@pytest.mark.parametrize("kind", [Kept, KeptInParallel])
@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_frames_are_in_memory_than_twice_the_threads(segmenter, workers, kind):
    alive, most = 0, 0
    lock = threading.Lock()

    def died():
        nonlocal alive
        with lock:
            alive -= 1

    def camera():
        nonlocal alive, most
        for number in range(40):
            made = frame(number)
            with lock:
                alive += 1
                most = max(most, alive)
            weakref.finalize(made, died)
            yield made
            del made

    gc.disable()  # nothing may wait for it
    try:
        assert run(camera(), segmenter, [kind()], workers=workers).done == 40
    finally:
        gc.enable()
    assert alive == 0
    assert most <= 2 * workers


def test_every_mask_is_its_own_images(tmp_path, segmenter):
    names = ["a.png", "b.bmp", "night/a.png", "पालक/brûlée 1.png"]
    for number, name in enumerate(names):
        path = tmp_path / "frames" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20 + number, 50 - number, 3), COOKING.colors[number % 3], np.uint8)).save(path)
    sinks = [ColorMaskSink(tmp_path / "out")]
    source = FileSource(tmp_path / "frames", sinks=sinks)
    assert run(source, segmenter, sinks, workers=3).done == 4
    for file in source:
        np.testing.assert_array_equal(read_image(tmp_path / f"out/{file.name}.png"), read_image(file.path))
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 4


@pytest.mark.parametrize("workers", [1, 4])
def test_a_bad_frame_costs_itself_alone(tmp_path, segmenter, workers):
    for number in range(30):
        Image.fromarray(frame(number).pixels).save(tmp_path / f"{number:02}.png")
    sinks = [ColorMaskSink(tmp_path / "out"), OverlaySink(tmp_path / "out/overlay")]
    source = FileSource(tmp_path, sinks=sinks)
    (tmp_path / "07.png").write_bytes((tmp_path / "07.png").read_bytes()[:50])
    (tmp_path / "08.png").write_bytes(b"no image")
    (tmp_path / "29.png").unlink()
    ran = run(source, segmenter, sinks, workers=workers)
    assert ran.done == 27
    assert [failure.origin for failure in ran.failures] == [str(tmp_path / f"{n}.png") for n in ("07", "08", "29")]
    assert all(failure.message.startswith(failure.origin) for failure in ran.failures)
    assert len(list((tmp_path / "out").glob("*.png"))) == len(list((tmp_path / "out/overlay").glob("*.png"))) == 27


def test_a_frame_that_is_not_one_or_needs_too_much_memory_is_a_bad_frame(segmenter):
    class Huge:
        origin = "huge.png"

        def decode(self, spec):
            raise MemoryError

    ran = run([frame(0), Frame.of(np.zeros((4, 4)), "grey"), Huge(), frame(3)], segmenter, [])
    assert ran.done == 2
    assert [failure.origin for failure in ran.failures] == ["grey", "huge.png"]
    assert "huge.png needs more memory" in ran.failures[1].message


def test_no_sink_gets_a_frame_whose_whole_cannot_be_decoded(tmp_path, segmenter):
    def damaged():
        raise InputError("a is damaged")

    small = Frame(np.zeros((20, 40, 3), np.uint8), (200, 400), "a", reread=damaged)
    sinks = [ColorMaskSink(tmp_path / "out"), OverlaySink(tmp_path / "out/overlay")]
    ran = run([small], segmenter, sinks)
    assert [failure.message for failure in ran.failures] == ["a is damaged"]
    assert list(tmp_path.iterdir()) == []
    assert run([small], segmenter, sinks[:1]).done == 1  # no sink needs it


def test_an_overlay_lies_on_the_whole_frame_though_the_network_gets_a_small_one(tmp_path, segmenter):
    Image.fromarray(np.full((300, 400, 3), COOKING.colors[0], np.uint8)).save(tmp_path / "a.jpg", quality=95)
    sinks = [ColorMaskSink(tmp_path / "out"), OverlaySink(tmp_path / "out/overlay")]
    assert run(FileSource(tmp_path, sinks=sinks), segmenter, sinks).done == 1
    assert read_image(tmp_path / "out/overlay/a.png").shape == read_image(tmp_path / "out/a.png").shape == (300, 400, 3)


@pytest.mark.parametrize("kind", [Kept, KeptInParallel])
def test_a_sink_that_cannot_write_ends_the_run(segmenter, kind):
    class Full(kind):
        def write(self, frame, segmentation):
            super().write(frame, segmentation)
            raise InputError(f"{frame.name} cannot be written: No space left on device")

    sink = Full()
    with pytest.raises(InputError, match="No space left"):
        run((frame(n) for n in range(40)), segmenter, [sink], workers=2)
    assert 1 <= len(sink.names) <= 4
    assert sink.state == ["entered", "left"]


def test_a_source_that_fails_has_its_earlier_frames_done_first(segmenter):
    """All of them are still in the network when it fails."""
    failing = threading.Event()

    class Waiting(Segmenter):
        def predict(self, frame):
            assert failing.wait(WAIT)
            return super().predict(frame)

    def camera():
        for number in range(5):
            yield frame(number)
        failing.set()
        raise OSError("the camera was unplugged")

    sink = Kept()
    with pytest.raises(OSError, match="unplugged"):
        run(camera(), Waiting(segmenter.contract, segmenter.engine), [sink], workers=3)
    assert sink.names == [f"{n:02}" for n in range(5)]
    assert sink.state == ["entered", "left"]


def test_a_run_that_is_told_to_stop_takes_no_more_frames_and_ends_with_those_it_has(segmenter):
    stop, closed = threading.Event(), []

    def camera():
        number = 0
        try:
            while True:  # a camera has no end
                yield frame(number)
                number += 1
        finally:
            closed.append(number)

    class Stopping(Kept):
        def write(self, frame, segmentation):
            super().write(frame, segmentation)
            if frame.name == "05":
                stop.set()

    sink = Stopping()
    ran = run(camera(), segmenter, [sink], workers=2, stop=stop)
    assert sink.names == [f"{n:02}" for n in range(ran.done)]
    assert 6 <= ran.done <= 6 + 4
    assert closed == [ran.done - 1]


def test_progress_is_told_of_every_frame_and_of_their_number(segmenter):
    told = []

    def tell(items, label, total):
        told.append((label, total))
        for item in items:
            told.append(item)
            yield item

    run([frame(0), Frame.of(np.zeros((4, 4)), "grey"), frame(1)], segmenter, [], progress=tell)
    assert told[0] == ("frames", 3)
    assert [failure and failure.origin for failure in told[1:]] == [None, "grey", None]


@pytest.mark.parametrize("workers", [0, -1, "two", 1.5])
def test_workers_of_another_kind_are_named(segmenter, workers):
    with pytest.raises(InputError, match="workers="):
        run([], segmenter, [], workers=workers)


def test_a_path_is_not_a_source_and_the_error_names_what_is(segmenter):
    with pytest.raises(TypeError, match="FileSource"):
        run("frames", segmenter, [])
