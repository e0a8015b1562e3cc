"""Evaluation: any `Segmenter`, torch's or onnxruntime's, against ground truth at the ground truth's resolution."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cookseg.runtime.errors import DatasetError
from cookseg.runtime.imaging.frame import Frame
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import ClassTable
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.results import Table
from cookseg.runtime.scoring.dataset import Layout, Sample, list_pairs, load_classes, read_pair
from cookseg.runtime.scoring.edges import EdgeCounts, EdgeRules, EdgeScores, near_change
from cookseg.runtime.scoring.metrics import ConfusionMatrix, Scores, format_score

EDGE_SHARE = 0.005
"""Pixels are near an edge within this fraction of the frame's diagonal: 11 pixels at 1920x1080."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on a split of a dataset.

    Attributes:
        data: The dataset's folder.
        split: The split's.
        frames: Number of its frames.
        off_colors: Number of mask pixels whose colours are not exactly a class's.
        scores: Of all labelled pixels.
        near_edges: Counts of the pixels near an edge alone, see `edge_band`.
        edges: Scores without edges, and of the boundaries.
        model: The model's name, for reports.
    """

    data: Path
    split: str
    frames: int
    off_colors: int
    scores: Scores
    near_edges: ConfusionMatrix
    edges: EdgeScores
    model: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        near = {"pixel_accuracy": self.near_edges.pixel_accuracy, "mean_iou": self.near_edges.mean_iou}
        return {
            "model": self.model,
            "data": str(self.data),
            "split": self.split,
            "frames": self.frames,
            "off_color_pixels": self.off_colors,
            **self.scores.to_dict(),
            "near_edges": near,
            "edges": self.edges.to_dict(),
        }

    def tables(self) -> Iterator[Table]:
        """Return scores and confusion matrix, then the scores at edges."""
        yield Table(above=f"{self.frames} frames, {self.scores.matrix.counts.sum():,} labelled pixels")
        yield from self.scores.tables()
        if self.off_colors:
            yield Table(
                above=f"{self.off_colors:,} mask pixels had colours that are not exactly a class's (JPEG? resized?);"
                " they were counted as the nearest class"
            )
        yield from self.edges.tables()
        accuracy, iou = format_score(self.near_edges.pixel_accuracy), format_score(self.near_edges.mean_iou)
        yield Table(above=f"within {EDGE_SHARE:.1%} of the diagonal of an edge: accuracy {accuracy}, mean IoU {iou}")


@checked_keywords
def evaluate_set(  # noqa: PLR0913 - two or three positional ones, and what may be chosen
    segmenter: Segmenter,
    data: Path | str,
    split: str = "val",
    *,
    layout: Layout | None = None,
    rules: EdgeRules | None = None,
    model: str = "",
    progress: Progress = silent,
) -> Evaluation:
    """Read a split of a dataset, segment every frame, and score it.

        from cookseg.runtime import STARTER, Segmenter
        from cookseg.runtime.scoring.evaluation import evaluate_set

        evaluation = evaluate_set(Segmenter.load(STARTER), "data/sets/demo")
        print(evaluation.scores.matrix.mean_iou, evaluation.edges.counts.mean_boundary_f1)

    Args:
        segmenter: The model.
        data: The dataset's folder, which holds a folder for each split.
        split: Name of the split's folder.
        layout: Folders of images and masks in it; None is ``images`` and ``masks``, in class colours.
        rules: Distances of the scores at edges, in pixels of the masks; None is the default of each.
        model: The model's name, for reports.
        progress: Told of the frames.

    Raises:
        DatasetError: The split is missing or incomplete, or the dataset has other classes than the model.
        InputError: ``classes.json`` is not a valid class table.
        ImageError: A file cannot be decoded.
        MaskError: A mask holds values of no class.
    """
    data, layout = Path(data), layout or Layout()
    classes, pairs = load_classes(data), list_pairs(data, split, layout)
    require_same_classes(segmenter.contract.classes, classes)
    off_colors = 0

    def samples() -> Iterator[Sample]:
        nonlocal off_colors
        for pair in progress(pairs, "evaluation", len(pairs)):
            sample = read_pair(pair, classes, layout, segmenter.contract.preprocessing)
            off_colors += sample.off_colors
            yield sample

    near, edges = ConfusionMatrix(len(classes)), EdgeCounts(len(classes), rules)
    matrix = evaluate(segmenter, samples(), near, edges)
    at_edges = EdgeScores(edges, matrix, classes)
    return Evaluation(data, split, len(pairs), off_colors, Scores(matrix, classes), near, at_edges, model)


@checked_keywords
def evaluate(
    segmenter: Segmenter,
    samples: Iterable[Sample],
    near_edges: ConfusionMatrix | None = None,
    edges: EdgeCounts | None = None,
) -> ConfusionMatrix:
    """Segment every frame and compare its pixels with the truth.

    Args:
        segmenter: The model.
        samples: Frames and their truth.
        near_edges: Gets the counts of the pixels near an edge alone, if it is given.
        edges: Gets the counts of the scores at edges, if it is given.

    Returns:
        The counts of all pixels.
    """
    matrix = ConfusionMatrix(len(segmenter.contract.classes))
    for sample in samples:
        found = segmenter.predict(Frame(sample.frame, sample.truth.shape)).class_map
        matrix.update(sample.truth, found)
        if near_edges:
            band = edge_band(sample.truth)
            near_edges.update(sample.truth[band], found[band])
        if edges:
            edges.update(sample.truth, found)
    return matrix


def edge_band(truth: UInt8Array) -> npt.NDArray[np.bool_]:
    """Return which pixels of a class map lie near a change of class.

    Args:
        truth: (H, W) uint8.

    Returns:
        (H, W) bool: pixels within `EDGE_SHARE` of the frame's diagonal of another class, pixels without truth included.

    The trimap of Kohli, Ladicky and Torr, https://doi.org/10.1007/s11263-008-0202-0.
    """
    radius = max(1, round(EDGE_SHARE * float(np.hypot(*truth.shape))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return near_change(truth, disc)


def require_same_classes(model: ClassTable, dataset: ClassTable) -> None:
    """Refuse to compare a model with a dataset of other classes.

    Raises:
        DatasetError: Names or their order differ.
    """
    if model.names != dataset.names:
        raise DatasetError(
            f"the model knows the classes {', '.join(model.names)}, but the dataset's are {', '.join(dataset.names)}:"
            " use the dataset that the model was trained for, or fix its classes.json"
        )
