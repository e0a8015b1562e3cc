"""Adaptation to a camera from its unlabelled frames alone, and what tells whether that helps where no label does.

Rendered scenes stand in for the labelled frames: some are trained on, so that the network does not forget the classes,
and others are held out. Self-training can go wrong in its own way, which no loss shows: predictions confirm themselves
until a class has taken over or is gone. So the areas of the classes over the unlabelled frames are watched too.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cookseg.data.synthetic.sets import Plan, render_set
from cookseg.evaluation.run import Row, Run
from cookseg.runtime.errors import CheckFailedError, InputError
from cookseg.runtime.model.contract import COOKING, Contract, Preprocessing
from cookseg.runtime.progress import Progress, silent
from cookseg.training import checkpoint, distributed
from cookseg.training.config import TrainConfig

TRAIN, VAL, SEED = 96, 32, 220_117
STEPS = 120
"""Of a run of which nobody said how long: what a network predicts wrongly it confirms, the longer the more."""
MOST_LOST = 0.03
"""Of the held-out scenes' mean IoU at the start: weights that lose more are not kept."""
VANISHED, TAKEN_OVER = 0.1, 0.2
"""A class vanishes below this part of its area at the start, and takes over with this share of all pixels more."""
RARE = 0.001
"""Share of the pixels below which a class was hardly there at the start, and cannot vanish."""
NOTE = (
    "Adapted to unlabelled frames without any label: its scores are those of rendered scenes and say nothing of the"
    " frames that it was adapted to. Label a few to know."
)


def scenes_of(run: Run) -> Path:
    """Return the folder of the rendered scenes of a run without labels."""
    return run.path / "scenes"


def render_scenes(run: Run, spec: Preprocessing, *, progress: Progress = silent) -> Path:
    """Render the scenes of a run without labels into its folder, always the same; return their folder.

    Raises:
        InputError: They cannot be written.
    """
    folder = scenes_of(run)

    def render() -> None:
        if not folder.exists():  # it appears complete
            size = (spec.height, spec.width)
            render_set(folder, Plan({"train": TRAIN, "val": VAL}, 2, sizes=[size], seed=SEED), progress=progress)

    distributed.from_first(render)
    return folder


def configured(config: TrainConfig, weights: Path | None) -> TrainConfig:
    """Return the configuration of a run without labels, complete; ``weights`` is the checkpoint to adapt.

    Raises:
        InputError: There is none, it is of other classes than the rendered scenes, or there are no unlabelled frames.
        ModelError: As `checkpoint.load`.
    """
    if not config.unlabelled.source:
        raise InputError("give a dataset, or frames to adapt the starter to: `unlabelled.source` and `init='starter'`")
    if weights is None:
        raise InputError(
            "without a dataset there is nothing to learn the classes from: name the weights to adapt, such as"
            " `init='starter'`"
        )
    classes = Contract.from_json(checkpoint.load(weights)["contract"]).classes
    if classes.names != COOKING.names:
        raise InputError(
            f"{weights}: its classes are {', '.join(classes.names)}: only {', '.join(COOKING.names)} can be rendered,"
            " so for others give a dataset with a few labelled frames"
        )
    epochs = config.epochs or max(1, STEPS * config.batch // TRAIN)
    return replace(config, epochs=epochs, unlabelled=replace(config.unlabelled, rampup=0))


def area_columns(names: Sequence[str], pixels: npt.NDArray[np.int64]) -> Row:
    """Return a validation's columns for the shares that the classes have of the pixels of the unlabelled frames."""
    shares = pixels / max(1, pixels.sum())
    return {f"area_{name}": round(float(share), 6) for name, share in zip(names, shares, strict=True)}


def is_sound(row: Row, history: Sequence[Row]) -> bool:
    """Return whether weights may be kept by their validation; the first row of the history is the starting weights'.

    They may if the held-out scenes are segmented nearly as well as at the start.

    Raises:
        CheckFailedError: A class has taken over the unlabelled frames or vanished from them.
    """
    start = history[0] if history else row
    for column, area in row.items():
        if not column.startswith("area_"):
            continue
        before, now, name = start[column] or 0.0, area or 0.0, column.removeprefix("area_")
        vanishes = before >= RARE and now < VANISHED * before
        if vanishes or now > before + TAKEN_OVER:
            raise CheckFailedError(
                f"{name} {'vanishes' if vanishes else 'takes over'}: it had {before:.2%} of the unlabelled pixels with"
                f" the starting weights and has {now:.2%} after step {row['step']:.0f}; the weights are thrown away."
                " Use the starting weights as they are, label a few frames, or try a lower `lr`, fewer `epochs` or"
                " another `unlabelled.confidence`"
            )
    return (row["val_miou"] or 0.0) >= (start["val_miou"] or 0.0) - MOST_LOST
