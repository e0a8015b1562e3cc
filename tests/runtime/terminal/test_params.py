"""Types and groups of options: sizes, and the starter by its word."""

from pathlib import Path

import click
import pytest

from cookseg.benchmarks import latency
from cookseg.data.cli import main as cook_data
from cookseg.runtime.model import engine
from cookseg.runtime.terminal import params
from cookseg.runtime.terminal.cli import main as cook_infer


@pytest.mark.parametrize(("text", "size"), [("256", (256, 256)), ("480x352", (352, 480)), ("480X352", (352, 480))])
def test_sizes_are_width_by_height(text, size):
    assert params.ImageSize().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "x", "256x", "1x2x3", "12.5", "big", "0", "-5", "32x0"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(click.BadParameter, match="width x height"):
        params.ImageSize().convert(text, None, None)


@pytest.mark.parametrize(
    "command",
    [
        *(cook_infer.commands[name] for name in ("masks", "eval", "info", "selftest", "install")),
        cook_data.commands["doctor"],
        latency.main,
    ],
    ids=lambda command: command.name,
)
def test_starter_is_the_model_of_cookseg_wherever_a_model_is_taken(command):
    (parameter,) = (parameter for parameter in command.params if parameter.name == "model")
    taken = [parameter.type_cast_value(click.Context(command), text) for text in ("starter", "./starter", "m.onnx")]
    assert taken == [engine.STARTER, Path("starter"), Path("m.onnx")]
