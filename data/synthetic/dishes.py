"""Dishes: sauces, recipes, and a recipe as one cook makes it.

Lengths are shares of the radius of the vessel that the food lies in; colours are RGB, 0..1.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from cookseg.data.synthetic.pieces import Pieces
from cookseg.data.synthetic.planes import Color, vary
from cookseg.data.synthetic.vessels import Vessel


@dataclass(frozen=True)
class Sauce:
    """A sauce that the pieces lie in.

    Attributes:
        raw: Colour at progress 0.
        cooked: Colour at progress 1.
        lumps: Height of its lumps.
        gloss: How much of the room it mirrors.
        fill: Radius that it covers.
        added: Progress from which it is in the pan.
        clear: Transparency, 0..1.
        is_food: Whether it counts as food: oil for frying does not.
    """

    raw: Color
    cooked: Color
    lumps: float
    gloss: float
    fill: float
    added: float = 0.05
    clear: float = 0
    is_food: bool = True


@dataclass(frozen=True)
class Recipe:
    """A dish: a sauce, pieces in the order in which they are drawn, or both.

    Attributes:
        name: Name of its sessions.
        sauce: The sauce that the pieces lie in.
        pieces: From the bottom up.
        gloss: How much of the room the pieces mirror.
        spots: Strength of the browned spots.
    """

    name: str
    sauce: Sauce | None
    pieces: tuple[Pieces, ...]
    gloss: float = 0.04
    spots: float = 0.25


@dataclass(frozen=True)
class Serving:
    """A recipe as one cook makes it.

    Attributes:
        recipe: With colours, sizes and counts of its own.
        reach: Radius that the pieces cover.
        x: Middle of the pieces, relative to the vessel.
        y: Middle of the pieces, relative to the vessel.
    """

    recipe: Recipe
    reach: float
    x: float
    y: float

    @classmethod
    def of(cls, recipe: Recipe, vessel: Vessel, rng: np.random.Generator) -> Self:
        """Vary a recipe: colours, sizes and the amount."""
        amount = rng.uniform(0.5, 1.25)
        size = rng.uniform(0.7, 1.3)
        pieces = tuple(
            replace(
                p,
                raw=vary(p.raw, rng),
                cooked=vary(p.cooked, rng),
                yolk=p.yolk and vary(p.yolk, rng),
                size=p.size * size * rng.uniform(0.85, 1.15),
                count=max(1, round(p.count * amount / size**1.5)),
            )
            for p in recipe.pieces
        )
        sauce = recipe.sauce and replace(
            recipe.sauce,
            raw=vary(recipe.sauce.raw, rng),
            cooked=vary(recipe.sauce.cooked, rng),
            fill=recipe.sauce.fill * math.sqrt(amount) * (0.8 if vessel.base < 0.4 else 1),
        )
        reach = min(0.9, (0.45 if vessel.base < 0.4 else 0.6) + 0.35 * amount)
        away = max(0.0, 0.85 - reach) * math.sqrt(rng.random())
        angle = rng.uniform(0, 2 * math.pi)
        mixed = replace(recipe, sauce=sauce, pieces=pieces, gloss=recipe.gloss * rng.uniform(0.5, 1.6))
        return cls(mixed, reach, away * math.cos(angle), away * math.sin(angle))
