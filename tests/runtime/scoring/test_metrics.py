"""Scores against scikit-learn as an independent judge, and what is said where a score is not defined."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from cookseg.runtime.errors import DatasetError
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.model.contract import COOKING, IGNORE, ClassTable, Contract, Preprocessing
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.results import as_text
from cookseg.runtime.scoring.dataset import Layout, Sample
from cookseg.runtime.scoring.edges import EdgeRules
from cookseg.runtime.scoring.evaluation import edge_band, evaluate, evaluate_set, require_same_classes
from cookseg.runtime.scoring.metrics import SCORE_COLUMNS, ConfusionMatrix, Scores


@st.composite
def maps(draw):
    """Truth with ignored pixels, and a prediction without; classes may be absent from either."""
    classes, pixels = draw(st.integers(2, 5)), draw(st.integers(1, 40))
    known = st.sampled_from(draw(st.lists(st.integers(0, classes - 1), min_size=1)))
    truth = draw(st.lists(known | st.just(IGNORE), min_size=pixels, max_size=pixels))
    predicted = draw(st.lists(st.integers(0, classes - 1), min_size=pixels, max_size=pixels))
    return classes, np.array(truth, np.uint8), np.array(predicted, np.uint8)


@settings(deadline=None)
@given(maps(), st.integers(0, 40))
def test_scores_are_those_of_scikit_learn(drawn, cut):
    classes, truth, predicted = drawn
    matrix = ConfusionMatrix(classes)
    matrix.update(truth[None, :cut], predicted[None, :cut])  # two frames, the first or second of which may be empty
    matrix.update(truth[cut:, None], predicted[cut:, None])

    known = truth != IGNORE
    assume(known.any())
    truth, predicted, labels = truth[known], predicted[known], range(classes)
    np.testing.assert_array_equal(matrix.counts, sk.confusion_matrix(truth, predicted, labels=labels))
    assert matrix.pixel_accuracy == pytest.approx(sk.accuracy_score(truth, predicted))
    judged = sk.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=np.nan)
    jaccard = sk.jaccard_score(truth, predicted, labels=labels, average=None, zero_division=0)
    for label, scores in enumerate(matrix.scores()):
        precision, recall, f1, support = (float(values[label]) for values in judged)
        assert scores.support == support
        assert scores.accuracy == pytest.approx(sk.accuracy_score(truth == label, predicted == label))
        assert scores.precision == (None if np.isnan(precision) else pytest.approx(precision))
        assert scores.recall == (None if np.isnan(recall) else pytest.approx(recall))
        assert scores.f1 == (pytest.approx(f1) if support else None)
        assert scores.iou == (pytest.approx(jaccard[label]) if support else None)
    present = np.unique(truth)
    assert matrix.mean_iou == pytest.approx(sk.jaccard_score(truth, predicted, labels=present, average="macro"))


def test_absent_classes_have_no_score_and_take_no_part_in_the_mean():
    matrix = ConfusionMatrix.of([[6, 2, 0, 0], [0, 8, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    matrix.update(np.full((1, 2), 1, np.uint8), np.full((1, 2), 3, np.uint8))  # class 3 is seen where there is none
    stirrer, pan, never, imagined = matrix.scores()
    assert (stirrer.recall, stirrer.iou, pan.precision) == (0.75, 0.75, 0.8)
    assert (never.accuracy, never.precision, never.recall, never.f1, never.iou, never.support) == (1, *[None] * 4, 0)
    assert (imagined.precision, imagined.recall, imagined.f1, imagined.iou) == (0, None, None, None)
    assert matrix.mean_iou == pytest.approx((6 / 8 + 8 / 12) / 2)


def test_without_a_labelled_pixel_nothing_is_defined():
    matrix = ConfusionMatrix(2)
    matrix.update(np.full((3, 3), IGNORE, np.uint8), np.ones((3, 3), np.uint8))
    assert (matrix.counts.sum(), matrix.pixel_accuracy, matrix.mean_iou) == (0, None, None)
    assert matrix.scores()[0].accuracy is None


def test_a_frame_of_another_size_than_its_truth_is_an_error():
    with pytest.raises((ValueError, IndexError)):
        ConfusionMatrix(2).update(np.zeros((3, 4), np.uint8), np.zeros((4, 3), np.uint8))


def test_counts_survive_a_year_of_frames():
    matrix = ConfusionMatrix.of([[2**40, 0], [1, 2**40]])
    assert matrix.counts.sum() == 2**41 + 1
    assert matrix.scores()[1].recall < 1


def test_rows_for_people():
    matrix = ConfusionMatrix.of([[1500, 500, 0], [0, 2000, 0], [0, 0, 0]])
    rows = Scores(matrix, COOKING).rows()
    assert rows == [
        ["stirrer", "0.8750", "1.0000", "0.7500", "0.8571", "0.7500", "2,000"],
        ["pan+background", "0.8750", "0.8000", "1.0000", "0.8889", "0.8000", "2,000"],
        ["food", "1.0000", "n/a", "n/a", "n/a", "n/a", "0"],
        ["all pixels / mean IoU", "0.8750", "", "", "", "0.7750", "4,000"],
    ]
    assert len(SCORE_COLUMNS) == len(rows[0])


def test_values_for_machines_lead_back_to_the_matrix():
    matrix = ConfusionMatrix.of([[1500, 500, 0], [0, 2000, 0], [0, 0, 0]])
    value = json.loads(json.dumps(Scores(matrix, COOKING).to_dict(), allow_nan=False))
    assert value["classes"]["stirrer"] == {
        "accuracy": 0.875,
        "precision": 1,
        "recall": 0.75,
        "f1": pytest.approx(6 / 7),
        "iou": 0.75,
        "support": 2000,
    }
    assert value["classes"]["food"]["iou"] is None
    assert (value["pixel_accuracy"], value["mean_iou"]) == (0.875, pytest.approx(0.775))
    assert Scores(ConfusionMatrix.of(value["confusion_matrix"]), COOKING).to_dict() == value


def test_a_model_is_judged_at_the_resolution_of_the_truth(segmenter):
    truth = np.ones((90, 120), np.uint8)
    truth[:, 60:], truth[0] = 2, IGNORE
    frame = colorize(truth, COOKING)  # the stand-in for a network sees a class where its colour is
    matrix = evaluate(segmenter, [Sample(frame, truth, 0)] * 2)
    assert matrix.counts.tolist() == [[0, 0, 0], [0, 2 * 89 * 60, 0], [0, 0, 2 * 89 * 60]]


@pytest.mark.parametrize("names", [("stirrer", "food", "pan+background"), ("stirrer", "pan", "food")])
def test_a_model_of_other_classes_is_not_judged(names):
    with pytest.raises(DatasetError, match=r"pan\+background, food.*dataset's are " + names[0]):
        require_same_classes(COOKING, ClassTable(names, COOKING.colors))
    require_same_classes(COOKING, ClassTable(COOKING.names, tuple(reversed(COOKING.colors))))


def test_near_edges_only_pixels_near_a_change_of_class_count():
    """A disc found one pixel too large, in a frame that is wrong in a corner too, which is far from any edge."""
    y, x = np.mgrid[:200, :200]
    distance = np.hypot(x - 100, y - 100)
    truth, found = np.uint8(distance < 50), np.uint8(distance < 51)
    found[:20, :20] = 1

    def network(_frames):
        return found[None], np.stack([255 - 255 * found, 255 * found])[None]

    classes = ClassTable(("table", "plate"), ((0, 0, 0), (255, 255, 255)))
    segmenter = Segmenter(Contract(classes, Preprocessing(200, 200)), network)
    sample = Sample(np.zeros((200, 200, 3), np.uint8), truth, 0)
    near = ConfusionMatrix(2)
    everywhere = evaluate(segmenter, [sample], near)
    band = edge_band(truth)
    assert ((np.abs(distance - 50) < 0.6) <= band).all()
    assert (band <= (np.abs(distance - 50) < 3)).all()  # radius 1 for a diagonal of 283 pixels
    assert near.counts.sum() == band.sum()
    assert near.counts[0, 1] == ((found != truth) & band).sum()
    assert everywhere.counts[0, 1] == (found != truth).sum() > near.counts[0, 1] + 399


class TestSet:
    @pytest.fixture
    def data(self, tmp_path):
        """Two frames in the colours of their masks; three pixels of the second mask are off."""
        for name, off in (("a", 0), ("b", 3)):
            truth = np.array([[1] * 32] * 16 + [[2] * 32] * 16, np.uint8)
            for folder in ("images", "masks"):
                (tmp_path / "test" / folder).mkdir(parents=True, exist_ok=True)
                colors = colorize(truth, COOKING)
                colors[0, :off] ^= 1 if folder == "masks" else 0
                write_png(tmp_path / "test" / folder / f"{name}.png", colors)
                truth[0] = 0  # as the model cannot know
        return tmp_path

    def test_a_split_is_read_scored_and_told_of(self, segmenter, data, capfd):
        told = []

        def progress(items, label, total):
            for number, item in enumerate(items, 1):
                yield item
                told.append((label, number, total))

        found = evaluate_set(segmenter, data, "test", model="ours", progress=progress)
        assert told == [("evaluation", 1, 2), ("evaluation", 2, 2)]
        assert (found.frames, found.off_colors, found.model) == (2, 3, "ours")
        assert found.scores.matrix.counts.tolist() == [[0, 64, 0], [0, 960, 0], [0, 0, 1024]]
        # near edges: the first row, all wrong, and a pixel on either side of both changes of class
        assert found.near_edges.counts.tolist() == [[0, 64, 0], [0, 128, 0], [0, 0, 64]]
        value = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert list(value) == [
            "model",
            "data",
            "split",
            "frames",
            "off_color_pixels",
            "pixel_accuracy",
            "mean_iou",
            "classes",
            "confusion_matrix",
            "near_edges",
            "edges",
        ]
        # the first row, and two on either side of both changes of class, are left out
        assert value["edges"]["mean_iou"] == 1
        assert found.edges.counts.inside(found.scores.matrix).counts.sum() == 2 * 32 * (32 - 3 - 4)
        text = as_text(found.tables())
        assert "2 frames, 2,048 labelled pixels" in text
        assert "3 mask pixels had colours" in text
        assert "of an edge: accuracy 0.7500" in text
        assert "IoU without 2 px at edges" in text
        wider = evaluate_set(segmenter, data, "test", rules=EdgeRules(margin=3, tolerance=0))
        assert (wider.to_dict()["edges"]["margin"], wider.to_dict()["edges"]["tolerance"]) == (3, 0)
        assert capfd.readouterr() == ("", "")

    def test_what_does_not_fit_is_refused(self, segmenter, data):
        with pytest.raises(DatasetError, match="`mask_suffix`"):
            evaluate_set(segmenter, data, "test", layout=Layout(mask_suffix="_x"))
        with pytest.raises(TypeError, match="did you mean 'layout'"):
            evaluate_set(segmenter, data, "test", layuot=Layout())


def test_scores_as_csv_are_those_of_the_table():
    scores = Scores(ConfusionMatrix.of([[8, 2, 0], [0, 9, 1], [0, 0, 10]]), COOKING)
    header, *rows = csv.reader(io.StringIO(scores.to_csv()))
    table, counts = scores.tables()
    assert (header, rows) == (table.header, table.rows)
    assert counts.rows[0] == [COOKING.names[0], "8", "2", "0"]
