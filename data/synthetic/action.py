"""Motion in a kitchen: the stirrer, the hand that holds it, food that it lifts or that covers it, and other hands.

A session is split into scenes of equal length, each with an action of its own. A pose is a smooth function of time,
so frames that follow each other closely make a film.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cookseg.data.synthetic import kitchens, planes, stirrers
from cookseg.data.synthetic.dishes import Serving
from cookseg.data.synthetic.food import put_food
from cookseg.data.synthetic.hands import Arm, Grip, put_hand
from cookseg.data.synthetic.optics import Contour, View
from cookseg.data.synthetic.planes import Image, Plane
from cookseg.data.synthetic.recipes import RAW_EGG, RECIPES
from cookseg.data.synthetic.solids import FOOD, STIRRER, Canvas, Material, Shape
from cookseg.data.synthetic.stirrers import Pose
from cookseg.data.synthetic.vessels import Vessel, put_vessel

_SCENES = 15
"""Scenes of a session: a number that 2, 4, 8 and 16 do not divide, else a set's frames would all be scenes' firsts."""

_CHANGE = 0.2
"""Share of a scene in which a tool moves from the pose of the last one to its own."""

Act = Literal["away", "lie", "lift", "stir"]


@dataclass(frozen=True, eq=False)
class Actors:
    """Cook and tools of a session.

    Attributes:
        seed: Seed of all that happens.
        motor: Whether the stirrer is driven by a motor.
        tool: The stirrer, see `stirrers.make_tool`.
        drive: The arm that holds the motor, if it is seen.
        arm: The cook's arm.
        grips: Where a hand takes hold of the pan, (3,) each.
        busy: Probability that another hand comes in during a scene.
    """

    seed: int
    motor: bool
    tool: list[Shape]
    drive: list[Shape]
    arm: Arm
    grips: tuple[Contour, ...]
    busy: float


@dataclass(frozen=True)
class _Scene:
    act: Act
    held: bool
    pose: Pose
    speed: float


def act(canvas: Canvas, part: Canvas, actors: Actors, pan: Vessel, serving: Serving, progress: float) -> None:
    """Paint stirrer and hands as they are at a time of the recipe, 0..1.

    Args:
        canvas: The frame, with the food in it.
        part: Its window around the pan.
        actors: Cook and tools.
        pan: The pan.
        serving: The dish.
        progress: The time.
    """
    dish = part.color.copy(), part.share[FOOD].copy()
    now = min(_SCENES - 1, int(progress * _SCENES))
    rng = np.random.default_rng([actors.seed, 7, now])
    scene, pose = _scene(actors, pan, canvas.view, now), _pose(actors, pan, canvas.view, progress)
    shapes = pose.put(actors.tool)
    inside = math.hypot(pose.x - pan.x, pose.y - pan.y) < 1
    canvas.shadow(shapes, pan.floor + 0.05 if inside else 0.0)
    canvas.put(shapes, STIRRER, rng, _motion(canvas, actors, pan, progress, scene.speed))
    if inside and pose.z < pan.rim and rng.random() < 0.7:
        _bury(part, dish, actors.motor, pan, pose, rng)
    canvas.put(Pose(0, 0, 0, actors.seed % 7).put(actors.drive), STIRRER, rng)
    if scene.act == "lift" and serving.recipe.pieces and progress > 0.1 and rng.random() < 0.7:
        canvas.put([_heap(serving, pose, progress, rng)], FOOD, rng)
    if scene.held and rng.random() < 0.85:
        grip = pose.place(np.array([[rng.uniform(1.1, 2.0), 0, 0.03]]))[0]
        put_hand(canvas, grip, pose.angle + rng.normal(0, 0.5), actors.arm, rng)
    if actors.grips and rng.random() < 0.6 * actors.busy:
        grip = actors.grips[rng.integers(len(actors.grips))]
        away = math.atan2(grip[1] - pan.y, grip[0] - pan.x)
        put_hand(canvas, grip, away + rng.normal(0, 0.6), actors.arm, rng)
    if rng.random() < actors.busy:
        _visit(canvas, actors, progress * _SCENES - now, rng)


def _scene(actors: Actors, pan: Vessel, view: View, number: int) -> _Scene:
    rng = np.random.default_rng([actors.seed, 8, number])
    if actors.motor:
        return _Scene("stir", False, Pose(0, 0, pan.floor + 0.03, 0), rng.uniform(0, 0.1) * (rng.random() < 0.3))
    turn, act = rng.uniform(0, 2 * math.pi), rng.choice(["away", "lie", "lift", "stir"], p=[0.15, 0.27, 0.1, 0.48])
    if act == "away":
        return _Scene("away", False, Pose(6 * math.cos(turn), 6 * math.sin(turn), 0.5, turn, 0.3), 0)
    if act == "lie":
        place = np.random.default_rng([actors.seed, 9])  # always the same
        return _Scene("lie", False, stirrers.lie(view, place), 0)
    if act == "lift":
        return _Scene("lift", True, stirrers.lift(turn, rng), 0)
    pose, held = stirrers.stir(pan, turn, rng)
    return _Scene("stir", held, pose, rng.uniform(0, 0.1) * (rng.random() < 0.3) if held else 0)


def _pose(actors: Actors, pan: Vessel, view: View, progress: float) -> Pose:
    """Return the stirrer's pose: from the last scene's to this one's, then small circles while it is held."""
    time = min(max(progress, 0.0) * _SCENES, _SCENES - 1e-6)
    number, since = int(time), time % 1
    scene = _scene(actors, pan, view, number)
    if actors.motor:
        return replace(scene.pose, angle=2 * math.pi * 9 * progress + actors.seed % 7)
    pose = scene.pose
    if scene.held:
        turn, reach = 2 * math.pi * 2 * since, 0.12 * min(1.0, 5 * since * (1 - since))
        pose = replace(pose, x=pose.x + reach * math.cos(turn), y=pose.y + reach * math.sin(turn))
    if number == 0 or since > _CHANGE:
        return pose
    before = _scene(actors, pan, view, number - 1).pose
    share = since / _CHANGE
    share = share * share * (3 - 2 * share)
    turn = (pose.angle - before.angle + math.pi) % (2 * math.pi) - math.pi
    over = 2.4 * share * (1 - share) if math.hypot(before.x - pose.x, before.y - pose.y) > 0.8 else 0  # over the rim
    x, y, z, rise = (
        a + (b - a) * share
        for a, b in zip((before.x, before.y, before.z, before.rise), (pose.x, pose.y, pose.z, pose.rise), strict=True)
    )
    return Pose(x, y, z + over, before.angle + turn * share, rise)


def _motion(canvas: Canvas, actors: Actors, pan: Vessel, progress: float, speed: float) -> tuple[float, float]:
    """Return how far a paddle or head moves in the image while the shutter is open."""
    if speed == 0:
        return 0, 0
    head = np.array([[0.5 if actors.motor else 0.0, 0, 0]])
    ends = np.concatenate([_pose(actors, pan, canvas.view, t).place(head) for t in (progress, progress + 1e-4)])
    start, end = canvas.view.camera.project(ends)[0]
    way = end - start
    x, y = (speed * way / (np.linalg.norm(way) + 1e-9)).tolist()
    return x, y


def _heap(serving: Serving, pose: Pose, progress: float, rng: np.random.Generator) -> Shape:
    """Return food that lies on a tool's head."""
    pieces = serving.recipe.pieces[0]
    angle = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    r = 0.22 * (1 + 0.2 * np.cos(2 * angle + rng.uniform(0, 6)) + 0.12 * np.cos(3 * angle + rng.uniform(0, 6)))
    outline = np.stack([r * np.cos(angle), 0.9 * r * np.sin(angle), np.full(30, 0.12)], 1)
    stuff = Material(planes.mix(pieces.raw, pieces.cooked, progress), 0, 0.05, 0.4, 0.1)
    return Shape(pose.place(outline), stuff, bevel=0.12)


def _visit(canvas: Canvas, actors: Actors, since: float, rng: np.random.Generator) -> None:
    """Let a hand come in and go: empty, with a thermometer, or with a bowl of something to add."""
    angle, away = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 1.9)
    away += 3 * max(0.0, 1 - 8 * since * (1 - since))
    place = np.array([away * math.cos(angle), away * math.sin(angle), rng.uniform(0.4, 0.9)])
    heading = angle + rng.normal(0, 0.3)
    ahead = np.array([math.cos(heading), math.sin(heading), 0])
    held = rng.choice(["nothing", "thermometer", "bowl"], p=[0.35, 0.37, 0.28])
    if held == "thermometer":
        kitchens.put_thermometer(canvas, place - 0.25 * ahead, heading, rng)
    elif held == "bowl":
        x, y, _ = (place - 0.4 * ahead).tolist()
        bowl = kitchens.bowl(x, y, rng)
        put_dish(canvas, replace(bowl, floor=place[2]), rng)
    free: Grip = rng.choice(["fist", "pinch", "open"])
    grip: Grip = "fist" if held == "thermometer" else "pinch" if held == "bowl" else free
    put_hand(canvas, place, heading, actors.arm, rng, grip)


def put_dish(canvas: Canvas, vessel: Vessel, rng: np.random.Generator) -> None:
    """Paint a bowl or plate, mostly with an ingredient in it: a few large pieces, hardly cooked."""
    inside = put_vessel(canvas, vessel, rng)
    if inside is None or rng.random() < 0.35:
        return
    recipe = RECIPES[rng.integers(len(RECIPES))] if rng.random() < 0.65 else RAW_EGG
    few = tuple(replace(p, size=min(0.8, p.size * 1.6), count=1 + p.count // 4) for p in recipe.pieces)
    serving = Serving.of(replace(recipe, pieces=few), vessel, rng)
    put_food(canvas.within(inside.view), inside, serving, rng.uniform(0.1, 0.6), rng)


def _bury(
    canvas: Canvas, dish: tuple[Image, Plane], motor: bool, pan: Vessel, pose: Pose, rng: np.random.Generator
) -> None:
    """Paint the food once more where it covers the stirrer."""
    x, y = pan.local(canvas.view, pose.z)
    waves = canvas.view.noise(5, rng)
    x, y = x - np.float32(pose.x), y - np.float32(pose.y)
    away = np.hypot(x, y)
    depth: NDArray[np.floating]
    if motor:
        depth = np.minimum(np.float32(0.12) * waves - np.float32(rng.uniform(0.05, 0.2)), away - np.float32(0.3))
    else:
        along = x * np.float32(math.cos(pose.angle)) + y * np.float32(math.sin(pose.angle))
        covered = np.float32(rng.uniform(-0.3, 0.15)) + np.float32(0.05) * waves - along
        depth = np.minimum(covered, np.float32(0.5) - away)
    color, cover = dish
    canvas.paint(color, cover * planes.coverage(depth) * canvas.share[STIRRER], FOOD)
