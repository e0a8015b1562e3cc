"""Scores at edges, by hand on small masks and against a reference that compares every pixel with every other."""

import itertools
import json
import math
from statistics import harmonic_mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import COOKING, IGNORE
from cookseg.runtime.results import as_text
from cookseg.runtime.scoring.edges import EdgeCounts, EdgeRules, EdgeScores
from cookseg.runtime.scoring.metrics import ConfusionMatrix


def counted(*frames, margin=2, tolerance=2.0, classes=3):
    """Return the counts of frames' truth and prediction, as rows of digits or arrays, and those of all pixels."""
    counts, matrix = EdgeCounts(classes, EdgeRules(margin=margin, tolerance=tolerance)), ConfusionMatrix(classes)
    for frame in frames:
        truth, found = (np.array([list(row) for row in x], np.uint8) if isinstance(x[0], str) else x for x in frame)
        truth[truth == 9] = IGNORE
        counts.update(truth, found)
        matrix.update(truth, found)
    return counts, matrix


def boundary(class_map, label):
    """Return the pixels of a class that have a pixel of another class on one of their four sides."""
    height, width = class_map.shape
    found = []
    for y, x in itertools.product(range(height), range(width)):
        sides = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        values = [class_map[a, b] for a, b in sides if 0 <= a < height and 0 <= b < width]
        if class_map[y, x] == label and any(value not in {label, IGNORE} for value in values):
            found.append((y, x))
    return found


def reference(truth, found, label, tolerance):
    """Return a class's boundary F-score in one frame, or None."""

    def near(pixel, others):
        return any(math.dist(pixel, other) <= tolerance for other in others)

    unknown = list(zip(*np.nonzero(truth == IGNORE), strict=True))
    known = np.where(truth == IGNORE, truth, found)
    pairs = boundary(known, label), boundary(truth, label)
    rates = []
    for pixels, others in (pairs, pairs[::-1]):
        far = [pixel for pixel in pixels if not near(pixel, unknown)]
        rates += [sum(near(pixel, others) for pixel in far) / len(far)] if far else []
    return harmonic_mean(rates) if rates else None


masks = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def drawn(rng, *, ignored=0.0):
    """Return truth and a prediction of three classes in blocks, some of which differ, and pixels without truth."""
    height, width = rng.integers(1, 12, 2)
    blocks = rng.integers(0, 3, (4, 4), dtype=np.uint8)
    truth = np.kron(blocks, np.ones((3, 3), np.uint8))[:height, :width]
    found = np.where(rng.random(truth.shape) < 0.1, rng.integers(0, 3, truth.shape, dtype=np.uint8), truth)
    found = np.roll(found, rng.integers(-2, 3, 2), (0, 1))
    return np.where(rng.random(truth.shape) < ignored, np.uint8(IGNORE), truth), found


@settings(deadline=None, max_examples=60)
@given(masks, st.sampled_from([0, 1, 1.5, 2, 3, 9, 9.5]), st.sampled_from([0.0, 0.03]))
def test_boundary_scores_are_those_of_the_definition(rng, tolerance, ignored):
    frames = [drawn(rng, ignored=ignored) for _ in range(2)]
    counts, _ = counted(*frames, tolerance=tolerance)
    for label, score in enumerate(counts.boundary_f1()):
        per_frame = [reference(*frame, label, tolerance) for frame in frames]
        defined = [value for value in per_frame if value is not None]
        occurs = any(boundary(truth, label) for truth, _ in frames)
        assert score == (pytest.approx(sum(defined) / len(defined)) if occurs and defined else None)


@settings(deadline=None, max_examples=60)
@given(masks, st.sampled_from([0, 1, 2, 3]))
def test_inside_are_the_pixels_without_another_class_within_the_margin(rng, margin):
    truth, found = drawn(rng, ignored=0.02)
    counts, matrix = counted((truth, found), margin=margin)
    expected = np.zeros((3, 3), int)
    pixels = list(np.ndindex(truth.shape))
    for pixel in pixels:
        near = any(truth[other] != truth[pixel] and math.dist(pixel, other) <= margin for other in pixels)
        if truth[pixel] != IGNORE and not near:
            expected[truth[pixel], found[pixel]] += 1
    np.testing.assert_array_equal(counts.inside(matrix).counts, expected)


@settings(deadline=None, max_examples=30)
@given(masks, st.sampled_from([0, 2]))
def test_what_is_found_exactly_has_the_score_one(rng, tolerance):
    truth, _ = drawn(rng)
    counts, matrix = counted((truth, truth), tolerance=tolerance, margin=0)
    assert {score for score in counts.boundary_f1() if score is not None} <= {1.0}
    assert counts.inside(matrix).counts.tolist() == matrix.counts.tolist()


@settings(deadline=None, max_examples=30)
@given(masks, st.sampled_from([(0, 1), (1, 0), (-1, 1), (0, -2), (2, 0)]))
def test_a_shift_within_the_tolerance_costs_nothing(rng, shift):
    truth = np.pad(drawn(rng)[0], 4)  # far from the frame's border, which would cut outlines off
    found = np.roll(truth, shift, (0, 1))
    assert {score for score in counted((truth, found))[0].boundary_f1() if score is not None} <= {1.0}
    exact = counted((truth, found), tolerance=0)[0].boundary_f1()
    assert all(score is None for score in exact) or min(score for score in exact if score is not None) < 1


def test_precision_and_recall_by_hand():
    """A square of 4x4 found with a spur, and a dot far away: 12 of its pixels are its boundary."""
    truth = ["000000000000", *["000011110000"] * 4, "000000000000", "000000000000", "000000000000"]
    found = [*truth[:7], "000000000001"]
    (square,) = counted((truth, found), tolerance=1, classes=2)[0].boundary_f1()[1:]
    precision, recall = 12 / 13, 1
    assert square == pytest.approx(2 * precision * recall / (precision + recall))
    # two columns further right: half of the boundary's pixels are within 1 px of the other one's
    shifted = [row[-2:] + row[:-2] for row in truth]
    (moved,) = counted((truth, shifted), tolerance=1, classes=2)[0].boundary_f1()[1:]
    assert moved == pytest.approx(
        reference(*(np.array([list(r) for r in x], np.uint8) for x in (truth, shifted)), 1, 1)
    )
    assert 0.4 < moved < 0.9


def test_without_edges_a_coarse_outline_is_no_mistake():
    truth, coarse, wrong = (np.zeros((20, 20), np.uint8) for _ in range(3))
    truth[5:15, 5:15] = coarse[4:16, 4:16] = wrong[5:15, 5:15] = 1
    wrong[10, 10] = 0
    for found, iou in ((coarse, 1.0), (wrong, 35 / 36)):
        counts, matrix = counted((truth, found), classes=2)
        assert matrix.scores()[1].iou < 1
        assert counts.inside(matrix).scores()[1].iou == pytest.approx(iou)
        assert counts.inside(matrix).scores()[1].support == 36
    everywhere, matrix = counted((truth, coarse), margin=0, classes=2)
    assert everywhere.inside(matrix).scores()[1].iou == pytest.approx(100 / 144)


def test_a_class_counts_in_the_frames_that_have_it_or_are_said_to():
    with_food = np.ones((9, 9), np.uint8)
    with_food[3:6, 3:6] = 2
    empty = np.ones((9, 9), np.uint8)
    assert counted((with_food, with_food), (empty, empty))[0].boundary_f1() == [None, 1.0, 1.0]
    assert counted((with_food, with_food), (empty, with_food))[0].boundary_f1() == [None, 0.5, 0.5]
    assert counted((with_food, empty))[0].boundary_f1() == [None, 0.0, 0.0]
    imagined, _ = counted((empty, with_food))
    assert (imagined.boundary_f1(), imagined.mean_boundary_f1) == ([None, None, None], None)


def test_beside_pixels_without_truth_nothing_is_held_against_a_boundary():
    truth = ["0000099991111111"] * 4
    found = ["0000000111111111"] * 4  # somewhere in the gap
    assert counted((truth, found))[0].boundary_f1() == [None, None, None]
    early = ["0000111111111111"] * 4  # a pixel before it
    assert counted((truth, early))[0].boundary_f1() == [None, None, None]
    wrong = ["0011111111111111"] * 4
    assert counted((truth, wrong), ([*["0000001111111111"] * 4],) * 2)[0].boundary_f1() == [0.5, 0.5, None]


def test_scores_for_people_and_machines():
    truth = np.ones((30, 30), np.uint8)
    truth[10:20, 10:20] = 2
    counts, matrix = counted((truth, truth), margin=3, tolerance=1.5)
    scores = EdgeScores(counts, matrix, COOKING)
    value = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert value == {
        "margin": 3,
        "tolerance": 1.5,
        "pixel_accuracy": 1.0,
        "mean_iou": 1.0,
        "boundary_f1": 1.0,
        "classes": {
            "stirrer": {"iou": None, "boundary_f1": None},
            "pan+background": {"iou": 1.0, "boundary_f1": 1.0},
            "food": {"iou": 1.0, "boundary_f1": 1.0},
        },
    }
    text = as_text(scores.tables())
    assert "IoU without 3 px at edges" in text
    assert "boundary F1 within 1.5 px" in text
    assert text.splitlines()[2].split() == ["stirrer", "n/a", "n/a"]
    assert text.splitlines()[-1].split() == ["mean", "1.0000", "1.0000"]


@pytest.mark.parametrize("wrong", [{"margin": -1}, {"tolerance": -0.5}, {"tolerance": float("nan")}])
def test_distances_that_are_none_are_refused(wrong):
    with pytest.raises(InputError, match=f"`{next(iter(wrong))}=.*0 or more"):
        EdgeRules(**wrong)
