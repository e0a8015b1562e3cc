"""The synthetic kitchen: what a user of `cookseg.data.synthetic.scenes` relies on."""

import cv2
import numpy as np
import pytest

from cookseg.data.synthetic.scenes import BACKGROUND, FOOD, RECIPES, STIRRER, render, sessions

SIZE = (96, 128)


def test_the_same_session_and_progress_give_the_same_bytes():
    session = sessions(3, seed=4)[2]
    first, again = render(session, 0.5, SIZE), render(session, 0.5, SIZE)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


@pytest.mark.parametrize("size", [(97, 131), (131, 97), (64, 64), (33, 200)])
def test_shapes_dtypes_and_values(size):
    for session in sessions(len(RECIPES), seed=1):
        frame, classes = render(session, 0.6, size)
        assert (frame.shape, frame.dtype) == ((*size, 3), np.uint8)
        assert (classes.shape, classes.dtype) == (size, np.uint8)
        assert set(np.unique(classes)) <= {STIRRER, BACKGROUND, FOOD}
        assert frame.std() > 10


@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_the_ends_of_progress_are_allowed(progress):
    for session in sessions(len(RECIPES), seed=3):
        render(session, progress, SIZE)


def test_every_class_takes_a_fair_part_of_a_set():
    maps = np.stack([render(s, (i % 8) / 8, SIZE)[1] for i, s in enumerate(sessions(48, seed=0))])
    shares = np.bincount(maps.ravel(), minlength=3) / maps.size
    assert shares[STIRRER] > 0.02
    assert shares[BACKGROUND] > 0.4
    assert shares[FOOD] > 0.12


def test_food_comes_with_time():
    for session in sessions(len(RECIPES), seed=2):
        assert not (render(session, 0.0, SIZE)[1] == FOOD).any()
        assert (render(session, 0.5, SIZE)[1] == FOOD).mean() > 0.04


def test_progress_changes_the_frame_but_not_the_kitchen():
    session = sessions(1, seed=5)[0]
    early, late = (render(session, progress, SIZE)[0].astype(int) for progress in (0.4, 0.9))
    changed = np.abs(early - late).mean(2)
    assert changed.max() > 60
    assert changed[:6, :6].mean() < 20


def test_sessions_differ_in_name_seed_and_picture():
    many = sessions(2000, seed=0)
    assert len({s.name for s in many}) == len(many)
    assert len({s.seed for s in many}) == len(many)
    assert {s.name.split("_")[0] for s in many[: len(RECIPES)]} == {r.name for r in RECIPES}
    frames = [render(s, 0.5, SIZE)[0].astype(int) for s in many[:6]]
    assert all(np.abs(a - b).mean() > 10 for i, a in enumerate(frames) for b in frames[:i])


def test_another_seed_gives_other_sessions():
    assert not {s.seed for s in sessions(500, seed=0)} & {s.seed for s in sessions(500, seed=1)}


def test_fewer_sessions_are_the_first_of_more():
    assert [s.name for s in sessions(5, seed=7)] == [s.name for s in sessions(50, seed=7)[:5]]


@pytest.mark.parametrize("label", [STIRRER, FOOD])
def test_mask_edges_lie_on_frame_edges(label):
    """Moved by two pixels in any direction, a mask meets weaker edges of the frame than in its place."""
    moves = [(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)]
    strength = dict.fromkeys(moves, 0.0)
    for session in sessions(12, seed=6):
        frame, classes = render(session, 0.5, (240, 320))
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
        slope = cv2.magnitude(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
        of_label = (classes == label).astype(np.uint8)
        edge = cv2.morphologyEx(of_label, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        for move in moves:
            strength[move] += float(slope[np.roll(edge, move, (0, 1))].sum())
    still = strength.pop((0, 0))
    assert all(still > 1.1 * moved for moved in strength.values())


def test_the_classes_of_a_scene_do_not_depend_on_its_size():
    for session in sessions(6, seed=8):
        small, large = (render(session, 0.5, (n, n))[1] for n in (128, 384))
        assert (small == large[1::3, 1::3]).mean() > 0.94  # edges take the rest
