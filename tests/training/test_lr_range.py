"""`cook-train --find-lr`: the curve, what is made of it, and that it leaves no run."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from processes import CONFIG, noise

from cookseg.runtime.errors import CooksegError
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.contract import COOKING, Contract
from cookseg.training.cli import main
from cookseg.training.lr_range import HIGHEST, LOWEST, STEPS, range_test, suggest
from cookseg.training.trainer import Trainer


def curve(*means):
    """A rate that grows tenfold from point to point."""
    return [(10.0 ** (i - 20), mean, mean) for i, mean in enumerate(means)]


def trainer():
    samples = list(noise(7))
    return Trainer(replace(CONFIG, model="edge-s"), Contract(COOKING, CONFIG.preprocessing), samples, samples, "cpu")


class TestRangeTest:
    def test_it_tries_growing_rates_and_stops_where_the_loss_explodes(self, monkeypatch):
        subject = trainer()
        tried = []

        def step(frames, truth, rate):
            tried.append(rate)
            return 1.0 if rate < 0.01 else 30.0

        monkeypatch.setattr(subject, "step", step)
        found = range_test(subject)
        assert tried[0] == pytest.approx(LOWEST)
        assert tried[1] / tried[0] == pytest.approx((HIGHEST / LOWEST) ** (1 / (STEPS - 1)))
        assert 0.01 < tried[-1] < 0.03
        assert [mean for *_, mean in found[:-1]] == pytest.approx([1.0] * (len(found) - 1))

    def test_a_loss_that_is_not_finite_ends_it(self, monkeypatch):
        subject = trainer()
        monkeypatch.setattr(subject, "step", lambda frames, truth, rate: 1.0 if rate < 0.1 else float("nan"))
        assert 0.08 < range_test(subject)[-1][0] < 0.1

    def test_the_suggestion_has_half_of_the_fall_behind_it(self):
        falling = curve(*[2.0] * 12, 1.8, 1.55, 1.45, 1.2, 1.0, 1.4, 3.0)
        assert suggest(falling) == pytest.approx(falling[14][0])

    @pytest.mark.parametrize("means", [[], [2.0] * 20, [2.0] * 12 + [2.5] * 4])
    def test_a_loss_that_never_falls_is_an_error(self, means):
        with pytest.raises(CooksegError, match="fell at no learning rate"):
            suggest(curve(*means))


@pytest.mark.integration
class TestCommand:
    def test_it_leaves_a_plot_and_no_run(self, scenes, tmp_path, monkeypatch, figures):
        monkeypatch.chdir(tmp_path)
        options = ["--imgsz", "32", "--no-check", "--find-lr", "lr.png", "--json"]
        result = CliRunner().invoke(main, [str(scenes), *options])
        assert result.exit_code == 0, result.stderr
        rate = json.loads(result.stdout)["lr"]
        assert 1e-5 < rate < 0.1
        (figure,) = figures
        (axes,) = figure.axes
        losses, means, suggestion = axes.lines
        assert list(suggestion.get_xdata()) == [rate, rate]
        assert list(losses.get_xdata()) == list(means.get_xdata())
        assert losses.get_xdata()[0] == pytest.approx(LOWEST)
        assert np.diff(np.log(means.get_xdata())).min() > 0
        assert np.std(means.get_ydata()) < np.std(losses.get_ydata())  # smoother
        assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "learning rate", "loss")
        assert (read_image(Path("lr.png")) == (31, 119, 180)).all(axis=2).any()
        assert [path.name for path in tmp_path.iterdir()] == ["lr.png"]

    def test_without_it_a_run_needs_a_folder(self, scenes):
        result = CliRunner().invoke(main, [str(scenes)])
        assert result.exit_code == 2
        assert "Missing option '-o' / '--output'" in result.stderr
        result = CliRunner().invoke(main, [str(scenes), "--find-lr", "lr.png", "--resume"])
        assert result.exit_code == 2
