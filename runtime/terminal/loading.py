"""Loading of a segmenter for a command, with a word on what it is and where it runs."""

import logging
from pathlib import Path
from typing import get_args

import click
from click.core import ParameterSource

from cookseg.runtime.model.segmenter import Segmenter, Upsample
from cookseg.runtime.model.session import Mode
from cookseg.runtime.terminal import console, params

_log = logging.getLogger(__name__)

upsample_option = click.option(
    "--upsample",
    type=click.Choice(get_args(Upsample)),
    default="smooth",
    show_default=True,
    help="How a mask gets its image's size: smooth edges, or the network's pixels with jagged edges (aliasing).",
)


def load_segmenter(model: Path, session: params.Session, upsample: Upsample, mode: Mode = "latency") -> Segmenter:
    """Load what a command was asked for, with a mode where none was; say what it is and where it runs."""
    if click.get_current_context().get_parameter_source("model") is ParameterSource.DEFAULT:
        console.note("model: the starter, which was trained on synthetic scenes only; -m takes your own")
    engine = session.engine(model, mode)
    _log.info("device: %s (%s)", engine.device, engine.reason)
    return Segmenter(engine.contract, engine, upsample)
