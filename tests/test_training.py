"""Training: the network at any size, the loss against plain formulas, batches, resuming, interruption, bad input."""

import copy
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cookseg.runtime.contract import COOKING, IGNORE, Contract, Preprocessing
from cookseg.runtime.dataset import Layout, Sample
from cookseg.runtime.errors import CooksegError, InputError, ModelError
from cookseg.runtime.images import read_image, write_png
from cookseg.training import checkpoint, runs
from cookseg.training.augment import AugmentConfig, augment
from cookseg.training.cli import main
from cookseg.training.config import PRESETS, TrainConfig, UNetConfig
from cookseg.training.loss import SegmentationLoss, class_weights, dice_loss
from cookseg.training.model import Answer, UNet
from cookseg.training.quantization import round_activations, round_weights, simulate_int8
from cookseg.training.samples import Batches, TrainingSet, fit_sample
from cookseg.training.trainer import Trainer

TINY = UNetConfig(widths=(8, 16), stem=2)


def network(config=TINY, classes=3):
    torch.manual_seed(0)
    return UNet(config, classes, Preprocessing()).eval()


class TestNetwork:
    @pytest.mark.parametrize(
        "config", [TINY, PRESETS["edge"], UNetConfig((4, 8, 16), transposed=True), UNetConfig((8, 16), stem=4)]
    )
    @pytest.mark.parametrize("size", [(16, 16), (37, 53), (64, 1)])
    def test_logits_have_the_size_of_the_frame(self, config, size):
        frames = torch.randint(0, 256, (2, *size, 3), dtype=torch.uint8)
        assert network(config)(frames).shape == (2, 3, *size)

    def test_the_classic_network_is_the_papers(self):
        parameters = sum(p.numel() for p in UNet(PRESETS["classic"], 3, Preprocessing()).parameters())
        assert round(parameters / 1e6, 1) == 31.0

    def test_a_frame_does_not_depend_on_the_others_in_its_batch(self):
        frames = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
        net = network()
        torch.testing.assert_close(net(frames)[1:2], net(frames[1:2]))

    def test_normalisation_is_the_contracts(self):
        spec = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125))
        net = UNet(UNetConfig((8,)), 3, spec).eval()
        net.encoder[0] = torch.nn.Identity()
        net.head = torch.nn.Identity()
        frame = np.random.default_rng(0).integers(0, 256, (1, 5, 4, 3), np.uint8)
        expected = (frame / 255 - np.array(spec.mean)) / np.array(spec.std)
        np.testing.assert_allclose(net(torch.from_numpy(frame)).numpy()[0].transpose(1, 2, 0), expected[0], atol=1e-5)

    def test_the_answer_is_arg_max_and_scaled_probability(self):
        frames = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
        classes, scores, confidence, logits = Answer(network())(frames)
        assert torch.equal(confidence, scores.amax(1))
        assert classes.dtype == scores.dtype == torch.uint8
        assert torch.equal(classes.long(), logits.argmax(1))
        assert (scores.float() / 255 - logits.softmax(1)).abs().max() <= 0.5 / 255 + 1e-6


class TestLoss:
    logits = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    truth = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(1))

    def test_dice_is_one_minus_two_overlap_over_total(self):
        probability = self.logits.softmax(1).numpy()
        target = np.stack([self.truth.numpy() == c for c in range(3)], 1)
        dice = [
            (2 * (probability[:, c] * target[:, c]).sum() + 1) / (probability[:, c].sum() + target[:, c].sum() + 1)
            for c in range(3)
        ]
        assert dice_loss(self.logits, self.truth).item() == pytest.approx(1 - np.mean(dice), abs=1e-5)

    def test_pixels_without_truth_change_nothing(self):
        loss = SegmentationLoss(torch.tensor([1.0, 2.0, 3.0]))
        truth = self.truth.clone()
        truth[:, :4] = IGNORE
        logits = self.logits.clone()
        before = loss(logits, truth)
        logits[:, :, :4] = 50 * torch.randn(2, 3, 4, 8)
        torch.testing.assert_close(loss(logits, truth), before)

    def test_a_right_answer_costs_next_to_nothing(self):
        logits = 40.0 * torch.nn.functional.one_hot(self.truth, 3).movedim(-1, 1)
        assert SegmentationLoss(torch.ones(3))(logits, self.truth).item() < 1e-3

    def test_rare_classes_weigh_more_and_absent_ones_nothing(self):
        shares = np.array([0.01, 0.69, 0.3, 0.0])
        weights = class_weights(shares).numpy()
        assert weights[0] > weights[2] > weights[1] > weights[3] == 0
        assert (weights * shares).sum() == pytest.approx(1)


class TestBatches:
    def test_every_epoch_shows_every_example_once(self):
        keys = [key for batch in Batches(10, 4, 0, range(10)) for key in batch]
        assert sorted(keys) == [(epoch, index) for epoch in range(4) for index in range(10)]

    def test_a_resumed_run_sees_the_same_batches(self):
        whole = list(Batches(7, 3, 5, range(9)))
        assert list(Batches(7, 3, 5, range(4, 9))) == whole[4:]
        assert list(Batches(7, 3, 6, range(9))) != whole

    def test_an_example_depends_on_seed_epoch_and_index_alone(self):
        frame = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
        samples = [Sample(frame, frame[..., 0] % 3, 0)] * 2
        first, again, other = (TrainingSet(samples, AugmentConfig(), seed) for seed in (1, 1, 2))
        assert np.array_equal(first[3, 1][0], again[3, 1][0])
        assert not np.array_equal(first[3, 1][0], first[4, 1][0])
        assert not np.array_equal(first[3, 1][0], other[3, 1][0])


class TestAugmentation:
    def test_frame_and_truth_move_together(self):
        truth = np.zeros((64, 64), np.uint8)
        cv2.circle(truth, (40, 24), 12, 1, -1)
        frame = np.repeat(truth[..., None] * 255, 3, 2)
        config = AugmentConfig(light=0, blur=0, noise=0, jpeg=0, paste=0)
        for seed in range(20):
            moved, label = augment((frame, truth), (frame, truth), config, np.random.default_rng(seed))
            inner = cv2.erode(label, np.ones((3, 3), np.uint8)) == 1
            outer = cv2.dilate(label, np.ones((3, 3), np.uint8)) == 0
            assert moved[inner].min(initial=255) > 128 > moved[outer].max(initial=0)

    def test_truth_keeps_its_values(self):
        truth = np.random.default_rng(0).choice(np.array([0, 2, IGNORE], np.uint8), (32, 32))
        sample = np.zeros((32, 32, 3), np.uint8), truth
        _, label = augment(sample, sample, AugmentConfig(), np.random.default_rng(0))
        assert set(np.unique(label)) <= {0, 2, IGNORE}

    def test_a_rare_class_of_the_donor_is_pasted_with_its_pixels(self):
        blank = np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32), np.uint8)
        labels = np.zeros((32, 32), np.uint8)
        labels[8:20, 8:20] = 2
        donor = np.repeat(labels[..., None] * 100, 3, 2), labels
        still = AugmentConfig(rotation=0, zoom=0, shift=0, flip=0, paste=1, light=0, blur=0, noise=0, jpeg=0)
        frame, truth = augment(blank, donor, still, np.random.default_rng(0))
        assert np.array_equal(truth, labels)
        assert (frame[12:16, 12:16] >= 199).all()
        assert (frame[24:] == 0).all()
        assert np.array_equal(augment(donor, blank, still, np.random.default_rng(0))[1], labels)

    def test_zero_ranges_change_nothing(self):
        frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
        none = AugmentConfig(rotation=0, zoom=0, shift=0, flip=0, paste=0, light=0, blur=0, noise=0, jpeg=0)
        sample = frame, frame[..., 0]
        same, truth = augment(sample, sample, none, np.random.default_rng(0))
        assert np.abs(same.astype(int) - frame).max() <= 1  # the rounding of the light table
        assert np.array_equal(truth, frame[..., 0])


def test_fitted_samples_ignore_their_padding():
    sample = fit_sample(
        Sample(np.zeros((10, 20, 3), np.uint8), np.ones((10, 20), np.uint8), 0), Preprocessing(64, 64, "letterbox")
    )
    assert (sample.truth[:32] == 1).all()
    assert (sample.truth[32:] == IGNORE).all()


def test_the_learning_rate_rises_then_falls_to_nothing():
    config = TrainConfig(lr=1.0, warmup=0.1)
    rates = [config.learning_rate(step, 100) for step in range(100)]
    assert rates[9] == max(rates) == 1
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


@pytest.mark.parametrize(
    ("field", "value"), [("model", "vgg"), ("epochs", 0), ("batch", 1), ("lr", float("nan")), ("precision", "int8")]
)
def test_a_bad_configuration_names_field_and_value(field, value):
    with pytest.raises(InputError, match=f"{field} is .*{value}"):
        TrainConfig(**{field: value})


class TestTrainer:
    """The loop in memory and on disk, on noise: what is learnt does not matter here."""

    config = TrainConfig(epochs=4, batch=2, precision="float32", preprocessing=Preprocessing(32, 32))

    @pytest.fixture(autouse=True)
    def tiny(self, monkeypatch):
        monkeypatch.setitem(PRESETS, "edge", TINY)

    def trainer(self, config=None, frames=5):
        rng = np.random.default_rng(0)
        samples = [
            Sample(rng.integers(0, 256, (32, 32, 3), np.uint8), rng.integers(0, 3, (32, 32), np.uint8), 0)
            for _ in range(frames)
        ]
        config = config or self.config
        return Trainer(config, Contract(COOKING, config.preprocessing), samples, samples[:2], "cpu")

    @pytest.mark.parametrize("stop", [1, 4, 5, 9])
    @pytest.mark.parametrize("workers", [0, 1])
    def test_a_resumed_run_ends_with_the_same_weights(self, tmp_path, stop, workers):
        whole = self.trainer()
        whole.fit(tmp_path, 0, lambda _: True)
        (tmp_path / "a").mkdir()
        self.trainer().fit(tmp_path / "a", workers, lambda trainer: trainer.progress.step < stop)
        second = self.trainer()
        second.load_state(checkpoint.load(tmp_path / "a" / checkpoint.LAST))
        assert second.progress.step == stop
        second.fit(tmp_path / "a", 0, lambda _: True)
        assert second.progress == whole.progress
        for part in ("network", "averaged"):
            for a, b in zip(getattr(whole, part).parameters(), getattr(second, part).parameters(), strict=True):
                assert torch.equal(a, b)
        weights = [checkpoint.load(folder / checkpoint.BEST)["weights"] for folder in (tmp_path, tmp_path / "a")]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    def test_a_run_for_int8_leaves_plain_weights_and_resumes_like_any_other(self, tmp_path):
        config = replace(self.config, qat=True)
        aware, plain = self.trainer(config), self.trainer()
        for trainer, name in ((aware, "aware"), (plain, "plain")):
            (tmp_path / name).mkdir()
            trainer.fit(tmp_path / name, 0, lambda _: True)
        assert aware.network.state_dict().keys() == plain.network.state_dict().keys()
        assert not torch.equal(aware.network.head.weight, plain.network.head.weight)
        stopped, resumed = self.trainer(config), self.trainer(config)
        (tmp_path / "a").mkdir()
        stopped.fit(tmp_path / "a", 0, lambda trainer: trainer.progress.step < 4)
        resumed.load_state(checkpoint.load(tmp_path / "a" / checkpoint.LAST))
        resumed.fit(tmp_path / "a", 0, lambda _: True)
        assert torch.equal(resumed.network.head.weight, aware.network.head.weight)

    def test_patience_ends_a_run(self, tmp_path):
        trainer = self.trainer(replace(self.config, epochs=50, patience=2, lr=1e-12))
        trainer.fit(tmp_path, 0, lambda _: True)
        assert trainer.out_of_patience
        assert trainer.progress.step < trainer.steps

    def test_a_loss_that_is_not_finite_is_an_error_with_a_remedy(self, tmp_path):
        trainer = self.trainer()
        with torch.no_grad():
            trainer.network.head.bias.fill_(float("nan"))
        with pytest.raises(CooksegError, match=r"loss is nan at step 1.*lower --lr"):
            trainer.fit(tmp_path, 0, lambda _: True)

    def test_a_full_disk_leaves_the_previous_checkpoint_whole(self, tmp_path, monkeypatch):
        trainer = self.trainer()
        trainer.save(tmp_path)
        before = (tmp_path / "last.pt").read_bytes()

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("cookseg.runtime.files.os.fsync", full)
        with pytest.raises(InputError, match=r"last\.pt.*No space left"):
            trainer.save(tmp_path)
        assert (tmp_path / "last.pt").read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


class TestQuantization:
    def test_values_lie_on_grids_of_8_bits(self):
        torch.manual_seed(0)
        weight, x = (
            torch.randn(4, 3, 3, 3) * torch.tensor([0.1, 1, 10, 100]).view(4, 1, 1, 1),
            torch.rand(2, 3, 9, 9) + 1,
        )
        for channel, rounded in zip(weight, round_weights(weight), strict=True):
            steps = rounded / (channel.abs().max() / 127)
            torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
            assert (rounded - channel).abs().max() <= channel.abs().max() / 253
        steps = round_activations(x) / (x.max() / 255)  # the range holds 0
        torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
        assert not torch.equal(round_activations(x), x)

    def test_gradients_pass_and_the_average_stays_plain(self):
        net = network().train()
        plain = copy.deepcopy(net)
        simulate_int8(net)
        frames = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8)
        difference = (net(frames) - plain(frames)).abs().max()
        assert 0 < difference < 0.5
        net(frames).sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
        assert net.state_dict().keys() == plain.state_dict().keys()

    def test_batch_norm_need_not_be_folded_first(self):
        """Weights that are rounded and then scaled per channel are those that are scaled and then rounded."""
        weight, gamma = torch.randn(4, 3, 3, 3), torch.tensor([0.01, 1.0, 3.0, 50.0]).view(4, 1, 1, 1)
        torch.testing.assert_close(round_weights(weight * gamma), round_weights(weight) * gamma)


class TestCheckpoint:
    def test_it_rebuilds_the_network(self, tmp_path):
        net, contract = network(), Contract(provenance={"a": 1})
        checkpoint.save(tmp_path / "x.pt", contract, net)
        again, read = checkpoint.load_network(tmp_path / "x.pt")
        frames = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
        assert torch.equal(net(frames), again(frames))
        assert read == contract

    @pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
    def test_what_is_no_checkpoint_is_refused_by_name(self, tmp_path, content):
        path = tmp_path / "x.pt"
        if content is None:
            torch.save({"model": 1}, path)
        else:
            path.write_bytes(content)
        with pytest.raises(ModelError, match=r"x\.pt"):
            checkpoint.load(path)

    def test_a_truncated_one_is_refused(self, tmp_path):
        path = tmp_path / "x.pt"
        checkpoint.save(path, Contract(), network())
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ModelError, match="damaged"):
            checkpoint.load(path)

    def test_loading_runs_no_code(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "pwned"),)

        torch.save({"cookseg": 1, "run": Evil()}, tmp_path / "x.pt")
        with pytest.raises(ModelError):
            checkpoint.load(tmp_path / "x.pt")
        assert not (tmp_path / "pwned").exists()


@pytest.mark.integration
class TestCommand:
    """`cook-train` as users run it."""

    def train(self, *arguments):
        return CliRunner().invoke(main, [*map(str, arguments)])

    def test_a_run_learns_and_leaves_what_it_promises(self, trained):
        rows = list(csv.DictReader((trained.run / "metrics.csv").read_text().splitlines()))
        assert float(rows[-1]["val_miou"]) > 0.7  # one class everywhere gives 0.21
        assert cv2.imread(str(trained.run / "curves.png")) is not None
        assert list((trained.run / "tensorboard").glob("events*"))
        assert json.loads(trained.output)["mean_iou"] > 0.7

    def test_a_second_run_does_not_overwrite_the_first(self, trained):
        before = (trained.run / "best.pt").read_bytes()
        result = self.train(trained.data, "-o", trained.run, "--epochs", 1)
        assert result.exit_code == 1
        assert "--resume" in result.stderr
        assert (trained.run / "best.pt").read_bytes() == before

    def test_resuming_refuses_options_that_contradict(self, trained):
        result = self.train(trained.data, "-o", trained.run, "--resume", "--lr", 0.5)
        assert result.exit_code == 1
        assert "--lr" in result.stderr

    def test_a_resumed_run_reads_its_data_as_before(self, scenes, tmp_path):
        shutil.copytree(scenes, tmp_path / "data")
        for mask in (tmp_path / "data").rglob("masks/*.png"):
            write_png(mask, read_image(mask).argmax(axis=2).astype(np.uint8))
        command = [tmp_path / "data", "-o", tmp_path / "run"]
        result = self.train(*command, "--epochs", 1, "--imgsz", 32, "--mask-format", "index")
        assert result.exit_code == 0, result.stderr
        result = self.train(*command, "--resume")
        assert result.exit_code == 0, result.stderr

    def test_a_run_can_start_from_the_weights_of_another(self, trained, tmp_path):
        def miou(*options):
            run = tmp_path / str(len(options))
            result = self.train(
                trained.data, "-o", run, "--imgsz", "64", "--epochs", "1", "--batch", "2", "--json", *options
            )
            assert result.exit_code == 0, result.stderr
            return json.loads(result.stdout)["mean_iou"], checkpoint.load_network(run / "best.pt")[1].provenance

        tuned, provenance = miou("--init", trained.run, "--qat", "--lr", "1e-5")
        assert tuned > miou()[0] + 0.1
        assert provenance["training"]["init"] == checkpoint.digest(trained.run / "best.pt")
        assert provenance["training"]["qat"]
        assert str(trained.run) not in str(provenance)

    def test_weights_of_another_shape_are_refused(self, trained, tmp_path):
        result = self.train(trained.data, "-o", tmp_path, "--imgsz", "64", "--init", trained.run, "--model", "classic")
        assert result.exit_code == 1
        assert "its weights do not fit" in result.stderr
        assert "--model" in result.stderr

    def test_resuming_refuses_other_data(self, trained, tmp_path):
        shutil.copytree(trained.data, tmp_path / "data")
        next((tmp_path / "data/train/masks").iterdir()).unlink()
        next_image = {p.stem for p in (tmp_path / "data/train/masks").iterdir()}
        for image in (tmp_path / "data/train/images").iterdir():
            if image.stem not in next_image:
                image.unlink()
        result = self.train(tmp_path / "data", "-o", trained.run, "--resume")
        assert result.exit_code == 1
        assert "data" in result.stderr

    def test_cuda_that_is_not_there_is_exit_4(self, trained, tmp_path):
        if torch.cuda.is_available():
            pytest.skip("this machine has CUDA")
        result = self.train(trained.data, "-o", tmp_path / "run", "--device", "cuda")
        assert result.exit_code == 4
        assert "NVIDIA" in result.stderr

    @pytest.mark.parametrize(("options", "code"), [([], 3), (["--no-check"], 1)])
    def test_a_broken_image_is_named_before_training(self, trained, tmp_path, options, code):
        shutil.copytree(trained.data, tmp_path / "data")
        broken = next((tmp_path / "data/train/images").iterdir())
        broken.write_bytes(broken.read_bytes()[:500])
        result = self.train(tmp_path / "data", "-o", tmp_path / "run", *options)
        assert result.exit_code == code
        assert broken.name in result.stderr
        assert not (tmp_path / "run").exists()

    def test_what_would_spoil_a_run_stops_it_unless_told_otherwise(self, trained, tmp_path):
        shutil.copytree(trained.data, tmp_path / "data")
        for path in (tmp_path / "data/train/masks").iterdir():
            mask = cv2.imread(str(path))
            mask[mask[..., 2] > 0] = (0, 255, 0)
            cv2.imwrite(str(path), mask)
        options = ["-o", tmp_path / "run", "--imgsz", "32", "--epochs", "1", "--batch", "4"]
        result = self.train(tmp_path / "data", *options)
        assert result.exit_code == 3
        assert all(words in result.stderr for words in ("classes of which train has no pixel: stirrer", "--no-check"))
        assert not (tmp_path / "run").exists()
        assert self.train(tmp_path / "data", *options, "--no-check").exit_code == 0

    def test_sigterm_saves_and_resume_goes_on(self, trained, tmp_path):
        options = ["--imgsz", "64", "--epochs", "300", "--batch", "4"]
        command = [sys.executable, "-m", "cookseg.training", str(trained.data), "-o", str(tmp_path / "run"), *options]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while not (tmp_path / "run/last.pt").exists() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM
        assert "--resume continues" in errors
        step = checkpoint.load(tmp_path / "run/last.pt")["run"]["progress"]["step"]
        assert f"after step {step}" in errors

    def test_the_dataset_is_remembered_beside_the_run_but_not_in_the_model(self, trained):
        assert runs.trained_on(trained.run) == (trained.data.resolve(), Layout())
        assert str(trained.data.parent).encode() not in (trained.run / "best.pt").read_bytes()
