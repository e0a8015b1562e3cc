"""Synthetic kitchens: frames of a camera above a pan, and the class of every pixel.

A session is one cook in one kitchen: its seed fixes camera, counter, pan, recipe and stirrer. Progress is the
time in the recipe: food is added, browns and shrinks, and the stirrer moves. Every object is painted with its
coverage (how much of each pixel it takes), and the same coverage updates the share of the pixel that each
class has; the class map holds the class with the largest share, so its edges lie on the visible edges.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cookseg.data.synthetic import materials
from cookseg.data.synthetic.food import Pieces, Recipe, Sauce, food
from cookseg.data.synthetic.materials import Camera, Contour, Image, Pan, Plane, Solid, View, bar, ellipse

STIRRER, BACKGROUND, FOOD = range(3)

_WHITE, _CREAM = (0.93, 0.91, 0.85), (0.90, 0.82, 0.62)
_ONION = Pieces("strip", (0.93, 0.88, 0.82), (0.70, 0.42, 0.16), 0.40, 190)
_PEAS = Pieces("disc", (0.42, 0.62, 0.20), (0.45, 0.55, 0.18), 0.075, 55)
_CARROT = Pieces("cube", (0.93, 0.50, 0.12), (0.84, 0.42, 0.12), 0.11, 45, added=0.15)
_HERBS = Pieces("leaf", (0.28, 0.55, 0.16), (0.24, 0.42, 0.12), 0.055, 60, added=0.5)
_PANEER = Pieces("cube", (0.95, 0.93, 0.87), (0.88, 0.72, 0.46), 0.22, 26, added=0.3)

RECIPES = (
    Recipe("palakpaneer", Sauce((0.32, 0.52, 0.16), (0.22, 0.36, 0.10), 0.008, 0.4, 0.88), (_PANEER,)),
    Recipe("tomatocurry", Sauce((0.86, 0.27, 0.12), (0.62, 0.16, 0.06), 0.006, 0.7, 0.9), (
        Pieces("bubble", (0.92, 0.38, 0.18), (0.72, 0.24, 0.10), 0.06, 70, edge=0.93),
        Pieces("chunk", (0.80, 0.16, 0.08), (0.60, 0.14, 0.06), 0.2, 14, added=0.12), _HERBS)),
    Recipe("dal", Sauce((0.90, 0.72, 0.25), (0.80, 0.55, 0.14), 0.005, 0.6, 0.9), (
        Pieces("bubble", (0.94, 0.80, 0.38), (0.86, 0.64, 0.24), 0.05, 110, edge=0.93), _HERBS)),
    Recipe("friedrice", None, (
        Pieces("grain", _WHITE, _CREAM, 0.095, 1700), _PEAS, _CARROT)),
    Recipe("jeerarice", Sauce(_CREAM, _CREAM, 0.004, 0.1, 0.8), (
        Pieces("grain", (0.95, 0.94, 0.90), (0.92, 0.87, 0.72), 0.10, 1700),
        Pieces("grain", (0.40, 0.27, 0.13), (0.30, 0.18, 0.08), 0.04, 60, added=0.2))),
    Recipe("onions", None, (_ONION,)),
    Recipe("mixedveg", None, (
        _ONION, Pieces("cube", (0.90, 0.84, 0.52), (0.80, 0.62, 0.28), 0.17, 45), _CARROT,
        Pieces("strip", (0.36, 0.58, 0.16), (0.34, 0.44, 0.12), 0.34, 45, added=0.1), _PEAS)),
    Recipe("chickencurry", Sauce((0.72, 0.42, 0.14), (0.46, 0.22, 0.07), 0.008, 0.7, 0.84), (
        Pieces("chunk", (0.90, 0.66, 0.55), (0.62, 0.36, 0.16), 0.34, 18), _HERBS)),
    Recipe("keema", None, (
        Pieces("chunk", (0.72, 0.36, 0.30), (0.36, 0.20, 0.12), 0.10, 420), _PEAS)),
    Recipe("friedegg", None, (
        Pieces("blob", (0.94, 0.94, 0.88), (0.96, 0.92, 0.84), 0.8, 3, yolk=(0.97, 0.68, 0.10)),)),
    Recipe("paneertikka", None, (
        Pieces("cube", (0.96, 0.80, 0.50), (0.80, 0.42, 0.14), 0.24, 40),
        Pieces("chunk", (0.30, 0.55, 0.18), (0.30, 0.42, 0.14), 0.18, 14),
        Pieces("chunk", (0.84, 0.20, 0.12), (0.68, 0.18, 0.08), 0.18, 14))),
    Recipe("potatoes", None, (Pieces("chunk", (0.93, 0.86, 0.58), (0.80, 0.56, 0.22), 0.22, 75), _HERBS)),
)  # fmt: skip

_STEEL, _WOOD = Solid((0.60, 0.60, 0.61), 0.7, 0.05), Solid((0.72, 0.52, 0.32), 0.08, 0.07, 0.04)
STIRRER_MATERIALS = (
    _STEEL, _STEEL, _WOOD,
    Solid((0.12, 0.12, 0.13), 0.35, 0.02),
    Solid((0.66, 0.13, 0.12), 0.30, 0.02),
    Solid((0.16, 0.42, 0.44), 0.30, 0.02),
)  # fmt: skip
_SKIN = Solid((0.76, 0.55, 0.43), 0.05, 0.03, 0.08)

Tool = Literal["motor", "spatula", "ladle", "spoon"]


@dataclass(frozen=True)
class Session:
    """One cook in one kitchen.

    Attributes:
        name: Recipe and number, ``palakpaneer_1610``.
        seed: Fixes the recipe, the food and the light.
        kitchen: Fixes the rig: counter, pan, stirrer and where the camera hangs.
    """

    name: str
    seed: int
    kitchen: int


@dataclass(frozen=True)
class Rig:
    """What stays the same through a session."""

    counter: materials.Counter
    pan: Pan
    recipe: Recipe
    tool: Tool
    material: Solid
    camera: Camera
    light: float
    clutter: int
    hand: bool


@dataclass(frozen=True)
class Pose:
    """Where the stirrer is: the middle of its head (units), and the direction to its handle (radians)."""

    x: float
    y: float
    angle: float

    def place(self, points: Contour) -> Contour:
        """Return points (N, 2) relative to the head, +x towards the handle, in the view's units."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.asarray(points @ np.array([[c, s], [-s, c]]) + np.array([self.x, self.y]))


@dataclass(frozen=True)
class Canvas:
    """A frame being painted: colour, float32 (H, W, 3), and the share of each class, float32 (3, H, W)."""

    view: View
    color: Image
    share: Plane

    def part(self, contours: list[Contour], margin: float) -> "Canvas":
        """Return the window around the contours; what is painted on it is painted on the canvas."""
        view, (rows, columns) = self.view.window(np.concatenate(contours), margin)
        return Canvas(view, self.color[rows, columns], self.share[:, rows, columns])

    def paint(self, color: Image, cover: Plane, label: int) -> None:
        """Lay a surface over what is there."""
        self.color[:] = materials.blend(color, self.color, cover)
        self.share[:] *= 1 - cover
        self.share[label] += cover

    def classes(self) -> NDArray[np.uint8]:
        """Return the class with the largest share of each pixel, uint8 (H, W)."""
        stirrer, background, food = self.share  # far faster than argmax along the first axis
        behind = np.where(food > background, np.uint8(FOOD), np.uint8(BACKGROUND))
        return np.where(stirrer > np.maximum(food, background), np.uint8(STIRRER), behind)

    def shadow(self, cover: Plane, depth: float, strength: float) -> None:
        """Darken what lies behind an object that stands depth units above it."""
        view, quarter = self.view, depth * self.view.scale / 4
        x, y = (-quarter * v for v in view.towards_light)
        small = cv2.resize(cover, (view.width // 4 + 1, view.height // 4 + 1), interpolation=cv2.INTER_AREA)
        size = (small.shape[1], small.shape[0])
        cast = cv2.warpAffine(small, np.array([[1, 0, x], [0, 1, y]]), size, borderMode=cv2.BORDER_REPLICATE)
        soft = cv2.resize(cv2.GaussianBlur(cast, (0, 0), 0.45 * quarter + 0.3), (view.width, view.height))
        self.color[:] = materials.shade(self.color, 1 - np.float32(strength) * soft)


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
    """Render one frame of a session and its ground truth.

    Args:
        session: The session; the same one always gives the same frames.
        progress: Time in the recipe, 0..1.
        size: Height and width in pixels.

    Returns:
        The frame, uint8 (H, W, 3) RGB, and its class map, uint8 (H, W): 0 stirrer, 1 pan+background, 2 food.
    """
    rig = make_rig(session)
    view = View.whole(size, rig.light)
    moment = np.random.default_rng([session.seed, 1, round(progress * 1e6)])
    stirred = np.random.default_rng([session.seed, 3, int(progress * 40)])  # lies still in between
    canvas = _kitchen(view, rig, np.random.default_rng([session.kitchen, 2]))
    inside = canvas.part([rig.pan.place(ellipse(1, 1))], 0.05)
    dish = food(inside.view, rig.pan, rig.recipe, progress, stirred)
    inside.shadow(dish[1], 0.02, 0.45)
    inside.paint(*dish, FOOD)
    pose = _pose(rig, progress, moment)
    if pose:
        for contours, material in _parts(rig):
            _put(canvas, [pose.place(c) for c in contours], material, STIRRER, moment)
        _bury(inside, dish, rig, pose, moment)
        if rig.hand and rig.tool != "motor":
            _hand(canvas, pose, moment)
    drift = 1 + 0.05 * math.sin(25 * progress + rig.light) + moment.normal(0, 0.015)
    camera = replace(rig.camera, exposure=rig.camera.exposure * drift)
    frame = materials.photograph(view, canvas.color, camera, moment)
    return frame, canvas.classes()


def make_rig(session: Session) -> Rig:
    """Return what stays the same through a session."""
    rng = np.random.default_rng([session.kitchen, 0])
    cook = np.random.default_rng([session.seed, 4])
    return Rig(
        counter=rng.choice(["steel", "wood", "granite", "marble", "glass", "gas"]),
        pan=Pan(
            x=rng.normal(0, 0.05),
            y=rng.normal(0, 0.05),
            radius=rng.uniform(0.8, 1.1),
            squash=rng.uniform(0.92, 1),
            metal=rng.choice(list(materials.METALS)),
            handle=rng.uniform(0, 2 * np.pi),
        ),
        recipe=RECIPES[session.seed % len(RECIPES)],
        tool=rng.choice(["motor", "motor", "spatula", "ladle", "spoon"]),
        material=STIRRER_MATERIALS[rng.integers(len(STIRRER_MATERIALS))],
        camera=Camera(
            warmth=cook.uniform(-0.7, 1),
            exposure=cook.uniform(0.85, 1.2),
            steam=float(cook.choice([0, 0.15, 0.35])),
            blur=rng.uniform(0.4, 0.9),
            noise=rng.uniform(0.01, 0.03),
            quality=int(rng.integers(75, 96)),
        ),
        light=rng.uniform(0, 2 * np.pi),
        clutter=int(cook.integers(0, 4)),
        hand=bool(cook.random() < 0.5),
    )


# --- the kitchen


def _kitchen(view: View, rig: Rig, rng: np.random.Generator) -> Canvas:
    """Return the counter, what lies around, and the empty pan."""
    share = np.zeros((3, view.height, view.width), np.float32)
    share[BACKGROUND] = 1
    canvas = Canvas(view, materials.counter(view, rig.counter, rng), share)
    for _ in range(rig.clutter):
        _bowl(canvas, rng)
    canvas.shadow(rig.pan.cover(view), 0.10, 0.6)
    _handle(canvas, rig, rng)
    part = canvas.part([rig.pan.place(ellipse(1, 1))], 0.05)
    part.paint(materials.pan_surface(part.view, rig.pan, rng), rig.pan.cover(part.view), BACKGROUND)
    return canvas


def _put(canvas: Canvas, contours: list[Contour], material: Solid, label: int, rng: np.random.Generator) -> None:
    """Paint an object and its shadow."""
    part = canvas.part(contours, 0.02 + 3 * material.bevel)
    if min(part.view.height, part.view.width) < 2:
        return
    color, cover = materials.solid(part.view, contours, material, rng)
    part.shadow(cover, material.bevel, 0.5)
    part.paint(color, cover, label)


def _handle(canvas: Canvas, rig: Rig, rng: np.random.Generator) -> None:
    pose, start = Pose(rig.pan.x, rig.pan.y, rig.pan.handle), rig.pan.radius * 0.9
    grip = _STEEL if rig.pan.metal == "stainless" else Solid((0.09, 0.09, 0.10), 0.3, 0.02)
    _put(canvas, [pose.place(bar(start, start + 1.4, 0.13, 0.17))], grip, BACKGROUND, rng)


def _bowl(canvas: Canvas, rng: np.random.Generator) -> None:
    """Put an empty bowl or a knob somewhere at the frame's edge."""
    edge, size = rng.uniform(0, 2 * np.pi), np.array([canvas.view.width, canvas.view.height])
    middle = np.array([np.cos(edge), np.sin(edge)]) * size / (2 * canvas.view.scale)
    radius = float(rng.choice([0.11, 0.3, 0.4]))
    color = materials.mix((0.15, 0.15, 0.17), (0.85, 0.84, 0.80), rng.random())
    _put(canvas, [ellipse(radius, radius) + middle], Solid(color, 0.3, 0.01, 0.06), BACKGROUND, rng)
    if radius > 0.2:
        inner, hollow = radius - 0.04, Solid(color, 0.3, 0.01, radius, True)
        _put(canvas, [ellipse(inner, inner) + middle], hollow, BACKGROUND, rng)


# --- the stirrer


def _parts(rig: Rig) -> list[tuple[list[Contour], Solid]]:
    """Return the stirrer's parts from the bottom up, relative to its head, and the material of each."""
    stuff = rig.material
    if rig.tool == "motor":
        return _motor(rig.pan.radius, stuff)
    shaft = ([bar(0.14, 2.6, 0.075, 0.1)], stuff)
    if rig.tool == "spatula":
        slots = [bar(-0.14, 0.08, 0.03) + np.array([0, y]) for y in (-0.075, 0, 0.075)]
        return [([bar(-0.24, 0.17, 0.32, 0.24), *slots], stuff), shaft]
    width = 0.2 if rig.tool == "ladle" else 0.13
    hollow = Solid(stuff.color, stuff.gloss, stuff.grain, 0.16, True)
    return [([ellipse(0.2, width)], stuff), ([ellipse(0.168, 0.84 * width)], hollow), shaft]


def _motor(radius: float, stuff: Solid) -> list[tuple[list[Contour], Solid]]:
    """Return an arm with two slanted paddles, and the hub that turns it."""
    paddle = bar(-0.17 * radius, 0.17 * radius, 0.09) @ np.array([[0.5, 0.866], [-0.866, 0.5]])
    return [
        ([paddle + np.array([0.62 * radius, 0])], stuff),
        ([paddle - np.array([0.45 * radius, 0])], stuff),
        ([bar(-0.45 * radius, 0.64 * radius, 0.075)], stuff),
        ([ellipse(0.12, 0.12)], Solid((0.14, 0.14, 0.15), 0.4, 0.02, 0.05)),
        ([ellipse(0.055, 0.055)], _STEEL),
    ]


def _pose(rig: Rig, progress: float, rng: np.random.Generator) -> Pose | None:
    """Return where the stirrer is at this moment, or None while it is away."""
    pan, turn = rig.pan, 2 * math.pi * (progress * 9 + rig.light)
    if rig.tool == "motor":
        return Pose(pan.x, pan.y, turn)
    state, side = rng.random(), math.copysign(pan.radius + 0.12, rng.random() - 0.5)
    if state < 0.12:
        return None
    if state < 0.2:  # laid on the counter
        return Pose(pan.x + side, pan.y + rng.uniform(-0.3, 0.3), math.pi / 2)
    reach = pan.radius * rng.uniform(0.2, 0.5)
    x, y = pan.x + reach * math.cos(turn), pan.y + reach * math.sin(turn)
    cook = rig.light * 2 + rng.normal(0, 0.1)
    return Pose(x, y, math.atan2(1.8 * math.sin(cook) - y, 1.8 * math.cos(cook) - x))


def _bury(canvas: Canvas, dish: tuple[Image, Plane], rig: Rig, pose: Pose, rng: np.random.Generator) -> None:
    """Paint the food once more where it covers the stirrer."""
    x, y = canvas.view.grid()
    away, waves = np.hypot(x - pose.x, y - pose.y), materials.noise(canvas.view, 5, rng)
    if rig.tool == "motor":
        depth = np.minimum(0.12 * waves - 0.13, away - 0.3)
    else:
        along = (x - pose.x) * math.cos(pose.angle) + (y - pose.y) * math.sin(pose.angle)
        depth = np.minimum(rng.uniform(-0.2, 0.02) + 0.03 * waves - along, 0.3 - away)
    color, cover = dish
    canvas.paint(color, cover * materials.coverage(depth) * canvas.share[STIRRER], FOOD)


def _hand(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """Paint a fist around the shaft where it leaves the frame, and the sleeve behind it."""
    c, s = math.cos(pose.angle), math.sin(pose.angle)
    wide, high = canvas.view.width / 2 / canvas.view.scale, canvas.view.height / 2 / canvas.view.scale
    out = min((math.copysign(wide, c) - pose.x) / c, (math.copysign(high, s) - pose.y) / s) - 0.16
    grip = Pose(pose.x + out * c, pose.y + out * s, pose.angle)
    sleeve = Solid((rng.uniform(0.1, 0.8), rng.uniform(0.1, 0.6), rng.uniform(0.15, 0.7)), 0, 0.05, 0.2)
    _put(canvas, [grip.place(ellipse(0.2, 0.15) + np.array([0.08, 0.02]))], _SKIN, BACKGROUND, rng)
    for finger in range(4):
        knuckle = np.array([0.075 * finger - 0.09, -0.03])
        _put(canvas, [grip.place(ellipse(0.042, 0.11) + knuckle)], _SKIN, BACKGROUND, rng)
    _put(canvas, [grip.place(bar(0.2, 2, 0.34, 0.6))], sleeve, BACKGROUND, rng)
