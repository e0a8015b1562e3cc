"""The curves of a run: each column of its history, where and as what a person looks for it."""

import math

import pytest

from cookseg.training.report import plot

HISTORY = [
    {"epoch": 1.0, "train_loss": 2.0, "lr": 0.1, "val_miou": 0.3, "val_iou_pan": 0.3, "val_iou_food": None},
    {"epoch": 2.0, "train_loss": 1.0, "lr": 0.2, "val_miou": 0.7, "val_iou_pan": 0.8, "val_iou_food": 0.6},
    {"epoch": 3.0, "train_loss": 0.5, "lr": 0.0, "val_miou": 0.6, "val_iou_pan": 0.7, "val_iou_food": 0.5},
]


@pytest.fixture
def axes(figures):
    assert plot(HISTORY).startswith(b"\x89PNG")
    (figure,) = figures
    return figure.axes


def values(line):
    assert list(line.get_xdata()) == [1, 2, 3]
    return [None if math.isnan(value) else value for value in line.get_ydata()]


def test_loss_and_learning_rate_share_the_epochs_and_start_at_zero(axes):
    loss, _, rate = axes
    assert [values(line) for line in loss.lines] == [[2, 1, 0.5]]
    assert [values(line) for line in rate.lines] == [[0.1, 0.2, 0]]
    assert loss.get_ylim()[0] == rate.get_ylim()[0] == 0
    assert (loss.get_xlabel(), loss.get_ylabel(), rate.get_ylabel()) == ("epoch", "loss", "learning rate")


def test_each_class_the_mean_and_its_best_are_told_apart(axes):
    _, scores, _ = axes
    *curves, best = scores.lines
    assert [line.get_label() for line in scores.lines] == ["pan", "food", "mean", "best: 0.7000"]
    assert [values(line) for line in curves] == [[0.3, 0.8, 0.7], [None, 0.6, 0.5], [0.3, 0.7, 0.6]]
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([2], [0.7])
    assert len({line.get_color() for line in curves}) == 3
    assert scores.get_ylim() == (0, 1)
    assert [text.get_text() for text in scores.get_legend().get_texts()][-1] == "best: 0.7000"
