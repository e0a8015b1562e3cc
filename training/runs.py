"""A whole training run on disk: check and read the data, train with reports and checkpoints, evaluate the best."""

import contextlib
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cookseg.data.doctor.survey import Survey
from cookseg.evaluation.run import Record, Run
from cookseg.runtime.errors import CheckFailedError, CooksegError, InputError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import ClassTable
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.results import Table
from cookseg.runtime.scoring.dataset import Layout
from cookseg.runtime.scoring.edges import EdgeCounts, EdgeScores
from cookseg.runtime.scoring.evaluation import evaluate
from cookseg.runtime.scoring.metrics import ConfusionMatrix, Scores
from cookseg.training import adaptation, checkpoint, config_file, distributed
from cookseg.training.config import TrainConfig
from cookseg.training.dataset import Data, find_data
from cookseg.training.devices import Device, default_workers, find_device
from cookseg.training.preparation import Start, prepare, require_new
from cookseg.training.report import Reporter
from cookseg.training.trainer import TorchEngine, Trainer

_log = logging.getLogger(__name__)


class InterruptedRunError(CooksegError):
    """Training was stopped, after a checkpoint was written."""

    def __init__(self, where: str, by: str = "", exit_code: int = 1) -> None:
        """Say where it was stopped, and by what."""
        super().__init__(f"stopped {f'by {by} ' if by else ''}{where}")
        self.where, self.exit_code = where, exit_code


@dataclass(frozen=True)
class Trained:
    """A finished run; a result.

    Attributes:
        run: Its folder.
        classes: The classes of its model.
        matrix: How the weights that were kept do on the validation frames, at the size of their masks.
        edges: The same at the edges of the masks.
        keep: Which weights were kept, ``best`` or ``last``.
        alone: Whether these are rendered scenes, because the run had no labels.
    """

    run: Run
    classes: ClassTable
    matrix: ConfusionMatrix
    edges: EdgeCounts
    keep: str = "best"
    alone: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the paths and all scores as JSON values; with ``rendered`` where they are of rendered scenes."""
        return {
            "run": str(self.run.path),
            "best": str(self.run.best),
            **({"rendered": True} if self.alone else {}),
            **Scores(self.matrix, self.classes).to_dict(),
            "edges": EdgeScores(self.edges, self.matrix, self.classes).to_dict(),
        }

    def tables(self) -> Iterable[Table]:
        """Return the scores, and where to look next."""
        scores = next(Scores(self.matrix, self.classes).tables())
        frames = "held-out rendered scenes, not on your frames" if self.alone else "the validation frames"
        yield replace(scores, above=f"{self.keep} weights on {frames}:\n")
        yield from EdgeScores(self.edges, self.matrix, self.classes).tables()
        path = self.run.path
        yield Table(above=f"curves: {self.run.curves}\nnext: cook-export {path} -o {path / 'model.onnx'}")


def log_validation(trainer: Trainer) -> None:
    """Log how a run goes, after each validation; the usual `report` of `train`."""
    if not trainer.progress.losses:
        _log.info("%s", status(trainer))


def never() -> bool:
    """Stop no run; the usual `stop` of `train`."""
    return False


@checked_keywords
def train(  # noqa: PLR0913 - what a run is told beside its configuration, by keyword
    data: Path | str | Survey | None,
    run: Path | str,
    config: TrainConfig | None = None,
    *,
    device: Device = "auto",
    workers: int | None = None,
    resume: bool = False,
    check: bool = True,
    layout: Layout | None = None,
    report: Callable[[Trainer], object] = log_validation,
    stop: Callable[[], bool] = never,
    around: AbstractContextManager[object] | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train a network on a dataset, and keep its best weights, all in a run's folder.

    With the same data, configuration and machine the weights are the same, bit by bit on the CPU. In processes started
    by torchrun all train together, and the first one writes::

        from cookseg.training import TrainConfig, train

        result = train("data/sets/mine", "runs/mine", TrainConfig(epochs=80, init="starter"))
        print(result.matrix.mean_iou, result.run.best)

    Args:
        data: Folder of the dataset, with ``train`` and ``val``; or a survey of it, by `cookseg.data.survey` with
            ``spec``. None adapts `init` to the unlabelled frames without any label, see `adaptation`.
        run: Folder of the run, which is made.
        config: How to train; None for the defaults. A resumed run has its own: None, or the same.
        device: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is any.
        workers: Processes that augment; 0 does it in this one, None chooses by device.
        resume: Whether to continue the run in the folder.
        check: Whether to refuse data in which the doctor finds what would break the run.
        layout: How the dataset is laid out, None for the standard way; a resumed run has its own.
        report: Called with the trainer after each step; a validation has just been done where the trainer's
            ``progress.losses`` is empty.
        stop: Asked after each step; the run is saved and ends when it returns True.
        around: Entered while the steps are done, and nothing else is: handlers of signals, say; there are none here.
        progress: Told of frames as they are checked, decoded and evaluated.

    Returns:
        How the best weights do.

    Raises:
        InterruptedRunError: `stop` stopped the run; it can be resumed.
        DeviceError: The device is not available.
        CheckFailedError: The doctor found what would break the run; or a run without labels went wrong.
        DatasetError: Files are missing, cannot be read or do not fit together.
        InputError: Configuration, folder and data do not fit together.
        ModelError: A checkpoint to start or resume from is missing, damaged or of something else.
        CooksegError: The loss is not finite; or another process has died.
    """
    folder, place = Run(Path(run)), find_device(device)
    config = config or (None if resume else TrainConfig())
    start = Start.resumed(folder, config) if resume else Start.of(config or TrainConfig(), alone=data is None)
    layout = folder.read_record().layout if resume else layout or Layout()
    with distributed.process_group(place):
        spec = start.config.preprocessing
        if start.alone:
            require_new(folder, start)
            data, check = adaptation.render_scenes(folder, spec, progress=progress), False
        if data is None:
            raise InputError(f"{folder.path}: this run has labels: give the dataset that it is trained on")
        source = data if isinstance(data, Survey) else Path(data)
        found = find_data(source, layout, spec, check=check, progress=progress)
        trainer = prepare(found, start, device=place, run=folder, progress=progress)
        if distributed.rank() == 0:
            _begin(folder, found, trainer, start)
        with around or contextlib.nullcontext():
            _fit(trainer, folder, default_workers(place) if workers is None else workers, report, stop)
        return distributed.from_first(lambda: finish(found, folder, alone=start.alone, progress=progress))


def finish(data: Data, run: Run, *, alone: bool = False, progress: Progress = silent) -> Trained:
    """Return how the best weights of a run do on the validation frames, at the size of their masks.

    The figures are also sealed into the checkpoint's provenance.
    """
    network, contract = checkpoint.load_network(run.best)
    segmenter = Segmenter(contract, TorchEngine(network))
    samples = progress(data.read(data.val, contract.preprocessing), "evaluation", len(data.val))
    edges = EdgeCounts(len(data.classes))
    matrix = evaluate(segmenter, samples, edges=edges)
    scores = Scores(matrix, data.classes).to_dict()
    sealed = replace(contract, provenance={**contract.provenance, "validation": scores})
    checkpoint.save(run.best, sealed, network)
    keep = contract.provenance["training"].get("keep", "best")
    return Trained(run, data.classes, matrix, edges, keep, alone)


def status(trainer: Trainer) -> str:
    """Return in a line how far a run is, and how well it goes."""
    progress = trainer.progress
    losses = progress.losses or [progress.history[-1]["train_loss"] or 0.0]
    parts = [f"epoch {trainer.epoch:.0f}/{trainer.config.epochs}", f"loss {sum(losses) / len(losses):.3f}"]
    if progress.unlabelled or (progress.history and progress.history[-1].get("confident") is not None):
        shares = [share for _, share in progress.unlabelled] or [progress.history[-1]["confident"] or 0.0]
        parts += [f"sure of {sum(shares) / len(shares):.0%} unlabelled"]
    if progress.history:
        last = progress.history[-1]
        parts += [f"mIoU {last['val_miou'] or 0:.4f}", f"best {progress.best_miou:.4f}"]
        parts += [f"{last.get('images_per_s') or 0:.4g} images/s, {last.get('waiting') or 0:.0%} waiting for data"]
    return "  ".join(parts)


def _begin(run: Run, data: Data, trainer: Trainer, start: Start) -> None:
    """Write what is known before the first step."""
    run.path.mkdir(parents=True, exist_ok=True)
    for left in run.path.glob(".*.tmp"):  # by a process that was killed while it wrote; as large as a checkpoint
        left.unlink()
    parameters = sum(parameter.numel() for parameter in trainer.network.parameters())
    run.write_record(Record(data.root, data.layout, asdict(trainer.config), parameters, start.unlabelled))
    if start.weights != run.last:
        write_atomically(run.config, config_file.dump(start.repeatable(trainer.config)).encode())
    if trainer.teacher and trainer.progress.step == 0:
        checkpoint.save(run.teacher, trainer.teacher.contract, trainer.teacher.network)


def _fit(
    trainer: Trainer, run: Run, workers: int, report: Callable[[Trainer], object], stop: Callable[[], bool]
) -> None:
    _log.info(
        "training %s on %s in %s: %d frames%s, %d epochs, %d steps%s",
        trainer.config.model,
        trainer.device.type,
        str(trainer.dtype).removeprefix("torch."),
        len(trainer.samples),
        f" and {len(trainer.unlabelled)} unlabelled ones" if trainer.unlabelled else "",
        trainer.config.epochs,
        trainer.steps,
        f", {distributed.size()} processes" if distributed.size() > 1 else "",
    )
    reporter = Reporter(run, trainer.progress.step) if distributed.rank() == 0 else None
    history = trainer.progress.history

    def goes_on(_: Trainer) -> bool:
        if reporter and not trainer.progress.losses:
            reporter.update(history)
        report(trainer)
        return not stop()

    try:
        trainer.fit(run, workers, goes_on)
    except CheckFailedError:
        if distributed.rank() == 0:
            run.best.unlink(missing_ok=True)  # what was kept was on its way there
        raise
    finally:
        if reporter:
            reporter.close(history)
    if stop() or not trainer.finished:
        raise InterruptedRunError(
            f"after step {trainer.progress.step} of {trainer.steps}, saved in {run.last}: `resume=True` continues"
        )
    if trainer.out_of_patience:
        _log.info("no better validation mIoU for %s epochs: stopped at %.0f", trainer.config.patience, trainer.epoch)
    if trainer.unlabelled and trainer.progress.best_epoch == 0:
        _log.warning(
            "no epoch was better than the weights that the run started from, so %s holds these: the unlabelled frames"
            " did not help; try a lower `lr`, another `unlabelled.confidence` or a smaller `unlabelled.weight`",
            run.best,
        )
