"""Self-training: targets and views of unlabelled frames, runs with them, and what ends a run without labels."""

import csv
import json
import shutil
from dataclasses import asdict, replace
from types import MappingProxyType

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cookseg.data.synthetic.scenes import render, sessions
from cookseg.evaluation import Run
from cookseg.evaluation.run import best_row
from cookseg.runtime.errors import CheckFailedError
from cookseg.runtime.model.contract import COOKING, IGNORE, Contract, Preprocessing
from cookseg.runtime.scoring.dataset import Sample
from cookseg.runtime.scoring.metrics import ConfusionMatrix
from cookseg.training import STARTER, adaptation, checkpoint, runs
from cookseg.training.augment import AugmentConfig
from cookseg.training.cli import main
from cookseg.training.config import TrainConfig
from cookseg.training.distillation import Teacher
from cookseg.training.models import PRESETS, Preset
from cookseg.training.models.unet import UNet, UNetConfig
from cookseg.training.self_training import (
    DONOR,
    OWN,
    UnlabelledSet,
    Views,
    box,
    confident_share,
    flipped_mean,
    pseudo_labels,
)
from cookseg.training.trainer import Trainer
from cookseg.training.unlabelled import UnlabelledConfig

TINY = UNetConfig(widths=(8, 16), stem=2)
SPEC = Preprocessing(32, 32)
STILL = AugmentConfig(*[0.0] * 12)
CONFIG = TrainConfig(
    epochs=4,
    batch=2,
    precision="float32",
    preprocessing=SPEC,
    unlabelled=UnlabelledConfig(confidence=0.4, ratio=1.5),
)


def noise(count, truth=None):
    rng = np.random.default_rng(count)
    for _ in range(count):
        found = rng.integers(0, 3, (32, 32), np.uint8) if truth is None else np.full((32, 32), truth, np.uint8)
        yield Sample(rng.integers(0, 256, (32, 32, 3), np.uint8), found, 0)


def colours(frames):
    """A network without weights: the colours of a pixel are the logits of its classes, times 1/16."""
    return frames.permute(0, 3, 1, 2).float() / 16


def confident(*classes):
    """A row of pixels of a colour for each class, of which `colours` is sure; None is one of which it is not."""
    pixels = [[255 * (number == c) for number in range(3)] if c is not None else [90, 90, 60] for c in classes]
    return torch.tensor(pixels, dtype=torch.uint8).expand(1, 4, -1, 3)


class TestTargets:
    config = replace(CONFIG, augment=STILL, unlabelled=UnlabelledConfig(confidence=0.9))

    def labels(self, weak, donor, origin, config=None):
        views = Views(weak, donor, weak, torch.tensor(origin, dtype=torch.uint8).expand(1, 4, -1))
        return pseudo_labels(colours, views, config or self.config)[0, 0].tolist()

    def test_they_are_the_classes_of_which_the_teacher_is_sure(self):
        weak = confident(0, 1, 2, None)
        assert self.labels(weak, weak, [OWN] * 4) == [0, 1, 2, IGNORE]
        unsure = replace(self.config, unlabelled=UnlabelledConfig(confidence=0.3))
        assert self.labels(weak, weak, [OWN] * 4, unsure) == [0, 1, 2, 0]

    def test_they_follow_the_parts_of_another_frame_and_leave_out_padding(self):
        weak, donor = confident(0, 0, 0, 0), confident(2, None, 1, 1)
        assert self.labels(weak, donor, [DONOR, DONOR, OWN, IGNORE]) == [2, IGNORE, 0, IGNORE]

    def test_a_teacher_predicts_for_flipped_frames_too(self):
        frames = torch.from_numpy(np.stack([sample.frame for sample in noise(2)]))
        ramp = torch.linspace(0, 8, 32)

        def sided(x):
            return colours(x) * ramp  # it depends on where a pixel is, as no good network does

        expected = (sided(frames).softmax(1) + sided(frames.flip(2)).softmax(1).flip(3)) / 2
        torch.testing.assert_close(flipped_mean(sided, frames, [(), (2,)]), expected)

    def test_the_share_of_sure_pixels_is_without_padding(self):
        labels = torch.tensor([[[0, 2, IGNORE, IGNORE]]])
        assert confident_share(labels, torch.tensor([[[OWN, DONOR, OWN, IGNORE]]])) == pytest.approx(2 / 3)


class TestViews:
    def test_a_strong_view_is_the_weak_one_with_a_part_of_another_frame(self):
        config = replace(CONFIG, augment=STILL, unlabelled=UnlabelledConfig(cutmix=1))
        samples = [*noise(3, truth=0)]
        view = UnlabelledSet(samples, config)[0, 1]
        weak, donor, strong, origin = (x.numpy() for x in view)
        assert np.array_equal(weak, samples[1].frame)
        assert any(np.array_equal(donor, sample.frame) for sample in samples)
        assert 0.09 < (origin == DONOR).mean() < 0.52
        expected = np.where((origin == DONOR)[..., None], donor, weak).astype(int)
        assert np.abs(strong - expected).max() <= 1  # rounded down where light changes nothing

    def test_light_changes_the_strong_view_alone_and_no_place(self):
        config = replace(CONFIG, augment=replace(STILL, light=0.5), unlabelled=UnlabelledConfig(cutmix=0))
        samples = [*noise(2, truth=0)]
        view = UnlabelledSet(samples, config)[0, 0]
        assert np.array_equal(view.weak, samples[0].frame)
        assert not np.array_equal(view.strong, view.weak)
        assert np.corrcoef(view.strong.flatten(), view.weak.flatten())[0, 1] > 0.9
        assert not view.origin.any()

    def test_they_depend_on_seed_epoch_and_index_alone(self):
        frames = UnlabelledSet([*noise(3, truth=0)], CONFIG)
        for one, other in zip(frames[2, 1], frames[2, 1], strict=True):
            assert torch.equal(one, other)
        assert not torch.equal(frames[2, 1].strong, frames[3, 1].strong)

    def test_boxes_lie_in_the_frame(self):
        for seed in range(99):
            rows, columns = box((20, 40), np.random.default_rng(seed))
            assert 0 <= rows.start < rows.stop <= 20
            assert 0 <= columns.start < columns.stop <= 40


class TestRuns:
    @pytest.fixture(autouse=True)
    def tiny(self, monkeypatch):
        monkeypatch.setitem(PRESETS, "edge", Preset("unet", asdict(TINY)))

    def trainer(self, config=CONFIG, teacher=None):
        samples, frames = [*noise(5)], UnlabelledSet([*noise(4, truth=0)], config)
        return Trainer(
            config, Contract(COOKING, config.preprocessing), samples, samples[:2], "cpu", teacher, unlabelled=frames
        )

    def run(self, path, trainer, stop=99):
        path.mkdir()
        trainer.fit(Run(path), 0, lambda trainer: trainer.progress.step < stop)
        return trainer

    @pytest.mark.parametrize("qat", [False, True])
    def test_a_resumed_run_ends_with_the_same_weights(self, tmp_path, qat):
        config = replace(CONFIG, qat=qat)
        whole = self.run(tmp_path / "whole", self.trainer(config))
        self.run(tmp_path / "parts", self.trainer(config), stop=4)
        last = Run(tmp_path / "parts").last
        second = self.trainer(config)
        second.load_state(checkpoint.load_run(last), last)
        assert len(second.progress.unlabelled) == len(second.progress.losses) == 1
        second.fit(Run(tmp_path / "parts"), 0, lambda _: True)
        for part in ("network", "averaged"):
            for a, b in zip(getattr(whole, part).parameters(), getattr(second, part).parameters(), strict=True):
                assert torch.equal(a, b)
        columns = ("train_loss", "unlabelled_loss", "confident", "val_miou")
        assert [[row[name] for name in columns] for row in whole.progress.history] == [
            [row[name] for name in columns] for row in second.progress.history
        ]

    def test_the_loss_is_the_labelled_one_and_a_weighted_one_of_what_the_teacher_is_sure_of(self):
        losses = {}
        for weight in (0, 1, 3):
            trainer = self.trainer(replace(CONFIG, unlabelled=replace(CONFIG.unlabelled, weight=weight, rampup=0)))
            (batch, views) = next(zip(trainer.batches(range(1), 0), trainer.views(range(1), 0), strict=True))
            assert len(batch[0]) == 2
            assert len(views.strong) == 3
            losses[weight] = trainer.step(*batch, 1e-3, views)
            ((extra, share),) = trainer.progress.unlabelled
        assert losses[1] == pytest.approx(losses[0] + extra)
        assert losses[3] == pytest.approx(losses[0] + 3 * extra)
        assert 0 < share <= 1

    def test_strong_views_leave_the_statistics_of_labelled_frames_alone(self):
        """Where rendered scenes stand in for these, the statistics are to come from the camera's frames too."""
        means = {}
        for kind in ("beside", "alone", "none"):
            trainer = self.trainer()
            assert trainer.unlabelled
            trainer.unlabelled.alone = kind == "alone"
            (batch, views) = next(zip(trainer.batches(range(1), 0), trainer.views(range(1), 0), strict=True))
            trainer.step(*batch, 1e-3, None if kind == "none" else views)
            means[kind] = [norm for name, norm in trainer.network.named_buffers() if name.endswith("running_mean")]
        assert all(map(torch.equal, means["beside"], means["none"]))
        assert not any(map(torch.equal, means["alone"], means["none"]))
        assert all(norm.momentum for norm in trainer.network.modules() if hasattr(norm, "momentum"))

    def test_a_given_teacher_predicts_in_place_of_the_average(self):
        contract = Contract(COOKING, SPEC)
        torch.manual_seed(3)
        network = UNet(TINY, 3, SPEC)
        with torch.no_grad():
            network.head.bias.copy_(torch.tensor([0.0, 99.0, 0.0]))
        sure = self.trainer(teacher=Teacher(network, contract, (1, 1)))
        (batch, views) = next(zip(sure.batches(range(1), 0), sure.views(range(1), 0), strict=True))
        sure.step(*batch, 1e-3, views)
        assert sure.progress.unlabelled[0][1] == 1

    def test_the_weights_to_start_from_stay_where_nothing_is_better(self, tmp_path, monkeypatch, caplog):
        trainer = self.trainer(replace(CONFIG, init="x" * 64))
        start = {name: value.clone() for name, value in trainer.averaged.module.state_dict().items()}
        found = iter(ConfusionMatrix.of(np.eye(3) * 9 + wrong) for wrong in (1, 2, 3, 4, 5))
        monkeypatch.setattr(trainer, "_counts", lambda *_: next(found))
        run = Run(tmp_path)
        runs._fit(trainer, run, 0, runs.log_validation, runs.never)
        assert [row["step"] for row in trainer.progress.history] == [0, 3, 6, 9, 10]
        assert trainer.progress.history[0]["train_loss"] is None
        weights = checkpoint.load(run.best)["weights"]
        assert all(torch.equal(value, start[name]) for name, value in weights.items())
        assert "no epoch was better than the weights that the run started from" in caplog.text
        assert len(run.read_history()) == 5


class TestAreas:
    start = MappingProxyType({"step": 0, "val_miou": 0.6, "area_stirrer": 0.05, "area_pan": 0.94, "area_food": 0.0005})

    def test_weights_are_kept_while_rendered_scenes_are_still_segmented(self):
        for miou, kept in ((0.7, True), (0.58, True), (0.5, False)):
            assert adaptation.is_sound({**self.start, "val_miou": miou}, [self.start]) is kept
        assert adaptation.is_sound(self.start, [])

    @pytest.mark.parametrize(
        ("areas", "words"),
        [
            ({"area_stirrer": 0.004}, r"stirrer vanishes: it had 5\.00% of the unlabelled pixels .* has 0\.40% after"),
            ({"area_food": 0.21}, r"food takes over: it had 0\.05% .* has 21\.00% after step 7"),
            ({"area_stirrer": 0.02, "area_pan": 0.98, "area_food": 0}, None),
        ],
    )
    def test_a_class_that_vanishes_or_takes_over_ends_the_run(self, areas, words):
        row = {**self.start, **areas, "step": 7}
        if words is None:
            assert adaptation.is_sound(row, [self.start])
            return
        with pytest.raises(CheckFailedError, match=words):
            adaptation.is_sound(row, [self.start])

    def test_the_best_row_is_the_last_one_kept(self):
        rows = [{"val_miou": miou, "kept": kept} for miou, kept in ((0.7, 1.0), (0.6, 1.0), (0.8, 0.0))]
        assert best_row(rows) is rows[1]


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """Six unlabelled frames of one kitchen."""
    folder = tmp_path_factory.mktemp("camera")
    for number, session in enumerate(sessions(6, 5, kitchens=1)):
        frame, _ = render(session, 0.5, (64, 64))
        cv2.imwrite(str(folder / f"{number}.png"), frame[..., ::-1])
    return folder


def cook_train(*arguments, code=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done.stderr


@pytest.mark.integration
class TestCommand:
    options = ("--imgsz", 32, "--batch", 4, "--no-check")

    def test_labels_and_frames_without_them(self, scenes, camera, tmp_path):
        run, folder = tmp_path / "run", shutil.copytree(camera, tmp_path / "frames")
        shutil.copy(next((scenes / "val/images").iterdir()), folder)
        said = cook_train(scenes, "-o", run, *self.options, "--epochs", 2, "--model", "edge-s", "--unlabelled", folder)
        assert "1 of the unlabelled frames are labelled ones of the dataset: left out" in said
        assert "8 frames and 6 unlabelled ones" in said
        assert "% unlabelled" in said
        rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
        assert all(0 <= float(row["confident"]) <= 1 and float(row["unlabelled_loss"]) >= 0 for row in rows)
        known = json.loads(checkpoint.load(run / "best.pt")["contract"])["provenance"]["unlabelled"]
        assert (known["name"], known["frames"], known["images"]) == ("frames", 6, 7)
        config = checkpoint.load(run / "last.pt")["run"]["config"]
        assert config["unlabelled"]["source"] == known["sha256"]
        assert f'source = "{folder}"' in (run / "config.toml").read_text()
        (folder / "0.png").unlink()
        assert "the data or the versions" in cook_train(scenes, "-o", run, "--resume", code=1)

    def test_no_label_at_all(self, camera, tmp_path, monkeypatch):
        monkeypatch.setattr(adaptation, "TRAIN", 8)
        monkeypatch.setattr(adaptation, "VAL", 2)
        monkeypatch.setattr(adaptation, "VANISHED", 0)  # in frames of 32x32 a stirrer may
        before, run = checkpoint.digest(STARTER), tmp_path / "run"
        options = ("--unlabelled", camera, "-o", run, "--init", "starter", *self.options, "--epochs", 2)
        said = cook_train(*options)
        assert "8 frames and 6 unlabelled ones" in said
        history = Run(run).read_history()
        assert [row["step"] for row in history] == [0, 2, 4]
        assert sum(history[-1][f"area_{name}"] for name in COOKING.names) == pytest.approx(1, abs=1e-5)
        known = json.loads(checkpoint.load(run / "best.pt")["contract"])["provenance"]
        assert known["data"]["name"] == "rendered scenes"
        assert "without any label" in known["note"]
        assert "Error" not in cook_train("-o", run, "--resume")
        assert "holds a run already" in cook_train(*options, code=1)
        assert checkpoint.digest(STARTER) == before

    def test_a_class_that_takes_over_ends_it(self, camera, tmp_path, monkeypatch):
        monkeypatch.setattr(adaptation, "TRAIN", 8)
        monkeypatch.setattr(adaptation, "VAL", 2)
        monkeypatch.setattr(adaptation, "TAKEN_OVER", -1)
        run = tmp_path / "run"
        said = cook_train("--unlabelled", camera, "-o", run, "--init", "starter", *self.options, "--epochs", 1, code=3)
        assert "takes over" in said
        assert "lower --lr, fewer --epochs" in said
        assert not (run / "best.pt").exists()

    def test_what_is_missing_is_said(self, camera, tmp_path):
        run = ("-o", tmp_path / "run")
        assert "Missing argument 'DATA'; without labels, give --init" in cook_train(*run, code=2)
        assert "name the weights to adapt, such as --init starter" in cook_train("--unlabelled", camera, *run, code=1)
        assert not (tmp_path / "run").exists()
