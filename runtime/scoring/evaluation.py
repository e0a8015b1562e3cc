"""Evaluation: any `Segmenter`, torch's or onnxruntime's, against ground truth at the ground truth's resolution."""

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from cookseg.runtime.errors import DatasetError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import IGNORE, ClassTable
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.scoring.dataset import Sample
from cookseg.runtime.scoring.metrics import ConfusionMatrix

EDGE_SHARE = 0.005
"""What is near an edge: this share of the frame's diagonal, 11 pixels at 1920x1080."""


@checked_keywords
def evaluate(
    segmenter: Segmenter, samples: Iterable[Sample], near_edges: ConfusionMatrix | None = None
) -> ConfusionMatrix:
    """Segment every frame and count how its pixels compare with the truth.

    Args:
        segmenter: What to evaluate.
        samples: Frames and their truth.
        near_edges: Gets the counts of the pixels near an edge alone, if it is given.

    Returns:
        The counts of all pixels.
    """
    matrix = ConfusionMatrix(len(segmenter.contract.classes))
    for sample in samples:
        found = segmenter.predict(Frame(sample.frame, sample.truth.shape)).class_map
        matrix.update(sample.truth, found)
        if near_edges:
            near_edges.update(np.where(edge_band(sample.truth), sample.truth, np.uint8(IGNORE)), found)
    return matrix


def edge_band(truth: UInt8Array) -> npt.NDArray[np.bool_]:
    """Return which pixels of a class map (H, W) lie near a change of class (the trimap of Kohli et al., IJCV 2009)."""
    radius = max(1, round(EDGE_SHARE * float(np.hypot(*truth.shape))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.morphologyEx(truth, cv2.MORPH_GRADIENT, disc) > 0)


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
