"""A whole training run on disk: read the data, train with reports and checkpoints, evaluate the best weights."""

import hashlib
import importlib.metadata
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import click
import torch

from cookseg.data.decoding import DecodedSet, decode
from cookseg.evaluation.comparison import RECORD
from cookseg.runtime.errors import CooksegError, DatasetError, DeviceError, InputError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.model.contract import ClassTable, Contract, Preprocessing
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.scoring.dataset import Layout, Pair, Sample, list_pairs, load_classes, read_pair
from cookseg.runtime.scoring.evaluation import evaluate
from cookseg.runtime.scoring.metrics import ConfusionMatrix, score_dict
from cookseg.runtime.terminal import bars, console
from cookseg.training import checkpoint, distributed
from cookseg.training.config import TrainConfig
from cookseg.training.distillation import Teacher
from cookseg.training.models.network import Network
from cookseg.training.report import Reporter
from cookseg.training.samples import class_shares
from cookseg.training.trainer import TorchEngine, Trainer


class InterruptedRunError(CooksegError):
    """Training was stopped by a signal, after a checkpoint was written."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


@dataclass(frozen=True)
class Data:
    """A dataset's part in a run: where it lies, its classes and its pairs, and their pixels if they are decoded."""

    root: Path
    layout: Layout
    classes: ClassTable
    train: list[Pair]
    val: list[Pair]
    decoded: DecodedSet | None = None

    @classmethod
    def find(cls, root: Path, layout: Layout, decoded: DecodedSet | None = None) -> "Data":
        """List the pairs of both splits.

        Raises:
            DatasetError: Files are missing or do not fit together.
        """
        train, val = (list_pairs(root, split, layout) for split in ("train", "val"))
        return cls(root, layout, load_classes(root), train, val, decoded)

    def read(self, pairs: list[Pair], spec: Preprocessing) -> Iterator[Sample]:
        """Decode pairs, one after the other, with frames as small as a network needs them."""
        return (read_pair(pair, self.classes, self.layout, spec) for pair in pairs)

    def digest(self, decoded: DecodedSet) -> str:
        """Return the SHA-256 of the class table and of all names with the SHA-256s of their image and mask.

        It is the identity of the data in a model's provenance.
        """
        digest = hashlib.sha256(repr(self.classes).encode())
        names = [f"{split}/{pair.name}" for split in ("train", "val") for pair in getattr(self, split)]
        for name, digests in zip(names, decoded.sha256, strict=True):
            digest.update("\n".join((name, *digests, "")).encode())
        return digest.hexdigest()


def prepare(
    data: Data,
    run: Path | None,
    config: TrainConfig,
    *,
    device: str,
    start: Path | None = None,
    teacher: Path | None = None,
) -> Trainer:
    """Read the data and build what trains, so that whatever spoils a run is found before it writes anything.

    Args:
        data: The dataset.
        run: Folder of the run; None if there will be none.
        config: How to train; a resumed run must have the same.
        device: ``cpu`` or ``cuda``.
        start: Checkpoint to start from, None for random weights: the run's own last one continues it, of another one
            only the weights are taken.
        teacher: Checkpoint whose answers are learned too; a resumed run has its own copy.

    Raises:
        InputError: The folder holds a run already, the one to continue has another configuration or data, or first
            weights or teacher do not fit.
        DatasetError: Files cannot be read, or hold nothing to learn.
    """
    own = run / checkpoint.LAST if run else None
    last = checkpoint.load(start) if start and start == own else None
    if own and not last and own.exists():
        raise InputError(f"{run} holds a run already: continue it with --resume, or choose another --output")
    if config.batch < distributed.size():
        raise InputError(f"--batch is {config.batch}: give each of the {distributed.size()} processes a frame or more")
    decoded = _decoded(data, config.preprocessing)
    samples, val = _read(data, config, decoded)
    contract = Contract(data.classes, config.preprocessing, _provenance(data, config, decoded))
    distributed.require_same(contract.to_json(), "data, options or versions")
    taught = Teacher.load(teacher, contract) if teacher else None
    trainer = Trainer(config, contract, samples, val, device, taught)
    if last:
        if Contract.from_json(last["contract"]) != contract:
            raise InputError(
                f"{own}: the data or the versions of cookseg and torch are not those that this run"
                " started with; restore them, or start a new run in another --output"
            )
        trainer.load_state(last)
        distributed.require_same(trainer.progress.step, f"{own}")
    elif start:
        trainer.start_from(_initial(start, trainer.network, contract))
    return trainer


def train(trainer: Trainer, data: Data, run: Path, workers: int | None = None) -> None:
    """Train to the end; the first of several processes writes the run's folder.

    Args:
        trainer: What `prepare` gave.
        data: The same dataset.
        run: The same folder.
        workers: Processes that augment, 0 being this one; None chooses by device.

    Raises:
        InterruptedRunError: A signal stopped the run; it can be resumed.
    """
    if distributed.rank() == 0:
        run.mkdir(parents=True, exist_ok=True)
        for left in run.glob(".*.tmp"):  # by a process that was killed while it wrote; as large as a checkpoint
            left.unlink()
        _record(run, data, trainer)
        if trainer.teacher and trainer.progress.step == 0:
            checkpoint.save(run / checkpoint.TEACHER, trainer.teacher.contract, trainer.teacher.network)
    _fit(trainer, run, default_workers(trainer.device.type) if workers is None else workers)


def default_workers(device: str) -> int:
    """Return how many processes augment: on a CPU none, they would take the cores from the one that trains."""
    processors = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(8, max(1, processors)) if device == "cuda" else 0


def finish(data: Data, run: Path) -> ConfusionMatrix:
    """Return how the best weights do on the validation set at the resolution of its ground truth.

    The figures are also sealed into the checkpoint's provenance.
    """
    path = run / checkpoint.BEST
    network, contract = checkpoint.load_network(path)
    segmenter = Segmenter(contract, TorchEngine(network))
    with console.progress(data.read(data.val, contract.preprocessing), "evaluation", len(data.val)) as bar:
        matrix = evaluate(segmenter, bar)
    scores = score_dict(matrix, data.classes)
    sealed = Contract(contract.classes, contract.preprocessing, {**contract.provenance, "validation": scores})
    checkpoint.save(path, sealed, network)
    return matrix


def trained_on(run: Path) -> tuple[Path, Layout]:
    """Return the dataset of a run's folder, and its layout.

    Raises:
        InputError: The folder does not say.
    """
    path = run / RECORD
    try:
        value = json.loads(path.read_text("utf-8"))
        return Path(value["data"]), Layout(**value["layout"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is missing or damaged: it says which dataset the run was trained on") from error


def _record(run: Path, data: Data, trainer: Trainer) -> None:
    value = {
        "data": str(data.root.resolve()),
        "layout": asdict(data.layout),
        "config": asdict(trainer.config),
        "parameters": sum(parameter.numel() for parameter in trainer.network.parameters()),
    }
    write_atomically(run / RECORD, json.dumps(value, indent=2).encode())


def _decoded(data: Data, spec: Preprocessing) -> DecodedSet:
    """Decode the dataset, unless it was decoded for the same already."""
    pairs = data.train + data.val
    if data.decoded and (data.decoded.pairs, data.decoded.spec) == (pairs, spec):
        return data.decoded
    first = distributed.rank() == 0
    return decode(data.root, data.layout, data.classes, pairs, spec, keep=first, progress=bars.bar)


def _read(data: Data, config: TrainConfig, decoded: DecodedSet) -> tuple[list[Sample], list[Sample]]:
    """Return the samples of train and val; whatever spoils the run is found before it starts."""
    samples = decoded.samples
    if off := sum(sample.off_colors for sample in samples):
        console.note(f"{off:,} mask pixels had colours that are not exactly a class's; taken as the nearest class")
    shares = class_shares(samples[: len(data.train)], len(data.classes))
    if missing := [name for name, share in zip(data.classes.names, shares, strict=True) if share == 0]:
        console.note(
            f"warning: no training pixel is {', '.join(missing)}: the model will never find it, and its validation IoU"
            " will be 0; label some, or divide the set again with cook-data split"
        )
    if (shares > 0).sum() < 2:
        raise DatasetError(f"{data.root}: the training masks hold fewer than two classes: there is nothing to learn")
    if config.batch > len(data.train):
        console.note(
            f"warning: --batch {config.batch} is larger than the training set: every step sees frames more than once;"
            f" --batch {max(2, len(data.train))} has the same effect for less"
        )
    return samples[: len(data.train)], samples[len(data.train) :]


def _fit(trainer: Trainer, run: Path, workers: int) -> None:
    reporter = Reporter(run, trainer.progress.step) if distributed.rank() == 0 else None
    history = trainer.progress.history
    console.note(
        f"training {trainer.config.model} on {trainer.device.type} in {str(trainer.dtype).removeprefix('torch.')}:"
        f" {len(trainer.samples)} frames, {trainer.config.epochs} epochs, {trainer.steps} steps"
        + (f", {distributed.size()} processes" if distributed.size() > 1 else "")
    )
    with _signals() as received, bars.step_progress(trainer.steps, "training", trainer.progress.step) as advance:

        def report(_: Trainer) -> bool:
            if not trainer.progress.losses:
                if reporter:
                    reporter.update(history)
                if not bars.interactive():
                    console.note(_status(trainer))
            advance(_status(trainer))
            return not received

        try:
            trainer.fit(run, workers, report)
        finally:
            if reporter:
                reporter.close(history)
    if received or not trainer.finished:
        number = received[0] if received else signal.SIGTERM  # another process got it
        raise InterruptedRunError(
            f"stopped by {number.name} after step {trainer.progress.step} of {trainer.steps}, saved in"
            f" {run / checkpoint.LAST}: the same command with --resume continues",
            number,
        )
    if trainer.out_of_patience:
        console.note(f"no better validation mIoU for {trainer.config.patience} epochs: stopped at {trainer.epoch:.0f}")


def _status(trainer: Trainer) -> str:
    progress = trainer.progress
    losses = progress.losses or [progress.history[-1]["train_loss"] or 0.0]
    parts = [f"epoch {trainer.epoch:.0f}/{trainer.config.epochs}", f"loss {sum(losses) / len(losses):.3f}"]
    if progress.history:
        last = progress.history[-1]
        parts += [f"mIoU {last['val_miou'] or 0:.4f}", f"best {progress.best_miou:.4f}"]
        parts += [f"{last.get('images_per_s') or 0:.4g} images/s, {last.get('waiting') or 0:.0%} waiting for data"]
    return "  ".join(parts)


def _initial(path: Path, wanted: Network, contract: Contract) -> Network:
    """Return the network of a checkpoint, if its weights fit the wanted one."""
    network, theirs = checkpoint.load_network(path)
    if len(theirs.classes) != len(contract.classes):
        raise InputError(
            f"{path}: its weights do not fit: they are for {len(theirs.classes)} classes"
            f" ({', '.join(theirs.classes.names)}), the dataset has {len(contract.classes)}"
            f" ({', '.join(contract.classes.names)}); choose another --init, or none"
        )
    if network.config != wanted.config:
        raise InputError(
            f"{path}: its weights do not fit: they are of {network.config} instead of {wanted.config}; choose its"
            " --model, or another --init"
        )
    return network


def find_device(name: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        DeviceError: It is not available.
    """
    available = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if available else "cpu"
    if name == "cuda" and not available:
        raise DeviceError(
            f"--device cuda is not available: torch {torch.__version__} sees no NVIDIA GPU; use --device cpu, or"
            " install a CUDA build of torch and a driver"
        )
    return name


def _provenance(data: Data, config: TrainConfig, decoded: DecodedSet) -> dict[str, object]:
    network = {
        "model": config.model,
        "epochs": config.epochs,
        "batch": config.batch,
        "lr": config.lr,
        "optimizer": "Muon and AdamW",
        "seed": config.seed,
        **({"qat": True} if config.qat else {}),
        **({"init": config.init} if config.init else {}),
        **({"teacher": config.teacher} if config.teacher else {}),
    }
    found = {
        "name": data.root.resolve().name,
        "sha256": data.digest(decoded),
        "train": len(data.train),
        "val": len(data.val),
    }
    versions = {"cookseg": importlib.metadata.version("cookseg"), "torch": str(torch.__version__)}
    return {"data": found, "training": network, "versions": versions}


@contextmanager
def _signals() -> Iterator[list[signal.Signals]]:
    """Collect SIGINT and SIGTERM instead of dying of the first; the second one has its usual effect."""
    received: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may handle signals
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, _: FrameType | None) -> None:
        received.append(signal.Signals(number))
        signal.signal(number, previous[signal.Signals(number)])
        click.echo("\nfinishing this step, then saving ...", err=True)

    for number in previous:
        signal.signal(number, handle)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
