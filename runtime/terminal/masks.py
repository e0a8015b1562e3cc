"""`cook-infer masks`: puts a source, a segmenter and sinks together."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import click
import cv2

from cookseg.runtime.cores import cores
from cookseg.runtime.errors import PartialFailureError
from cookseg.runtime.model.segmenter import Upsample
from cookseg.runtime.results import Table, listed
from cookseg.runtime.stream.run import Ran, run
from cookseg.runtime.stream.sinks import (
    ColorMaskSink,
    ConfidenceSink,
    IndexSink,
    OverlaySink,
    PaletteMaskSink,
    PngSink,
)
from cookseg.runtime.stream.sources import FileSource
from cookseg.runtime.terminal import bars, console, loading, params

Png = Literal["rgb", "palette"]

_MASKS: dict[Png, type[PngSink]] = {"rgb": ColorMaskSink, "palette": PaletteMaskSink}
_MORE: dict[str, type[PngSink]] = {"overlay": OverlaySink, "index": IndexSink, "confidence": ConfidenceSink}


@dataclass(frozen=True)
class Written:
    """What was written to a folder."""

    output: Path
    ran: Ran

    @property
    def frames(self) -> int:
        """How many there were."""
        return self.ran.done + len(self.ran.failures)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        failed = {failure.origin: failure.message for failure in self.ran.failures}
        return {"masks": self.ran.done, "output": str(self.output), "failed": failed}

    def tables(self) -> Iterable[Table]:
        """Return it for people."""
        yield Table(above=f"{self.ran.done} of {self.frames} masks written to {self.output}")


@click.command(
    cls=console.Command,
    epilog="Examples: cook-infer masks pan.jpg   |   "
    'cook-infer masks "clips/**/*.png" frames/ -m model.onnx -o out --overlay',
    flags={"sinks": "--output"},
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@params.model_option
@click.option(
    "-o",
    "--output",
    type=params.folder_path,
    default=Path("test_inf_masks"),
    show_default=True,
    help="Folder of the masks; files of the same name are replaced.",
)
@click.option(
    "--png",
    type=click.Choice(get_args(Png)),
    default="rgb",
    show_default=True,
    help="Colours in masks: of each pixel, or of a palette, whose indices are the classes.",
)
@loading.upsample_option
@click.option("--overlay", is_flag=True, help="Also write the masks blended over the frames, to overlay/.")
@click.option("--index", is_flag=True, help="Also write class indices as grey PNGs, to index/.")
@click.option("--confidence", is_flag=True, help="Also write the probability times 255, to confidence/.")
@params.session_options
@params.json_option
def masks(
    sources: tuple[str, ...],
    model: Path,
    upsample: Upsample,
    session: params.Session,
    as_json: bool,
    **outputs: Any,
) -> None:
    """Write a colour mask of each image, at the image's own size.

    A SOURCE is an image, a folder (searched with its sub-folders, which are kept) or a quoted glob.
    """
    sinks = _sinks(**outputs)
    source = FileSource(sources, sinks=sinks)
    mode = session.mode or ("throughput" if len(source) > 1 else "latency")
    if mode != "latency":
        cv2.setNumThreads(1)  # the cores have other things to do
    segmenter = loading.load_segmenter(model, session, upsample, mode)
    workers = cores() if mode == "throughput" else 1
    with console.only_own_stderr():
        written = Written(sinks[0].folder, run(source, segmenter, sinks, workers=workers, progress=bars.bar))
    console.emit(as_json, written)
    if failures := written.ran.failures:
        lines = listed([failure.message for failure in failures])
        raise PartialFailureError(f"{len(failures)} of {written.frames} images failed, all others are done:\n{lines}")


def _sinks(output: Path, png: Png, **more: bool) -> list[PngSink]:
    """Return the sink of the masks, in the output folder, and those of what else was asked for, in sub-folders."""
    return [_MASKS[png](output), *(sink(output / kind) for kind, sink in _MORE.items() if more[kind])]
