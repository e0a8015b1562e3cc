"""Versions, commit and processor of an export: for people, in the model's metadata and in its card."""

import importlib.metadata
import platform
import shutil
import subprocess
from pathlib import Path

_PACKAGES = ("onnx", "onnxscript", "onnxsim", "onnxruntime")


def versions() -> dict[str, str]:
    """Return the versions of the packages that an export goes through."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def git_commit() -> str | None:
    """Return the commit of the user's project that the command runs in, if it is one."""
    git = shutil.which("git")
    if not git:
        return None
    result = subprocess.run([git, "rev-parse", "--verify", "-q", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S603 - no user input
    return result.stdout.strip() or None


def processor() -> str:
    """Return the name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} threads" if names else platform.machine()
