"""`cook-bench`: what a model costs on this machine, stage by stage, and beside the code that is usually written."""

import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import cv2

from cookseg.benchmarks import latency
from cookseg.runtime.errors import require_extra
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.results import grid
from cookseg.runtime.terminal import console, params

_RATE, _SECONDS = 10, 3


@click.command(
    cls=console.Command,
    epilog="Examples: cook-bench model.onnx   |   cook-bench model.onnx --source frame.jpg --iterations 200 --json   | "
    "  cook-bench model.onnx --compare runs/mine",
)
@click.argument("model", type=params.model_path)
@click.option("--source", type=params.file_path, help="Image to segment.  [default: a synthetic JPEG of --size]")
@click.option("--size", type=params.ImageSize(), default="1920x1080", show_default=True, help="Size of that JPEG.")
@click.option("--warmup", type=click.IntRange(1), default=5, show_default=True, help="Iterations not counted.")
@click.option("--iterations", type=click.IntRange(1), default=50, show_default=True, help="Iterations counted.")
@click.option(
    "--compare",
    "run",
    type=click.Path(path_type=Path),
    is_flag=False,
    flag_value=Path(),
    metavar="[RUN]",
    help="Time the usual code around the same model too, and PyTorch with the weights of a RUN.",
)
@params.session_options
@params.json_option
@params.version_option
def main(
    model: Path,
    source: Path | None,
    size: tuple[int, int],
    warmup: int,
    iterations: int,
    run: Path | None,
    session: params.Session,
    as_json: bool,
) -> None:
    """Measure latency from an image file to its mask, by stage and end to end, cold start, memory and processor use."""
    mode = session.mode or "latency"
    engine = session.engine(model)
    segmenter = Segmenter(engine.contract, engine)
    with tempfile.TemporaryDirectory() as folder:
        path = source or Path(folder, "frame.jpg")
        if not source:
            path.write_bytes(latency.synthetic_frame(size))
        image = path.read_bytes()
        height, width = decode_frame(image, str(path), engine.contract.preprocessing).size
        with console.progress(range(iterations), "latency", iterations) as bar:
            timings = latency.measure(segmenter, image, warmup, bar)
        start = latency.cold_start(model, path, engine.device, mode)
    value = {
        "model": str(model),
        "device": engine.device,
        "mode": mode,
        "frame": {"width": width, "height": height, "bytes": len(image)},
        "iterations": iterations,
        "milliseconds": {stage: asdict(timing) for stage, timing in timings.items()},
        "cold_start_seconds": start.seconds,
        "peak_memory_bytes": start.peak_bytes,
        "processor_share": {"frames_per_second": _RATE, "share": _shares(model, image, session)},
    }
    if run is not None:
        value["compared"] = _compare(segmenter, image, run, iterations)
    console.emit_value(as_json, value, lambda: _text(value, timings))


def _shares(model: Path, image: bytes, session: params.Session) -> dict[str, float]:
    """Return the share of all cores that each mode takes at a camera's pace."""
    shares = {}
    threads = cv2.getNumThreads()
    for mode in ("latency", "background"):
        cv2.setNumThreads(threads if mode == "latency" else 1)  # as `cook-infer masks` does
        engine = replace(session, mode=mode).engine(model)
        shares[mode] = latency.processor_share(Segmenter(engine.contract, engine), image, _RATE, _SECONDS)
    cv2.setNumThreads(threads)
    return shares


def _compare(segmenter: Segmenter, image: bytes, run: Path, iterations: int) -> dict[str, dict[str, float]]:
    with require_extra("train"):
        from cookseg.benchmarks import peers  # noqa: PLC0415 - Pillow comes with training's packages
        from cookseg.training import checkpoint  # noqa: PLC0415
        from cookseg.training.trainer import TorchEngine  # noqa: PLC0415
    torch_engine = TorchEngine(checkpoint.load_network(checkpoint.find(run))[0]) if run != Path() else None
    pipelines = peers.pipelines(segmenter, torch_engine)
    with console.progress(range(iterations), "comparison", iterations) as bar:
        timings = peers.compare(pipelines, image, bar)
    ours = timings[peers.OURS].median
    return {name: asdict(timing) | {"ratio": timing.median / ours} for name, timing in timings.items()}


def _text(value: dict[str, Any], timings: dict[str, latency.Timing]) -> str:
    total = timings["end to end"].median
    rows = [
        [stage, f"{t.median:.2f}", f"{t.p90:.2f}", f"{t.p99:.2f}", f"{t.median / total:.0%}"]
        for stage, t in timings.items()
    ]
    frame, peak = value["frame"], value["peak_memory_bytes"]
    memory = f"{peak / 1e6:.0f} MB" if peak else "n/a"
    shares = ", ".join(f"{share:.1%} in mode {mode}" for mode, share in value["processor_share"]["share"].items())
    parts = [
        f"{value['model']} on {value['device']}, mode {value['mode']}, one {frame['width']}x{frame['height']} image to"
        f" a PNG of its size, {value['iterations']} warm iterations, milliseconds",
        grid(rows, ["stage", "median", "p90", "p99", "share"]),
        f"cold start, from launch to first mask: {value['cold_start_seconds']:.2f} s; peak memory {memory}\n"
        f"share of all cores at {_RATE} frames a second: {shares}",
    ]
    if "compared" in value:
        compared = [
            [name, f"{row['median']:.2f}", f"{row['p90']:.2f}", f"{row['ratio']:.2f}"]
            for name, row in value["compared"].items()
        ]
        parts.append(grid(compared, ["the same session in", "median", "p90", "times cookseg"]))
    return "\n\n".join(parts)
