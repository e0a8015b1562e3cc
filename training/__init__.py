"""Training in torch: models, augmentation, loss, loop, checkpoints.

from cookseg.training import TrainConfig, train

result = train("data/sets/mine", "runs/mine", TrainConfig(epochs=80, init="starter"))
print(result.matrix.mean_iou, result.run.best)
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookseg.runtime.errors import require_extra
from cookseg.training.augment import AugmentConfig
from cookseg.training.config import TrainConfig
from cookseg.training.config_file import load_config

if TYPE_CHECKING:
    from cookseg.training.lr_range import find_learning_rate
    from cookseg.training.runs import InterruptedRunError, train
    from cookseg.training.trainer import Trainer

__all__ = [
    "STARTER",
    "AugmentConfig",
    "InterruptedRunError",
    "TrainConfig",
    "Trainer",
    "find_learning_rate",
    "load_config",
    "train",
]

STARTER = Path(__file__).with_name("starter.pt")
"""The checkpoint that `cookseg.runtime.STARTER` was made of, in float16, to fine-tune it."""

_NEED_TORCH = {
    "InterruptedRunError": "runs",
    "Trainer": "trainer",
    "find_learning_rate": "lr_range",
    "train": "runs",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is used: `cook-train --help` must not wait for it."""
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with require_extra("train"):
        return getattr(importlib.import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)
