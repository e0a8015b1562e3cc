"""All choices of a training run as values that travel in its checkpoint; no torch, so that `--help` needs none."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import Preprocessing
from cookseg.training.augment import AugmentConfig
from cookseg.training.models import PRESETS

Precision = Literal["auto", "float32"]
HEAD_OUTPUTS = ("classes", "scores", "confidence", "logits")
"""What a network gives: class map, probabilities times 255, the largest of them, and the logits of the softmax."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        model: A name of `cookseg.training.models.PRESETS`.
        epochs: Times that the training set is seen.
        batch: Frames per step, of all processes together.
        lr: Peak learning rate.
        weight_decay: Decoupled weight decay of the kernels of convolutions.
        warmup: Share of the steps over which the learning rate rises to its peak; a cosine to 0 follows.
        ema_decay: Decay of the exponential moving average of the weights that is evaluated and kept.
        val_every: Epochs between validations; a run of more than 100 validations has 100.
        patience: Epochs without a better validation mIoU after which the run ends; 0 never ends it early.
        seed: Seeds weights, order and augmentation.
        qat: Whether to train as if convolutions were computed in int8, for a model that will be.
        init: SHA-256 of the checkpoint that the first weights come from; empty for random weights.
        teacher: SHA-256 of the checkpoint whose answers are learned beside the truth; empty for the truth alone.
        precision: ``auto`` is bfloat16 or float16 autocast where the device has it, ``float32`` never.
        preprocessing: Size and resize rule of the network's input.
        crop: Height and width of the random windows that a step sees of the frames; None for whole frames.
        augment: Ranges of the augmentation.
    """

    model: str = "edge"
    epochs: int = 100
    batch: int = 8
    lr: float = 2e-3
    weight_decay: float = 0.1
    warmup: float = 0.05
    ema_decay: float = 0.998
    val_every: int = 1
    patience: int = 0
    seed: int = 0
    qat: bool = False
    init: str = ""
    teacher: str = ""
    precision: Precision = "auto"
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    crop: tuple[int, int] | None = None
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if self.model not in PRESETS:
            raise InputError(f"model is {self.model!r}; it must be one of {', '.join(PRESETS)}")
        if self.precision not in get_args(Precision):
            raise InputError(f"precision is {self.precision!r}; it must be one of {', '.join(get_args(Precision))}")
        for name, smallest in (("epochs", 1), ("batch", 2), ("val_every", 1), ("patience", 0), ("seed", 0)):
            if getattr(self, name) < smallest:
                raise InputError(f"{name} is {getattr(self, name)}; it must be {smallest} or more")
        if not (0 < self.lr < math.inf and self.weight_decay >= 0):
            raise InputError(f"lr is {self.lr} and weight_decay {self.weight_decay}; they must be positive numbers")
        if not (0 <= self.warmup < 1 and 0 <= self.ema_decay < 1):
            raise InputError(f"warmup is {self.warmup} and ema_decay {self.ema_decay}; both must be in 0 to 1")
        height, width = self.preprocessing.height, self.preprocessing.width
        if self.crop and (self.crop[0] > height or self.crop[1] > width):
            raise InputError(
                f"crop is {self.crop[1]}x{self.crop[0]}, larger than the frames at the network's size, which is"
                f" {width}x{height}: choose a smaller --crop, or a larger --imgsz"
            )

    def learning_rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step: linear warm-up, then half a cosine down to 0."""
        rise = max(1, round(self.warmup * steps))
        if step < rise:
            return self.lr * (step + 1) / rise
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def default_epochs(examples: int) -> int:
    """Return epochs that show the network about 40,000 frames: a small set needs more rounds than a large one.

    >>> default_epochs(448), default_epochs(14)
    (89, 1000)
    """
    return max(60, min(1000, round(40_000 / examples)))
