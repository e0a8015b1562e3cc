"""How commands load a segmenter, and what they say of it."""

from pathlib import Path
from typing import get_args

import click
from click.core import ParameterSource

from cookseg.runtime.model.segmenter import Segmenter, Upsample
from cookseg.runtime.model.session import Mode
from cookseg.runtime.terminal import console, params

upsample_option = click.option(
    "--upsample",
    type=click.Choice(get_args(Upsample)),
    default="smooth",
    show_default=True,
    help="How masks get an image's size: smooth edges between the network's pixels, or jagged ones.",
)


def load_segmenter(model: Path, session: params.Session, upsample: Upsample, mode: Mode = "latency") -> Segmenter:
    """Load what a command was asked for, with a mode where none was; say what it is and where it runs."""
    if click.get_current_context().get_parameter_source("model") is ParameterSource.DEFAULT:
        console.note("model: the starter, which was trained on synthetic scenes only; -m takes your own")
    engine = session.engine(model, mode)
    console.note(f"device: {engine.device} ({engine.reason})")
    return Segmenter(engine.contract, engine, upsample)
