"""Where a run is, as plain values: what is kept of it beside the tensors."""

from dataclasses import dataclass, field

from cookseg.evaluation.run import Row


@dataclass
class State:
    """Where a run is: what a resumed run starts from, beside the tensors.

    Attributes:
        step: Steps done.
        losses: Loss of each step since the last validation.
        history: One row per validation: epoch, step, lr, train_loss, val_miou and val_iou_<class> of each class, and
            `Throughput.figures`, which alone are not the same in another run of the same configuration.
        best_epoch: Epoch of the best validation mIoU, -1 before the first.
        unlabelled: Loss of the unlabelled frames, and share of their pixels that had a target, of each step since the
            last validation.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)
    best_epoch: float = -1
    unlabelled: list[tuple[float, float]] = field(default_factory=list)

    @property
    def best_miou(self) -> float:
        """The best validation mIoU so far, -1 before the first."""
        return max((row["val_miou"] or 0.0 for row in self.history), default=-1.0)
