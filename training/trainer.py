"""The training loop: steps over augmented batches, with validations and checkpoints in between.

The run is a function of (data, configuration): a step draws its batch and learning rate from its number alone, so a run
that was interrupted at any step continues to the same weights, bit by bit on the CPU.
"""

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from cookseg.evaluation.run import Run
from cookseg.runtime.errors import CooksegError, ModelError
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.keywords import checked_keywords
from cookseg.runtime.model.contract import Contract
from cookseg.runtime.model.segmenter import Segmenter
from cookseg.runtime.scoring.dataset import Sample
from cookseg.runtime.scoring.evaluation import evaluate
from cookseg.runtime.scoring.metrics import ConfusionMatrix
from cookseg.training import adaptation, checkpoint, distributed
from cookseg.training.config import TrainConfig
from cookseg.training.devices import autocast_dtype
from cookseg.training.distillation import Teacher, divergence
from cookseg.training.loss import SegmentationLoss, class_weights
from cookseg.training.models import PRESETS, build
from cookseg.training.models.network import InferenceHead, Network
from cookseg.training.optimizer import moving_average, optimizers
from cookseg.training.quantization import simulate_int8
from cookseg.training.samples import Batches, TrainingSet, class_shares, loader, workers_needed
from cookseg.training.self_training import UnlabelledSet, Views, confident_share, pseudo_labels, statistics_kept
from cookseg.training.state import State
from cookseg.training.throughput import Throughput

SECONDS_BETWEEN_SAVES = 15
"""A run that is killed loses no more than this, and one epoch; small sets have several epochs a second."""


class TorchEngine:
    """Computes a network with torch, as `cookseg.runtime.model.engine.Engine` does with onnxruntime."""

    def __init__(self, network: Network) -> None:
        """Wrap a network; it is used on the device where it is, in evaluation mode."""
        self.head = InferenceHead(network).eval()
        self.device = next(network.parameters()).device

    @torch.inference_mode()
    def __call__(self, frames: UInt8Array) -> tuple[UInt8Array, UInt8Array]:
        """Map frames (N, H, W, 3) uint8 to classes (N, H, W) uint8 and scores (N, C, H, W) uint8."""
        classes, scores, *_ = self.head(torch.from_numpy(frames).to(self.device))
        return classes.cpu().numpy(), scores.cpu().numpy()


@checked_keywords
class Trainer:
    """One training run, in memory; `fit` runs it, and writes checkpoints into the folder that it is given.

    `cookseg.training.train` does all that is around it. By itself::

        samples = [fit_sample(sample, config.preprocessing) for sample in ...]
        trainer = Trainer(config, Contract(preprocessing=config.preprocessing), samples, samples[:9], "cpu")
        trainer.fit(Run(Path("runs/mine")), workers=0, report=lambda trainer: trainer.progress.step < 100)
    """

    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        config: TrainConfig,
        contract: Contract,
        samples: Sequence[Sample],
        val: Sequence[Sample],
        device: str,
        teacher: Teacher | None = None,
        *,
        unlabelled: UnlabelledSet | None = None,
    ) -> None:
        """Build network, optimiser and loss; samples are at the network's size (`fit_sample`)."""
        config = config.resolved(len(samples))
        assert config.epochs is not None
        torch.manual_seed(config.seed)
        self.config, self.contract, self.val = config, contract, val
        self.device = torch.device(device)
        self.teacher = teacher.to(self.device) if teacher else None
        self.samples = TrainingSet(samples, config.augment, config.seed, config.crop)
        self.network = build(PRESETS[config.model], len(contract.classes), contract.preprocessing)
        self.network.to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
        self.averaged = AveragedModel(self.network, multi_avg_fn=moving_average(config.ema_decay), use_buffers=True)
        if config.qat:
            simulate_int8(self.network)  # the average stays a plain network
        self.unlabelled = unlabelled
        self.parallel = distributed.parallel(self.network)
        self.loss = SegmentationLoss(class_weights(class_shares(samples, len(contract.classes)))).to(self.device)
        self.dtype = autocast_dtype(self.device) if config.precision == "auto" else torch.float32
        self.optimizers = optimizers(self.network, config, self.dtype)
        self.scaler = torch.amp.GradScaler(device, enabled=self.dtype == torch.float16)
        self.progress = State()
        self.throughput = Throughput()
        self._best: torch.nn.Module | None = None  # to be kept instead of what is on disk
        self._saved = time.monotonic()
        self.steps = math.ceil(config.epochs * len(samples) / config.batch)
        self.steps_per_validation = math.ceil(max(self.steps / config.epochs * config.val_every, self.steps / 100))

    @workers_needed()
    def fit(self, run: Run, workers: int, report: Callable[["Trainer"], bool]) -> None:
        """Train to the end, to the end of patience, or until `report`, called after each step, returns False.

        Args:
            run: Folder of the checkpoints.
            workers: Processes that augment; 0 does it in this one.
            report: Told of every step; a validation has just been done where `State.losses` is empty.

        Raises:
            CooksegError: The loss is not finite, or a process that augments was killed.
        """
        if self.finished:
            return
        if self.unlabelled and self.config.init and not self.progress.step:
            self._validate()  # of the weights to start from: the run may not find better ones
        steps = range(self.progress.step, self.steps)
        batches = zip(self.batches(steps, workers), self.views(steps, workers), strict=False)
        for (frames, truth), views in self.throughput.batches(batches):
            rate = self.config.learning_rate(self.progress.step, self.steps)
            with self.throughput.step(self.config.batch):
                loss = self.step(frames, truth, rate, views)
            self.progress.step += 1
            self.progress.losses.append(_finite(loss, self.progress.step, rate))
            validated = self.progress.step % self.steps_per_validation == 0 or self.progress.step == self.steps
            if validated:
                self._validate()
            ends = distributed.any_of(not report(self), self.device) or self.finished
            if ends or (validated and time.monotonic() - self._saved > SECONDS_BETWEEN_SAVES):
                self.save(run)
            if ends:
                return

    def batches(self, steps: range, workers: int) -> Iterable[tuple[Tensor, Tensor]]:
        """Return a loader of this process's shard of every step's batch, frames and truth as `step` takes them."""
        plan = Batches(len(self.samples), self.config.batch, self.config.seed, steps)
        return loader(self.samples, plan, workers, pinned=self.device.type == "cuda")

    def views(self, steps: range, workers: int) -> Iterable[Views | None]:
        """Return a loader of this process's shard of every step's views; None without end where there are none."""
        if not self.unlabelled:
            return itertools.repeat(None)
        return self.unlabelled.batches(steps, workers, pinned=self.device.type == "cuda")

    def step(self, frames: Tensor, truth: Tensor, rate: float, views: Views | None = None) -> float:
        """Do one step of the optimiser, and return the loss before it.

        Args:
            frames: (N, H, W, 3) uint8, on the CPU.
            truth: (N, H, W) int64, on the CPU.
            rate: The learning rate.
            views: Of unlabelled frames, if there are any, on the CPU.
        """
        frames, truth = (x.to(self.device, non_blocking=True) for x in (frames, truth))
        self._begin_step(rate)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            target = self.teacher(frames) if self.teacher else None
            if views:
                views = Views(*(x.to(self.device, non_blocking=True) for x in views))
                predict = self.teacher or cast(Network, self.averaged.module.eval()).coarse_logits
                labels = pseudo_labels(predict, views, self.config)
            if views and self.unlabelled and self.unlabelled.alone:
                both = self.parallel(torch.cat([frames, views.strong])).float()
                logits, others = both.split([len(frames), len(views.strong)])
            else:
                logits = self.parallel(frames).float()
            if views and self.unlabelled and not self.unlabelled.alone:
                with statistics_kept(self.network):
                    others = self.parallel(views.strong).float()
        loss = self.loss(logits, truth)
        if target is not None:
            loss = loss + divergence(logits, target)
        if views:
            extra = self.loss(others, labels)
            loss = loss + self.config.unlabelled.weight_at(self.progress.step / self.steps) * extra
            self.progress.unlabelled.append((float(extra.detach()), confident_share(labels, views.origin)))
        self.scaler.scale(loss).backward()
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), max_norm=1.0)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
        self.scaler.update()
        self.averaged.update_parameters(self.network)
        return float(loss.detach())

    def _begin_step(self, rate: float) -> None:
        """Set the learning rates of a step, and what its norms do."""
        encoder, chosen = self.network.pretrained(), self.config.encoder
        frozen = self.progress.step < chosen.freeze * self.steps
        self.network.train()
        if encoder and (frozen or chosen.norms == "fixed"):
            encoder.eval()
        if encoder and next(encoder.parameters()).requires_grad == frozen:
            encoder.requires_grad_(not frozen)
            self.parallel = distributed.parallel(self.network)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["rate"]

    @property
    def epoch(self) -> float:
        """Times that the training set was seen."""
        return self.progress.step * self.config.batch / len(self.samples)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.out_of_patience or self.progress.step == self.steps

    @property
    def out_of_patience(self) -> bool:
        """Whether the validation mIoU has not risen for longer than the patience."""
        history, patience = self.progress.history, self.config.patience or 0
        return bool(patience and history) and (history[-1]["epoch"] or 0) - self.progress.best_epoch >= patience

    def save(self, run: Run) -> None:
        """Write the best weights, if there are better ones, and the checkpoint from which `load_state` continues.

        Of several processes, which all have the same, only the first one writes.
        """
        if distributed.rank():
            return
        if self._best is not None:
            checkpoint.save(run.best, self.contract, self._best)
            self._best = None
        state = {
            "config": asdict(self.config),
            "progress": asdict(self.progress),
            "trained": self.network.state_dict(),
            "updates": int(self.averaged.n_averaged),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scaler": self.scaler.state_dict(),
        }
        checkpoint.save(run.last, self.contract, self.averaged.module, **state)
        self._saved = time.monotonic()

    def start_from(self, network: Network) -> None:
        """Take over the weights of a network of the same shape."""
        for module in (self.network, self.averaged.module):
            module.load_state_dict(network.state_dict())

    def load_state(self, value: dict[str, Any], path: Path) -> None:
        """Continue from the value of a checkpoint that `save` wrote; ``path`` is its file.

        Raises:
            ModelError: The value does not fit this trainer.
        """
        run = value["run"]
        try:
            self.network.load_state_dict(run["trained"])
            self.averaged.module.load_state_dict(value["weights"])
            self.averaged.n_averaged.fill_(run["updates"])
            for optimizer, state in zip(self.optimizers, run["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            self.scaler.load_state_dict(run["scaler"])
            self.progress = State(**run["progress"])
        except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise ModelError(f"{path}: damaged: the run cannot be resumed from it: {error}") from error

    def _validate(self) -> None:
        """Evaluate the averaged weights at the network's resolution; keep them if they are to be kept."""
        segmenter = Segmenter(self.contract, TorchEngine(cast(Network, self.averaged.module)))
        matrix = self._counts(segmenter, self.val)
        best = self.progress.best_miou
        row = {
            "epoch": round(self.epoch, 3),
            "step": self.progress.step,
            "lr": self.optimizers[0].param_groups[0]["lr"],
            "train_loss": float(np.mean(self.progress.losses)) if self.progress.losses else None,
            "val_miou": matrix.mean_iou,
        }
        ious = zip(self.contract.classes.names, matrix.scores(), strict=True)
        row |= {f"val_iou_{name}": scores.iou for name, scores in ious}
        better = (matrix.mean_iou or 0.0) > best
        if self.unlabelled:
            loss, share = np.mean(self.progress.unlabelled, 0).tolist() if self.progress.unlabelled else (None, None)
            row |= {"unlabelled_loss": loss, "confident": share}
        if self.unlabelled and self.unlabelled.alone:
            found = self._counts(segmenter, self.unlabelled.watched).counts.sum(0)
            row |= adaptation.area_columns(self.contract.classes.names, found)
            better = adaptation.is_sound(row, self.progress.history)
            row["kept"] = float(better)
        self.progress.history.append(row | self.throughput.figures())
        self.progress.losses, self.progress.unlabelled = [], []
        self.throughput.reset()
        if better:
            self.progress.best_epoch = row["epoch"]
        alone = self.unlabelled is not None and self.unlabelled.alone
        if better or (self.config.keep == "last" and not alone):
            self._best = copy.deepcopy(self.averaged.module)

    def _counts(self, segmenter: Segmenter, samples: Sequence[Sample]) -> ConfusionMatrix:
        """Return the counts over samples, of which each process segments its shard."""
        counts = torch.from_numpy(evaluate(segmenter, distributed.shard(samples)).counts)
        return ConfusionMatrix.of(distributed.all_reduce_sum(counts.to(self.device)).cpu().numpy())


def _finite(loss: float, step: int, rate: float) -> float:
    if not math.isfinite(loss):
        raise CooksegError(
            f"the loss is {loss} at step {step} with learning rate {rate:.2g}: train with a lower `lr`, or with"
            " `precision='float32'`"
        )
    return loss
