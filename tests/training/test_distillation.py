"""A network that learns the predictions of another one: the loss, what a teacher must have, and runs with one."""

import json
import shutil
import signal
from contextlib import nullcontext
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner

from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import COOKING, IGNORE, Contract, Preprocessing
from cookseg.runtime.scoring.dataset import Sample
from cookseg.training import checkpoint, cli
from cookseg.training.augment import AugmentConfig
from cookseg.training.cli import main
from cookseg.training.config import TrainConfig
from cookseg.training.distillation import Teacher, divergence
from cookseg.training.models import PRESETS, Preset
from cookseg.training.models.unet import UNet, UNetConfig
from cookseg.training.trainer import Trainer

TINY = UNetConfig(widths=(8, 16), stem=2)
SPEC = Preprocessing(32, 48)
CONTRACT = Contract(COOKING, SPEC)


def frames(height=32, width=48):
    return np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)


@pytest.fixture
def kept(tmp_path):
    """Keeps a network of a given contract in a file."""

    def keep(contract):
        path = tmp_path / "teacher.pt"
        torch.manual_seed(0)
        checkpoint.save(path, contract, UNet(TINY, len(contract.classes), contract.preprocessing))
        return path

    return keep


class TestDivergence:
    def test_it_is_the_cross_entropy_against_the_teachers_probabilities(self):
        logits, answer = torch.randn(2, 2, 3, 5, 7)
        expected = -(answer.softmax(1) * logits.log_softmax(1)).sum(1).mean()
        torch.testing.assert_close(divergence(logits, answer), expected)

    def test_a_network_that_agrees_is_left_alone(self):
        answer = torch.randn(2, 3, 5, 7)
        logits = (answer + torch.randn(2, 1, 5, 7)).requires_grad_()  # the same probabilities
        divergence(logits, answer).backward()
        torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-7, rtol=0)

    def test_the_coarser_resolution_is_that_of_the_comparison(self):
        fine, coarse = torch.randn(2, 3, 8, 12), torch.randn(2, 3, 2, 3)
        pooled = F.avg_pool2d(fine, 4)
        torch.testing.assert_close(divergence(fine, coarse), divergence(pooled, coarse))
        torch.testing.assert_close(divergence(coarse, fine), divergence(coarse, pooled))


class TestTeacher:
    def test_it_predicts_as_its_network_does_in_evaluation(self, kept):
        path = kept(CONTRACT)
        teacher, batch = Teacher.load(path, CONTRACT), torch.from_numpy(frames())
        with torch.inference_mode():
            expected = checkpoint.load_network(path)[0].coarse_logits(batch)
        torch.testing.assert_close(teacher(batch), expected, rtol=0, atol=0)

    def test_it_sees_windows_at_the_scale_that_it_knows(self, kept):
        """A window of a frame twice as large, in which every pixel of the teacher's is four."""
        teacher = Teacher.load(kept(CONTRACT), Contract(COOKING, Preprocessing(64, 96)))
        small = frames(4, 6).repeat(4, 1).repeat(4, 2)
        large = torch.from_numpy(small.repeat(2, 1).repeat(2, 2))
        answer = teacher(large)
        assert answer.shape == (2, 3, 8, 12)
        same = teacher.network.coarse_logits(torch.from_numpy(small))
        other = teacher.network.coarse_logits(torch.from_numpy(small[:, ::-1].copy()))
        assert (answer - same).norm() < 0.4 * (answer - other).norm()  # only edges are a little softer

    def test_another_class_is_refused(self, kept):
        table = replace(COOKING, names=(*COOKING.names[:2], "lid"))
        path = kept(Contract(table, SPEC))
        with pytest.raises(
            InputError, match=r"teacher\.pt: it cannot teach: .* lid, .* food; choose another `teacher`"
        ):
            Teacher.load(path, CONTRACT)

    @pytest.mark.parametrize(
        ("its", "ours"),
        [
            (SPEC, Preprocessing(32, 48, "letterbox")),
            (Preprocessing(32, 32, "letterbox"), Preprocessing(32, 48, "letterbox")),
        ],
    )
    def test_another_shape_of_frames_is_refused(self, kept, its, ours):
        with pytest.raises(
            InputError, match=rf"it sees frames of {its.width}x32 with `preprocessing.resize='{its.resize}'`"
        ):
            Teacher.load(kept(Contract(COOKING, its)), Contract(COOKING, ours))

    def test_letterboxed_frames_of_another_size_will_do(self, kept):
        teacher = Teacher.load(
            kept(Contract(COOKING, Preprocessing(32, 48, "letterbox"))),
            Contract(COOKING, Preprocessing(16, 24, "letterbox")),
        )
        assert teacher.scale == (2, 2)


def test_a_network_learns_what_no_mask_says(kept, monkeypatch):
    """With a pixel of truth per class, nearly all comes from the teacher, which stays as it is."""
    monkeypatch.setitem(PRESETS, "edge", Preset("unet", asdict(TINY)))
    teacher, batch = Teacher.load(kept(CONTRACT), CONTRACT), torch.from_numpy(frames())
    teacher.network.head.weight.mul_(100)  # answers of random weights hardly differ from pixel to pixel
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    truth = np.full((32, 48), IGNORE, np.uint8)
    truth[0, :3] = range(3)
    config = TrainConfig(
        batch=2, epochs=200, seed=1, augment=AugmentConfig(*[0.0] * 12), preprocessing=SPEC, precision="float32"
    )
    trainer = Trainer(config, CONTRACT, [Sample(frame, truth, 0) for frame in frames()], [], "cpu", teacher)
    least = divergence(teacher(batch), teacher(batch))  # the entropy of its own answers

    @torch.no_grad()
    def excess():
        return float(divergence(trainer.network.eval()(batch), teacher(batch)) - least)

    start = excess()
    for step in trainer.batches(range(200), 0):
        trainer.step(*step, 0.01)
    assert excess() < 0.3 * start
    for name, value in teacher.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.integration
class TestCommand:
    def train(self, data, run, *options):
        result = CliRunner().invoke(main, [str(data), "-o", str(run), *map(str, options)])
        assert result.exit_code in {0, 128 + signal.SIGTERM}, result.stderr
        return checkpoint.load(run / "last.pt")

    def test_a_run_keeps_its_teacher_and_resumes_without_the_original(self, trained, scenes, tmp_path, monkeypatch):
        original = shutil.copytree(trained.run, tmp_path / "original")
        digest = checkpoint.digest(original / "best.pt")
        options = ["--imgsz", 32, "--no-check", "--model", "edge-s", "--batch", 2, "--epochs", 2]
        alone = self.train(scenes, tmp_path / "alone", *options)
        whole = self.train(scenes, tmp_path / "whole", *options, "--teacher", original)
        with monkeypatch.context() as patched:
            patched.setattr(cli, "_signals", lambda: nullcontext([signal.SIGTERM]))  # after the first step
            stopped = self.train(scenes, tmp_path / "parts", *options, "--teacher", original)
        assert stopped["run"]["progress"]["step"] == 1
        shutil.rmtree(original)
        resumed = self.train(scenes, tmp_path / "parts", "--resume")
        for name, value in whole["weights"].items():
            torch.testing.assert_close(resumed["weights"][name], value, rtol=0, atol=0)
        assert not torch.equal(alone["weights"]["head.weight"], whole["weights"]["head.weight"])
        for state in (whole, resumed):
            assert json.loads(state["contract"])["provenance"]["training"]["teacher"] == digest
