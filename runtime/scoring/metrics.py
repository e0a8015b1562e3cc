"""Segmentation metrics: a confusion matrix first, scores second.

Definitions are the usual ones of Pascal VOC and scikit-learn, over all pixels of all frames together. A score that
is not defined (the recall of a class that never occurs, say) is None, "n/a" in print, and takes no part in a mean: 0
would punish a model for frames that nobody recorded.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import IGNORE, ClassTable
from cookseg.runtime.results import Table


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class against all others, each 0 to 1 or None where not defined.

    Attributes:
        accuracy: Fraction of all pixels on which truth and prediction agree whether they are of this class.
        precision: Fraction of the pixels predicted as this class that are; None if it was never predicted.
        recall: Fraction of the class's pixels that were found; None if it never occurs.
        f1: Harmonic mean of precision and recall (also called Dice); None if the class never occurs.
        iou: Intersection over union (also called Jaccard index); None if the class never occurs.
        support: Number of pixels of the class in the ground truth.
    """

    accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    iou: float | None
    support: int


@checked_keywords
class ConfusionMatrix:
    """Pixel counts, (C, C) int64: row is the true class, column the predicted one.

    >>> matrix = ConfusionMatrix(3)
    >>> matrix.update(np.array([[0, 0, 1, IGNORE]], np.uint8), np.array([[0, 1, 1, 2]], np.uint8))
    >>> [scores.iou for scores in matrix.scores()]
    [0.5, 0.5, None]
    """

    def __init__(self, classes: int) -> None:
        self.counts: npt.NDArray[np.int64] = np.zeros((classes, classes), np.int64)

    @classmethod
    def of(cls, counts: npt.ArrayLike) -> Self:
        """Return the matrix of counts (C, C) that were kept, as integers or nested lists."""
        matrix = cls(0)
        matrix.counts = np.array(counts, np.int64)
        return matrix

    def update(self, truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8]) -> None:
        """Count the pixels of one frame.

        Args:
            truth: (H, W) uint8: 0 to C - 1, or 255 for pixels that do not count.
            predicted: (H, W) uint8, 0 to C - 1.

        Raises:
            IndexError: The two are not of the same shape.
        """
        classes = len(self.counts)
        known = truth != IGNORE
        pairs = truth[known].astype(np.intp) * classes + predicted[known]
        self.counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def scores(self) -> list[ClassScores]:
        """Return the scores of each class, in the order of the table."""
        total = int(self.counts.sum())
        return [self._scores(index, total) for index in range(len(self.counts))]

    @property
    def pixel_accuracy(self) -> float | None:
        """Fraction of pixels whose class is right, 0..1; None without pixels."""
        return _ratio(int(self.counts.trace()), int(self.counts.sum()))

    @property
    def mean_iou(self) -> float | None:
        """Mean IoU over the classes that occur in the ground truth, 0..1; None without any."""
        defined = [scores.iou for scores in self.scores() if scores.iou is not None]
        return float(np.mean(defined)) if defined else None

    def _scores(self, index: int, total: int) -> ClassScores:
        hit = int(self.counts[index, index])
        support = int(self.counts[index].sum())
        predicted = int(self.counts[:, index].sum())
        union = support + predicted - hit
        return ClassScores(
            accuracy=_ratio(total - union + hit, total),
            precision=_ratio(hit, predicted),
            recall=_ratio(hit, support),
            f1=_ratio(2 * hit, support + predicted) if support else None,
            iou=_ratio(hit, union) if support else None,
            support=support,
        )


SCORE_COLUMNS = ["class", "accuracy", "precision", "recall", "F1", "IoU", "support"]


@dataclass(frozen=True)
class Scores:
    """Scores on labelled frames, as a result: of each class, of all together, and the counts behind them.

    >>> classes = ClassTable(("pan", "food"), ((0, 255, 0), (0, 0, 255)))
    >>> for table in Scores(ConfusionMatrix.of([[8, 2], [0, 9]]), classes).tables():
    ...     print(table.rows[0])
    ['pan', '0.8947', '1.0000', '0.8000', '0.8889', '0.8000', '10']
    ['pan', '8', '2']
    """

    matrix: ConfusionMatrix
    classes: ClassTable

    def to_dict(self) -> dict[str, Any]:
        """Return all scores and the confusion matrix as JSON values."""
        scores = zip(self.classes.names, self.matrix.scores(), strict=True)
        return {
            "pixel_accuracy": self.matrix.pixel_accuracy,
            "mean_iou": self.matrix.mean_iou,
            "classes": {name: asdict(of_class) for name, of_class in scores},
            "confusion_matrix": self.matrix.counts.tolist(),
        }

    def tables(self) -> Iterator[Table]:
        """Return the scores of each class, then the confusion matrix."""
        yield Table(SCORE_COLUMNS, self.rows())
        counts = zip(self.classes.names, self.matrix.counts, strict=True)
        rows = [[name, *(f"{pixels:,}" for pixels in row)] for name, row in counts]
        yield Table(["truth \\ predicted", *self.classes.names], rows)

    def rows(self) -> list[list[str]]:
        """Return the table of scores as text, a row per class and one for the means, columns as `SCORE_COLUMNS`."""
        rows = [
            [name, *(format_score(value) for value in list(asdict(scores).values())[:-1]), f"{scores.support:,}"]
            for name, scores in zip(self.classes.names, self.matrix.scores(), strict=True)
        ]
        overall = [format_score(self.matrix.pixel_accuracy), "", "", "", format_score(self.matrix.mean_iou)]
        return [*rows, ["all pixels / mean IoU", *overall, f"{self.matrix.counts.sum():,}"]]

    def to_csv(self) -> str:
        """Return the table of scores as CSV."""
        text = io.StringIO()
        csv.writer(text).writerows([SCORE_COLUMNS, *self.rows()])
        return text.getvalue()


def score_rows(matrix: ConfusionMatrix, classes: ClassTable) -> list[list[str]]:
    """Return `Scores.rows`."""
    return Scores(matrix, classes).rows()


def score_dict(matrix: ConfusionMatrix, classes: ClassTable) -> dict[str, Any]:
    """Return `Scores.to_dict`."""
    return Scores(matrix, classes).to_dict()


def format_score(value: float | None) -> str:
    """Write a score for people: four digits, or n/a."""
    return "n/a" if value is None else f"{value:.4f}"


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
