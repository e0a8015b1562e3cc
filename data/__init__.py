"""Datasets: made, imported, split, and checked before anything is trained on them.

from cookseg.data import diagnose, import_labels, split, survey

import_labels("annotations.json", "data/sets/mine", mapping={"ladle": "stirrer", "egg": "food"})
split("data/sets/mine", "data/sets/split", val=0.2)
for finding in diagnose(survey("data/sets/split")).findings:
    print(finding.name, [row.cells for row in finding.rows])

`render_set` and `render_clip` make synthetic ones, `fix` a copy without the faults that need no person, and
`require_sound` raises where a training run would break. `Layout` says how a dataset lies on disk.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cookseg.data.doctor.fix import fix
    from cookseg.data.doctor.report import Report, diagnose, require_sound
    from cookseg.data.doctor.survey import Survey, survey
    from cookseg.data.importing import import_labels
    from cookseg.data.split_result import SplitResult
    from cookseg.data.splitting import split
    from cookseg.data.synthetic.sets import Plan, render_clip, render_set
    from cookseg.runtime.scoring.dataset import Layout

_HOMES = {
    "Layout": "cookseg.runtime.scoring.dataset",
    "Plan": "cookseg.data.synthetic.sets",
    "Report": "cookseg.data.doctor.report",
    "SplitResult": "cookseg.data.split_result",
    "Survey": "cookseg.data.doctor.survey",
    "diagnose": "cookseg.data.doctor.report",
    "fix": "cookseg.data.doctor.fix",
    "import_labels": "cookseg.data.importing",
    "render_clip": "cookseg.data.synthetic.sets",
    "render_set": "cookseg.data.synthetic.sets",
    "require_sound": "cookseg.data.doctor.report",
    "split": "cookseg.data.splitting",
    "survey": "cookseg.data.doctor.survey",
}
"""Loaded when asked for: a trainer needs no importer, and an exporter no kitchen."""

__all__ = [
    "Layout",
    "Plan",
    "Report",
    "SplitResult",
    "Survey",
    "diagnose",
    "fix",
    "import_labels",
    "render_clip",
    "render_set",
    "require_sound",
    "split",
    "survey",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
