"""Plots of benchmarks; matplotlib is of the extra `train`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cookseg.evaluation.plots import new_figure, png

if TYPE_CHECKING:
    from cookseg.benchmarks.camvid_results import Result
    from cookseg.benchmarks.soak import Sample


def draw_soak(samples: Sequence["Sample"]) -> bytes:
    """Draw what a process held during a soak run, over the predictions; return a PNG."""
    done = [sample.predictions for sample in samples]
    figure = new_figure(9, 7)
    axes = figure.subplots(3, 1, sharex=True, height_ratios=[2, 1, 1])
    curves: dict[str, list[float]] = {
        "resident memory, MB": [sample.resident_bytes / 1e6 for sample in samples],
        "open descriptors": [sample.descriptors for sample in samples],
        "threads": [sample.threads for sample in samples],
    }
    for ax, (label, values) in zip(axes, curves.items(), strict=True):
        ax.plot(done, values, color="tab:blue", linewidth=1.5)
        ax.set(ylabel=label, ylim=(0, 1.25 * max(values)), xlim=(0, max(done)))
        ax.grid(alpha=0.3)
    axes[-1].set(xlabel="predictions")
    axes[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    return png(figure)


def draw_tradeoff(results: Sequence["Result"], milliseconds: Mapping[str, float]) -> bytes:
    """Draw mIoU over latency, one point for each model and seed; return a PNG."""
    figure = new_figure(9, 4.5)
    ax = figure.subplots()
    for name in dict.fromkeys(result.model for result in results):
        runs = [result for result in results if result.model == name]
        times = [milliseconds[name]] * len(runs)
        (points,) = ax.plot(times, [100 * run.val for run in runs], "o", label=f"{name}, validation")
        ax.plot(times, [100 * run.test for run in runs], "s", color=points.get_color(), label=f"{name}, test")
    ax.axvline(milliseconds["classic"], color="tab:gray", linestyle=":", label="latency of classic in int8")
    ax.set(xscale="log", xlabel="network alone, one frame, ms", ylabel="mIoU, %")
    ax.grid(alpha=0.3, which="both")
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))  # beside the points, not over them
    return png(figure)
