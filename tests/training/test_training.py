"""Training as a whole: resuming, interruption, checkpoints, bad input, and the command."""

import copy
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cookseg import training
from cookseg.evaluation import Run
from cookseg.runtime.errors import CooksegError, InputError, ModelError
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.model.contract import COOKING, Contract, Preprocessing
from cookseg.runtime.model.engine import STARTER, OnnxEngine
from cookseg.runtime.scoring.dataset import Layout, Sample
from cookseg.runtime.scoring.metrics import ConfusionMatrix
from cookseg.training import checkpoint, cli
from cookseg.training.cli import main
from cookseg.training.config import TrainConfig
from cookseg.training.models import PRESETS, Preset
from cookseg.training.models.unet import UNet, UNetConfig
from cookseg.training.throughput import Throughput
from cookseg.training.trainer import Trainer

TINY = UNetConfig(widths=(8, 16), stem=2)


def network(config=TINY, classes=3):
    torch.manual_seed(0)
    return UNet(config, classes, Preprocessing()).eval()


def without_pace(progress):
    """What of a run's progress is the same in every repetition."""
    rows = [{name: row[name] for name in row if name not in {"images_per_s", "waiting"}} for row in progress.history]
    return replace(progress, history=rows)


class TestTrainer:
    """The loop in memory and on disk, on noise: what is learnt does not matter here."""

    config = TrainConfig(epochs=4, batch=2, precision="float32", preprocessing=Preprocessing(32, 32))

    @pytest.fixture(autouse=True)
    def tiny(self, monkeypatch):
        monkeypatch.setitem(PRESETS, "edge", Preset("unet", asdict(TINY)))

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
        whole.fit(Run(tmp_path), 0, lambda _: True)
        (tmp_path / "a").mkdir()
        self.trainer().fit(Run(tmp_path / "a"), workers, lambda trainer: trainer.progress.step < stop)
        second = self.trainer()
        last = Run(tmp_path / "a").last
        second.load_state(checkpoint.load_run(last), last)
        assert second.progress.step == stop
        second.fit(Run(tmp_path / "a"), 0, lambda _: True)
        assert without_pace(second.progress) == without_pace(whole.progress)
        for part in ("network", "averaged"):
            for a, b in zip(getattr(whole, part).parameters(), getattr(second, part).parameters(), strict=True):
                assert torch.equal(a, b)
        weights = [checkpoint.load(Run(folder).best)["weights"] for folder in (tmp_path, tmp_path / "a")]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    def test_a_run_for_int8_leaves_plain_weights_and_resumes_like_any_other(self, tmp_path):
        config = replace(self.config, qat=True)
        aware, plain = self.trainer(config), self.trainer()
        for trainer, name in ((aware, "aware"), (plain, "plain")):
            (tmp_path / name).mkdir()
            trainer.fit(Run(tmp_path / name), 0, lambda _: True)
        assert aware.network.state_dict().keys() == plain.network.state_dict().keys()
        assert not torch.equal(aware.network.head.weight, plain.network.head.weight)
        stopped, resumed = self.trainer(config), self.trainer(config)
        (tmp_path / "a").mkdir()
        stopped.fit(Run(tmp_path / "a"), 0, lambda trainer: trainer.progress.step < 4)
        last = Run(tmp_path / "a").last
        resumed.load_state(checkpoint.load_run(last), last)
        resumed.fit(Run(tmp_path / "a"), 0, lambda _: True)
        assert torch.equal(resumed.network.head.weight, aware.network.head.weight)

    @pytest.mark.parametrize("keep", ["best", "last"])
    def test_a_run_keeps_the_weights_that_are_asked_for(self, tmp_path, keep, monkeypatch):
        found = (ConfusionMatrix.of([[right, 10 - right, 0], [0] * 3, [0] * 3]) for right in (3, 9, 1))
        monkeypatch.setattr(sys.modules[Trainer.__module__], "evaluate", lambda *_: next(found))
        trainer = self.trainer(replace(self.config, epochs=3, keep=keep), frames=4)
        averages = []

        def report(trainer):
            if not trainer.progress.losses:
                averages.append(copy.deepcopy(trainer.averaged.module.state_dict()))
            return True

        trainer.fit(Run(tmp_path), 0, report)
        assert (trainer.progress.best_epoch, trainer.progress.best_miou) == (2, 0.9)  # known in both cases
        kept = checkpoint.load(Run(tmp_path).best)["weights"]
        wanted = averages[1 if keep == "best" else 2]
        assert all(torch.equal(kept[name], wanted[name]) for name in wanted)
        assert TrainConfig(keep=keep).resolved(448).patience == (29 if keep == "best" else 0)

    def test_patience_ends_a_run(self, tmp_path):
        trainer = self.trainer(replace(self.config, epochs=50, patience=2, lr=1e-12))
        trainer.fit(Run(tmp_path), 0, lambda _: True)
        assert trainer.out_of_patience
        assert trainer.progress.step < trainer.steps

    def test_validations_are_as_far_apart_as_asked_and_the_end_has_one(self, tmp_path):
        trainer = self.trainer(replace(self.config, epochs=8, val_every=3), frames=4)
        trainer.fit(Run(tmp_path), 0, lambda _: True)
        assert [row["epoch"] for row in trainer.progress.history] == [3, 6, 8]

    def test_a_long_run_has_a_hundred_validations(self):
        trainer = self.trainer(replace(self.config, epochs=1000, val_every=3), frames=4)
        assert trainer.steps / trainer.steps_per_validation == 100

    def test_a_loss_that_is_not_finite_is_an_error_with_a_remedy(self, tmp_path):
        trainer = self.trainer()
        with torch.no_grad():
            trainer.network.head.bias.fill_(float("nan"))
        with pytest.raises(CooksegError, match=r"loss is nan at step 1.*lower `lr`"):
            trainer.fit(Run(tmp_path), 0, lambda _: True)

    def test_a_full_disk_leaves_the_previous_checkpoint_whole(self, tmp_path, monkeypatch):
        trainer = self.trainer()
        trainer.save(Run(tmp_path))
        before = (tmp_path / "last.pt").read_bytes()

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("cookseg.runtime.files.os.fsync", full)
        with pytest.raises(InputError, match=r"last\.pt.*No space left"):
            trainer.save(Run(tmp_path))
        assert (tmp_path / "last.pt").read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


class TestPace:
    def test_it_tells_waiting_from_computing(self, monkeypatch):
        clock = [0.0]
        monkeypatch.setattr("cookseg.training.throughput.time.perf_counter", lambda: clock[0])

        def loader():
            for number in range(4):
                clock[0] += 3
                yield number

        pace = Throughput()
        seen = []
        for number in pace.batches(loader()):
            with pace.step(8):
                clock[0] += 1
            seen.append(number)
            clock[0] += 1000  # a validation
        assert seen == [0, 1, 2, 3]
        assert pace.figures() == {"images_per_s": 2.0, "waiting": 0.75}

    def test_a_slow_loader_shows_in_the_history(self, tmp_path, monkeypatch):
        trainer = TestTrainer.trainer(TestTrainer(), replace(TestTrainer.config, epochs=1))
        clock, batch = [0.0], trainer.config.batch
        monkeypatch.setattr("cookseg.training.throughput.time.perf_counter", lambda: clock[0])

        def slower(function, seconds):
            def slow(*arguments):
                clock[0] += seconds
                return function(*arguments)

            return slow

        samples = type(trainer.samples)
        monkeypatch.setattr(samples, "__getitem__", slower(samples.__getitem__, 3 / batch))
        monkeypatch.setattr(trainer, "step", slower(trainer.step, 1))
        trainer.fit(Run(tmp_path), 0, lambda _: True)
        (row,) = trainer.progress.history
        assert row["waiting"] == 0.75
        assert row["images_per_s"] == pytest.approx(batch / 4, abs=0.01)


class TestCheckpoint:
    def test_it_rebuilds_the_network(self, tmp_path):
        net, contract = network(), Contract(provenance={"a": 1})
        checkpoint.save(tmp_path / "x.pt", contract, net)
        again, read = checkpoint.load_network(tmp_path / "x.pt")
        frames = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
        assert torch.equal(net(frames), again(frames))
        assert read == contract

    def test_in_float16_it_is_half_as_large_and_cannot_resume(self, tmp_path):
        net, contract = network(), Contract(provenance={"a": 1})
        checkpoint.save(Run(tmp_path).best, contract, net, optimizer=torch.zeros(9))
        checkpoint.save_half(tmp_path, tmp_path / "half.pt")
        value = checkpoint.load(tmp_path / "half.pt")
        assert value["run"] == {}
        assert {weights.dtype for weights in value["weights"].values()} == {torch.float16, torch.int64}
        again, read = checkpoint.load_network(tmp_path / "half.pt")
        frames = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
        assert torch.allclose(net(frames), again(frames), atol=0.01)
        assert again.head.weight.dtype == torch.float32
        assert read == contract

    def test_the_starter_and_its_checkpoint_are_of_one_run(self):
        exported, trained = OnnxEngine(STARTER, "cpu").contract, checkpoint.load_network(training.STARTER)[1]
        assert (exported.classes, exported.preprocessing) == (trained.classes, trained.preprocessing)
        assert all(exported.provenance[topic] == trained.provenance[topic] for topic in ("data", "training"))

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
        assert float(rows[-1]["val_miou"]) > 0.5  # one class everywhere gives 0.21
        curves = read_image(trained.run / "curves.png")  # see test_report.py for what they show
        assert all((curves == color).all(axis=2).any() for color in ((31, 119, 180), (0, 0, 0)))  # loss and mean IoU
        assert list((trained.run / "tensorboard").glob("events*"))
        assert json.loads(trained.output)["mean_iou"] > 0.5

    def test_one_kitchen_is_learnt_by_heart(self, kitchen, tmp_path):
        options = ["--imgsz", 64, "--epochs", 80, "--val-every", 10, "--batch", 4, "--lr", 0.004, "--rotation", 0]
        result = self.train(kitchen, "-o", tmp_path / "run", *options, "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["mean_iou"] > 0.7  # one class everywhere gives about 0.3

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

    def test_a_run_that_started_from_the_starter_resumes(self, scenes, tmp_path, monkeypatch):
        command = [scenes, "-o", tmp_path / "run", "--init", "starter"]
        with monkeypatch.context() as patched:
            patched.setattr(cli, "_signals", lambda: nullcontext([signal.SIGTERM]))  # after the first step
            stopped = self.train(*command, "--imgsz", 32, "--epochs", 2, "--lr", 1e-12)
        assert stopped.exit_code == 128 + signal.SIGTERM, stopped.stderr
        first = checkpoint.load(tmp_path / "run/last.pt")["weights"]
        for name, weights in checkpoint.load_network(training.STARTER)[0].named_parameters():
            assert torch.allclose(first[name], weights), name
        resumed = self.train(*command, "--resume")
        assert resumed.exit_code == 0, resumed.stderr
        provenance = checkpoint.load_network(tmp_path / "run/best.pt")[1].provenance
        assert provenance["training"]["init"] == checkpoint.digest(training.STARTER)

    def test_the_first_weights_choose_the_model(self, scenes, tmp_path):
        options = ["--imgsz", 32, "--epochs", 1]
        assert self.train(scenes, "-o", tmp_path / "a", *options, "--model", "edge-s").exit_code == 0
        assert self.train(scenes, "-o", tmp_path / "b", *options, "--init", tmp_path / "a").exit_code == 0
        assert checkpoint.stored_config(tmp_path / "b/last.pt").model == "edge-s"

    def test_the_starter_is_refused_for_other_classes(self, scenes, tmp_path):
        shutil.copytree(scenes, tmp_path / "data")
        table = {**COOKING.to_dict(), "classes": [*COOKING.to_dict()["classes"], {"name": "lid", "color": [0, 0, 0]}]}
        (tmp_path / "data/classes.json").write_text(json.dumps(table))
        options = ["--imgsz", 32, "--epochs", 1, "--no-check", "--init", "starter"]
        result = self.train(tmp_path / "data", "-o", tmp_path / "run", *options)
        assert result.exit_code == 1
        assert all(words in result.stderr for words in ("starter.pt", "3 classes", "has 4", "lid", "another --init"))
        assert not (tmp_path / "run").exists()

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
        options = ["--imgsz", "32", "--epochs", "1000", "--batch", "4", "--no-check"]
        command = [sys.executable, "-m", "cookseg.training", str(trained.data), "-o", str(tmp_path / "run"), *options]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while not (tmp_path / "run/metrics.csv").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 128 + signal.SIGTERM
        assert "--resume continues" in errors
        step = checkpoint.load(tmp_path / "run/last.pt")["run"]["progress"]["step"]
        assert f"after step {step}" in errors

    def test_the_dataset_is_remembered_beside_the_run_but_not_in_the_model(self, trained):
        record = Run(trained.run).read_record()
        assert (record.data, record.layout) == (trained.data.resolve(), Layout())
        assert str(trained.data.parent).encode() not in (trained.run / "best.pt").read_bytes()
