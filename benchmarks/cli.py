"""`cook-bench`: what a model costs on this machine, stage by stage."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cookseg.benchmarks import latency
from cookseg.runtime import console
from cookseg.runtime.engine import OnnxEngine
from cookseg.runtime.images import decode_image
from cookseg.runtime.segmenter import Segmenter


@click.command(
    cls=console.Command,
    epilog="Examples: cook-bench model.onnx   |   cook-bench model.onnx --source frame.jpg --iterations 200 --json",
)
@click.argument("model", type=console.model_path)
@click.option("--source", type=console.file_path, help="Image to segment.  [default: a synthetic JPEG of --size]")
@click.option("--size", type=console.ImageSize(), default="1920x1080", show_default=True, help="Size of that JPEG.")
@click.option("--warmup", type=click.IntRange(1), default=5, show_default=True, help="Iterations not counted.")
@click.option("--iterations", type=click.IntRange(1), default=50, show_default=True, help="Iterations counted.")
@console.device_option
@console.threads_option
@console.json_option
@console.version_option
def main(
    model: Path,
    source: Path | None,
    size: tuple[int, int],
    warmup: int,
    iterations: int,
    device: str,
    threads: int,
    as_json: bool,
) -> None:
    """Measure latency from an image file to its mask, by stage and end to end, cold start and memory."""
    engine = OnnxEngine(model, device, threads)
    segmenter = Segmenter(engine.contract, engine)
    with tempfile.TemporaryDirectory() as folder:
        path = source or Path(folder, "frame.jpg")
        if not source:
            path.write_bytes(latency.synthetic_frame(size))
        image = path.read_bytes()
        height, width = decode_image(image, str(path)).shape[:2]
        with console.progress(range(iterations), "latency", iterations) as bar:
            timings = latency.measure(segmenter, image, warmup, bar)
        start = latency.cold_start(model, path, engine.device, threads)
    value = {
        "model": str(model),
        "device": engine.device,
        "frame": {"width": width, "height": height, "bytes": len(image)},
        "iterations": iterations,
        "milliseconds": {stage: asdict(timing) for stage, timing in timings.items()},
        "cold_start_seconds": start.seconds,
        "peak_memory_bytes": start.peak_bytes,
    }
    console.emit(as_json, value, lambda: _text(value, timings, start))


def _text(value: dict[str, Any], timings: dict[str, latency.Timing], start: latency.ColdStart) -> str:
    total = timings["end to end"].median
    rows = [
        [stage, f"{t.median:.2f}", f"{t.p90:.2f}", f"{t.p99:.2f}", f"{t.median / total:.0%}"]
        for stage, t in timings.items()
    ]
    frame = value["frame"]
    memory = f"{start.peak_bytes / 1e6:.0f} MB" if start.peak_bytes else "n/a"
    return (
        f"{value['model']} on {value['device']}, one {frame['width']}x{frame['height']} image to a PNG of its size,"
        f" {value['iterations']} warm iterations, milliseconds\n\n"
        f"{console.table(rows, ['stage', 'median', 'p90', 'p99', 'share'])}\n\n"
        f"cold start, from launch to first mask: {start.seconds:.2f} s; peak memory {memory}"
    )
