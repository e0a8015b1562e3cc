"""Datasets: made, imported, exported, split, and checked before anything is trained on them.

>>> import tempfile
>>> from cookseg.data import Plan, diagnose, render_set, split, survey
>>> folder = tempfile.TemporaryDirectory()
>>> mine = render_set(f"{folder.name}/mine", Plan({"train": 8, "val": 2}, per_session=2, sizes=[(120, 160)]))
>>> split(mine.dataset, f"{folder.name}/split", val=0.4).splits["val"].frames
4
>>> report = diagnose(survey(f"{folder.name}/split"))
>>> [finding.name for finding in report.errors]
[]
>>> folder.cleanup()

`import_labels` makes a dataset of what a labelling tool wrote, `export_labels` is the way back; `render_set` and
`render_clip` make synthetic ones, `fix` a copy without the faults that need no person. `require_sound` raises where a
training run would break. `Layout` says how a dataset lies on disk.
"""

import importlib
from typing import TYPE_CHECKING, Any

import cookseg.runtime  # noqa: F401 - before OpenCV, which it checks

if TYPE_CHECKING:
    from cookseg.data.doctor.fix import fix
    from cookseg.data.doctor.report import Report, diagnose, require_sound
    from cookseg.data.doctor.survey import Survey, survey
    from cookseg.data.exporting import export_labels
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
    "export_labels": "cookseg.data.exporting",
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
    "export_labels",
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
