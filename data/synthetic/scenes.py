"""Synthetic kitchens: frames of a camera above a pan, and the class of every pixel.

A session is one cook in one kitchen: its seed fixes recipe, light and lens, its kitchen the rig: camera, counter, pan
and stirrer. Progress is the time in the recipe: food is added, browns and shrinks, and the stirrer moves.
"""

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cookseg.data.synthetic import counters, kitchens, stirrers
from cookseg.data.synthetic.action import Actors, act, put_dish
from cookseg.data.synthetic.counters import COUNTERS, Counter
from cookseg.data.synthetic.dishes import Serving
from cookseg.data.synthetic.food import put_food
from cookseg.data.synthetic.handles import Handles, make_handles, put_handles
from cookseg.data.synthetic.hands import make_arm
from cookseg.data.synthetic.kitchens import BLACK, HOBS, STEEL
from cookseg.data.synthetic.lens import Lens, make_lens, photograph
from cookseg.data.synthetic.light import Room, make_room
from cookseg.data.synthetic.optics import Camera, View
from cookseg.data.synthetic.planes import any_color
from cookseg.data.synthetic.recipes import RECIPES
from cookseg.data.synthetic.solids import BACKGROUND, FOOD, STIRRER, Canvas, Material, Shape
from cookseg.data.synthetic.stirrers import Tool, make_tool
from cookseg.data.synthetic.vessels import Finish, Inside, Vessel, put_vessel

__all__ = ["BACKGROUND", "FOOD", "RECIPES", "STIRRER", "Session", "render", "sessions"]


@dataclass(frozen=True)
class Session:
    """One cook in one kitchen.

    Attributes:
        name: Recipe and number, ``palakpaneer_1610``.
        seed: Fixes the recipe, the food and the light.
        kitchen: Fixes the rig: counter, pan, stirrer and the pose of the camera.
    """

    name: str
    seed: int
    kitchen: int


@dataclass(frozen=True, eq=False)
class Rig:
    """All that stays the same in a kitchen.

    Attributes:
        camera: The camera.
        counter: Everything stands on it.
        hob: The plate or flame that heats the pan.
        pan: In the world's middle.
        handles: The pan's handles, relative to it.
        motor: Whether the stirrer is driven by a motor.
        tool: The stirrer.
        drive: The arm that holds the motor, if it is seen.
        bare: Whether the pan was taken off the hob.
        edges: How many edges of the counter there are.
        slots: Whether the counter has a strip of holes.
    """

    camera: Camera
    counter: Counter
    hob: kitchens.Hob
    pan: Vessel
    handles: Handles
    motor: bool
    tool: list[Shape]
    drive: list[Shape]
    bare: bool
    edges: int
    slots: bool


@dataclass(frozen=True, eq=False)
class Cook:
    """All that stays the same through a session."""

    room: Room
    lens: Lens
    serving: Serving
    actors: Actors


@dataclass(frozen=True, eq=False)
class Stage:
    """A kitchen before anything is cooked in it: what all frames of a session share."""

    canvas: Canvas
    inside: Inside


def sessions(count: int, seed: int, kitchens: int = 0) -> list[Session]:
    """Return sessions with distinct names, all recipes in turn, in so many kitchens; 0 is a new one for each."""
    rng = np.random.default_rng([seed])
    first, numbers = int(rng.integers(len(RECIPES))), 1000 + rng.permutation(max(count, 9000))
    recipes = [(first + i) % len(RECIPES) for i in range(count)]
    seeds = rng.integers(2**31 // len(RECIPES), size=count) * len(RECIPES) + recipes
    rooms = seeds if kitchens == 0 else seeds[0] + np.random.default_rng([seed, 1]).integers(kitchens, size=count)
    parts = zip(recipes, numbers, seeds.tolist(), rooms.tolist(), strict=False)
    return [Session(f"{RECIPES[recipe].name}_{number}", cook, room) for recipe, number, cook, room in parts]


def render(session: Session, progress: float, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Render one frame of a session and its ground truth; frames of little more progress follow smoothly.

    Args:
        session: The session; the same one always gives the same frames.
        progress: Time in the recipe, 0..1.
        size: Height and width in pixels.

    Returns:
        The frame, uint8 (H, W, 3) RGB, and its class map, uint8 (H, W): 0 stirrer, 1 pan+background, 2 food.
    """
    rig, cook, stage = _prepared(session, size)
    canvas = stage.canvas.copy()
    part = canvas.within(stage.inside.view)
    put_food(part, stage.inside, cook.serving, progress, np.random.default_rng([session.seed, 3]))
    act(canvas, part, cook.actors, rig.pan, cook.serving, progress)
    moment = np.random.default_rng([session.seed, 1, round(progress * 1e6)])
    drift = 1 + 0.06 * math.sin(25 * progress + session.seed) + moment.normal(0, 0.01)
    lens = replace(cook.lens, exposure=cook.lens.exposure * drift, warmth=cook.lens.warmth + moment.normal(0, 0.03))
    air = np.random.default_rng([session.seed, 6])
    return photograph(canvas.view, canvas.color, lens, progress, (air, moment)), canvas.classes()


# --- what is there


def _rig(kitchen: int) -> Rig:
    """Return what stays the same in a kitchen."""
    rng = np.random.default_rng([kitchen, 0])
    tool: Tool = rng.choice(stirrers.TOOLS, p=[0.28, 0.12, 0.12, 0.22, 0.12, 0.07, 0.07])
    motor = tool == "motor"
    camera, counter = _camera(rng), rng.choice(COUNTERS, p=[0.42, 0.09, 0.08, 0.08, 0.14, 0.07, 0.12])
    hob, pan = rng.choice(HOBS), _pan(rng)
    return Rig(
        camera=camera,
        counter=counter,
        hob=hob,
        pan=pan,
        handles=make_handles(pan, rng),
        motor=motor,
        tool=make_tool(tool, rng),
        drive=stirrers.drive(rng) if motor and rng.random() < 0.35 else [],
        bare=bool(rng.random() < 0.05),
        edges=int(rng.integers(0, 5)),
        slots=bool(rng.random() < 0.3),
    )


def _camera(rng: np.random.Generator) -> Camera:
    """Return a camera right above the pan, as appliances have, or one that somebody has put somewhere."""
    fixed = rng.random() < 0.4
    pan = rng.uniform(0.75, 1.15) if fixed else rng.uniform(0.4, 0.95)  # its radius in the frame
    focal = rng.uniform(2.2, 5)
    away = (0.06 if fixed else 0.28) / pan
    return Camera(
        target=(rng.normal(0, away), rng.normal(0, away), 0.1),
        distance=max(2.3, focal / pan),
        tilt=abs(rng.normal(0, 0.12)) if fixed else rng.uniform(0.1, 0.85),
        roll=rng.normal(0, 0.12),
        focal=focal,
        distortion=rng.uniform(-0.06, 0.02),
    )


def _pan(rng: np.random.Generator) -> Vessel:
    """Return a pan of stainless steel, non-stick, cast iron or ceramic, a carbon-steel wok, or a pot."""
    kind = rng.choice(["stainless", "nonstick", "iron", "wok", "ceramic", "pot"], p=[0.18, 0.18, 0.12, 0.3, 0.12, 0.1])
    oil = float(rng.choice([0, rng.uniform(0.03, 0.15)]))
    drops = int(rng.integers(20, 200)) if rng.random() < 0.15 else 0
    tone = rng.uniform(0.6, 1.5)
    if kind == "wok":
        seasoned = (0.06 * tone, 0.056 * tone, 0.052 * tone)
        wok = Material(seasoned, 0.2, rng.uniform(0.02, 0.14), rng.uniform(0.02, 0.7), 0.06)
        finish = Finish(wok, 0.04, rng.uniform(0.05, 0.35), int(rng.integers(10, 60)), oil, drops)
        depth, base, steep = rng.uniform(0.35, 0.6), rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.6)
        return Vessel(0, 0, 0.08, 1, depth, base, steep, finish, BLACK)
    depth, steep, base = rng.uniform(0.2, 0.4), rng.uniform(0.5, 1.8), rng.uniform(0.7, 0.88)
    if kind in ("stainless", "pot"):
        grey = 0.6 * tone**0.3
        stuff = replace(STEEL, color=(grey, grey, grey * rng.uniform(0.96, 1.03)), rough=rng.uniform(0.1, 0.9))
        finish = Finish(stuff, rng.uniform(0.02, 0.15), rng.uniform(0.02, 0.15), int(rng.integers(5, 60)), oil, drops)
        if kind == "pot":
            return Vessel(0, 0, 0.05, 1, rng.uniform(0.5, 1.0), 0.93, 1.8, finish, stuff)
        return Vessel(0, 0, 0.05, 1, depth, base, steep, finish, stuff)
    if kind == "ceramic":
        stuff = Material(any_color(rng), 0, rng.uniform(0.03, 0.12), 0.2, 0.01)
        finish = Finish(stuff, 0.01, 0.03, 8, oil, drops)
        return Vessel(0, 0, 0.05, 1, depth, base, steep, finish, Material(any_color(rng)))
    dark = 0.06 * tone if kind == "nonstick" else 0.05 * tone
    grain = 0.08 if kind == "iron" else 0.03
    stuff = Material((dark, dark, dark), 0, rng.uniform(0.02, 0.08), rng.uniform(0.3, 0.9), grain)
    outside = stuff if rng.random() < 0.6 else Material(any_color(rng), 0, 0.06)
    finish = Finish(stuff, rng.uniform(0, 0.06), rng.uniform(0.02, 0.2), int(rng.integers(5, 40)), oil, drops)
    return Vessel(0, 0, 0.05, 1, depth, base, steep, finish, outside)


def _cook(session: Session, rig: Rig) -> Cook:
    rng = np.random.default_rng([session.seed, 4])
    actors = Actors(
        session.seed,
        rig.motor,
        rig.tool,
        rig.drive,
        arm=make_arm(rng),
        grips=rig.handles.at(rig.pan).grips,
        busy=rng.uniform(0.1, 0.75),
    )
    recipe = RECIPES[session.seed % len(RECIPES)]
    if rig.bare:  # the pan was taken off the hob
        recipe = replace(recipe, sauce=None, pieces=())
    elif recipe.pieces and rng.random() < 0.2:  # and what else was in the fridge
        recipe = replace(recipe, pieces=(*recipe.pieces, *RECIPES[rng.integers(len(RECIPES))].pieces))
    serving = Serving.of(recipe, rig.pan, rng)
    return Cook(make_room(rng), make_lens(rng), serving, actors)


# --- the kitchen


@functools.lru_cache(maxsize=1)
def _prepared(session: Session, size: tuple[int, int]) -> tuple[Rig, Cook, Stage]:
    """Return all that the frames of a session share; sets are rendered session by session."""
    rig = _lifted(_rig(session.kitchen), session)
    cook = _cook(session, rig)
    view = View.full(size, rig.camera)
    rng = np.random.default_rng([session.kitchen, 2])
    canvas = Canvas.of(view, cook.room, counters.counter(view, cook.room, rig.counter, rng))
    for _ in range(rig.edges):
        counters.put_edge(canvas, rng)
    if rig.slots:
        counters.put_slots(canvas, rng)
    kitchens.put_hob(canvas, "burner" if rig.bare else rig.hob, bool(rng.random() < 0.5), rng)
    _surround(canvas, np.random.default_rng([session.seed, 5]))
    inside = None
    if not rig.bare:
        put_handles(canvas, rig.handles.at(rig.pan), rng)
        inside = put_vessel(canvas, rig.pan, rng)  # None where the camera misses the pan
    return rig, cook, Stage(canvas, inside or Inside.of(view, rig.pan))


def _lifted(rig: Rig, session: Session) -> Rig:
    """Return the rig, its pan in some sessions lifted off the flame and drawn to a side, as for tossing."""
    rng = np.random.default_rng([session.seed, 10])
    if rig.motor or rig.bare or rng.random() > 0.12:
        return rig
    x, y = rng.normal(0, 0.35, 2).tolist()
    pan = replace(rig.pan, x=x, y=y, floor=rig.pan.floor + rng.uniform(0.1, 0.6))
    return replace(rig, pan=pan, hob=rng.choice(["burner", "burner", "grate", "induction"]))


def _surround(canvas: Canvas, rng: np.random.Generator) -> None:
    """Put bowls, other things, stirrers that are not in use and the cook's apron around the pan."""
    for _ in range(int(rng.integers(0, 7))):
        kind = rng.choice(["bowl", "thing", "tool", "cook"], p=[0.42, 0.3, 0.21, 0.07])
        x, y = canvas.view.somewhere(1.5, rng)
        if kind == "thing":
            kitchens.put_clutter(canvas, x, y, rng)
        elif kind == "tool":
            tool = stirrers.lie(canvas.view, rng).put(make_tool(rng.choice(stirrers.TOOLS[1:]), rng))
            canvas.shadow(tool, 0.0)
            canvas.put(tool, STIRRER, rng)
        elif kind == "bowl":
            put_dish(canvas, kitchens.bowl(x, y, rng), rng)
        else:
            kitchens.put_cook(canvas, x, y, rng)
