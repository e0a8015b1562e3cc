"""The export from end to end: checkpoint -> ONNX -> simplified -> checked on real frames -> sealed -> written."""

import importlib.metadata
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from cookseg.export import check, convert
from cookseg.runtime import console
from cookseg.runtime.contract import GOLDEN_KEY, Contract
from cookseg.runtime.dataset import Layout, Sample
from cookseg.runtime.engine import OnnxEngine
from cookseg.runtime.errors import InputError
from cookseg.runtime.evaluation import evaluate, require_same_classes
from cookseg.runtime.files import write_atomically
from cookseg.runtime.images import UInt8Array
from cookseg.runtime.metrics import ConfusionMatrix
from cookseg.runtime.seal import seal
from cookseg.runtime.segmenter import Segmenter
from cookseg.runtime.selftest import GoldenVector, pack
from cookseg.training import checkpoint, runs
from cookseg.training.model import UNet
from cookseg.training.trainer import TorchEngine


@dataclass(frozen=True)
class Settings:
    """How to export.

    Attributes:
        frames: How many validation frames the logits are compared on; the IoU takes all.
        golden: How many of them travel inside the file, so that it can be proven wherever it runs.
        simplify: Whether to run onnxsim.
    """

    frames: int = 16
    golden: int = 2
    simplify: bool = True


@dataclass(frozen=True)
class Report:
    """What an export found: sizes of each graph, comparisons with torch, and the evaluation of both."""

    output: Path
    classes: tuple[str, ...]
    sizes: dict[str, dict[str, int]]
    comparisons: list[check.Comparison]
    torch: ConfusionMatrix
    exported: ConfusionMatrix

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        scores = [{"class": n, **asdict(s)} for n, s in zip(self.classes, self.exported.scores(), strict=True)]
        return {
            "output": str(self.output),
            "graphs": self.sizes,
            "comparisons": [asdict(row) for row in self.comparisons],
            "mean_iou": {"torch": self.torch.mean_iou, "exported": self.exported.mean_iou},
            "classes": scores,
        }


def export(run: Path, output: Path, data: Path | None, gates: check.Gates, settings: Settings) -> Report:
    """Export the checkpoint of a run to a file, if every check holds.

    Args:
        run: Folder of a run, or a checkpoint.
        output: The ONNX file to write.
        data: Dataset in the standard layout, or None for the one the run was trained on.
        gates: Limits of the check.
        settings: How to export.

    Raises:
        CheckFailedError: A gate does not hold; the output was not touched.
        ModelError: The checkpoint is not valid.
        DatasetError: The dataset is not valid, or not of the model's classes.
    """
    path = checkpoint.find(run)
    network, contract = checkpoint.load_network(path)
    dataset = _dataset(path.parent, data)
    require_same_classes(contract.classes, dataset.classes)
    graphs = _graphs(network, contract, settings.simplify)
    chosen = dataset.val[:: max(1, len(dataset.val) // settings.frames)][: settings.frames]  # spread over the set
    inputs = check.check_inputs(contract, (sample.frame for sample in dataset.read(chosen)))
    console.note(f"comparing with torch on {len(chosen)} validation frames and on noise ...")
    comparisons = check.compare(network, {**graphs, "file": convert.expose_logits(graphs["file"])}, inputs, gates)
    content = _sealed(graphs["file"], inputs["validation frames"][: settings.golden])
    expected = evaluate(Segmenter(contract, TorchEngine(network)), _watched(dataset, "evaluating torch"))
    exported = evaluate(Segmenter(contract, OnnxEngine(content, "cpu")), _watched(dataset, "evaluating the file"))
    check.require_passed(comparisons, check.iou_faults(expected, exported, contract.classes.names, gates.iou))
    write_atomically(output, content)
    sizes = {name: convert.describe(model) for name, model in graphs.items()}
    return Report(output, contract.classes.names, sizes, comparisons, expected, exported)


def _sealed(model: onnx.ModelProto, frames: UInt8Array) -> bytes:
    """Return the bytes of a model that carries frames, (N, H, W, 3) uint8 RGB, and its answers to them."""
    engine = OnnxEngine(seal(model.SerializeToString()), "cpu")
    classes = [engine(frame[None])[0][0] for frame in frames]
    text = pack(GoldenVector(*pair) for pair in zip(frames, classes, strict=True))
    return seal(convert.with_metadata(model, GOLDEN_KEY, text).SerializeToString())


def _graphs(network: UNet, contract: Contract, simplified: bool) -> dict[str, onnx.ModelProto]:
    """Return the model of each stage, from the raw graph to what will stand in the file."""
    console.note("converting with torch.onnx ...")
    graphs = {"raw": convert.to_onnx(network, contract)}
    if simplified:
        console.note("simplifying with onnxsim ...")
        try:
            graphs["simplified"] = convert.simplify(graphs["raw"])
        except convert.SimplifierError as error:
            console.note(f"warning: {error}; the graph stays as it is")
    graphs["file"] = convert.finish(list(graphs.values())[-1], _with_provenance(contract))
    return graphs


def _dataset(run: Path, data: Path | None) -> runs.Data:
    if data:
        return runs.Data.find(data, Layout())
    try:
        root, layout = runs.trained_on(run)
    except InputError as error:
        raise InputError(f"{error}; name one with --data") from error
    if not root.is_dir():
        raise InputError(f"{root}: the dataset that {run} was trained on is not there: name one with --data")
    return runs.Data.find(root, layout)


def _watched(dataset: runs.Data, label: str) -> Iterator[Sample]:
    with console.progress(dataset.read(dataset.val), label, len(dataset.val)) as bar:
        yield from bar


def _with_provenance(contract: Contract) -> Contract:
    versions = {name: importlib.metadata.version(name) for name in ("onnx", "onnxscript", "onnxsim", "onnxruntime")}
    exported = {"opset": convert.OPSET, "ir_version": convert.IR_VERSION, "git_commit": _git_commit()}
    provenance = dict(contract.provenance)
    provenance["versions"] = {**provenance.get("versions", {}), **versions}
    return replace(contract, provenance={**provenance, "export": {k: v for k, v in exported.items() if v}})


def _git_commit() -> str | None:
    """Return the commit of the user's project that the command runs in, if it is one."""
    git = shutil.which("git")
    if not git:
        return None
    result = subprocess.run([git, "rev-parse", "--verify", "-q", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S603 - no user input
    return result.stdout.strip() or None
