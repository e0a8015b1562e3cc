"""Latency of a model on this machine, beside the code that is usually written: ``cook-bench latency MODEL``.

Timings are warm; the cold start is a process of its own, from its launch to its first mask.
"""

import importlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import cv2

from cookseg.benchmarks import stages
from cookseg.benchmarks.cold_start import ColdStart, cold_start
from cookseg.benchmarks.stages import Timing
from cookseg.runtime.errors import require_extra
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.results import Table
from cookseg.runtime.terminal import bars, console, params

_RATE, _SECONDS = 10, 3


@dataclass(frozen=True)
class Comparison:
    """Times of the same model in the code that is usually written, by peer; one of them is cookseg."""

    timings: Mapping[str, Timing]
    ours: str

    def ratio(self, name: str) -> float:
        """Return how many times as long as cookseg a peer takes."""
        return self.timings[name].median / self.timings[self.ours].median

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {name: asdict(timing) | {"ratio": self.ratio(name)} for name, timing in self.timings.items()}

    def tables(self) -> Iterator[Table]:
        """Yield a row per peer."""
        rows = [
            [name, f"{timing.median:.2f}", f"{timing.p90:.2f}", f"{self.ratio(name):.2f}"]
            for name, timing in self.timings.items()
        ]
        yield Table(["the same model in", "median", "p90", "times cookseg"], rows)


@dataclass(frozen=True)
class Latency:
    """Cost of a model on this machine.

    Attributes:
        model: The file.
        device: Name of the device in use.
        mode: Name of the mode in use.
        size: Height and width of the frame.
        size_bytes: Bytes of its file.
        iterations: Iterations counted.
        timings: Times by stage, the last one end to end.
        start: Cold start and memory.
        shares: Share of all cores at ten frames a second, 0..1, by mode.
        compared: Times of peers, where they were asked for.
    """

    model: Path
    device: str
    mode: str
    size: tuple[int, int]
    size_bytes: int
    iterations: int
    timings: Mapping[str, Timing]
    start: ColdStart
    shares: Mapping[str, float]
    compared: Comparison | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        height, width = self.size
        value = {
            "model": str(self.model),
            "device": self.device,
            "mode": self.mode,
            "frame": {"width": width, "height": height, "bytes": self.size_bytes},
            "iterations": self.iterations,
            "milliseconds": {stage: asdict(timing) for stage, timing in self.timings.items()},
            "cold_start_seconds": self.start.seconds,
            "peak_memory_bytes": self.start.peak_bytes,
            "processor_share": {"frames_per_second": _RATE, "share": dict(self.shares)},
        }
        return value | ({"compared": self.compared.to_dict()} if self.compared else {})

    def tables(self) -> Iterator[Table]:
        """Yield the stages, the cold start and the peers."""
        height, width = self.size
        total = self.timings[stages.TOTAL].median
        yield Table(
            ["stage", "median", "p90", "p99", "share"],
            [
                [stage, f"{t.median:.2f}", f"{t.p90:.2f}", f"{t.p99:.2f}", f"{t.median / total:.0%}"]
                for stage, t in self.timings.items()
            ],
            above=f"{self.model} on {self.device}, mode {self.mode}, one {width}x{height} image to a PNG of its size,"
            f" {self.iterations} warm iterations, milliseconds\n",
        )
        memory = f"{self.start.peak_bytes / 1e6:.0f} MB" if self.start.peak_bytes else "n/a"
        shares = ", ".join(f"{share:.1%} in mode {mode}" for mode, share in self.shares.items())
        yield Table(
            above=f"cold start, from launch to first mask: {self.start.seconds:.2f} s; peak memory {memory}\n"
            f"share of all cores at {_RATE} frames a second: {shares}"
        )
        if self.compared:
            yield from self.compared.tables()


@click.command(
    cls=console.Command,
    epilog="Examples: cook-bench latency model.onnx   |   cook-bench latency model.onnx --source frame.jpg --json   | "
    "  cook-bench latency model.onnx --torch runs/mine",
)
@click.argument("model", type=params.model_path)
@click.option("--source", type=params.file_path, help="Image to segment.  [default: a synthetic JPEG of --size]")
@click.option("--size", type=params.ImageSize(), default="1920x1080", show_default=True, help="Size of that JPEG.")
@click.option("--warmup", type=click.IntRange(1), default=5, show_default=True, help="Iterations not counted.")
@click.option("--iterations", type=click.IntRange(1), default=50, show_default=True, help="Iterations counted.")
@click.option("--compare", is_flag=True, help="Time the usual code around the same model too.")
@click.option(
    "--torch",
    "run",
    type=click.Path(exists=True, path_type=Path),
    metavar="RUN",
    help="Time PyTorch too, with the weights of a RUN (a folder of cook-train, or a checkpoint); implies --compare.",
)
@params.session_options
@params.json_option
def main(  # noqa: PLR0913 - as many as there are options
    model: Path,
    source: Path | None,
    size: tuple[int, int],
    *,
    warmup: int,
    iterations: int,
    compare: bool,
    run: Path | None,
    session: params.Session,
    as_json: bool,
) -> None:
    """Measure latency from an image file to its mask, by stage and end to end, cold start, memory and processor use."""
    if compare or run:
        with require_extra("export"):  # it takes the normalisation out of the graph; said before all is measured
            importlib.import_module("onnx")
    mode = session.mode or "latency"
    engine = session.engine(model)
    with tempfile.TemporaryDirectory() as folder:
        path = source or Path(folder, "frame.jpg")
        if not source:
            path.write_bytes(stages.synthetic_frame(size))
        image = path.read_bytes()
        counted = bars.bar(range(iterations), "latency", iterations)
        found = Latency(
            model,
            engine.device,
            mode,
            decode_frame(image, str(path), engine.contract.preprocessing).size,
            len(image),
            iterations,
            stages.measure(Segmenter(engine.contract, engine), image, warmup, counted),
            cold_start(model, path, engine.device, mode),
            _shares(model, image, session),
        )
    if compare or run:
        found = replace(found, compared=_compare(model, engine, image, run, iterations))
    console.emit(as_json, found)


def _shares(model: Path, image: bytes, session: params.Session) -> dict[str, float]:
    """Return the share of all cores that each mode takes at a camera's pace."""
    shares = {}
    threads = cv2.getNumThreads()
    for mode in ("latency", "background"):
        cv2.setNumThreads(threads if mode == "latency" else 1)  # as `cook-infer masks` does
        engine = replace(session, mode=mode).engine(model)
        shares[mode] = stages.processor_share(Segmenter(engine.contract, engine), image, _RATE, _SECONDS)
    cv2.setNumThreads(threads)
    return shares


def _compare(model: Path, engine: OnnxEngine, image: bytes, run: Path | None, iterations: int) -> Comparison:
    """Time the peers."""
    with require_extra("export"):
        from cookseg.benchmarks import peers  # noqa: PLC0415 - needs onnx

        pipelines = peers.pipelines(peers.Setting.of(model, engine, run))
    counted = bars.bar(range(iterations), "comparison", iterations)
    return Comparison(peers.compare(pipelines, image, counted), peers.OURS)
