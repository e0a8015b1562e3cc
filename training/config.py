"""All choices of a training run as values that travel in its checkpoint; no torch, so that `--help` needs none."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from cookseg.runtime.errors import InputError
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import Preprocessing
from cookseg.training.augment import AugmentConfig
from cookseg.training.fields import fit_types, require_range
from cookseg.training.models import PRESETS
from cookseg.training.unlabelled import UnlabelledConfig

Precision = Literal["auto", "float32"]
Keep = Literal["best", "last"]
HEAD_OUTPUTS = ("classes", "scores", "confidence", "logits")
"""What a network gives: class map, probabilities times 255, the largest of them, and the logits of the softmax."""
AUTO, DEFAULT_MODEL = "auto", "edge"
STARTER_NAME = "starter"
"""Stands for the checkpoint that comes with cookseg, where one is named."""
IMAGENET, RANDOM = "imagenet", "none"
"""Stand for the published weights of an encoder, and for random ones, where a file of weights is named."""


@checked_keywords
@dataclass(frozen=True)
class EncoderConfig:
    """How the encoder of a model that has a pretrained one is trained; other models have no use for it.

    Attributes:
        weights: Its first weights: ``imagenet`` are the published ones, ``none`` random ones; or a file with a state
            dict. In a run that has begun, the SHA-256 of the file. Weights of `TrainConfig.init` come before them.
        lr: Its learning rate, as a fraction of the others'.
        freeze: Fraction of the steps, from the first one, in which it stays as it is.
        norms: Whether its batch norms go on counting mean and variance (``train``) or keep them (``fixed``).
    """

    weights: str = IMAGENET
    lr: float = 0.3
    freeze: float = 0.0
    norms: Literal["train", "fixed"] = "train"

    def __post_init__(self) -> None:
        fit_types(self, "encoder.")
        require_range(self, ["lr", "freeze"], 0, 1, "encoder.")
        if not self.weights:
            raise InputError("`encoder.weights=''`: it must be imagenet, none, or a file")


@checked_keywords
@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    A TOML file of a configuration has the same names, and a table for each of `preprocessing`, `augment`, `encoder` and
    `unlabelled`.

    Attributes:
        model: A name of `cookseg.training.models.PRESETS`; ``auto`` is the model of `init`, or ``edge``.
        epochs: Times that the training set is seen; None for about 40,000 frames' worth.
        batch: Frames per step, of all processes together.
        lr: Peak learning rate.
        weight_decay: Decoupled weight decay of the kernels of convolutions.
        warmup: Fraction of the steps over which the learning rate rises to its peak; a cosine to 0 follows.
        ema_decay: Decay of the exponential moving average of the weights that is evaluated and kept.
        val_every: Epochs between validations; a run of more than 100 validations has 100.
        patience: Epochs without a better validation mIoU after which the run ends; 0 never ends it early, None does
            after a third of the epochs, 10 at least; or never, where the last weights are kept.
        keep: Weights that a run keeps and its model has: those of the ``best`` validation, or the ``last`` ones, where
            the validation frames are too like the training frames to choose by.
        seed: Seeds weights, order and augmentation.
        qat: Whether to train as if convolutions were computed in int8, for a model that will be.
        init: Run or checkpoint that the first weights come from, or ``starter``; empty for random weights. In a run
            that has begun, the SHA-256 of the checkpoint.
        teacher: Run or checkpoint of a network whose predictions are learned beside the masks, or ``starter``; empty
            for the masks alone. In a run that has begun, the SHA-256 of the checkpoint.
        precision: ``auto`` is bfloat16 or float16 autocast where the device has it, ``float32`` never.
        preprocessing: Size and resize rule of the network's input.
        crop: Height and width of the random windows that a step sees of the frames; None for whole frames.
        augment: Ranges of the augmentation.
        encoder: How a pretrained encoder is trained.
        unlabelled: Frames without masks, and how they are used.
    """

    model: str = AUTO
    epochs: int | None = None
    batch: int = 8
    lr: float = 2e-3
    weight_decay: float = 0.1
    warmup: float = 0.05
    ema_decay: float = 0.998
    val_every: int = 1
    patience: int | None = None
    keep: Keep = "best"
    seed: int = 0
    qat: bool = False
    init: str = ""
    teacher: str = ""
    precision: Precision = "auto"
    crop: tuple[int, int] | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    unlabelled: UnlabelledConfig = field(default_factory=UnlabelledConfig)

    def __post_init__(self) -> None:
        fit_types(self)
        if self.model not in (AUTO, *PRESETS):
            raise InputError(f"`model={self.model!r}`: it must be one of {AUTO}, {', '.join(PRESETS)}")
        for name, smallest in (("epochs", 1), ("batch", 2), ("val_every", 1), ("patience", 0), ("seed", 0)):
            require_range(self, [name], smallest, math.inf)
        if not 0 < self.lr < math.inf:
            raise InputError(f"`lr={self.lr}`: it must be a positive number")
        require_range(self, ["weight_decay"], 0, math.inf)
        for name in ("warmup", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"`{name}={getattr(self, name)}`: it must be in 0 to 1, and not 1 itself")
        height, width = self.preprocessing.height, self.preprocessing.width
        if self.crop and not (1 <= self.crop[0] <= height and 1 <= self.crop[1] <= width):
            raise InputError(
                f"`crop={self.crop!r}`: it must be no larger than the frames at the network's size, which is"
                f" {width}x{height}: choose a smaller `crop`, or a larger `preprocessing.height` and width"
            )

    def resolved(self, examples: int) -> "TrainConfig":
        """Return the configuration for a training set of so many frames, with nothing left to choose."""
        epochs = default_epochs(examples) if self.epochs is None else self.epochs
        usual = max(10, epochs // 3) if self.keep == "best" else 0
        patience = usual if self.patience is None else self.patience
        model = DEFAULT_MODEL if self.model == AUTO else self.model
        return replace(self, model=model, epochs=epochs, patience=patience)

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
