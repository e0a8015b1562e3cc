"""The export from end to end: checkpoint -> ONNX -> simplified -> checked -> quantised -> timed -> written."""

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from cookseg.evaluation.run import Run
from cookseg.export import calibration, check, convert, divergence, graph, provenance, quantize
from cookseg.export.config import Gates, Precision, Settings, Target, versions
from cookseg.export.report import Report, Stage
from cookseg.runtime.errors import CheckFailedError, DeviceError, InputError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.model.contract import GOLDEN_KEY, Contract
from cookseg.runtime.model.engine import OUTPUTS, Engine, OnnxEngine
from cookseg.runtime.model.seal import seal, signer
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.model.selftest import GoldenVector, pack
from cookseg.runtime.model.session import import_onnxruntime
from cookseg.runtime.results import listed
from cookseg.runtime.scoring.dataset import Layout
from cookseg.runtime.scoring.evaluation import evaluate, require_same_classes
from cookseg.runtime.scoring.metrics import ConfusionMatrix, score_dict
from cookseg.runtime.terminal import console
from cookseg.training import checkpoint
from cookseg.training.dataset import Data
from cookseg.training.models.network import Network
from cookseg.training.trainer import TorchEngine

_ROUNDS = 3
_LATENCY = """
import sys, time
from pathlib import Path
import numpy as np
from cookseg.runtime.model.engine import OnnxEngine
engine, frame, seconds = OnnxEngine(Path(sys.argv[1]), sys.argv[2]), np.load(sys.argv[3]), []
end = time.perf_counter() + 1
while len(seconds) < 6 or (len(seconds) < 100 and time.perf_counter() < end):
    start = time.perf_counter()
    engine(frame)
    seconds.append(time.perf_counter() - start)
print(np.median(seconds[len(seconds) // 5 :]))
"""
"""Times a model as an appliance would run it: in this process, threads of torch and of other sessions would disturb."""


def export(
    run: Path, output: Path, data: Path | None, gates: Gates, settings: Settings, key: Path | None = None
) -> Report:
    """Export the checkpoint of a run to a file, if every check holds.

    Args:
        run: Folder of a run, or a checkpoint.
        output: The ONNX file to write.
        data: Dataset in the standard layout, or None for the one the run was trained on.
        gates: Limits of the check.
        settings: How to export.
        key: Private Ed25519 key (PEM) to sign the file with, or None.

    Raises:
        CheckFailedError: A gate does not hold; the output was not touched.
        ModelError: The checkpoint is not valid.
        DatasetError: The dataset is not valid, or not of the model's classes.
        DeviceError: The precision is to be chosen by latency, for a processor that is not this machine's.
    """
    sign = signer(key) if key else None  # a key that is none is said before the work
    path = checkpoint.find(run)
    network, contract = checkpoint.load_network(path)
    dataset = _dataset(path.parent, data)
    require_same_classes(contract.classes, dataset.classes)
    job = _Export(network, contract, dataset, gates, settings)
    content, report = job.run()
    write_atomically(output, seal(content, sign))
    return report


def median_latency(models: dict[str, tuple[bytes, UInt8Array]], device: str) -> dict[str, float]:
    """Return the median seconds of one run of each model, all timed in turn, each in a process of its own.

    Args:
        models: Files and the batch (1, H, W, 3) uint8 to give each, by name.
        device: ``cpu`` or ``cuda``.
    """
    medians: dict[str, list[float]] = {name: [] for name in models}
    with tempfile.TemporaryDirectory() as folder:
        for number, (content, frame) in enumerate(models.values()):
            Path(folder, f"{number}.onnx").write_bytes(content)
            np.save(Path(folder, f"{number}.npy"), frame)
        for _ in range(_ROUNDS):
            for number, name in enumerate(models):
                paths = [str(Path(folder, f"{number}{suffix}")) for suffix in (".onnx", ".npy")]
                command = [sys.executable, "-c", _LATENCY, paths[0], device, paths[1]]
                result = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
                medians[name].append(float(result.stdout))
    return {name: float(np.median(seconds)) for name, seconds in medians.items()}


class _Export:
    """One export: the way of a model through its stages, and what was found on it."""

    def __init__(self, network: Network, contract: Contract, dataset: Data, gates: Gates, settings: Settings) -> None:
        self.network, self.contract, self.dataset = network, contract, dataset
        self.gates, self.settings = gates, settings
        self.names = contract.classes.names
        self.target, self.device = _target(settings)
        chosen = dataset.val[:: max(1, len(dataset.val) // settings.frames)][: settings.frames]  # spread over the set
        real = (sample.frame for sample in dataset.read(chosen, contract.preprocessing))
        self.inputs = check.check_inputs(contract, real)
        self.graphs: dict[str, onnx.ModelProto] = {}
        self.stages: dict[str, Stage] = {}
        self.rows: list[check.Comparison] = []
        self.quantized: quantize.Quantized | None = None

    def run(self) -> tuple[bytes, Report]:
        """Return the bytes of the file, and what was found on the way."""
        self._convert()
        self._require_equal_to_torch()
        candidates: dict[Precision, str] = {"fp32": list(self.graphs)[-1]}
        candidates.update({name: name for name in self._lower_precisions()})
        self._measure_latency()
        precision = self.settings.precision
        if precision == "auto":
            precision = min(candidates, key=lambda name: self.stages[candidates[name]].milliseconds or np.inf)
        content = self._file(candidates[precision], precision)
        return content, Report(self.contract, precision, self.stages, self.rows, self.quantized, provenance.processor())

    def _convert(self) -> None:
        """Make the raw graph and, where onnxsim does its work, the simplified one."""
        console.note("converting with torch.onnx ...")
        self.graphs["raw"] = convert.to_onnx(self.network, self.contract, self.settings.min_ort)
        if self.settings.simplify:
            console.note("simplifying with onnxsim ...")
            try:
                self.graphs["simplified"] = convert.simplify(self.graphs["raw"])
            except convert.SimplifierError as error:
                console.note(f"warning: {error}; the graph stays as it is")

    def _require_equal_to_torch(self) -> None:
        """Compare both graphs' outputs, and their scores on the whole validation set, with torch's."""
        frames = len(self.inputs[check.REAL])
        console.note(f"comparing with torch on {frames} validation frames, on noise and on extremes ...")
        for name, model in self.graphs.items():
            self._compare(name, model, self.gates)
        self.stages["torch"] = Stage(None, self._evaluate(TorchEngine(self.network), "torch"))
        for name in self.graphs:
            matrix = self._add_stage(name)
            self._require(name, check.iou_faults(self._torchs, matrix, self.names, self.gates.iou))

    def _lower_precisions(self) -> list[Precision]:
        """Make the graphs of lower precision that are asked for; with ``auto``, keep those that pass the gate."""
        asked = self.settings.precision
        tried: list[Precision] = [] if asked == "fp32" else [asked]
        if asked == "auto":
            tried = ["fp16", "int8"] if self.target.half else ["int8"]
        plain = list(self.graphs.values())[-1]
        passed: list[Precision] = []
        for name in tried:
            console.note(f"converting to {name} ...")
            try:
                self.graphs[name] = quantize.to_float16(plain) if name == "fp16" else self._int8(plain)
                self._compare(name, self.graphs[name], None)
                self._require(name, self._losses(self._add_stage(name)))
                passed.append(name)
            except CheckFailedError as error:
                self.graphs.pop(name, None)
                if asked != "auto":
                    raise
                console.note(f"warning: {error}")
        return passed

    def _int8(self, model: onnx.ModelProto) -> onnx.ModelProto:
        spec, count = self.contract.preprocessing, self.settings.calibration_frames
        frames = calibration.calibration_frames(self.dataset.train, spec, count)

        def losses(candidate: onnx.ModelProto) -> list[str]:
            return self._losses(self._evaluate(self._engine(candidate), "int8"))

        quantizer = quantize.Quantizer(model, frames, self.target)
        self.quantized = quantize.to_int8(quantizer, self.settings.calibration, losses)
        return self.quantized.model

    def _measure_latency(self) -> None:
        """Note each graph's latency for one frame."""
        console.note("measuring latency ...")
        frame = self.inputs[check.REAL][:1]
        models = {name: (self._content(model), frame) for name, model in self.graphs.items()}
        for name, seconds in median_latency(models, self.device).items():
            self.stages[name] = replace(self.stages[name], milliseconds=seconds * 1000)

    def _file(self, stage: str, precision: str) -> bytes:
        """Return the bytes of the file, with contract and golden vectors, after a last look at what is in it."""
        matrix = self.stages[stage].matrix
        self.contract = self._with_provenance(precision, matrix)
        outputs = {*OUTPUTS, *self.settings.outputs}
        with_logits = graph.finish(self.graphs[stage], self.contract, {*outputs, "logits"})
        self._compare("file", with_logits, self.gates if precision == "fp32" else None)
        finished = graph.finish(self.graphs[stage], self.contract, outputs)
        engine = OnnxEngine(seal(finished.SerializeToString()), "cpu")
        frames = self.inputs[check.REAL][: self.settings.golden]
        vectors = pack(GoldenVector(frame, engine(frame[None])[0][0]) for frame in frames)
        file = graph.with_metadata(finished, GOLDEN_KEY, vectors)
        content = seal(file.SerializeToString())
        scores = self._evaluate(OnnxEngine(content, self.device), "the file")
        self.stages["file"] = Stage(graph.measure(file), scores)
        self._require("file", check.iou_faults(matrix, scores, self.names, self.gates.iou))
        return content

    def _with_provenance(self, precision: str, matrix: ConfusionMatrix) -> Contract:
        opset, ir_version = versions(self.settings.min_ort)
        made: dict[str, Any] = {"opset": opset, "ir_version": ir_version, "precision": precision}
        if precision == "int8" and self.quantized:
            made["target"] = _target_name(self.settings)
            made["calibration"] = self.quantized.method
            made["in_float"] = list(self.quantized.in_float)
        if commit := provenance.git_commit():
            made["git_commit"] = commit
        known = dict(self.contract.provenance)
        known["versions"] = {**known.get("versions", {}), **provenance.versions()}
        known["validation"] = score_dict(matrix, self.contract.classes)
        if self.settings.note:
            known["note"] = self.settings.note
        return replace(self.contract, provenance={**known, "export": made})

    def _compare(self, name: str, model: onnx.ModelProto, gates: Gates | None) -> None:
        """Compare a graph with torch; where that breaks a gate, stop and name the first layer that differs."""
        rows = check.compare(self.network, name, model, self.inputs, gates)
        self.rows += rows
        if faults := check.faults_of(rows):
            inputs = next(row.inputs for row in rows if row.faults)
            where = divergence.describe(self.network, model, self.inputs[inputs])
            self._require(name, faults, f"\n{where}")

    def _require(self, stage: str, faults: list[str], where: str = "") -> None:
        if faults:
            raise CheckFailedError(f"{stage} does not answer as torch does:\n{listed(faults)}{where}")

    @property
    def _torchs(self) -> ConfusionMatrix:
        return self.stages["torch"].matrix

    def _losses(self, matrix: ConfusionMatrix) -> list[str]:
        return check.drop_faults(self._torchs, matrix, self.names, self.gates.drop)

    def _add_stage(self, name: str) -> ConfusionMatrix:
        matrix = self._evaluate(self._engine(self.graphs[name]), name)
        self.stages[name] = Stage(graph.measure(self.graphs[name]), matrix)
        return matrix

    def _engine(self, model: onnx.ModelProto) -> OnnxEngine:
        return OnnxEngine(self._content(model), self.device)

    def _content(self, model: onnx.ModelProto) -> bytes:
        return seal(graph.finish(model, self.contract, OUTPUTS).SerializeToString())

    def _evaluate(self, engine: Engine, label: str) -> ConfusionMatrix:
        found = self.dataset.read(self.dataset.val, self.contract.preprocessing)
        with console.progress(found, f"evaluating {label}", len(self.dataset.val)) as samples:
            return evaluate(Segmenter(self.contract, engine), samples)


def _target_name(settings: Settings) -> Target:
    return quantize.native_target() if settings.target == "auto" else settings.target


def _target(settings: Settings) -> tuple[quantize.Arithmetic, str]:
    """Return the target, and the device of this machine to prove a model for it on."""
    name = _target_name(settings)
    cuda = "CUDAExecutionProvider" in import_onnxruntime().get_available_providers()
    native = cuda if name == "cuda" else name == quantize.native_target()
    if settings.precision == "auto" and not native:
        raise DeviceError(
            f"--precision auto chooses by latency, and this machine is not of --target {name}: run it there, or name a"
            " precision"
        )
    if not native:
        console.note(f"this machine is not of --target {name}: the model is proven on its CPU")
    return quantize.TARGETS[name], "cuda" if name == "cuda" and cuda else "cpu"


def _dataset(run: Path, data: Path | None) -> Data:
    if data:
        return Data.find(data, Layout())
    try:
        record = Run(run).read_record()
    except InputError as error:
        raise InputError(f"{error}; name one with --data") from error
    if not record.data.is_dir():
        raise InputError(f"{record.data}: the dataset that {run} was trained on is not there: name one with --data")
    return Data.find(record.data, record.layout)
