"""What a run begins with: its configuration, first weights and teacher; its data; and the trainer made of these."""

import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch

from cookseg.evaluation.run import Run
from cookseg.runtime.errors import InputError
from cookseg.runtime.model.contract import Contract
from cookseg.runtime.progress import Progress, silent
from cookseg.training import STARTER, adaptation, checkpoint, distributed, fields
from cookseg.training.config import AUTO, IMAGENET, STARTER_NAME, TrainConfig
from cookseg.training.dataset import Data, labelled_test_frames, read_samples
from cookseg.training.distillation import Teacher
from cookseg.training.models.network import Network
from cookseg.training.pretrained import Pretrained
from cookseg.training.self_training import UnlabelledSet
from cookseg.training.trainer import Trainer
from cookseg.training.unlabelled import Unlabelled, find_unlabelled, read_unlabelled


@dataclass(frozen=True)
class Start:
    """What a run begins with.

    Attributes:
        config: How to train, with the SHA-256 of the checkpoints that it named.
        weights: Checkpoint of the first weights, or the one to resume from; None for random weights.
        teacher: Checkpoint of the teacher, or None.
        encoder: Where the encoder's weights come from, or None for random ones; of no use where there are `weights`.
        unlabelled: Folder of the unlabelled frames, or None.
        alone: Whether these are all there is: rendered scenes stand in for the dataset.
    """

    config: TrainConfig
    weights: Path | None = None
    teacher: Path | None = None
    encoder: Pretrained | None = None
    unlabelled: Path | None = None
    alone: bool = False

    @classmethod
    def of(cls, config: TrainConfig, *, alone: bool = False) -> "Start":
        """Begin a new run: find the checkpoints that a configuration names.

        Raises:
            ModelError: A checkpoint is missing or damaged.
            InputError: A checkpoint is named by its SHA-256 alone, or its network has none of the known models; or
                without a dataset there are no weights to adapt.
            DatasetError: There are no unlabelled frames where they should be.
        """
        weights, teacher = (_checkpoint(name, getattr(config, name)) for name in ("init", "teacher"))
        if config.model == AUTO and weights:
            config = replace(config, model=checkpoint.preset_of(weights))
        digests = [checkpoint.digest(path) if path else "" for path in (weights, teacher)]
        config = replace(config, init=digests[0], teacher=digests[1])
        encoder = None if weights else Pretrained.find(config)
        if encoder and config.encoder.weights != IMAGENET:
            config = replace(config, encoder=replace(config.encoder, weights=encoder.sha256))
        if alone:
            config = adaptation.configured(config, weights)
        unlabelled = Path(config.unlabelled.source) if config.unlabelled.source else None
        if unlabelled:
            find_unlabelled(unlabelled)
        return cls(config, weights, teacher, encoder, unlabelled, alone)

    @classmethod
    def resumed(cls, run: Run, config: TrainConfig | None = None) -> "Start":
        """Begin where a run was stopped; a configuration, if one is given, must be the run's.

        Raises:
            ModelError: There is no checkpoint from which it can be resumed.
            InputError: The configuration contradicts the run's.
        """
        stored, record = checkpoint.stored_config(run.last), run.read_record()
        if config:
            _require_same(config, stored)
        given = config.unlabelled.source if config else ""
        moved = Path(given) if given not in {"", stored.unlabelled.source} else None
        alone = record.data.resolve() == adaptation.scenes_of(run).resolve()
        return cls(
            stored,
            run.last,
            run.teacher if stored.teacher else None,
            unlabelled=moved or record.unlabelled,
            alone=alone,
        )

    def repeatable(self, config: TrainConfig) -> TrainConfig:
        """Return a configuration with the names of the checkpoints, by which another run can begin as this one did."""
        source = str(self.unlabelled.resolve()) if self.unlabelled else ""
        unlabelled = replace(config.unlabelled, source=source)
        named = replace(config, init=_named(self.weights), teacher=_named(self.teacher), unlabelled=unlabelled)
        if self.encoder and config.encoder.weights != IMAGENET:
            named = replace(named, encoder=replace(config.encoder, weights=str(self.encoder.path.resolve())))
        return named

    def origin(self) -> Mapping[str, str] | None:
        """Return whose weights the run began with, those of an earlier one included; None if they were random."""
        if self.weights:
            known = Contract.from_json(checkpoint.load(self.weights)["contract"])
            return cast(Mapping[str, str] | None, known.provenance.get("weights"))
        return self.encoder.origin() if self.encoder else None


def prepare(data: Data, start: Start, *, device: str, run: Run | None = None, progress: Progress = silent) -> Trainer:
    """Read the data and build what trains, so that whatever breaks a run is found before it writes anything.

    Args:
        data: The dataset.
        start: What the run begins with.
        device: ``cpu`` or ``cuda``.
        run: Folder of the run; None if there will be none.
        progress: Told of the frames as they are decoded.

    Raises:
        InputError: The folder holds a run already, the one to continue has another configuration or data, or first
            weights or teacher do not fit.
        DatasetError: Files cannot be read, or hold nothing to learn.
        ModelError: The checkpoint to continue from is damaged.
    """
    last = checkpoint.load_run(run.last) if run and start.weights == run.last else None
    if run:
        require_new(run, start)
    config = start.config.resolved(len(data.train))
    unlabelled = config.unlabelled.per_step(config.batch) if start.unlabelled else config.batch
    if min(config.batch, unlabelled) < distributed.size():
        what = f"batch={config.batch}" if config.batch <= unlabelled else f"unlabelled.ratio={config.unlabelled.ratio}"
        raise InputError(f"`{what}`: give each of the {distributed.size()} processes a frame or more")
    data = data.decode(config.preprocessing, progress=progress)
    samples, val = read_samples(data, config)
    others = _read_unlabelled(start, data, progress) if start.unlabelled else None
    if others:
        config = replace(config, unlabelled=replace(config.unlabelled, source=others.sha256))
    contract = Contract(data.classes, config.preprocessing, provenance(data, config, start, others))
    distributed.require_same(contract.to_json(), "data, options or versions")
    taught = Teacher.load(start.teacher, contract) if start.teacher else None
    frames = UnlabelledSet(others.samples, config, alone=start.alone) if others else None
    trainer = Trainer(config, contract, samples, val, device, taught, unlabelled=frames)
    if run and last:
        if Contract.from_json(last["contract"]) != contract:
            raise InputError(
                f"{run.last}: the data or the versions of cookseg and torch are not those that this run started with;"
                " restore them, or start a new run in another `run`"
            )
        trainer.load_state(last, run.last)
        distributed.require_same(trainer.progress.step, f"{run.last}")
    elif start.weights:
        trainer.start_from(_initial(start.weights, trainer.network, contract))
    elif start.encoder:
        start.encoder.load_into(trainer.network)
        trainer.start_from(trainer.network)
    return trainer


def require_new(run: Run, start: Start) -> None:
    """Refuse a folder that holds a run, unless it is the one to continue.

    Raises:
        InputError: It does.
    """
    if start.weights != run.last and run.last.exists():
        raise InputError(f"{run.path} holds a run already: continue it with `resume=True`, or choose another `run`")


def provenance(
    data: Data, config: TrainConfig, start: Start, unlabelled: Unlabelled | None = None
) -> dict[str, object]:
    """Return where a model comes from, for people to read.

    Args:
        data: The dataset.
        config: The configuration.
        start: Where the first weights come from, and whether the dataset stands in for labels that there are none of.
        unlabelled: The frames without masks, if there are any.
    """
    training = {
        "model": config.model,
        "epochs": config.epochs,
        "batch": config.batch,
        "lr": config.lr,
        "optimizer": "Muon and AdamW",
        "seed": config.seed,
        **({"keep": config.keep} if config.keep != "best" else {}),
        **({"qat": True} if config.qat else {}),
        **({"init": config.init} if config.init else {}),
        **({"teacher": config.teacher} if config.teacher else {}),
    }
    found = {
        "name": "rendered scenes" if start.alone else data.root.resolve().name,
        "sha256": data.digest(),
        "train": len(data.train),
        "val": len(data.val),
    }
    versions = {"cookseg": importlib.metadata.version("cookseg"), "torch": str(torch.__version__)}
    more: dict[str, object] = {"unlabelled": unlabelled.facts()} if unlabelled else {}
    if weights := start.origin():
        more["weights"] = dict(weights)
    if start.alone:
        more["note"] = adaptation.NOTE
    return {"data": found, **more, "training": training, "versions": versions}


def _read_unlabelled(start: Start, data: Data, progress: Progress) -> Unlabelled:
    """Read the unlabelled frames; those which the dataset has labels for are left out, unless they are asked for."""
    assert start.unlabelled
    assert data.decoded
    config = start.config
    found = read_unlabelled(start.unlabelled, config.preprocessing, config.unlabelled.clip_frames, progress=progress)
    if start.alone:
        return found
    labelled = [sample.frame for sample in data.decoded.samples] + labelled_test_frames(data, config.preprocessing)
    return found.without(labelled, config.unlabelled)


def _checkpoint(field: str, name: str) -> Path | None:
    """Return the checkpoint that a field of the configuration names."""
    if not name:
        return None
    path = STARTER if name == STARTER_NAME else checkpoint.find(Path(name))
    if _is_digest(name) and not path.exists():
        raise InputError(f"`{field}={name!r}` is the SHA-256 of a checkpoint: name its file, or its run's folder")
    return path


def _named(path: Path | None) -> str:
    if path is None:
        return ""
    return STARTER_NAME if path == STARTER else str(path.resolve())


def _is_digest(name: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", name) is not None


def _require_same(given: TrainConfig, stored: TrainConfig) -> None:
    """Refuse a configuration that contradicts the one of a run to resume; what it leaves open contradicts nothing."""
    ours = fields.flat(stored)
    for name, value in fields.flat(given).items():
        if (name in {"epochs", "patience"} and value is None) or (name == "model" and value == AUTO):
            continue
        if name == "unlabelled.source" and value and ours[name]:
            continue  # whether they are the same frames is seen when they are read
        if name in {"init", "teacher"} and not _is_digest(value):
            path = _checkpoint(name, value)
            value = checkpoint.digest(path) if path else ""  # noqa: PLW2901
        if value != ours[name]:
            raise InputError(
                f"`{name}` contradicts the run to resume, which has {ours[name]}: leave it out, or start a new run in"
                " another `run`"
            )


def _initial(path: Path, wanted: Network, contract: Contract) -> Network:
    """Return the network of a checkpoint, if its weights fit the wanted one."""
    network, theirs = checkpoint.load_network(path)
    if len(theirs.classes) != len(contract.classes):
        raise InputError(
            f"{path}: its weights do not fit: they are for {len(theirs.classes)} classes"
            f" ({', '.join(theirs.classes.names)}), the dataset has {len(contract.classes)}"
            f" ({', '.join(contract.classes.names)}); choose another `init`, or none"
        )
    if network.config != wanted.config:
        raise InputError(
            f"{path}: its weights do not fit: they are of {network.config} instead of {wanted.config}; choose its"
            " `model`, or another `init`"
        )
    return network
