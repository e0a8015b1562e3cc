"""Everything that the doctor can find, a class for each kind of fault, in modules by theme.

A new check is one more class in one of these modules. The catalogue is made of the classes, so no name stands twice.
"""

import inspect
from types import ModuleType

from cookseg.data.doctor.check import Check
from cookseg.data.doctor.checks import files, frames, labels, masks, pairs, refused, splits, storage

_THEMES = (pairs, refused, splits, frames, storage, masks, labels, files)


def _checks_of(theme: ModuleType) -> list[Check]:
    """Return all checks that a module defines; a class whose name begins with an underscore is a base of others."""
    kinds = [kind for kind in vars(theme).values() if inspect.isclass(kind) and issubclass(kind, Check)]
    return [kind() for kind in kinds if kind.__module__ == theme.__name__ and not kind.__name__.startswith("_")]


_ALL = [check for theme in _THEMES for check in _checks_of(theme)]

CHECKS = {check.name: check for check in sorted(_ALL, key=lambda check: check.severity)}
"""All checks by the name that ``--json`` gives: errors first, then in the order of modules and classes."""
