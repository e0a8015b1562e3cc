"""What `cook-infer` tells people: the texts of evaluation, self-test, installation and model; commands are in `cli`."""

import csv
import io
import textwrap
from typing import Any

from cookseg.runtime.model.contract import ClassTable, Contract
from cookseg.runtime.results import grid
from cookseg.runtime.scoring.evaluation import EDGE_SHARE
from cookseg.runtime.scoring.metrics import SCORE_COLUMNS, ConfusionMatrix, format_score, score_rows


def evaluation(
    matrix: ConfusionMatrix, near_edges: ConfusionMatrix, classes: ClassTable, frames: int, off_colors: int
) -> str:
    """Tell scores and confusion matrix, and how it goes near edges."""
    counts = [[name, *(f"{n:,}" for n in row)] for name, row in zip(classes.names, matrix.counts, strict=True)]
    parts = [
        f"{frames} frames, {matrix.counts.sum():,} labelled pixels",
        grid(score_rows(matrix, classes), SCORE_COLUMNS),
        grid(counts, ["truth \\ predicted", *classes.names]),
    ]
    if off_colors:
        parts.append(
            f"{off_colors:,} mask pixels had colours that are not exactly a class's (JPEG? resized?); they were"
            " counted as the nearest class"
        )
    accuracy, iou = format_score(near_edges.pixel_accuracy), format_score(near_edges.mean_iou)
    parts.append(f"within {EDGE_SHARE:.1%} of the diagonal of an edge: accuracy {accuracy}, mean IoU {iou}")
    return "\n\n".join(parts)


def status(value: dict[str, Any]) -> str:
    """Tell which versions are installed, from what `cook-infer status --json` prints."""
    rows = [
        [name, v["sha256"][:12], v["installed"][:19], format_score(v["mean_iou"]), v["fault"] or "whole"]
        for name in ("current", "previous")
        if (v := value[name])
    ]
    header = ["version", "sha256", "installed (UTC)", "val mIoU", "file"]
    return grid(rows, header) if rows else "nothing is installed"


def selftest(value: dict[str, Any]) -> str:
    """Tell how a self-test went, from what `cook-infer selftest --json` prints."""
    lines = [
        f"frame {number} on {value['device']}: {agreement:.4%} as expected"
        for number, agreement in enumerate(value["agreement"], 1)
    ]
    precision = "TF32, float16, bfloat16 allowed" if value["reduced_precision"] else "the model's own"
    lines.append(f"precision: {precision}")
    rows = [[str(cell) for cell in change.values()] for change in value["changes"]]
    return "\n".join(lines + ([grid(rows, ["frame", "expected", "found", "pixels"])] if rows else []))


def info(contract: Contract, size: int) -> str:
    """Tell what a model of so many bytes says of itself."""
    spec, provenance = contract.preprocessing, dict(contract.provenance)
    validation, note = (provenance.pop(topic, None) for topic in ("validation", "note"))
    colors = zip(contract.classes.names, contract.classes.colors, strict=True)
    facts = {"note": textwrap.fill(str(note), 80)} if note else {}
    facts |= {
        "classes": ", ".join(f"{name} {color}" for name, color in colors),
        "input": f"frames: uint8 (batch, {spec.height}, {spec.width}, 3) RGB; other sizes are fitted by {spec.resize}",
        "output": "classes: uint8 (batch, height, width); scores: uint8 (batch, class, height, width)",
        "size": f"{size / 1e6:.2f} MB",
    } | {topic: _fact(value) for topic, value in provenance.items()}
    width = max(len(topic) for topic in facts)
    indent = " " * (width + 2)
    text = "\n".join(topic.ljust(width + 2) + textwrap.indent(fact, indent).lstrip() for topic, fact in facts.items())
    try:
        rows = score_rows(ConfusionMatrix.of(validation["confusion_matrix"]), contract.classes)
    except (KeyError, IndexError, TypeError, ValueError):  # nothing depends on what a model says of itself
        return text
    return f"{text}\n\nmeasured on its validation set:\n\n{grid(rows, SCORE_COLUMNS)}"


def _fact(value: Any) -> str:
    return ", ".join(f"{key} {entry}" for key, entry in value.items()) if isinstance(value, dict) else str(value)


def scores_csv(rows: list[list[str]]) -> str:
    """Write rows of scores as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([SCORE_COLUMNS, *rows])
    return text.getvalue()
