"""The self-test of a model in a process of its own: `python -m cookseg.runtime.model.prove`, for `installation`.

    python -m cookseg.runtime.model.prove BYTES MODEL DEVICE MIN_AGREEMENT [PUBLIC_KEY]

BYTES bounds the memory, 0 does not. A failure is an exit code, as `cookseg.runtime.errors` has it, and a last line on
stderr: the class of the error and its message.
"""

import sys
from pathlib import Path

from cookseg.runtime.errors import CooksegError, ModelError
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.model.selftest import selftest


def main(limit: str, model: str, device: str, min_agreement: str, public_key: str = "") -> int:
    """Run the self-test and return the exit code."""
    try:
        if int(limit):
            import resource  # noqa: PLC0415 - not on Windows, where nobody asks for a limit

            resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
        _prove(Path(model), device, float(min_agreement), Path(public_key) if public_key else None)
    except CooksegError as error:
        sys.stderr.write(f"\n{type(error).__name__}: {' '.join(str(error).split())}\n")
        return error.exit_code
    return 0


def _prove(model: Path, device: str, min_agreement: float, public_key: Path | None) -> None:
    try:
        engine = OnnxEngine(model, device, public_key=public_key)
        selftest(engine).require(min_agreement, str(model))
    except MemoryError as error:
        raise ModelError(f"{model} needs more memory than it may have in its self-test: do not use it") from error


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
