"""What an export found: as JSON values, as tables for the terminal, and as the model card beside the file."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

import markdown

from cookseg.export.check import REAL, Comparison
from cookseg.export.graph import Size
from cookseg.export.quantize import Quantized
from cookseg.runtime.model.contract import Contract
from cookseg.runtime.results import grid
from cookseg.runtime.scoring.metrics import SCORE_COLUMNS, ConfusionMatrix, format_score, score_rows


@dataclass(frozen=True)
class Stage:
    """A stage of the export: size of the graph (None for torch), scores, and median milliseconds for a frame."""

    size: Size | None
    matrix: ConfusionMatrix
    milliseconds: float | None = None


@dataclass(frozen=True)
class Table:
    """A table with a title."""

    title: str
    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Report:
    """Everything that an export found."""

    contract: Contract
    precision: str
    stages: dict[str, Stage]
    comparisons: list[Comparison]
    quantized: Quantized | None
    processor: str

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        names = self.contract.classes.names
        value: dict[str, Any] = {
            "precision": self.precision,
            "processor": self.processor,
            "graphs": {
                name: {**asdict(stage.size), "milliseconds": stage.milliseconds}
                for name, stage in self.stages.items()
                if stage.size
            },
            "comparisons": [asdict(row) for row in self.comparisons],
            "mean_iou": {name: stage.matrix.mean_iou for name, stage in self.stages.items()},
            "iou": {
                stage: {name: scores.iou for name, scores in zip(names, entry.matrix.scores(), strict=True)}
                for stage, entry in self.stages.items()
            },
        }
        if self.quantized:
            value["int8"] = {
                "calibration": self.quantized.method,
                "calibration_errors": self.quantized.errors,
                "in_float": list(self.quantized.in_float),
            }
        return value

    def tables(self) -> Iterator[Table]:
        """Yield sizes, comparisons and scores for people."""
        yield Table(
            "Graphs",
            ["graph", "nodes", "operators", "MMACs", "MB", "ms/frame"],
            [_size_row(name, stage.size, stage.milliseconds) for name, stage in self.stages.items() if stage.size],
        )
        yield Table(
            "Against torch",
            ["graph", "inputs", "max |logit|", "mean |logit|", "relative", "cosine", "same class"],
            [_comparison_row(row) for row in self._telling_comparisons()],
        )
        rows = [
            [name, *(format_score(stage.matrix.scores()[index].iou) for stage in self.stages.values())]
            for index, name in enumerate(self.contract.classes.names)
        ]
        means = ["mean", *(format_score(stage.matrix.mean_iou) for stage in self.stages.values())]
        yield Table("IoU on the validation set", ["class", *self.stages], [*rows, means])
        if self.quantized:
            errors = self.quantized.errors.items()
            marks = [[f"{name} *" if name == self.quantized.method else name, f"{error:.4f}"] for name, error in errors]
            yield Table("int8 by calibration (* chosen)", ["method", "mean |logit|"], marks)

    def text(self) -> str:
        """Return the tables for the terminal."""
        parts = [grid(table.rows, table.header) for table in self.tables()]
        if self.quantized:
            parts.append(f"in float: {', '.join(self.quantized.in_float) or 'nothing'}")
        return "\n\n".join(parts)

    def _telling_comparisons(self) -> Iterator[Comparison]:
        """Yield, of each stage, what came of real frames and of the inputs that show the largest difference."""
        for stage in dict.fromkeys(row.stage for row in self.comparisons):
            rows = [row for row in self.comparisons if row.stage == stage]
            yield from (row for row in rows if row.inputs == REAL)
            others = [row for row in rows if row.inputs != REAL]
            yield max(others, key=lambda row: row.outputs["logits"].max)


def card(report: Report, name: str, licence: str) -> tuple[str, str]:
    """Return a model card as Markdown and as a page of HTML.

    Args:
        report: What the export found.
        name: The model's file name.
        licence: Under which terms the model may be used, in the user's words.
    """
    text = "\n\n".join(_sections(report, name, licence)) + "\n"
    body = markdown.markdown(escape(text, quote=False), extensions=["tables"])
    head = f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(name)}</title>'
    page = "\n".join([head, _STYLE, body, "</html>", ""])
    return text, page


_STYLE = """<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .2em .8em; border-bottom: 1px solid #ddd }
td:not(:first-child), th:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums }
</style>"""


def _sections(report: Report, name: str, licence: str) -> Iterator[str]:
    contract, file = report.contract, report.stages["file"]
    spec, known = contract.preprocessing, contract.provenance
    classes, version = contract.classes, known.get("versions", {}).get("cookseg", "")
    yield f"# {name}"
    yield (
        f"Semantic segmentation of frames into {len(classes)} classes: {', '.join(classes.names)}. Exported by cookseg"
        f" {version} on {datetime.now(UTC):%Y-%m-%d}. Licence: {licence}."
    )
    if note := known.get("note"):
        yield note
    yield (
        f"- input: `frames`, uint8 (batch, {spec.height}, {spec.width}, 3), RGB; other sizes are fitted by"
        f" {spec.resize}\n- output: `classes`, uint8 (batch, {spec.height}, {spec.width}), and `scores`, probabilities"
        f" times 255\n- precision: {report.precision}\n- size: {(file.size.bytes if file.size else 0) / 1e6:.2f} MB"
    )
    yield "## Data and training"
    topics = [(topic, known[topic]) for topic in ("data", "training", "export", "versions") if topic in known]
    yield "\n".join(f"- {topic}: {', '.join(f'{k} {_fact(v)}' for k, v in facts.items())}" for topic, facts in topics)
    yield "## Scores on the validation set"
    yield _markdown(Table("", list(SCORE_COLUMNS), score_rows(file.matrix, classes)))
    counts = [[row, *(f"{n:,}" for n in line)] for row, line in zip(classes.names, file.matrix.counts, strict=True)]
    yield "Confusion matrix, in pixels:"
    yield _markdown(Table("", ["truth \\ predicted", *classes.names], counts))
    yield "## How it was proven"
    yield f"Latency is the median for one frame with onnxruntime on {report.processor}."
    for table in report.tables():
        yield f"### {table.title}"
        yield _markdown(table)
    yield "## Limits"
    yield "\n".join(f"- {limit}" for limit in _limits(report))


def _fact(value: Any) -> str:
    return (" ".join(value) or "nothing") if isinstance(value, list) else str(value)


def _limits(report: Report) -> Iterator[str]:
    classes, scores = report.contract.classes.names, report.stages["file"].matrix.scores()
    spec, data = report.contract.preprocessing, report.contract.provenance.get("data", {})
    yield (
        f"It was measured on {data.get('val', '?')} frames of one dataset. Frames of other kitchens, cameras or light"
        " can come out much worse: measure on them before you rely on it."
    )
    yield f"What is thinner than about two pixels at {spec.width}x{spec.height} is lost."
    for name, score in zip(classes, scores, strict=True):
        if score.iou is None:
            yield f"{name} does not occur in the validation set: nothing is known about it."
        elif score.iou < 0.7:
            yield f"{name} is found badly: IoU {score.iou:.2f}."
    if report.precision == "int8":
        target = report.contract.provenance["export"]["target"]
        yield f"Its int8 arithmetic is for {target} processors; on others it can be slow, or wrong: run the self-test."


def _markdown(table: Table) -> str:
    width = len(table.header)
    rows = [
        [cell.replace("|", "\\|") for cell in [*row, *[""] * (width - len(row))]] for row in [table.header, *table.rows]
    ]
    lines = [rows[0], ["---", *["---:"] * (width - 1)], *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _size_row(name: str, size: Size, milliseconds: float | None) -> list[str]:
    latency = "" if milliseconds is None else f"{milliseconds:.2f}"
    macs, megabytes = f"{size.macs / 1e6:,.0f}", f"{size.bytes / 1e6:.2f}"
    return [name, str(size.nodes), str(size.operators), macs, megabytes, latency]


def _comparison_row(row: Comparison) -> list[str]:
    logits = row.outputs["logits"]
    shown = [f"{logits.max:.1e}", f"{logits.mean:.1e}", f"{logits.relative:.1e}", f"{logits.cosine:.6f}"]
    return [row.stage, row.inputs, *shown, f"{row.agreement:.4%}"]
