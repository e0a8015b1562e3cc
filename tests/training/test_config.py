"""The training configuration: its fields by dotted name, the file, the command's short forms, and what is refused."""

import json
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace

import click
import pytest
import torch
from click.testing import CliRunner

from cookseg.evaluation import Run
from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import Preprocessing
from cookseg.training import STARTER, AugmentConfig, TrainConfig, checkpoint, config_file, fields, load_config, runs
from cookseg.training.cli import changes_of, main


def parse(tmp_path, text, *arguments):
    """Return what a command line with a configuration file sets, and run nothing."""
    (tmp_path / "c.toml").write_text(text)
    line = [str(tmp_path), "-o", str(tmp_path / "run"), "--config", str(tmp_path / "c.toml"), *arguments]
    return changes_of(main.make_context("cook-train", line))


class TestFields:
    def test_every_field_has_a_name(self):
        names = fields.flat(TrainConfig())
        assert {"lr", "weight_decay", "crop", "augment.steam", "preprocessing.mean"} < names.keys()
        assert len(names) == 16 + 5 + 12 + 4 + 8

    def test_changes_go_to_any_depth_and_into_the_fields_types(self):
        changes = {"lr": 1, "augment.steam": 0.3, "preprocessing.mean": [0, 0.5, 1], "crop": [32, 48]}
        config = fields.changed(TrainConfig(), changes)
        assert config == replace(
            TrainConfig(),
            lr=1.0,
            augment=AugmentConfig(steam=0.3),
            preprocessing=Preprocessing(mean=(0.0, 0.5, 1.0)),
            crop=(32, 48),
        )
        assert isinstance(config.lr, float)
        assert fields.changed(config, {"crop": "none"}).crop is None

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"epoch": 7}, ["no setting `epoch`", "did you mean `epochs`"]),
            ({"augment.steem": 0.1}, ["did you mean `augment.steam`"]),
            ({"rotation": 9}, ["did you mean `augment.rotation`"]),
            ({"val-every": 9}, ["did you mean `val_every`"]),
            ({"imgsz": "480x352"}, ["did you mean `preprocessing.height`"]),
            ({"device": "cpu"}, ["no setting `device`; known are model, epochs", "augment.jpeg"]),
            ({"lr.x": 1}, ["no setting `lr.x`"]),
            ({"epochs": "many"}, ["`epochs='many'`: it must be a whole number"]),
            ({"epochs": 2.5}, ["`epochs=2.5`: it must be a whole number"]),
            ({"epochs": True}, ["`epochs=True`"]),
            ({"qat": 1}, ["`qat=1`: it must be true or false"]),
            ({"lr": False}, ["`lr=False`: it must be a number"]),
            ({"crop": [1, 2, 3]}, ["`crop=[1, 2, 3]`: it must be 2 numbers"]),
            ({"crop": 32}, ["`crop=32`"]),
            ({"crop": [0, 32]}, ["`crop=(0, 32)`"]),
            ({"crop": [32, 300]}, ["`crop=(32, 300)`", "256x256"]),
            ({"batch": 1}, ["`batch=1`: it must be 2 or more"]),
            ({"lr": float("nan")}, ["`lr=nan`: it must be a positive number"]),
            ({"warmup": 1}, ["`warmup=1.0`"]),
            ({"weight_decay": -1}, ["`weight_decay=-1.0`: it must be 0 or more"]),
            ({"model": "vgg"}, ["`model='vgg'`", "edge-s"]),
            ({"precision": "int4"}, ["`precision='int4'`", "float32"]),
            ({"augment.steam": 1.5}, ["`augment.steam=1.5`: it must be in 0 to 1"]),
            ({"augment.rotation": 270}, ["`augment.rotation=270.0`: it must be in 0 to 180"]),
            ({"augment.zoom": -0.1}, ["`augment.zoom=-0.1`"]),
            ({"preprocessing.height": 4}, ["`preprocessing", "height"]),
            ({"preprocessing.resize": "crop"}, ["`preprocessing.resize='crop'`", "letterbox"]),
        ],
    )
    def test_what_may_not_be_is_named(self, changes, words):
        with pytest.raises(InputError) as caught:
            fields.changed(TrainConfig(), changes)
        assert all(word in str(caught.value) for word in words), caught.value

    def test_python_users_get_the_same_errors(self):
        with pytest.raises(InputError, match=r"`augment\.jpeg=2\.0`"):
            AugmentConfig(jpeg=2)
        with pytest.raises(InputError, match="`lr='high'`"):
            TrainConfig(lr="high")
        with pytest.raises(InputError, match="`augment`"):
            TrainConfig(augment={"steam": 0.1})
        with pytest.raises(TypeError, match="did you mean 'epochs'"):
            TrainConfig(epoch=3)

    def test_what_depends_on_the_set_is_chosen_when_it_is_known(self):
        chosen = TrainConfig().resolved(448)
        assert (chosen.model, chosen.epochs, chosen.patience) == ("edge", 89, 29)
        own = TrainConfig(model="edge-s", epochs=12, patience=0)
        assert own.resolved(448) == own


class TestFile:
    def test_every_field_survives_the_way_into_a_file_and_back(self, tmp_path):
        config = TrainConfig(
            epochs=5,
            lr=1e-5,
            qat=True,
            init='a"b\\ä',
            crop=(32, 48),
            preprocessing=Preprocessing(64, 96, "letterbox", std=(0.1, 0.2, 0.3)),
            augment=AugmentConfig(steam=0.5),
        )
        (tmp_path / "c.toml").write_text(config_file.dump(config), "utf-8")
        assert load_config(tmp_path / "c.toml") == config

    def test_tables_are_nested_and_the_rest_has_its_default(self, tmp_path):
        (tmp_path / "c.toml").write_text("epochs = 7\n[augment]\nsteam = 0.5\n[preprocessing]\nheight = 64\n")
        config = load_config(tmp_path / "c.toml")
        assert (config.epochs, config.augment, config.preprocessing) == (7, AugmentConfig(steam=0.5), Preprocessing(64))
        assert config.batch == TrainConfig().batch

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("epochs = ", ["Invalid value"]),
            ("[train]\nepochs = 2", ["no setting `train.epochs`: did you mean `epochs`"]),
            ('imgsz = "480x352"', ["no setting `imgsz`", "preprocessing.height"]),
            ("batch = 1", ["`batch=1`"]),
            ("[[augment]]\nsteam = 1", ["no setting `augment`"]),
        ],
    )
    def test_a_wrong_one_is_named(self, tmp_path, text, words):
        (tmp_path / "c.toml").write_text(text)
        with pytest.raises(InputError) as caught:
            load_config(tmp_path / "c.toml")
        assert all(word in str(caught.value) for word in [*words, "c.toml"])


class TestCommandLine:
    def test_short_forms_and_settings_reach_the_fields(self, tmp_path):
        line = ["--imgsz", "480x352", "--flips", "none", "--crop", "32", "--qat", "--init", "starter"]
        assert parse(tmp_path, "", *line, "--set", "augment.steam=0.3", "--set", "teacher = starter") == {
            "preprocessing.height": 352,
            "preprocessing.width": 480,
            "augment.flip": 0.0,
            "augment.vertical_flip": 0.0,
            "crop": (32, 32),
            "qat": True,
            "init": "starter",
            "augment.steam": 0.3,
            "teacher": "starter",
        }

    def test_it_overrides_the_file(self, tmp_path):
        found = parse(tmp_path, "epochs = 7\nbatch = 3\nseed = 4", "--epochs", "9", "--set", "seed=5")
        assert found == {"epochs": 9, "batch": 3, "seed": 5}

    def test_a_file_of_the_words_name_is_a_file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "starter").write_bytes(STARTER.read_bytes())
        assert parse(tmp_path, "", "--init", "./starter") == {"init": str((tmp_path / "starter").resolve())}

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            (["--set", "augment.steem=1"], ["--set", "did you mean `augment.steam`"]),
            (["--set", "augment.steam"], ["--set", "NAME=VALUE"]),
            (["--set", "augment.steam=2"], ["`augment.steam=2.0`"]),
            (["--set", "augment.rotation=200"], ["--rotation 200.0: it must be in 0 to 180"]),
            (["--lr", "0.1", "--set", "lr=0.2"], ["given twice: lr"]),
            (["--set", "seed=1", "--set", "seed=2"], ["given twice: seed"]),
            (["--batch", "1"], ["--batch 1: it must be 2 or more"]),
            (["--crop", "480x300"], ["--crop 480x300", "--imgsz"]),
            (["--lr", "high"], ["'--lr'"]),
        ],
    )
    def test_what_may_not_be_is_a_usage_error_in_the_commands_words(self, tmp_path, line, words):
        result = CliRunner().invoke(main, [str(tmp_path), "-o", str(tmp_path / "run"), *line])
        assert result.exit_code == 2
        assert all(word in result.stderr for word in words), result.stderr

    def test_a_wrong_or_missing_file_is_a_usage_error(self, tmp_path):
        with pytest.raises(click.BadParameter, match=r"c\.toml.*no setting `epoch`"):
            parse(tmp_path, "epoch = 7")
        result = CliRunner().invoke(main, [str(tmp_path), "-o", "run", "--config", str(tmp_path / "none.toml")])
        assert result.exit_code == 2
        assert "none.toml: No such file" in result.stderr

    def test_help_shows_the_defaults_of_the_fields(self):
        text = " ".join(CliRunner().invoke(main, ["--help"]).stdout.split())
        config = TrainConfig()
        for shown in (config.lr, config.batch, config.augment.rotation, "256x256", "both", config.model):
            assert f"[default: {shown}]" in text


@pytest.mark.integration
class TestRuns:
    def train(self, scenes, run, *arguments, code=0):
        result = CliRunner().invoke(main, [*map(str, [scenes, "-o", run, *arguments])])
        assert result.exit_code == code, result.stderr
        return result.stderr

    def test_the_file_of_a_run_repeats_it(self, scenes, tmp_path):
        one, other = Run(tmp_path / "a"), Run(tmp_path / "b")
        options = ["--imgsz", 32, "--epochs", 2, "--seed", 5, "--set", "augment.steam=0.9", "--init", "starter"]
        self.train(scenes, one.path, *options)
        kept = tomllib.loads(one.config.read_text())
        assert (kept["patience"], kept["model"], kept["augment"]["steam"]) == (10, "edge-s", 0.9)
        self.train(scenes, other.path, "--config", one.config)
        assert other.config.read_bytes() == one.config.read_bytes()
        first, again = (checkpoint.load(run.last) for run in (one, other))
        assert all(torch.equal(first["weights"][name], again["weights"][name]) for name in first["weights"])
        stored = checkpoint.stored_config(one.last)
        assert stored == replace(load_config(one.config), init=checkpoint.digest(STARTER))
        assert json.loads(one.record.read_text())["config"]["augment"]["steam"] == 0.9

    def test_a_resumed_run_refuses_what_contradicts_it_by_name(self, scenes, tmp_path):
        run = Run(tmp_path / "run")
        self.train(scenes, run.path, "--imgsz", 32, "--epochs", 1, "--lr", 0.004, "--init", "starter")
        self.train(scenes, run.path, "--resume", "--config", run.config, "--init", "starter", "--lr", 0.004)
        for line, name in [
            (["--lr", 0.002], "--lr contradicts the run to resume, which has 0.004"),
            (["--set", "augment.steam=0.7"], "`augment.steam` contradicts"),
            (["--set", "augment.zoom=0.7"], "--zoom contradicts"),
            (["--imgsz", 64], "--imgsz contradicts"),
            (["--init", run.best], "--init contradicts"),
        ]:
            assert name in self.train(scenes, run.path, "--resume", *line, code=1)
        run.config.write_text("weight_decay = 0.5")
        errors = self.train(scenes, run.path, "--resume", "--config", run.config, code=1)
        assert "`weight_decay` contradicts the run to resume, which has 0.1" in errors
        assert "in another --output" in errors

    def test_a_checkpoint_named_by_its_digest_alone_is_refused(self, scenes, tmp_path):
        errors = self.train(scenes, tmp_path / "run", "--set", f"init={'0' * 64}", code=1)
        assert "is the SHA-256 of a checkpoint: name its file" in errors

    @pytest.mark.parametrize("kind", ["starter", "best", "missing", "wrong"])
    def test_what_no_run_can_be_resumed_from_is_an_error(self, trained, tmp_path, kind):
        run = Run(tmp_path / "run")
        run.path.mkdir()
        run.record.write_bytes(Run(trained.run).record.read_bytes())
        value = checkpoint.load(Run(trained.run).last)
        if kind == "missing":
            del value["run"]["optimizers"]
        elif kind == "wrong":
            value["run"]["optimizers"] = [{"state": 1}, 2]
        torch.save(value, run.last)
        if kind in {"starter", "best"}:
            source = STARTER if kind == "starter" else Run(trained.run).best
            run.last.write_bytes(source.read_bytes())
        errors = self.train(trained.data, run.path, "--resume", code=1)
        assert "last.pt" in errors
        assert ("damaged" if kind == "wrong" else "a run cannot be resumed from it") in errors


SILENT = """
import sys
sys.modules["click"] = None
import torch
torch.set_num_threads(1)
from cookseg.runtime.model.contract import Preprocessing
from cookseg.training import TrainConfig, train
config = TrainConfig(model="edge-s", epochs=1, batch=4, preprocessing=Preprocessing(32, 32))
result = train(sys.argv[1], sys.argv[2], config)
assert result.run.best.exists() and result.to_dict()["mean_iou"] == result.matrix.mean_iou
assert "cookseg.runtime.terminal" not in sys.modules
"""


@pytest.mark.integration
def test_the_library_trains_in_silence_without_a_terminal(scenes, tmp_path):
    line = [sys.executable, "-c", SILENT, str(scenes), str(tmp_path / "run")]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.integration
def test_a_signal_before_the_first_step_has_its_usual_effect(scenes, tmp_path, monkeypatch):
    """Only steps can be finished and saved: while frames are decoded, and at the end, Ctrl-C ends the command."""
    handlers = {}

    def note(moment):
        handlers[moment] = signal.getsignal(signal.SIGTERM)

    class Noting(runs.Reporter):
        def update(self, history):
            note("steps")
            super().update(history)

    def noted(moment, function):
        return lambda *arguments, **options: note(moment) or function(*arguments, **options)

    monkeypatch.setattr(runs, "Reporter", Noting)
    monkeypatch.setattr(runs, "prepare", noted("before", runs.prepare))
    monkeypatch.setattr(runs, "finish", noted("after", runs.finish))
    line = [scenes, "-o", tmp_path / "run", "--imgsz", 32, "--epochs", 1]
    usual = signal.getsignal(signal.SIGTERM)
    assert CliRunner().invoke(main, [*map(str, line)]).exit_code == 0
    assert handlers["before"] == handlers["after"] == usual
    assert handlers["steps"] != usual
