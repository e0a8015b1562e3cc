"""Export: checkpoint -> ONNX -> simplified -> checked against torch -> one self-contained file.

    from cookseg.export import Gates, Settings, export

    report = export("runs/mine", "runs/mine/model.onnx", settings=Settings(frames=4), gates=Gates(agreement=0.999))
    print(report.precision, report.to_dict()["mean_iou"]["file"])

`export` and `Report` need the extra `export`; they are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from cookseg.export.config import Calibration, Gates, Precision, Settings, Target
from cookseg.runtime.errors import require_extra

if TYPE_CHECKING:
    from cookseg.export.pipeline import export
    from cookseg.export.report import Report

_LAZY = {"export": "pipeline", "Report": "report"}

__all__ = ["Calibration", "Gates", "Precision", "Report", "Settings", "Target", "export"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with require_extra("export"):
        return getattr(importlib.import_module(f"cookseg.export.{_LAZY[name]}"), name)
