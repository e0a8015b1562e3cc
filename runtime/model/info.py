"""A model file's own account of itself: contract, size, and the scores on its validation set."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookseg.runtime.model.contract import ClassTable, Contract
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.results import Table
from cookseg.runtime.scoring.metrics import SCORE_COLUMNS, ConfusionMatrix, Scores


@dataclass(frozen=True)
class ModelInfo:
    """Contract of a model file, as a result.

    Attributes:
        contract: Its contract.
        size: Bytes of the file.
    """

    contract: Contract
    size: int

    @classmethod
    def of(cls, model: Path) -> "ModelInfo":
        """Read a model file.

        >>> from cookseg.runtime.model.engine import STARTER
        >>> ModelInfo.of(STARTER).contract.classes.names
        ('stirrer', 'pan+background', 'food')

        Raises:
            ModelError: The file is missing, damaged, not ONNX, or has no valid contract.
            MissingExtraError: onnxruntime is not installed.
        """
        return cls(OnnxEngine(model, "cpu").contract, model.stat().st_size)

    def to_dict(self) -> dict[str, Any]:
        """Return the contract as JSON values."""
        return self.contract.to_dict()

    def tables(self) -> Iterator[Table]:
        """Return input, output and provenance, then the scores on the validation set if the model has them."""
        spec, provenance = self.contract.preprocessing, dict(self.contract.provenance)
        validation, note = (provenance.pop(topic, None) for topic in ("validation", "note"))
        colors = zip(self.contract.classes.names, self.contract.classes.colors, strict=True)
        facts = {"note": textwrap.fill(str(note), 80)} if note else {}
        facts |= {
            "classes": ", ".join(f"{name} {color}" for name, color in colors),
            "input": f"frames: uint8 (batch, {spec.height}, {spec.width}, 3) RGB; other sizes are fitted by"
            f" {spec.resize}",
            "output": "classes: uint8 (batch, height, width); scores: uint8 (batch, class, height, width)",
            "size": f"{self.size / 1e6:.2f} MB",
        } | {topic: _fact(value) for topic, value in provenance.items()}
        yield Table(rows=list(facts.items()))
        if rows := _score_rows(validation, self.contract.classes):
            yield Table(SCORE_COLUMNS, rows, title="Measured on its validation set")


def _fact(value: Any) -> str:
    return ", ".join(f"{key} {entry}" for key, entry in value.items()) if isinstance(value, Mapping) else str(value)


def _score_rows(validation: Any, classes: ClassTable) -> list[list[str]]:
    """Return the table of scores; nothing where a model says something else there, since nothing depends on it."""
    try:
        return Scores(ConfusionMatrix.of(validation["confusion_matrix"]), classes).rows()
    except (KeyError, IndexError, TypeError, ValueError):
        return []
