"""Evaluation: any `Segmenter`, torch's or onnxruntime's, against ground truth at the ground truth's resolution."""

from collections.abc import Iterable

from cookseg.runtime.contract import ClassTable
from cookseg.runtime.dataset import Sample
from cookseg.runtime.errors import DatasetError
from cookseg.runtime.metrics import ConfusionMatrix
from cookseg.runtime.segmenter import Segmenter


def evaluate(segmenter: Segmenter, samples: Iterable[Sample]) -> ConfusionMatrix:
    """Segment every frame and count how its pixels compare with the truth."""
    matrix = ConfusionMatrix(len(segmenter.contract.classes))
    for sample in samples:
        matrix.update(sample.truth, segmenter.predict(sample.frame, sample.truth.shape).class_map)
    return matrix


def require_same_classes(model: ClassTable, dataset: ClassTable) -> None:
    """Refuse to compare a model with a dataset of other classes.

    Raises:
        DatasetError: Names or their order differ.
    """
    if model.names != dataset.names:
        raise DatasetError(
            f"the model knows the classes {', '.join(model.names)}, but the dataset's are {', '.join(dataset.names)}:"
            " use the dataset that the model was trained for, or mend its classes.json"
        )
