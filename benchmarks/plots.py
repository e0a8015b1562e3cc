"""Plots of benchmarks; matplotlib is an extra (`train`)."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")  # no screen needed; must come before pyplot
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from cookseg.benchmarks.camvid import Result
    from cookseg.benchmarks.soak import Sample


def draw_soak(samples: Sequence["Sample"]) -> bytes:
    """Draw what a process held during a soak run, over the predictions; return a PNG."""
    done = [sample.predictions for sample in samples]
    figure, axes = plt.subplots(3, 1, figsize=(9, 7), sharex=True, layout="constrained", height_ratios=[2, 1, 1])
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
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    plt.close(figure)
    return data.getvalue()


def draw_tradeoff(results: Sequence["Result"], milliseconds: dict[str, float]) -> bytes:
    """Draw mIoU over latency, one point for each model and seed; return a PNG."""
    figure, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
    for name in dict.fromkeys(result.model for result in results):
        runs = [result for result in results if result.model == name]
        times = [milliseconds[name]] * len(runs)
        (points,) = ax.plot(times, [100 * run.val for run in runs], "o", label=f"{name}, validation")
        ax.plot(times, [100 * run.test for run in runs], "s", color=points.get_color(), label=f"{name}, test")
    ax.axvline(milliseconds["classic"], color="tab:gray", linestyle=":", label="latency of classic in int8")
    ax.set(xscale="log", xlabel="network alone, one frame, ms", ylabel="mIoU, %")
    ax.grid(alpha=0.3, which="both")
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))  # beside the points, not over them
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    plt.close(figure)
    return data.getvalue()
