"""Synthetic cooking: rendered kitchens, pans, food and stirrers, with masks that are exact by construction.

From the bottom up: planes (arithmetic on images), optics (the camera's geometry), light (rooms), solids (objects, and
the canvas they are painted on), vessels, dishes, recipes and food, stirrers, handles (of pans), hands, counters and
kitchens (surroundings of the pan), action (motion), lens (the camera's faults), scenes (a frame of all that), sets
(files).
"""
