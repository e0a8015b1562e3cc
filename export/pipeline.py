"""The export from end to end: checkpoint -> ONNX -> simplified -> checked -> quantised -> timed -> written."""

import importlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from cookseg.evaluation.run import Run
from cookseg.export import calibration, convert, graph, provenance, quantize, targets
from cookseg.export.config import Gates, Precision, Settings, versions
from cookseg.export.latency import median_latency
from cookseg.export.proof import Proof, require
from cookseg.export.report import Report, Stage
from cookseg.runtime.errors import CheckFailedError, InputError, require_extra
from cookseg.runtime.files import write_atomically
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import GOLDEN_KEY, Contract
from cookseg.runtime.model.engine import OUTPUTS, OnnxEngine
from cookseg.runtime.model.seal import seal, signer
from cookseg.runtime.model.selftest import GoldenVector, pack
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.scoring.dataset import Layout
from cookseg.runtime.scoring.edges import EdgeCounts
from cookseg.runtime.scoring.evaluation import require_same_classes
from cookseg.runtime.scoring.metrics import ConfusionMatrix, Scores
from cookseg.training import checkpoint
from cookseg.training.dataset import Data

_log = logging.getLogger(__name__)

_GATES, _SETTINGS = Gates(), Settings()


@checked_keywords
def export(  # noqa: PLR0913 - two positional ones, and one for each thing that may be chosen
    run: Path | str,
    output: Path | str,
    *,
    data: Path | str | None = None,
    gates: Gates = _GATES,
    settings: Settings = _SETTINGS,
    key: Path | str | None = None,
    licence: str = "not stated",
    progress: Progress = silent,
) -> Report:
    """Export the best weights of a run to one ONNX file with a model card beside it, if every check holds.

        from cookseg.export import Settings, export

        report = export("runs/mine", "runs/mine/model.onnx", settings=Settings(precision="int8"))
        print(report.precision, report.to_dict()["mean_iou"])

    Args:
        run: Folder of a run, or a checkpoint.
        output: The ONNX file to write; the card is written beside it, as ``.card.md`` and ``.card.html``.
        data: Dataset in the standard layout for the check, or None for the one that the run was trained on.
        gates: Limits of the check.
        settings: Precision, outputs and the like.
        key: Private Ed25519 key (PEM) to sign the file with, or None.
        licence: The model's licence, for its card.
        progress: Told of every evaluation.

    Raises:
        CheckFailedError: A gate does not hold; neither the output nor its card was touched.
        ModelError: The checkpoint is not valid.
        DatasetError: The dataset is not valid, or not of the model's classes.
        DeviceError: The precision is to be chosen by latency, for a processor that is not this machine's.
        MissingExtraError: onnxruntime is not installed, or a package of the extra `export`.
    """
    run, output = Path(run), Path(output)
    with require_extra("export"):
        importlib.import_module("onnxsim")  # it runs in a process of its own; that it is missing is said at once
    sign = signer(Path(key)) if key else None  # a file that holds no key is reported before the work
    path = checkpoint.find(run)
    network, contract = checkpoint.load_network(path)
    dataset = _dataset(path.parent, Path(data) if data else None)
    require_same_classes(contract.classes, dataset.classes)
    place = targets.find(settings)
    job = _Export(Proof(network, contract, dataset, gates, place.device, progress), settings, place)
    content, precision = job.run()
    proof = job.proof
    report = Report(
        output, proof.contract, precision, proof.stages, proof.rows, job.quantized, provenance.processor(), licence
    )
    write_atomically(output, seal(content, sign))
    for card, text in zip(report.cards, (report.markdown(), report.html()), strict=True):
        write_atomically(card, text.encode())
    return report


class _Export:
    """The way of one model through its stages."""

    def __init__(self, proof: Proof, settings: Settings, place: targets.Place) -> None:
        self.proof, self.settings, self.place = proof, settings, place
        self.graphs: dict[str, onnx.ModelProto] = {}
        self.quantized: quantize.Quantized | None = None
        proof.choose_frames(settings.frames)

    def run(self) -> tuple[bytes, str]:
        """Return the bytes of the file and its precision; what was found on the way is in the proof."""
        self._convert()
        self._require_equal_to_torch()
        candidates: dict[Precision, str] = {"fp32": list(self.graphs)[-1]}
        candidates.update({name: name for name in self._lower_precisions()})
        self._measure_latency()
        precision = self.settings.precision
        if precision == "auto":
            precision = min(candidates, key=lambda name: self.proof.stages[candidates[name]].milliseconds or np.inf)
        return self._file(candidates[precision], precision), precision

    def _convert(self) -> None:
        """Make the raw graph and, where onnxsim succeeds, the simplified one."""
        _log.info("converting with torch.onnx ...")
        self.graphs["raw"] = convert.to_onnx(self.proof.network, self.proof.contract, self.settings.min_ort)
        if self.settings.simplify:
            _log.info("simplifying with onnxsim ...")
            try:
                self.graphs["simplified"] = convert.simplify(self.graphs["raw"])
            except convert.SimplifierError as error:
                _log.warning("%s; the graph stays as it is", error)

    def _require_equal_to_torch(self) -> None:
        """Compare both graphs' outputs, and their scores on the whole validation set, with torch's."""
        proof = self.proof
        _log.info("comparing with torch on %d validation frames, on noise and on extremes ...", len(proof.real))
        for name, model in self.graphs.items():
            proof.compare(name, model, proof.gates)
        proof.evaluate_torch()
        for name, model in self.graphs.items():
            proof.require_same_scores(name, proof.evaluate_graph(name, model))

    def _lower_precisions(self) -> list[Precision]:
        """Make the graphs of lower precision that are asked for; with ``auto``, keep those that pass the gate."""
        asked = self.settings.precision
        tried: list[Precision] = [] if asked == "fp32" else [asked]
        if asked == "auto":
            tried = ["fp16", "int8"] if self.place.arithmetic.half else ["int8"]
        plain = list(self.graphs.values())[-1]
        passed: list[Precision] = []
        for name in tried:
            _log.info("converting to %s ...", name)
            try:
                model = self.graphs[name] = quantize.to_float16(plain) if name == "fp16" else self._int8(plain)
                self.proof.compare(name, model, None)
                require(name, self.proof.losses(self.proof.evaluate_graph(name, model)))
                passed.append(name)
            except CheckFailedError as error:
                self.graphs.pop(name, None)
                if asked != "auto":
                    raise
                _log.warning("%s", error)
        return passed

    def _int8(self, model: onnx.ModelProto) -> onnx.ModelProto:
        proof, count = self.proof, self.settings.calibration_frames
        frames = calibration.calibration_frames(proof.dataset.train, proof.contract.preprocessing, count)
        quantizer = quantize.Quantizer(model, frames, self.place.arithmetic)
        self.quantized = quantize.to_int8(
            quantizer,
            self.settings.calibration,
            lambda candidate: proof.losses(proof.evaluate(proof.engine(candidate), "int8")),
        )
        return self.quantized.model

    def _measure_latency(self) -> None:
        """Note each graph's latency for one frame."""
        _log.info("measuring latency ...")
        models = {name: (self.proof.content(model), self.proof.real[:1]) for name, model in self.graphs.items()}
        for name, seconds in median_latency(models, self.place.device).items():
            self.proof.add_latency(name, seconds)

    def _file(self, stage: str, precision: str) -> bytes:
        """Return the bytes of the file, with contract and golden vectors, after a last look at what is in it."""
        proof = self.proof
        proof.contract = self._with_provenance(precision, proof.stages[stage].matrix)
        outputs = {*OUTPUTS, *self.settings.outputs}
        with_logits = graph.finish(self.graphs[stage], proof.contract, {*outputs, "logits"})
        proof.compare("file", with_logits, proof.gates if precision == "fp32" else None)
        finished = graph.finish(self.graphs[stage], proof.contract, outputs)
        engine = OnnxEngine(seal(finished.SerializeToString()), "cpu")
        frames = proof.real[: self.settings.golden]
        vectors = pack(GoldenVector(frame, engine(frame[None])[0][0]) for frame in frames)
        file = graph.with_metadata(finished, GOLDEN_KEY, vectors)
        content = seal(file.SerializeToString())
        edges = EdgeCounts(len(proof.contract.classes))
        scores = proof.evaluate(OnnxEngine(content, self.place.device), "the file", edges)
        proof.stages["file"] = Stage(graph.measure(file), scores, edges=edges)
        proof.require_same_scores("file", scores, stage)
        return content

    def _with_provenance(self, precision: str, matrix: ConfusionMatrix) -> Contract:
        opset, ir_version = versions(self.settings.min_ort)
        made: dict[str, Any] = {"opset": opset, "ir_version": ir_version, "precision": precision}
        if precision == "int8" and self.quantized:
            made["target"] = self.place.target
            made["calibration"] = self.quantized.method
            made["in_float"] = list(self.quantized.in_float)
        if commit := provenance.git_commit():
            made["git_commit"] = commit
        contract = self.proof.contract
        known = dict(contract.provenance)
        known["versions"] = {**known.get("versions", {}), **provenance.versions()}
        known["validation"] = Scores(matrix, contract.classes).to_dict()
        if self.settings.note:
            known["note"] = self.settings.note
        return replace(contract, provenance={**known, "export": made})


def _dataset(run: Path, data: Path | None) -> Data:
    if data:
        return Data.find(data, Layout())
    try:
        record = Run(run).read_record()
    except InputError as error:
        raise InputError(f"{error}; name one with `data`") from error
    if not record.data.is_dir():
        raise InputError(f"{record.data}: the dataset that {run} was trained on is not there: name one with `data`")
    return Data.find(record.data, record.layout)
