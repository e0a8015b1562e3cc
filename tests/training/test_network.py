"""The pieces of training: the network at any size, the loss against plain formulas, batches, augmentation, rounding."""

import copy
import re
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
import torch

from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import IGNORE, Preprocessing
from cookseg.runtime.scoring.dataset import Sample
from cookseg.training.augment import AugmentConfig, augment
from cookseg.training.config import TrainConfig
from cookseg.training.loss import SegmentationLoss, class_weights
from cookseg.training.models import PRESETS, build
from cookseg.training.models.network import InferenceHead
from cookseg.training.models.unet import UNet, UNetConfig
from cookseg.training.quantization import round_activations, round_weights, simulate_int8
from cookseg.training.samples import Batches, TrainingSet

TINY = UNetConfig(widths=(8, 16), stem=2)
NONE = AugmentConfig(**{field.name: 0 for field in fields(AugmentConfig)})


def network(config=TINY, classes=3):
    torch.manual_seed(0)
    return UNet(config, classes, Preprocessing()).eval()


class TestNetwork:
    def test_the_classic_network_is_the_papers(self):
        parameters = sum(p.numel() for p in build(PRESETS["classic"], 3, Preprocessing()).parameters())
        assert round(parameters / 1e6, 1) == 31.0

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
        classes, scores, confidence, logits = InferenceHead(network())(frames)
        assert torch.equal(confidence, scores.amax(1))
        assert classes.dtype == scores.dtype == torch.uint8
        assert torch.equal(classes.long(), logits.argmax(1))
        torch.testing.assert_close(logits.log_softmax(1), network()(frames).log_softmax(1))
        assert (scores.float() / 255 - logits.softmax(1)).abs().max() <= 0.5 / 255 + 1e-6


class TestLoss:
    logits = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    truth = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(1))

    def test_it_is_weighted_cross_entropy_plus_one_minus_dice(self):
        weights = np.array([0.5, 1.0, 4.0])
        probability = self.logits.double().softmax(1).numpy()
        target = np.stack([self.truth.numpy() == c for c in range(3)], 1)
        weight = weights[self.truth]
        entropy = -(np.log((probability * target).sum(1)) * weight).sum() / weight.sum()
        dice = [
            (2 * (probability[:, c] * target[:, c]).sum() + 1) / (probability[:, c].sum() + target[:, c].sum() + 1)
            for c in range(3)
        ]
        loss = SegmentationLoss(torch.from_numpy(weights).float())(self.logits, self.truth)
        assert loss.item() == pytest.approx(entropy + 1 - np.mean(dice), abs=1e-5)

    @pytest.mark.parametrize("classes", [3, 5], ids=["all classes occur", "two never do"])
    def test_its_gradient_is_that_of_autograd(self, classes):
        torch.manual_seed(0)
        truth, weights = self.truth.clone(), torch.rand(classes, dtype=torch.float64) + 0.1
        truth[0, :3] = IGNORE
        logits = 3 * torch.randn(2, classes, 8, 8, dtype=torch.float64)

        def plain(logits):
            p, known = logits.softmax(1), truth != IGNORE
            target = torch.nn.functional.one_hot(truth.where(known, 0), classes).movedim(-1, 1) * known.unsqueeze(1)
            mass = (p * known.unsqueeze(1)).sum((0, 2, 3)) + target.sum((0, 2, 3))
            dice = (2 * (p * target).sum((0, 2, 3)) + 1) / (mass + 1)
            entropy = torch.nn.functional.cross_entropy(logits, truth, weights, ignore_index=IGNORE)
            return entropy + 1 - dice[target.sum((0, 2, 3)) > 0].mean()

        gradients = []
        for loss in (plain, lambda logits: SegmentationLoss(weights)(logits, truth)):
            x = logits.clone().requires_grad_()
            (2 * loss(x)).backward()
            gradients.append(x.grad)
        torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-9, atol=1e-12)

    def test_a_batch_without_truth_costs_and_teaches_nothing(self):
        logits = self.logits.clone().requires_grad_()
        loss = SegmentationLoss(torch.ones(3))(logits, torch.full_like(self.truth, IGNORE))
        loss.backward()
        assert loss.item() == 0
        assert not logits.grad.any()

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
        config = AugmentConfig(light=0, steam=0, glare=0, blur=0, noise=0, jpeg=0, paste=0)
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
        still = replace(NONE, paste=1)
        frame, truth = augment(blank, donor, still, np.random.default_rng(0))
        assert np.array_equal(truth, labels)
        assert (frame[12:16, 12:16] >= 199).all()
        assert (frame[24:] == 0).all()
        assert np.array_equal(augment(donor, blank, still, np.random.default_rng(0))[1], labels)

    def test_a_window_is_a_part_of_the_frame_anywhere(self):
        frame = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
        sample, corners = (frame, frame[..., 0]), set()
        for seed in range(200):
            part, truth = augment(sample, sample, NONE, np.random.default_rng(seed), (12, 20))
            at = [
                (y, x)
                for y in range(5)
                for x in range(5)
                if np.array_equal(truth, frame[y : y + 12, x : x + 20, 0])
                and np.abs(part.astype(int) - frame[y : y + 12, x : x + 20]).max() <= 1
            ]
            assert len(at) == 1
            corners.update(at)
        assert len(corners) == 25

    def test_steam_and_glare_only_whiten(self):
        frame = np.full((32, 48, 3), (40, 80, 120), np.uint8)
        for config in (replace(NONE, steam=1), replace(NONE, glare=1)):
            changed, _ = augment((frame, frame[..., 0]), (frame, frame[..., 0]), config, np.random.default_rng(0))
            assert (changed >= frame - 1).all()
            assert changed.max() > 130
            assert changed.std(axis=(0, 1)).min() > 3  # in places, not everywhere alike

    def test_zero_ranges_change_nothing(self):
        frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
        sample = frame, frame[..., 0]
        same, truth = augment(sample, sample, NONE, np.random.default_rng(0))
        assert np.abs(same.astype(int) - frame).max() <= 1  # the rounding of the light table
        assert np.array_equal(truth, frame[..., 0])


def test_the_learning_rate_rises_then_falls_to_nothing():
    config = TrainConfig(lr=1.0, warmup=0.1)
    rates = [config.learning_rate(step, 100) for step in range(100)]
    assert rates[9] == max(rates) == 1
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", "vgg"), ("epochs", 0), ("batch", 1), ("lr", float("nan")), ("precision", "int8"), ("crop", (64, 300))],
)
def test_a_bad_configuration_names_field_and_value(field, value):
    with pytest.raises(InputError, match=f"`{field}=.*{re.escape(str(value))}"):
        TrainConfig(**{field: value})


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
