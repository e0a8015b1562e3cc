"""What a network must not take for a stirrer: hands, handles of pans, and steel that glares."""

import math

import numpy as np
import pytest

from cookseg.data.synthetic import action, counters
from cookseg.data.synthetic.handles import make_handles, put_handles
from cookseg.data.synthetic.hands import make_arm, put_hand
from cookseg.data.synthetic.light import make_room
from cookseg.data.synthetic.optics import Camera, View
from cookseg.data.synthetic.scenes import BACKGROUND, STIRRER, render, sessions
from cookseg.data.synthetic.solids import Canvas, Material, Shape, line
from cookseg.data.synthetic.vessels import Finish, Vessel

MATT = Material((0.5, 0.5, 0.5), 0, 0, 1, 0)


def canvas(seed=0):
    view = View.full((96, 96), Camera((0, 0, 0), 4, 0.2, 0, 2, 0))
    return Canvas.of(view, make_room(np.random.default_rng(seed)), np.zeros((96, 96, 3), np.float32))


@pytest.mark.parametrize("grip", ["fist", "pinch", "open"])
def test_a_hand_hides_a_stirrer_and_is_background(grip):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        frame = canvas(seed)
        frame.put([Shape(line((-4, 0, 0), (4, 0, 0)), MATT, radius=0.3)], STIRRER, rng)
        before = (frame.classes() == STIRRER).sum()
        put_hand(frame, np.array([0, 0, 0.2]), math.pi / 2, make_arm(rng), rng, grip)
        assert 0.3 * before < (frame.classes() == STIRRER).sum() < 0.95 * before
        assert np.isfinite(frame.color).all()
        np.testing.assert_allclose(frame.share.sum(0), 1, atol=1e-4)


def test_skins_are_pale_to_dark():
    arms = [make_arm(np.random.default_rng(seed)) for seed in range(60)]
    tones = [sum(arm.skin) / 3 for arm in arms if arm.flush]  # those without a glove
    assert min(tones) < 0.25
    assert max(tones) > 0.7


def test_handles_begin_at_the_rim_are_held_beyond_it_and_are_background():
    pan, seen = Vessel(0.3, -0.2, 0.1, 1, 0.3, 0.7, 1, Finish(MATT), MATT), 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        handles = make_handles(pan, rng).at(pan)
        frame = canvas()
        put_handles(frame, handles, rng)
        assert (frame.classes() == BACKGROUND).all()
        for shape in handles.shapes[:1]:
            away = np.hypot(shape.points[:, 0] - pan.x, shape.points[:, 1] - pan.y)
            assert 0.9 < away.min() < 1.05
            seen += 1
        assert all(math.hypot(x - pan.x, y - pan.y) > 1.1 for x, y, _ in handles.grips)
    assert seen > 15


@pytest.mark.parametrize("frames", [4, 8])
def test_a_set_shows_hands_that_come_in_over_the_pan(frames, monkeypatch):
    """In a set a session has so many frames, spread evenly: they must not all meet moments when a hand is away."""
    places = []

    def record(canvas, place, angle, arm, rng, grip="fist"):
        if grip != "fist":  # a stirrer and a pan are held in fists
            places.append(math.hypot(place[0], place[1]))

    monkeypatch.setattr(action, "put_hand", record)
    for session in sessions(64 // frames, seed=1):
        for number in range(frames):
            render(session, (number + 0.5) / frames, (16, 16))
    assert np.mean(np.array(places) < 2) > 0.5


def test_brushed_steel_glares_along_one_direction():
    """Its texture changes less along its grooves than across them, wherever they point."""
    view = View.full((160, 160), Camera((0, 0, 0), 4, 0, 0, 2, 0))
    ratios = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        grey = counters.counter(view, make_room(rng), "steel", rng).mean(2)
        fine = np.diff(grey, axis=0)[:, :-1], np.diff(grey, axis=1)[:-1]
        values = np.linalg.eigvalsh(np.cov(np.stack([part.ravel() for part in fine])))
        ratios.append(values[1] / values[0])
    assert np.median(ratios) > 2
