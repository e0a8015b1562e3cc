"""The base layer, and all that an appliance needs: frames in, class maps out. numpy, OpenCV, click and onnxruntime.

>>> from cookseg.runtime import STARTER, Segmenter, read_image, write_png
>>> def write_mask(image, mask):
...     segmenter = Segmenter.load(STARTER, device="cpu")
...     segmentation = segmenter.predict(read_image(image))
...     write_png(mask, segmentation.color)

`STARTER` is the path of the model that comes with it, trained on synthetic scenes only. For more than one frame there
are sources and sinks, and two ways from one to the other: `run` (all in order) and `run_latest` (newest wins).
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

import cookseg.runtime.opencv  # noqa: F401 - says what is wrong with OpenCV, before others import it
from cookseg.runtime.errors import (
    CheckFailedError,
    CooksegError,
    DatasetError,
    DeviceError,
    ImageError,
    InputError,
    MaskError,
    MissingExtraError,
    ModelError,
    PartialFailureError,
)
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.imaging.masks import colorize, overlay
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.imaging.preprocess import read_frame
from cookseg.runtime.model.contract import ClassTable, Contract, Preprocessing
from cookseg.runtime.model.engine import STARTER, read_contract
from cookseg.runtime.model.segmenter import Segmentation, Segmenter
from cookseg.runtime.model.session import Mode, Settings

if TYPE_CHECKING:
    from cookseg.runtime.model.selftest import selftest
    from cookseg.runtime.scoring.evaluation import evaluate
    from cookseg.runtime.scoring.metrics import ConfusionMatrix
    from cookseg.runtime.stream.latest import run_latest
    from cookseg.runtime.stream.run import run
    from cookseg.runtime.stream.sinks import (
        ColorMaskSink,
        ConfidenceSink,
        IndexSink,
        OverlaySink,
        PaletteMaskSink,
        Sink,
    )
    from cookseg.runtime.stream.sources import FileSource, Source

    __version__: str

logging.getLogger("cookseg").addHandler(logging.NullHandler())  # silent unless the program that calls it wants more

_MODULES = {
    "model.selftest": ("selftest",),
    "scoring.evaluation": ("evaluate",),
    "scoring.metrics": ("ConfusionMatrix",),
    "stream.latest": ("run_latest",),
    "stream.run": ("run",),
    "stream.sinks": ("ColorMaskSink", "ConfidenceSink", "IndexSink", "OverlaySink", "PaletteMaskSink", "Sink"),
    "stream.sources": ("FileSource", "Source"),
}
"""Modules that are imported when one of their names is first used: a `Segmenter` starts sooner without them."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = importlib.import_module("importlib.metadata").version("cookseg")
    else:
        module = next((module for module, names in _MODULES.items() if name in names), None)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "STARTER",
    "CheckFailedError",
    "ClassTable",
    "ColorMaskSink",
    "ConfidenceSink",
    "ConfusionMatrix",
    "Contract",
    "CooksegError",
    "DatasetError",
    "DeviceError",
    "FileSource",
    "Frame",
    "ImageError",
    "IndexSink",
    "InputError",
    "MaskError",
    "MissingExtraError",
    "Mode",
    "ModelError",
    "OverlaySink",
    "PaletteMaskSink",
    "PartialFailureError",
    "Preprocessing",
    "Segmentation",
    "Segmenter",
    "Settings",
    "Sink",
    "Source",
    "__version__",
    "colorize",
    "evaluate",
    "overlay",
    "read_contract",
    "read_frame",
    "read_image",
    "run",
    "run_latest",
    "selftest",
    "write_png",
]
