"""The segmenter with stand-ins for the network: whatever it answers comes back at the frame's own size."""

import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.model.contract import COOKING, Contract, Preprocessing
from cookseg.runtime.model.segmenter import Segmenter

SIZES = [(48, 64), (64, 48), (97, 131), (33, 200), (200, 33), (7, 5), (1, 1), (1, 300), (300, 1), (480, 640)]


def contract(height, width, resize="stretch"):
    return Contract(preprocessing=Preprocessing(height, width, resize))


def saying(classes, scores):
    """A network that gives the same answer to every frame."""
    return lambda _frames: (classes[None], scores[None])


def soft_scores(classes, height, width, seed=0):
    """Random scores with soft edges, and their arg-max."""
    coarse = np.random.default_rng(seed).integers(0, 256, (classes, height // 8, width // 8), np.uint8)
    scores = np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC) for plane in coarse])
    return scores.argmax(axis=0).astype(np.uint8), scores


def bilinear(planes, size):
    """Scale (C, h, w) in float64 with half-pixel centres and a replicated border, by the textbook."""
    for axis, target in ((1, size[0]), (2, size[1])):
        source = planes.shape[axis]
        place = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
        low = np.floor(place).astype(int)
        share = (place - low).reshape([-1 if a == axis else 1 for a in range(3)])
        above = np.take(planes, np.minimum(low + 1, source - 1), axis)
        planes = np.take(planes, low, axis) * (1 - share) + above * share
    return planes


def assert_argmax(result, scores):
    """Hold a result against float scores (C, H, W), of which OpenCV's 8-bit ones are up to a step away each."""
    second, best = np.sort(scores, axis=0)[-2:]
    clear = best - second > 2
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(result.class_map[clear], scores.argmax(axis=0)[clear])
    assert np.abs(result.confidence - best).max() <= 1


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", SIZES)
def test_the_answer_has_the_frames_size(size, resize):
    seen = []

    def network(frames):
        seen.append(frames)
        return np.zeros(frames.shape[:3], np.uint8), np.zeros((1, 3, *frames.shape[1:3]), np.uint8)

    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    before = frame.copy()
    result = Segmenter(contract(48, 64, resize), network).predict(frame)
    assert [(f.shape, f.dtype, f.flags.c_contiguous) for f in seen] == [((1, 48, 64, 3), np.uint8, True)]
    assert (result.class_map.shape, result.class_map.dtype) == (size, np.uint8)
    assert (result.confidence.shape, result.confidence.dtype) == (size, np.uint8)
    assert result.color.shape == (*size, 3)
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("size", [(480, 640), (97, 131), (77, 65)])
def test_classes_are_the_largest_of_the_enlarged_scores(size):
    classes, scores = soft_scores(5, 48, 64)
    result = Segmenter(contract(48, 64), saying(classes, scores)).predict(np.zeros((*size, 3), np.uint8))
    assert_argmax(result, bilinear(scores.astype(float), size))


def test_classes_are_the_largest_of_the_averaged_scores():
    classes, scores = soft_scores(5, 48, 64)
    result = Segmenter(contract(48, 64), saying(classes, scores)).predict(np.zeros((12, 32, 3), np.uint8))
    assert_argmax(result, scores.reshape(5, 12, 4, 32, 2).mean(axis=(2, 4)))


@pytest.mark.parametrize(("size", "rows", "columns"), [((270, 480), 36, 64), ((240, 100), 48, 20)])
def test_letterbox_takes_the_scores_that_the_frame_covers(size, rows, columns):
    _, scores = soft_scores(5, 48, 64)
    scores[:, rows:], scores[:, :, columns:] = 0, 0
    scores[4, rows:], scores[4, :, columns:] = 255, 255  # what the network says of the padding is of no interest
    network = saying(scores.argmax(axis=0).astype(np.uint8), scores)
    result = Segmenter(contract(48, 64, "letterbox"), network).predict(np.zeros((*size, 3), np.uint8))
    assert_argmax(result, bilinear(scores[:, :rows, :columns].astype(float), size))


@pytest.mark.parametrize(("resize", "size"), [("stretch", (48, 64)), ("letterbox", (48, 40)), ("letterbox", (30, 64))])
def test_ties_are_the_networks_where_no_pixel_is_scaled(resize, size):
    classes = np.random.default_rng(0).integers(0, 3, (48, 64), np.uint8)
    tied = np.full((3, 48, 64), 85, np.uint8)
    result = Segmenter(contract(48, 64, resize), saying(classes, tied)).predict(np.zeros((*size, 3), np.uint8))
    np.testing.assert_array_equal(result.class_map, classes[: size[0], : size[1]])


@pytest.mark.parametrize("size", [(97, 131), (20, 30)])
def test_ties_of_scaled_scores_go_to_the_first_class_as_the_networks_own_do(size):
    tied = np.full((3, 48, 64), 85, np.uint8)
    tied[0, :, :32] = 80
    network = saying(tied.argmax(axis=0).astype(np.uint8), tied)
    result = Segmenter(contract(48, 64), network).predict(np.zeros((*size, 3), np.uint8))
    assert (result.class_map[:, [0, -1]] == [1, 0]).all()


@pytest.mark.parametrize("size", [(48, 64), (97, 131), (20, 30)])
def test_confidence_is_the_score_of_the_class(size):
    scores = np.full((3, 48, 64), 10, np.uint8)
    scores[2] = 200
    result = Segmenter(contract(48, 64), saying(np.full((48, 64), 2, np.uint8), scores)).predict(
        np.zeros((*size, 3), np.uint8)
    )
    assert (result.class_map == 2).all()
    assert (result.confidence == 200).all()
    assert (result.color == COOKING.colors[2]).all()


@pytest.mark.parametrize("size", [(480, 640), (333, 517)])
def test_scaled_scores_follow_an_edge_better_than_scaled_classes(size):
    """A disc in the frame, a network that sees how much of each of its pixels the disc covers."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    disc = (x - width * 0.52) ** 2 + (y - height * 0.47) ** 2 < (height * 0.3) ** 2
    frame = np.repeat(disc[..., None], 3, axis=2) * np.uint8(255)

    def network(frames):
        scores = np.stack([255 - frames[..., 0], frames[..., 0]], axis=1)
        return scores.argmax(axis=1).astype(np.uint8), scores

    segmenter = Segmenter(contract(32, 32), network)
    stairs = cv2.resize(network(segmenter.prepare(frame)[None])[0][0], (width, height), interpolation=cv2.INTER_NEAREST)
    smooth = segmenter.predict(frame).class_map

    def iou(found):
        return (disc & (found == 1)).sum() / (disc | (found == 1)).sum()

    assert iou(smooth) > 0.98
    assert 1 - iou(smooth) < (1 - iou(stairs)) / 2


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((4, 4, 3)), r"uint8 array.*float64 \(4, 4, 3\)"),
        (np.zeros((4, 4), np.uint8), r"RGB; this one is uint8 \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \(4, 4, 4\)"),
        (np.zeros((3, 4, 4), np.uint8), r"uint8 \(3, 4, 4\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"uint8 \(1, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), r"at least one pixel.*\(0, 4, 3\)"),
        ([[[0, 0, 0]]], "list"),
        (None, "NoneType"),  # what cv2.imread gives for a missing file
    ],
)
def test_what_is_no_frame_is_refused(frame, message):
    def network(_frames):
        pytest.fail("the network must not see this")

    with pytest.raises(InputError, match=message):
        Segmenter(contract(48, 64), network).predict(frame)


def test_frames_may_be_views_and_the_network_gets_plain_memory():
    def network(frames):
        assert frames.flags.c_contiguous
        scores = frames.transpose(0, 3, 1, 2)
        return scores.argmax(axis=1).astype(np.uint8), scores

    view = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)[::-1, ::2]
    result = Segmenter(contract(32, 32), network).predict(view)
    np.testing.assert_array_equal(result.class_map, view.argmax(axis=2))


def test_calls_from_several_threads_do_not_meet():
    """All four are held inside the network at once, each with a frame of its own size and class."""
    together = threading.Barrier(4)

    def network(frames):
        together.wait(timeout=20)
        scores = frames.transpose(0, 3, 1, 2)
        return scores.argmax(axis=1).astype(np.uint8), scores

    segmenter = Segmenter(contract(48, 64, "letterbox"), network)
    frames = [np.full((50 + 30 * n, 90 - 20 * n, 3), COOKING.colors[n % 3], np.uint8) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(segmenter.predict, frames))
    for frame, result in zip(frames, results, strict=True):
        np.testing.assert_array_equal(result.color, frame)


def test_nearest_gives_each_pixel_the_class_of_the_networks_pixel_that_it_lies_in():
    classes = np.random.default_rng(0).integers(0, 3, (48, 64), np.uint8)
    network = saying(classes, np.zeros((3, 48, 64), np.uint8))
    result = Segmenter(contract(48, 64), network, upsample="nearest").predict(np.zeros((144, 320, 3), np.uint8))
    np.testing.assert_array_equal(result.class_map, classes.repeat(3, axis=0).repeat(5, axis=1))


@pytest.mark.parametrize("upsample", ["smooth", "nearest"])
def test_a_frame_read_small_is_answered_at_the_size_of_the_picture(upsample):
    classes, scores = soft_scores(3, 48, 64)
    segmenter = Segmenter(contract(48, 64), saying(classes, scores), upsample=upsample)
    small = segmenter.predict(Frame(np.zeros((60, 80, 3), np.uint8), (480, 640)))
    whole = segmenter.predict(np.zeros((480, 640, 3), np.uint8))
    np.testing.assert_array_equal(small.class_map, whole.class_map)
    np.testing.assert_array_equal(small.confidence, whole.confidence)


def test_answers_stay_what_they_were_when_the_next_frame_is_segmented():
    """Buffers are used again for every frame; what was given away is not among them."""
    answers = iter([soft_scores(3, 48, 64, seed) for seed in (1, 2)])

    def network(_frames):
        classes, scores = next(answers)
        return classes[None], scores[None]

    segmenter = Segmenter(contract(48, 64), network)
    first = segmenter.predict(np.zeros((480, 640, 3), np.uint8))
    kept = first.class_map.copy(), first.confidence.copy()
    segmenter.predict(np.zeros((480, 640, 3), np.uint8))
    np.testing.assert_array_equal(first.class_map, kept[0])
    np.testing.assert_array_equal(first.confidence, kept[1])
