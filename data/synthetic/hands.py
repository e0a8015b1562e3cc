"""Hands and forearms: bare, gloved or in sleeves, gripping something or open.

A hand is modelled as one body: its parts are joined to a single height map, so skin runs on from finger to palm and
forearm, and is lit once. A pan's radius is the unit, so a fist is about half a unit wide.
"""

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cookseg.data.synthetic import planes
from cookseg.data.synthetic.light import relief
from cookseg.data.synthetic.optics import FRACTION_BITS, Contour, View, fill, heading
from cookseg.data.synthetic.planes import Color, Image, Plane, any_color, mix, vary
from cookseg.data.synthetic.solids import BACKGROUND, Canvas, Material, Shape, line, moved

_TONES: tuple[Color, ...] = (
    (0.93, 0.76, 0.67),
    (0.86, 0.66, 0.54),
    (0.74, 0.53, 0.40),
    (0.56, 0.37, 0.26),
    (0.38, 0.24, 0.17),
    (0.24, 0.15, 0.11),
)
_GLOVES: tuple[Color, ...] = ((0.12, 0.22, 0.5), (0.08, 0.08, 0.09), (0.88, 0.88, 0.86))

Grip = Literal["fist", "pinch", "open"]

Part = tuple[Shape, float]
"""A part of a hand, and how far it lies above the palm."""


@dataclass(frozen=True)
class Arm:
    """A cook's arm.

    Attributes:
        skin: Its colour, or the glove's.
        size: Its size; 1 has a fist of half a unit.
        flush: Contrast of redder and paler parts of the skin; 0 for a glove.
        hairs: Hairs on the forearm.
        sleeve: Material of the sleeve.
        bare: How much of the forearm the sleeve leaves bare.
        band: Material of a watch or bracelet, if there is one.
    """

    skin: Color
    size: float
    flush: float
    hairs: int
    sleeve: Material
    bare: float
    band: Material | None


def make_arm(rng: np.random.Generator) -> Arm:
    """Return a random arm: of any tone, mostly bare, sometimes gloved."""
    glove = rng.random() < 0.12
    tone = rng.uniform(0, len(_TONES) - 1.001)
    skin = mix(_TONES[int(tone)], _TONES[int(tone) + 1], tone % 1)
    if glove:
        skin = _GLOVES[rng.integers(len(_GLOVES))]
    worn = [None, Material((0.04, 0.04, 0.05), 0, 0.08, 0.3), Material(any_color(rng), 0, 0.03, 0.8)]
    return Arm(
        skin=vary(skin, rng, 0.05),
        size=rng.uniform(0.85, 1.4),
        flush=0 if glove else rng.uniform(0.02, 0.07),
        hairs=0 if glove else int(rng.integers(20, 90) * (rng.random() < 0.5)),
        sleeve=Material(any_color(rng), 0, 0, 1, 0.1),
        bare=float(rng.choice([rng.uniform(0.05, 0.5), rng.uniform(0.5, 1.6), 4.0], p=[0.4, 0.3, 0.3])),
        band=worn[rng.choice(3, p=[0.65, 0.2, 0.15])],
    )


def put_hand(
    canvas: Canvas, place: Contour, angle: float, arm: Arm, rng: np.random.Generator, grip: Grip = "fist"
) -> None:
    """Paint a hand at a point (3,); its forearm comes from the direction ``angle``, radians in x and y."""
    size, back = arm.size, heading(angle)
    side = heading(angle + math.pi / 2) * rng.choice([-1, 1])  # left or right
    rise = rng.uniform(0.0, 0.35)
    wrist = place + size * (back * 0.42 + np.array([0, 0, 0.06]))
    elbow = wrist + size * (back * 2.6 + side * rng.normal(0, 0.25) + np.array([0, 0, 2.6 * rise]))
    fingers = {"fist": _fist, "pinch": _pinch, "open": _open}[grip](place, back, side, size, rng)
    way = np.linspace(wrist, elbow, 10)
    forearm = Shape(way, Material(arm.skin), (0.145 * size, 0.27 * size))
    palm = Shape(_palm(place, wrist, side, size), Material(arm.skin), bevel=0.13 * size)
    parts: list[Part] = [(forearm, 0), (palm, 0), *fingers]
    canvas.shadow([forearm, palm], 0.05)
    blur = rng.uniform(0, 0.1) if rng.random() < 0.3 else 0.0
    turn = rng.uniform(0, 2 * math.pi)
    motion = (blur * math.cos(turn), blur * math.sin(turn))
    _paint(canvas, parts, arm, rng, motion)
    worn: list[Shape] = []
    if arm.band and arm.bare > 0.3:
        where = wrist + (elbow - wrist) * 0.07
        across = side * 0.17 * size
        around = line(*(tuple(p.tolist()) for p in (where - across, where + np.array([0, 0, 0.1]), where + across)))
        worn.append(Shape(around, arm.band, 0.035))
    if arm.bare < 2.6:
        cuff = wrist + (elbow - wrist) * (arm.bare / 2.6)
        wide = (0.15 + 0.05 * arm.bare + rng.uniform(0.02, 0.08)) * size
        worn.append(Shape(np.linspace(cuff, elbow + (elbow - wrist), 8), arm.sleeve, (wide, 0.42 * size)))
    canvas.put(worn, BACKGROUND, rng, motion)


def _palm(place: Contour, wrist: Contour, side: Contour, size: float) -> Contour:
    """Return the back of a hand, an outline (N, 3) from the wrist to the knuckles."""
    ends = [(wrist, 0.14), (wrist + 0.4 * (place - wrist), 0.2), (place, 0.225), (place - 0.16 * (wrist - place), 0.19)]
    left = [middle + side * half * size for middle, half in ends]
    right = [middle - side * half * size for middle, half in ends]
    return np.array([*left, *right[::-1]])


def _finger(points: list[Contour], skin: float, lift: float) -> Part:
    curve = line(*(tuple(p.tolist()) for p in points), count=8)
    return Shape(curve, Material((0, 0, 0)), (skin, 0.82 * skin)), lift


def _fist(place: Contour, back: Contour, side: Contour, size: float, rng: np.random.Generator) -> list[Part]:
    """Return fingers that close around something, and the thumb along or across it."""
    turn = rng.uniform(-0.2, 1.3)  # 0: they close ahead of the knuckles; more: beside them
    ahead = -back * math.cos(turn) + side * math.sin(turn)
    across = side * math.cos(turn) + back * math.sin(turn)
    up = np.array([0, 0, size])
    parts = []
    for number, along in enumerate((-0.17, -0.06, 0.05, 0.16)):
        knuckle = place + (across * along - back * 0.02) * size
        far = (0.17, 0.2, 0.19, 0.15)[number] * rng.uniform(0.9, 1.1)
        tip = knuckle + ahead * (far - 0.03) * size - up * 0.16
        parts.append(_finger([knuckle, knuckle + ahead * far * size + up * 0.05, tip], 0.06 * size, 0.03 * size))
    root = place + (back * 0.3 + across * 0.15) * size
    tip = root + (-back * rng.uniform(0.25, 0.42) + ahead * rng.uniform(0, 0.14)) * size + up * 0.08
    return [*parts, _finger([root, (root + tip) / 2 + across * 0.08 * size, tip], 0.068 * size, 0.05 * size)]


def _pinch(place: Contour, back: Contour, side: Contour, size: float, rng: np.random.Generator) -> list[Part]:
    """Return a thumb on top of a rim and fingers that go below it."""
    parts = []
    for along in (-0.15, -0.05, 0.05, 0.14):
        root = place + (side * along - back * 0.08) * size
        tip = root + (-back * rng.uniform(0.12, 0.24) + side * rng.normal(0, 0.02)) * size - [0, 0, 0.1]
        parts.append(_finger([root, tip], 0.058 * size, -0.03 * size))
    root = place + (back * 0.15 + side * 0.16) * size
    tip = place + (-back * rng.uniform(0.2, 0.36) + side * rng.uniform(0, 0.15)) * size + [0, 0, 0.06]
    return [*parts, _finger([root, tip], 0.066 * size, 0.06 * size)]


def _open(place: Contour, back: Contour, side: Contour, size: float, rng: np.random.Generator) -> list[Part]:
    """Return stretched fingers, close together or spread."""
    spread, bent = rng.uniform(0.0, 0.5), rng.uniform(-0.2, 0.08)
    parts = []
    for along, long in ((-0.17, 0.32), (-0.06, 0.4), (0.05, 0.42), (0.16, 0.34)):
        root = place + (side * along - back * 0.08) * size
        way = (-back + side * along * spread * 4) * long * size
        middle = root + way / 2 + [0, 0, 0.05]
        parts.append(_finger([root, middle, root + way + [0, 0, bent]], 0.057 * size, 0.01))
    root = place + (back * 0.25 + side * 0.17) * size
    tip = root + (-back * 0.3 + side * rng.uniform(0.03, 0.3)) * size
    return [*parts, _finger([root, tip], 0.066 * size, 0.02)]


def _paint(canvas: Canvas, parts: list[Part], arm: Arm, rng: np.random.Generator, motion: tuple[float, float]) -> None:
    """Paint the parts as one body of skin."""
    camera = canvas.view.camera
    contours = [shape.outline(camera)[0] for shape, _ in parts]
    blur = math.hypot(*motion)
    part = canvas.part(contours, 0.02 + blur)
    if part.is_empty:
        return
    view = part.view
    whole = np.zeros((view.height, view.width), np.uint8)
    height = np.zeros((view.height, view.width), np.float32)
    for (shape, lift), contour in zip(parts, contours, strict=True):
        drawn = np.zeros_like(whole)
        fill(drawn, [view.fixed(contour)], (255,))
        whole = np.asarray(cv2.max(whole, drawn), np.uint8)
        half = float(np.max(shape.radius)) or shape.bevel
        inside = cv2.distanceTransform((drawn > 127).astype(np.uint8), cv2.DIST_L2, 5)
        t = np.clip(inside * np.float32(1 / (view.unit * half + 0.5)), 0, 1)
        body = np.float32(half) * np.sqrt(t * (2 - t)) + np.float32(lift) * (t > 0)
        height = np.maximum(height, body)
    color = _skin(part, height, _lines(view, parts, arm, rng), arm, rng)
    cover = whole.astype(np.float32) * np.float32(1 / 255)
    if blur * view.scale > 1:
        color, cover = moved(color, cover, np.array(motion) * view.scale)
    part.paint(color, cover, BACKGROUND)


def _skin(canvas: Canvas, height: Plane, lines: Plane, arm: Arm, rng: np.random.Generator) -> Image:
    """Return lit skin: light that went through it comes out red, and it is redder where there is blood below it."""
    view, room = canvas.view, canvas.room
    soft = cv2.GaussianBlur(height, (0, 0), 0.014 * view.unit * arm.size + 0.4)
    normal = relief(view, np.asarray(soft, np.float32))
    light = np.maximum(room.diffuse(normal), 0.02)
    valleys = cv2.GaussianBlur(soft, (0, 0), 0.04 * view.unit * arm.size + 0.5) - soft
    light = light * np.clip(1 - np.float32(5) * valleys, 0.5, 1.08) * (1 - 0.35 * lines)
    flush = np.float32(arm.flush) * np.maximum(view.noise(5, rng, 3), -0.6)
    red, green, blue = arm.skin
    through = cv2.pow(light.astype(np.float32), 0.8 if arm.flush else 1.0)
    pale = light * (1 - flush)
    color = planes.merge(
        [np.float32(red) * through * (1 + 0.4 * flush), np.float32(green) * pale, np.float32(blue) * pale]
    )
    return color + room.mirror(view, normal, 0.5) * np.float32(0.03 if arm.flush else 0.06)


def _lines(view: View, parts: list[Part], arm: Arm, rng: np.random.Generator) -> Plane:
    """Return what darkens skin in lines, 0..1: creases across the fingers' joints, hairs of the forearm."""
    drawn = np.zeros((view.height, view.width), np.uint8)
    if not arm.flush:
        return drawn.astype(np.float32)
    for shape, _ in parts[2:]:
        middle, size = view.camera.project(shape.points)
        for joint in (2, 5):
            along = middle[joint + 1] - middle[joint - 1]
            along /= np.linalg.norm(along) + 1e-9
            across = np.array([-along[1], along[0]]) * size[joint] * 0.04 * arm.size
            _stroke(drawn, view, np.array([middle[joint] - across, middle[joint] + across]), 140)
    (forearm, _), *_ = parts
    start, end = forearm.points[1], forearm.points[6]
    for t, side, lean in rng.uniform(-1, 1, (arm.hairs, 3)):
        where = start + (end - start) * (t + 1) / 2
        around = np.array([-(end - start)[1], (end - start)[0], 0.0])
        where = where + around * 0.08 * side
        tip = where + (end - start) * -0.04 + around * 0.03 * lean
        _stroke(drawn, view, view.camera.project(np.stack([where, tip]))[0], 90)
    return cv2.GaussianBlur(drawn, (0, 0), 0.6).astype(np.float32) * np.float32(1 / 255)


def _stroke(drawn: NDArray[np.uint8], view: View, points: Contour, strength: int) -> None:
    cv2.polylines(drawn, [view.fixed(points)], False, (strength,), 1, cv2.LINE_AA, FRACTION_BITS)
