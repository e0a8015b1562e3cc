"""What an export found, in the common form of results, and the model card made of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cookseg.export.check import REAL, Comparison
from cookseg.export.graph import Size
from cookseg.export.quantize import Quantized
from cookseg.runtime.model.contract import Contract
from cookseg.runtime.results import Table, as_html, as_markdown, page
from cookseg.runtime.scoring.edges import EdgeCounts, EdgeScores
from cookseg.runtime.scoring.metrics import ConfusionMatrix, Scores, format_score


@dataclass(frozen=True)
class Stage:
    """A stage of the export: size of the graph (None for torch), scores, and median milliseconds for a frame.

    The last one, ``file``, has the scores at edges too.
    """

    size: Size | None
    matrix: ConfusionMatrix
    milliseconds: float | None = None
    edges: EdgeCounts | None = None


@dataclass(frozen=True)
class Report:
    """Everything that an export found.

    Attributes:
        output: The ONNX file.
        contract: The contract in it.
        precision: Precision of the file, ``fp32``, ``fp16`` or ``int8``.
        stages: Size, scores and latency by stage: ``torch``, each graph on the way, and ``file``.
        comparisons: Every comparison of outputs with torch's.
        quantized: How the int8 graph was made, where there was one.
        processor: Name of the processor that latency was measured on.
        licence: The model's licence, as it was given.
    """

    output: Path
    contract: Contract
    precision: str
    stages: dict[str, Stage]
    comparisons: list[Comparison]
    quantized: Quantized | None
    processor: str
    licence: str

    @property
    def cards(self) -> tuple[Path, Path]:
        """Paths of the model card, as Markdown and as HTML."""
        return self.output.with_suffix(".card.md"), self.output.with_suffix(".card.html")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        names = self.contract.classes.names
        value: dict[str, Any] = {
            "output": str(self.output),
            "cards": [str(path) for path in self.cards],
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
        if edges := self.stages["file"].edges:
            value["edges"] = EdgeScores(edges, self.stages["file"].matrix, self.contract.classes).to_dict()
        if self.quantized:
            value["int8"] = {
                "calibration": self.quantized.method,
                "calibration_errors": self.quantized.errors,
                "in_float": list(self.quantized.in_float),
            }
        return value

    def tables(self) -> Iterator[Table]:
        """Yield sizes, comparisons and scores, and where the file is."""
        yield from self._evidence()
        size = self._file_size / 1e6
        yield Table(
            above=f"all checks passed: {self.output} ({self.precision}, {size:.2f} MB); about it: {self.cards[0]}"
        )

    def markdown(self) -> str:
        """Return the model card as Markdown."""
        parts = [f"# {self.output.name}", *(as_markdown(tables, level) for level, tables in self._card())]
        return "\n\n".join(parts) + "\n"

    def html(self) -> str:
        """Return the model card as a page."""
        return page(self.output.name, "\n".join(as_html(tables, level) for level, tables in self._card()))

    @property
    def _file_size(self) -> int:
        size = self.stages["file"].size
        return size.bytes if size else 0

    def _card(self) -> Iterator[tuple[int, list[Table]]]:
        """Yield the sections of the card, and the level of their headings."""
        yield 2, [*self._introduction(), *self._scores()]
        yield (
            2,
            [
                Table(
                    title="How it was proven",
                    above=f"Latency is the median for one frame with onnxruntime on {self.processor}.",
                )
            ],
        )
        yield 3, list(self._evidence())
        yield 2, [Table(title="Limits", rows=list(self._limits()))]

    def _introduction(self) -> Iterator[Table]:
        """Yield what the model is, what goes in and out, and what it was made of."""
        classes, spec, known = self.contract.classes, self.contract.preprocessing, self.contract.provenance
        version = known.get("versions", {}).get("cookseg", "")
        yield Table(
            above=f"Semantic segmentation of frames into {len(classes)} classes: {', '.join(classes.names)}. Exported"
            f" by cookseg {version} on {datetime.now(UTC):%Y-%m-%d}. Licence: {self.licence}."
        )
        if note := known.get("note"):
            yield Table(above=note)
        rows = [
            (
                "input",
                f"frames, uint8 (batch, {spec.height}, {spec.width}, 3), RGB; others are fitted by {spec.resize}",
            ),
            ("output", f"classes, uint8 (batch, {spec.height}, {spec.width}), and scores, probabilities times 255"),
            ("precision", self.precision),
            ("size", f"{self._file_size / 1e6:.2f} MB"),
        ]
        yield Table(rows=rows)
        topics = [
            (topic, known[topic])
            for topic in ("data", "unlabelled", "weights", "training", "export", "versions")
            if topic in known
        ]
        yield Table(
            title="Data and training",
            rows=[(topic, ", ".join(f"{k} {_fact(v)}" for k, v in facts.items())) for topic, facts in topics],
        )

    def _scores(self) -> Iterator[Table]:
        """Yield the scores of the file, also at edges, and its confusion matrix."""
        file, classes = self.stages["file"], self.contract.classes
        scores, counts = Scores(file.matrix, classes).tables()
        yield replace(scores, title="Scores on the validation set")
        if file.edges:
            yield from EdgeScores(file.edges, file.matrix, classes).tables()
        yield replace(counts, above="Confusion matrix, in pixels:")

    def _evidence(self) -> Iterator[Table]:
        """Yield what was measured on the way."""
        yield Table(
            ["graph", "nodes", "operators", "MMACs", "MB", "ms/frame"],
            [_size_row(name, stage.size, stage.milliseconds) for name, stage in self.stages.items() if stage.size],
            "Graphs",
        )
        yield Table(
            ["graph", "inputs", "max |logit|", "mean |logit|", "relative", "cosine", "same class"],
            [_comparison_row(row) for row in self._telling_comparisons()],
            "Against torch",
        )
        rows = [
            [name, *(format_score(stage.matrix.scores()[index].iou) for stage in self.stages.values())]
            for index, name in enumerate(self.contract.classes.names)
        ]
        means = ["mean", *(format_score(stage.matrix.mean_iou) for stage in self.stages.values())]
        yield Table(["class", *self.stages], [*rows, means], "IoU on the validation set")
        if self.quantized:
            errors = self.quantized.errors.items()
            marks = [[f"{name} *" if name == self.quantized.method else name, f"{error:.4f}"] for name, error in errors]
            in_float = f"in float: {', '.join(self.quantized.in_float) or 'nothing'}"
            yield Table(["method", "mean |logit|"], marks, "int8 by calibration (* chosen)", below=in_float)

    def _telling_comparisons(self) -> Iterator[Comparison]:
        """Yield, of each stage, the comparison on real frames and the one with the largest difference elsewhere."""
        for stage in dict.fromkeys(row.stage for row in self.comparisons):
            rows = [row for row in self.comparisons if row.stage == stage]
            yield from (row for row in rows if row.inputs == REAL)
            others = [row for row in rows if row.inputs != REAL]
            yield max(others, key=lambda row: row.outputs["logits"].max)

    def _limits(self) -> Iterator[tuple[str, str]]:
        scores, spec = self.stages["file"].matrix.scores(), self.contract.preprocessing
        data = self.contract.provenance.get("data", {})
        yield (
            "other kitchens",
            f"It was measured on {data.get('val', '?')} frames of one dataset. Frames of other kitchens, cameras or"
            " light can score much worse: measure on them before you rely on it.",
        )
        yield "detail", f"What is thinner than about two pixels at {spec.width}x{spec.height} is lost."
        for name, score in zip(self.contract.classes.names, scores, strict=True):
            if score.iou is None:
                yield name, "It does not occur in the validation set: nothing is known about it."
            elif score.iou < 0.7:
                yield name, f"It is found badly: IoU {score.iou:.2f}."
        if self.precision == "int8":
            target = self.contract.provenance["export"]["target"]
            yield (
                "processor",
                f"Its int8 arithmetic is for {target} processors; on others it can be slow, or wrong: run the"
                " self-test.",
            )


def _fact(value: Any) -> str:
    return (" ".join(value) or "nothing") if isinstance(value, list) else str(value)


def _size_row(name: str, size: Size, milliseconds: float | None) -> list[str]:
    latency = "" if milliseconds is None else f"{milliseconds:.2f}"
    macs, megabytes = f"{size.macs / 1e6:,.0f}", f"{size.bytes / 1e6:.2f}"
    return [name, str(size.nodes), str(size.operators), macs, megabytes, latency]


def _comparison_row(row: Comparison) -> list[str]:
    logits = row.outputs["logits"]
    shown = [f"{logits.max:.1e}", f"{logits.mean:.1e}", f"{logits.relative:.1e}", f"{logits.cosine:.6f}"]
    return [row.stage, row.inputs, *shown, f"{row.agreement:.4%}"]
