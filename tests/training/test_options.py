"""`cook-train --config`: what a file may hold, what goes before it, and the file that a run leaves."""

import tomllib

import click
import pytest
import torch
from click.testing import CliRunner

from cookseg.training import STARTER, checkpoint, options
from cookseg.training.cli import main


def parse(tmp_path, text, *arguments):
    """Parse a command line with a configuration file, and run nothing."""
    (tmp_path / "c.toml").write_text(text)
    line = [str(tmp_path), "-o", str(tmp_path / "run"), "--config", str(tmp_path / "c.toml"), *arguments]
    return main.make_context("cook-train", line)


class TestFile:
    def test_its_values_are_those_of_the_options(self, tmp_path):
        text = (
            'imgsz = "480x352"\nepochs = 7\nlr = 1\nqat = true\nno-check = true\nmask-suffix = "_m"\ninit = "starter"'
        )
        params = parse(tmp_path, text).params
        assert (params["imgsz"], params["epochs"], params["lr"]) == ((352, 480), 7, 1.0)
        assert params["qat"] is params["no_check"] is True
        assert (params["mask_suffix"], params["init"]) == ("_m", STARTER)
        assert params["batch"] == 8

    def test_the_command_line_goes_before_it(self, tmp_path):
        params = parse(tmp_path, "epochs = 7\nbatch = 3", "--epochs", "9").params
        assert (params["epochs"], params["batch"]) == (9, 3)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("epoch = 7", ["no option 'epoch'", "epochs", "mask-suffix"]),
            ("mask_suffix = '_m'", ["no option 'mask_suffix'"]),
            ("config = 'other.toml'", ["no option 'config'"]),
            ("epochs = 'many'", ["epochs", "'many' is not a valid integer"]),
            ("epochs = 2.5", ["epochs", "'2.5' is not a valid integer"]),
            ("batch = 1", ["batch", "1 is not in the range x>=2"]),
            ("model = 'vgg'", ["model", "'vgg' is not one of", "'edge'"]),
            ("imgsz = [256, 256]", ["imgsz is [256, 256]", "a single value"]),
            ("epochs = ", ["Invalid value"]),
            ("[train]\nepochs = 2", ["no option 'train'"]),
        ],
    )
    def test_what_it_may_not_hold_is_named(self, tmp_path, text, words):
        with pytest.raises(click.BadParameter) as caught:
            parse(tmp_path, text)
        assert all(word in caught.value.format_message() for word in [*words, "c.toml", "'--config'"])

    def test_a_missing_one_is_a_usage_error(self, tmp_path):
        result = CliRunner().invoke(main, [str(tmp_path), "-o", "run", "--config", str(tmp_path / "none.toml")])
        assert result.exit_code == 2
        assert "none.toml: No such file" in result.stderr

    def test_every_option_survives_the_way_into_a_file_and_back(self, tmp_path):
        given = [
            "--imgsz",
            "96x64",
            "--lr",
            "1e-5",
            "--qat",
            "--init",
            "starter",
            "--masks",
            'a"b\\ä',
            "--rotation",
            "9",
        ]
        first = parse(tmp_path, "", *given)
        again = parse(tmp_path, options.dump(first, {"epochs": 5}))
        assert again.params == first.params | {"epochs": 5}


@pytest.mark.integration
def test_the_file_of_a_run_repeats_it(scenes, tmp_path):
    def train(run, *arguments):
        line = [scenes, "-o", tmp_path / run, *arguments]
        result = CliRunner().invoke(main, [*map(str, line)])
        assert result.exit_code == 0, result.stderr
        return checkpoint.load(tmp_path / run / "last.pt")

    first = train("a", "--imgsz", 32, "--epochs", 2, "--seed", 5, "--model", "edge-s")
    file = tmp_path / "a/config.toml"
    assert tomllib.loads(file.read_text())["patience"] == 10
    again = train("b", "--config", file)
    assert (tmp_path / "b/config.toml").read_bytes() == file.read_bytes()
    assert all(torch.equal(first["weights"][name], again["weights"][name]) for name in first["weights"])
    line = [scenes, "-o", tmp_path / "a", "--resume", "--config", file, "--seed", 6]
    refused = CliRunner().invoke(main, [*map(str, line)])
    assert "--seed contradicts" in refused.stderr
    file.write_text("lr = 0.5")
    refused = CliRunner().invoke(main, [*map(str, line[:-2])])
    assert "--lr contradicts" in refused.stderr
