"""Installation of models on an appliance: proven before the switch, complete at every moment, and with a way back.

    DIR/model.onnx       the version that runs: open this path, in any language
    DIR/previous.onnx    the version that ran before it
    DIR/displaced.onnx   only during a switch, or after one that was cut short: the version before it

A switch is one rename, so ``model.onnx`` is either the old version or the new one, complete. Before it, the old one is
written as ``displaced.onnx``; after it, that becomes ``previous.onnx``. Where power fails in between, the next
installation sees by the digests whether the switch had happened. A previous version that is the one that runs, as after
a return from a damaged one, does not count. Data reach the disk before each rename, and each rename before the next
step (`os.fsync` on files and folder); that a disk keeps what it has confirmed is beyond any program.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cookseg.runtime import errors
from cookseg.runtime.errors import CooksegError, InputError, ModelError
from cookseg.runtime.files import sync_folder, write_atomically
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.model.seal import require_unbroken
from cookseg.runtime.model.session import PROVIDERS, import_onnxruntime
from cookseg.runtime.model.structure import MOST_BYTES
from cookseg.runtime.model.versions import Status, Version

MODEL, PREVIOUS, _DISPLACED, _STAGED = "model.onnx", "previous.onnx", "displaced.onnx", "staged.onnx"

_MEMORY, _PATIENCE = 4 << 30, 600  # bytes and seconds that a model may take to prove itself
_PROVE = (sys.executable, "-m", "cookseg.runtime.model.prove")

Prover = Callable[[Path], None]
"""Raises an error of cookseg if a model file is not fit to run here."""


def install(model: Path, folder: Path, prove: Prover) -> bool:
    """Install a model, keeping the one that runs so far as the previous one.

    Args:
        model: The file to install; it is copied.
        folder: The folder of the installed models; it is made if need be.
        prove: Says whether the copy is fit to run here, as `prover` makes one.

    Returns:
        False if this very version runs already, and proved itself again.

    Raises:
        ModelError: The file is missing, damaged, or crashes.
        CheckFailedError: It gives wrong answers on this device.
        InputError: The folder cannot be written to, or another installation is at work in it.
    """
    with _locked(folder):
        _recover(folder)
        content = _read(model)
        require_unbroken(content, str(model))
        if _digest(folder / MODEL) == _digest_of(content):
            _prove(folder / MODEL, model, prove)  # a signature may be asked for that was not when it was installed
            return False
        _switch(folder, content, model, prove)
    return True


def rollback(folder: Path, prove: Prover) -> None:
    """Return to the previous version; the one that ran becomes the previous one, so a second call undoes the first.

    Raises:
        InputError: There is no previous version, or the folder cannot be written to.
        ModelError: The previous version is damaged.
        CheckFailedError: It gives wrong answers on this device.
    """
    _require_folder(folder)
    with _locked(folder):
        _recover(folder)
        previous = folder / PREVIOUS
        if not previous.exists():
            raise InputError(f"{folder}: there is no previous version to return to")
        content = _read(previous)
        require_unbroken(content, str(previous))
        _switch(folder, content, previous, prove)


def status(folder: Path) -> Status:
    """Return the version that runs and the one before it; change nothing.

    Raises:
        InputError: The folder does not exist.
    """
    _require_folder(folder)
    current, previous = _version(folder / MODEL), _version(_previous(folder))
    same = current and previous and not current.fault and current.sha256 == previous.sha256
    return Status(folder, current, None if same else previous)


def prover(device: str, min_agreement: float, public_key: Path | None) -> Prover:
    """Return a function that runs a model's self-test in a process of its own, with bounds of memory and time.

    Args:
        device: As for `Segmenter.load`.
        min_agreement: Share of each golden frame's pixels that must come out as expected.
        public_key: File of the key that the model must be signed for, or None.
    """
    accelerated = device != "cpu" and PROVIDERS["cuda"] in import_onnxruntime().get_available_providers()
    bounded = sys.platform == "linux" and device in {"auto", "cpu"} and not accelerated  # CUDA maps more than it uses
    limit = _MEMORY if bounded else 0

    def prove(model: Path) -> None:
        command = [*_PROVE, str(limit), str(model), device, str(min_agreement), *([str(public_key)] * bool(public_key))]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{model} did not end its self-test within {_PATIENCE} s: do not use it") from error
        if result.returncode < 0:
            raise ModelError(f"{model} crashed in its self-test (signal {-result.returncode}): do not use it")
        if result.returncode:
            raise _told(result.stderr)

    return prove


def _told(stderr: str) -> CooksegError:
    """Return the error that `prove` told in its last line, by class and message."""
    last = (stderr.strip().splitlines() or ["the self-test failed without a word"])[-1]
    name, _, message = last.partition(": ")
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, CooksegError):
        return kind(message)
    return ModelError(last)


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; `cook-infer install MODEL --into {folder}` makes it")


def _previous(folder: Path) -> Path:
    """Return the file of the version that ran before, also where a switch was cut short after its rename."""
    displaced = folder / _DISPLACED
    switched = _digest(displaced) not in {None, _digest(folder / MODEL)}
    return displaced if switched else folder / PREVIOUS


def _switch(folder: Path, content: bytes, source: Path, prove: Prover) -> None:
    """Make a content the version that runs, if it proves itself."""
    staged, current = folder / _STAGED, folder / MODEL
    write_atomically(staged, content)
    try:
        _prove(staged, source, prove)
        if _digest(current):  # what is damaged is no way back
            displaced, times = folder / _DISPLACED, current.stat()
            write_atomically(displaced, current.read_bytes())
            os.utime(displaced, ns=(times.st_atime_ns, times.st_mtime_ns))  # it was installed then, not now
        sync_folder(folder)
        staged.replace(current)
        sync_folder(folder)
    finally:
        staged.unlink(missing_ok=True)
    _recover(folder)


def _prove(staged: Path, source: Path, prove: Prover) -> None:
    """Prove the copy, and speak of the file that the user knows."""
    try:
        prove(staged)
    except CooksegError as error:
        raise type(error)(str(error).replace(str(staged), str(source))) from error


def _recover(folder: Path) -> None:
    """End a switch that was cut short, or that has just happened, and remove what a killed installation left."""
    displaced = folder / _DISPLACED
    if _previous(folder) == displaced:
        displaced.replace(folder / PREVIOUS)
        sync_folder(folder)
    previous, running = folder / PREVIOUS, _digest(folder / MODEL)
    same = [previous] if running and _digest(previous) == running else []
    for leftover in [displaced, folder / _STAGED, *same, *folder.glob(".*.tmp")]:
        leftover.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder against other installations; turn the system's errors into ours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("wb") as lock:
            with suppress(ImportError):  # Windows, where two installations at once are not kept apart
                import fcntl  # noqa: PLC0415

                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise InputError(f"{folder}: another installation is at work there: wait for its end") from error
            yield
    except OSError as error:
        raise InputError(
            f"{error.filename or folder}: {error.strerror or error}; check that {folder} may be written to and that the"
            f" disk is not full. `cook-infer status {folder}` says which version runs"
        ) from error


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ModelError(f"{path} has {path.stat().st_size / 1e9:.1f} GB: no model of cookseg is larger than 1 GB")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}: name a model that cook-export made") from error


def _digest(path: Path) -> str | None:
    """Return the digest of a model file, None if it is not there or not intact."""
    try:
        content = path.read_bytes()
        require_unbroken(content, str(path))
    except (OSError, ModelError):
        return None
    return _digest_of(content)


def _digest_of(content: bytes) -> str:
    return content[-64:].decode()


def _version(path: Path) -> Version | None:
    if not path.exists():
        return None
    installed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    try:
        validation = OnnxEngine(path, "cpu").contract.provenance.get("validation")
    except CooksegError as error:
        return Version(path, _digest(path) or "unknown", installed, None, str(error))
    return Version(path, _digest(path) or "unknown", installed, _mean_iou(validation), None)


def _mean_iou(validation: object) -> float | None:
    """Return the mean IoU in a model's provenance, which may hold anything, if it is a number."""
    value = validation.get("mean_iou") if isinstance(validation, dict) else None
    return float(value) if isinstance(value, int | float) else None
