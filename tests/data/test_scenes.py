"""The synthetic kitchen: what a user of `cookseg.data.synthetic.scenes` relies on."""

import itertools
import math

import cv2
import numpy as np
import pytest

from cookseg.data.synthetic.light import Room, make_room
from cookseg.data.synthetic.optics import Camera, View
from cookseg.data.synthetic.scenes import BACKGROUND, FOOD, RECIPES, STIRRER, render, sessions
from cookseg.data.synthetic.solids import Canvas, Material, Shape, ellipse, line
from cookseg.data.synthetic.stirrers import TOOLS, make_tool
from cookseg.data.synthetic.vessels import Finish, Inside, Vessel, put_vessel

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


def test_food_comes_with_time_but_not_into_an_empty_pan():
    shares = {
        session.name.split("_")[0]: [(render(session, progress, SIZE)[1] == FOOD).mean() for progress in (0.0, 0.5)]
        for session in sessions(len(RECIPES), seed=8)  # of which none has its pan lifted off the flame
    }
    raw, later = shares.pop("emptypan")
    assert later <= raw + 0.01  # what lies in bowls beside it, and hands come and go
    rises = [after - before for before, after in shares.values()]
    assert min(rises) > 0
    assert np.median(rises) > 0.08


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


def test_frames_of_nearly_the_same_time_follow_each_other_smoothly():
    """A film has no jumps but where a hand or something new comes in: most steps change few pixels."""
    changes = []
    for session in sessions(6, seed=9):
        maps = [render(session, progress, SIZE)[1] for progress in np.linspace(0.501, 0.503, 6)]
        changes += [(a != b).mean() for a, b in itertools.pairwise(maps)]
        far = render(session, 0.9, SIZE)[1]
        assert (far != maps[0]).mean() > 0.005
    assert np.median(changes) < 0.02


CAMERA = Camera((0.1, -0.2, 0.1), distance=4, tilt=0.6, roll=0.3, focal=3, distortion=-0.05)


def test_each_pixel_sees_the_point_that_is_projected_onto_it():
    view = View.full((48, 64), CAMERA)
    x, y = view.plane(0.3)
    points = np.stack([x, y, np.full_like(x, 0.3)], -1).astype(np.float64)
    image, _ = CAMERA.project(points)
    columns, rows = np.moveaxis(image * view.scale + view.origin, -1, 0)
    np.testing.assert_allclose(columns, np.broadcast_to(np.arange(64), (48, 64)), atol=0.05)
    np.testing.assert_allclose(rows, np.broadcast_to(np.arange(48)[:, None], (48, 64)), atol=0.05)


def wok():
    matt = Material((0.5, 0.5, 0.5), 0, 0, 1, 0)
    return Vessel(0, 0, 0.1, 1, 0.5, 0.3, 0.3, Finish(matt, 0, 0, 0), matt)


def room(x, y):
    """A black room but for a light in the direction (x, y, 1), with hard shadows."""
    size = math.sqrt(x * x + y * y + 1)
    return Room(np.zeros((3, 128, 128, 3), np.float32), (x / size, y / size, 1 / size), 0.3, 0.05)


def test_a_wall_is_found_where_its_profile_projects():
    view, vessel = View.full((120, 160), CAMERA), wok()
    inside = Inside.of(view, vessel)
    z = vessel.height(inside.r)
    image, _ = CAMERA.project(np.stack([inside.x, inside.y, z], -1).astype(np.float64))
    columns = image[..., 0] * view.scale + view.origin[0]
    error = np.abs(columns - np.arange(160))[inside.cover == 1]
    assert np.percentile(error, 99) < 0.5
    assert 0.1 < (inside.cover == 1).mean() < 0.9


def test_the_rim_shades_the_side_towards_the_light():
    inside = Inside.of(View.full((120, 160), Camera((0, 0, 0), 4, 0, 0, 3, 0)), wok())
    shadow = inside.shadow(room(1.5, 0))
    left, right = (shadow[(inside.cover == 1) & side].mean() for side in (inside.x < -0.5, inside.x > 0.5))
    assert left < 0.01
    assert right > 0.3


def test_a_shadow_falls_away_from_the_light_and_takes_no_pixel_from_a_class():
    view = View.full((100, 100), Camera((0, 0, 0), 4, 0, 0, 3, 0))
    canvas = Canvas.of(view, room(1, 0), np.ones((100, 100, 3), np.float32))
    canvas.shadow([Shape(ellipse(0.2, 0.2, 0.5), Material((1, 1, 1)))], 0.0)
    columns = np.flatnonzero(canvas.color[50, :, 0] < 0.6)
    x = view.plane(0.0)[0][50, columns]
    assert x.mean() == pytest.approx(-0.5, abs=0.05)  # as far as it is high
    assert np.ptp(x) == pytest.approx(0.4, abs=0.1)
    assert (canvas.classes() == BACKGROUND).all()


def test_what_is_painted_later_hides_what_was_there():
    view = View.full((64, 64), Camera((0, 0, 0), 4, 0, 0, 3, 0))
    canvas = Canvas.of(view, room(0, 0), np.zeros((64, 64, 3), np.float32))
    rng, matt = np.random.default_rng(0), Material((0.5, 0.5, 0.5))
    canvas.put([Shape(ellipse(0.8, 0.8), matt)], FOOD, rng)
    canvas.put([Shape(line((-3, 0, 0), (3, 0, 0)), matt, radius=0.2)], STIRRER, rng)
    canvas.put([Shape(ellipse(0.1, 0.1), matt)], BACKGROUND, rng)
    assert canvas.classes()[32, 32] == BACKGROUND
    assert canvas.classes()[32, 50] == canvas.classes()[32, 2] == STIRRER
    assert canvas.classes()[22, 32] == FOOD
    np.testing.assert_allclose(canvas.share.sum(0), 1, atol=1e-5)


def test_a_metal_mirrors_the_lamp_whose_shadow_it_casts():
    """A polished bowl is bright where it reflects the key light to the camera."""
    vessel = Vessel(0, 0, 0, 1, 0.4, 0.01, 0.0, Finish(Material((1, 1, 1), 1, 0, 0, 0), 0, 0, 0), Material((0, 0, 0)))
    found = []
    for seed in range(8):
        lit = make_room(np.random.default_rng(seed))
        view = View.full((160, 160), Camera((0, 0, 0), 6, 0, 0, 5, 0))
        canvas = Canvas.of(view, lit, np.zeros((160, 160, 3), np.float32))
        inside = put_vessel(canvas, vessel, np.random.default_rng(0))
        window = canvas.within(inside.view).color.sum(2)
        half = np.array(lit.key) + np.array([0, 0, 1])  # from above, the normal is half-way between light and camera
        nx, ny, nz = inside.normal
        meets = (nx * half[0] + ny * half[1] + nz * half[2]) / np.linalg.norm(half)
        row, column = np.unravel_index(np.argmax(np.where(inside.cover == 1, meets, 0)), meets.shape)
        found.append(window[row, column] > np.median(window[inside.cover == 1]))
    assert sum(found) >= 6  # a wall that is too flat does not reach a low lamp


@pytest.mark.parametrize("kind", TOOLS)
def test_every_tool_can_be_seen(kind):
    view = View.full((120, 160), Camera((0, 0, 0), 4, 0.3, 0, 2, 0))
    for seed in range(4):
        canvas = Canvas.of(view, room(0.5, 0), np.zeros((120, 160, 3), np.float32))
        rng = np.random.default_rng(seed)
        canvas.put(make_tool(kind, rng), STIRRER, rng)
        assert 0.004 < (canvas.classes() == STIRRER).mean() < 0.4
        assert np.isfinite(canvas.color).all()
