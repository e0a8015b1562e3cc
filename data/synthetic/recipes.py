"""Recipes: the families of food, each with a structure and colours of its own."""

from cookseg.data.synthetic.dishes import Recipe, Sauce
from cookseg.data.synthetic.pieces import Pieces

_WHITE, _CREAM = (0.93, 0.91, 0.85), (0.90, 0.82, 0.62)
_ONION = Pieces("strip", (0.93, 0.88, 0.82), (0.70, 0.42, 0.16), 0.40, 190)
_PEAS = Pieces("disc", (0.42, 0.62, 0.20), (0.45, 0.55, 0.18), 0.075, 55)
_CARROT = Pieces("cube", (0.93, 0.50, 0.12), (0.84, 0.42, 0.12), 0.11, 45, added=0.15)
_HERBS = Pieces("leaf", (0.28, 0.55, 0.16), (0.24, 0.42, 0.12), 0.055, 60, added=0.5)
_PANEER = Pieces("cube", (0.95, 0.93, 0.87), (0.88, 0.72, 0.46), 0.22, 26, added=0.3)
_EGG = Pieces("blob", (0.90, 0.90, 0.80), (0.96, 0.93, 0.86), 0.75, 1, yolk=(0.96, 0.62, 0.10))

RAW_EGG = Recipe("friedegg", None, (_EGG,), gloss=0.06)

RECIPES = (
    Recipe("palakpaneer", Sauce((0.32, 0.52, 0.16), (0.22, 0.36, 0.10), 0.008, 0.06, 0.88), (_PANEER,)),
    Recipe("tomatocurry", Sauce((0.86, 0.27, 0.12), (0.62, 0.16, 0.06), 0.006, 0.1, 0.9), (
        Pieces("bubble", (0.92, 0.38, 0.18), (0.72, 0.24, 0.10), 0.06, 70, edge=0.93),
        Pieces("chunk", (0.80, 0.16, 0.08), (0.60, 0.14, 0.06), 0.2, 14, added=0.12), _HERBS)),
    Recipe("dal", Sauce((0.90, 0.72, 0.25), (0.80, 0.55, 0.14), 0.005, 0.1, 0.9), (
        Pieces("bubble", (0.94, 0.80, 0.38), (0.86, 0.64, 0.24), 0.05, 110, edge=0.93), _HERBS)),
    Recipe("friedrice", None, (
        Pieces("grain", _WHITE, _CREAM, 0.095, 1700), _PEAS, _CARROT)),
    Recipe("jeerarice", Sauce(_CREAM, _CREAM, 0.004, 0.02, 0.8), (
        Pieces("grain", (0.95, 0.94, 0.90), (0.92, 0.87, 0.72), 0.10, 1700),
        Pieces("grain", (0.40, 0.27, 0.13), (0.30, 0.18, 0.08), 0.04, 60, added=0.2)), spots=0.05),
    Recipe("onions", None, (_ONION,)),
    Recipe("mixedveg", None, (
        _ONION, Pieces("cube", (0.90, 0.84, 0.52), (0.80, 0.62, 0.28), 0.17, 45), _CARROT,
        Pieces("strip", (0.36, 0.58, 0.16), (0.34, 0.44, 0.12), 0.34, 45, added=0.1), _PEAS)),
    Recipe("chickencurry", Sauce((0.72, 0.42, 0.14), (0.46, 0.22, 0.07), 0.008, 0.1, 0.84), (
        Pieces("chunk", (0.90, 0.66, 0.55), (0.62, 0.36, 0.16), 0.34, 18), _HERBS)),
    Recipe("keema", None, (
        Pieces("chunk", (0.72, 0.36, 0.30), (0.36, 0.20, 0.12), 0.10, 420), _PEAS), spots=0.4),
    RAW_EGG,
    Recipe("eggs", None, (
        Pieces("blob", (0.94, 0.94, 0.88), (0.96, 0.92, 0.84), 0.6, 3, yolk=(0.97, 0.68, 0.10)),), gloss=0.06),
    Recipe("sunnyside", None, (
        Pieces("blob", (0.86, 0.85, 0.74), (0.98, 0.96, 0.92), 0.85, 1, edge=0.5, yolk=(0.97, 0.58, 0.08)),
        Pieces("bubble", (0.90, 0.88, 0.80), (0.80, 0.66, 0.40), 0.035, 30, edge=0.9)), gloss=0.1, spots=0.3),
    Recipe("omelette", None, (
        Pieces("sheet", (0.96, 0.84, 0.42), (0.90, 0.66, 0.28), 1.15, 1, edge=0.7), _HERBS), gloss=0.04, spots=0.5),
    Recipe("scrambledegg", None, (
        Pieces("blob", (0.95, 0.80, 0.32), (0.96, 0.86, 0.50), 0.32, 26),
        Pieces("chunk", (0.97, 0.84, 0.40), (0.95, 0.82, 0.46), 0.16, 60, added=0.2)), spots=0.1),
    Recipe("paneertikka", None, (
        Pieces("cube", (0.96, 0.80, 0.50), (0.80, 0.42, 0.14), 0.24, 40),
        Pieces("chunk", (0.30, 0.55, 0.18), (0.30, 0.42, 0.14), 0.18, 14),
        Pieces("chunk", (0.84, 0.20, 0.12), (0.68, 0.18, 0.08), 0.18, 14)), spots=0.5),
    Recipe("potatoes", None, (Pieces("chunk", (0.93, 0.86, 0.58), (0.80, 0.56, 0.22), 0.22, 75), _HERBS), spots=0.5),
    Recipe("noodles", None, (
        Pieces("noodle", (0.94, 0.86, 0.62), (0.80, 0.56, 0.28), 1.1, 150),
        Pieces("strip", (0.50, 0.66, 0.24), (0.40, 0.48, 0.16), 0.3, 25), _CARROT), gloss=0.06),
    Recipe("penne", Sauce((0.88, 0.44, 0.22), (0.74, 0.28, 0.12), 0.006, 0.05, 0.8, added=0.4), (
        Pieces("tube", (0.95, 0.88, 0.64), (0.93, 0.74, 0.42), 0.2, 130), _HERBS)),
    Recipe("soup", Sauce((0.86, 0.72, 0.40), (0.76, 0.55, 0.24), 0.002, 0.14, 0.95, clear=0.45), (
        _CARROT, _PEAS, Pieces("noodle", (0.94, 0.88, 0.66), (0.92, 0.82, 0.56), 0.7, 25, added=0.3), _HERBS)),
    Recipe("pancake", None, (
        Pieces("sheet", (0.95, 0.88, 0.66), (0.84, 0.56, 0.24), 1.3, 1, edge=0.8),), spots=0.7),
    Recipe("flatbread", None, (
        Pieces("sheet", (0.93, 0.87, 0.74), (0.88, 0.74, 0.50), 1.5, 1, edge=0.9),), gloss=0, spots=0.9),
    Recipe("pakora", Sauce((0.95, 0.78, 0.35), (0.85, 0.60, 0.20), 0.002, 0.12, 0.9, 0.0, 0.75, is_food=False), (
        Pieces("bubble", (0.97, 0.90, 0.66), (0.90, 0.74, 0.40), 0.035, 120, edge=0.95),
        Pieces("chunk", (0.95, 0.80, 0.42), (0.72, 0.42, 0.14), 0.26, 14)), spots=0.4),
    Recipe("steak", None, (
        Pieces("blob", (0.70, 0.22, 0.20), (0.34, 0.18, 0.10), 0.85, 1),), gloss=0.08, spots=0.7),
    Recipe("sausages", None, (
        Pieces("tube", (0.82, 0.46, 0.36), (0.52, 0.24, 0.12), 0.62, 5, edge=0.5),), gloss=0.1, spots=0.5),
    Recipe("mushrooms", None, (
        Pieces("disc", (0.86, 0.78, 0.66), (0.56, 0.40, 0.24), 0.2, 40),
        Pieces("strip", (0.84, 0.76, 0.62), (0.52, 0.36, 0.20), 0.26, 40)), gloss=0.06, spots=0.4),
    Recipe("greens", None, (
        Pieces("leaf", (0.24, 0.50, 0.14), (0.14, 0.30, 0.08), 0.36, 90, edge=0.8),
        Pieces("strip", (0.72, 0.82, 0.52), (0.50, 0.58, 0.26), 0.4, 25)), gloss=0.06, spots=0.1),
    Recipe("porridge", Sauce((0.92, 0.88, 0.76), (0.86, 0.76, 0.56), 0.014, 0.05, 0.85), (
        Pieces("bubble", (0.94, 0.90, 0.80), (0.88, 0.80, 0.62), 0.05, 40, edge=0.9),)),
    Recipe("prawns", None, (
        Pieces("strip", (0.66, 0.62, 0.60), (0.94, 0.52, 0.32), 0.42, 22), _HERBS), gloss=0.1),
    Recipe("emptypan", None, ()),
)  # fmt: skip
"""Families in turn: every session of a set takes the next one."""
