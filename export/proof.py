"""Proof that graphs answer as torch does: outputs compared on a few frames, scores on the whole validation set."""

from collections.abc import Iterable
from dataclasses import replace

import onnx

from cookseg.export import check, divergence, graph
from cookseg.export.config import Gates
from cookseg.export.report import Stage
from cookseg.runtime.errors import CheckFailedError
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.model.contract import Contract
from cookseg.runtime.model.engine import OUTPUTS, Engine, OnnxEngine
from cookseg.runtime.model.seal import seal
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.progress import Progress
from cookseg.runtime.results import listed
from cookseg.runtime.scoring.dataset import Sample
from cookseg.runtime.scoring.edges import EdgeCounts
from cookseg.runtime.scoring.evaluation import evaluate
from cookseg.runtime.scoring.metrics import ConfusionMatrix
from cookseg.training.dataset import Data
from cookseg.training.models.network import Network
from cookseg.training.trainer import TorchEngine


class Proof:
    """Comparison of one network's graphs with torch, and what it found.

    Attributes:
        contract: The model's contract.
        inputs: Batches (N, H, W, 3) uint8 by name, as `check.check_inputs` makes them.
        stages: Size and scores of each graph that was evaluated, in order.
        rows: Every comparison of outputs.
        device: ``cpu`` or ``cuda``, where graphs are evaluated.
    """

    def __init__(
        self, network: Network, contract: Contract, dataset: Data, gates: Gates, device: str, progress: Progress
    ) -> None:
        self.network, self.contract, self.dataset = network, contract, dataset
        self.gates, self.device, self.progress = gates, device, progress
        self.inputs: dict[str, UInt8Array] = {}
        self.stages: dict[str, Stage] = {}
        self.rows: list[check.Comparison] = []

    def choose_frames(self, count: int) -> None:
        """Choose the frames to compare outputs on, spread over the validation set."""
        val = self.dataset.val
        chosen = val[:: max(1, len(val) // count)][:count]
        real = (sample.frame for sample in self.dataset.read(chosen, self.contract.preprocessing))
        self.inputs = check.check_inputs(self.contract, real)

    @property
    def real(self) -> UInt8Array:
        """The validation frames among the inputs, (N, H, W, 3) uint8."""
        return self.inputs[check.REAL]

    def compare(self, name: str, model: onnx.ModelProto, gates: Gates | None) -> None:
        """Compare a graph's outputs with torch's.

        Raises:
            CheckFailedError: A gate does not hold; the message names the first layer that differs.
        """
        rows = check.compare(self.network, name, model, self.inputs, gates)
        self.rows += rows
        if faults := check.faults_of(rows):
            inputs = next(row.inputs for row in rows if row.faults)
            where = divergence.describe(self.network, model, self.inputs[inputs])
            require(name, faults, f"\n{where}")

    def evaluate_torch(self) -> None:
        """Add torch's own scores, which all others are compared with."""
        self.stages["torch"] = Stage(None, self.evaluate(TorchEngine(self.network), "torch"))

    def evaluate_graph(self, name: str, model: onnx.ModelProto) -> ConfusionMatrix:
        """Add a graph's size and scores; return the latter."""
        matrix = self.evaluate(self.engine(model), name)
        self.stages[name] = Stage(graph.measure(model), matrix)
        return matrix

    def require_same_scores(self, name: str, matrix: ConfusionMatrix, expected: str = "torch") -> None:
        """Require the scores of an earlier stage, up or down, within the gate of float32."""
        before = self.stages[expected].matrix
        require(name, check.iou_faults(before, matrix, self.contract.classes.names, self.gates.iou))

    def losses(self, matrix: ConfusionMatrix) -> list[str]:
        """Return in words which classes lose more than the gate of lower precisions allows."""
        return check.drop_faults(self.stages["torch"].matrix, matrix, self.contract.classes.names, self.gates.drop)

    def add_latency(self, name: str, seconds: float) -> None:
        """Note a graph's latency for one frame."""
        self.stages[name] = replace(self.stages[name], milliseconds=seconds * 1000)

    def evaluate(self, engine: Engine, label: str, edges: EdgeCounts | None = None) -> ConfusionMatrix:
        """Return an engine's scores on the validation set; those at edges are added up where they are asked for."""
        val = self.dataset.val
        samples: Iterable[Sample] = self.dataset.read(val, self.contract.preprocessing)
        samples = self.progress(samples, f"evaluating {label}", len(val))
        return evaluate(Segmenter(self.contract, engine), samples, edges=edges)

    def engine(self, model: onnx.ModelProto) -> OnnxEngine:
        """Return what computes a graph on the device."""
        return OnnxEngine(self.content(model), self.device)

    def content(self, model: onnx.ModelProto) -> bytes:
        """Return the bytes of a graph as a file that the runtime reads."""
        return seal(graph.finish(model, self.contract, OUTPUTS).SerializeToString())


def require(stage: str, faults: list[str], where: str = "") -> None:
    """Raise where a stage has faults.

    Raises:
        CheckFailedError: It has; ``where`` follows them in the message.
    """
    if faults:
        raise CheckFailedError(f"{stage} does not answer as torch does:\n{listed(faults)}{where}")
