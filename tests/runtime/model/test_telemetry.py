"""An appliance's program is silent: what onnxruntime would collect is neither kept below HOME nor sent."""

import os
import platform
import signal
import subprocess
import sys

import onnxruntime
import pytest

from cookseg.runtime import STARTER

# In a process that runs this first, and in its threads, whoever asks the system for a socket is killed by SIGSYS: in
# C++ too, which Python's audit hooks would not see.
NO_SOCKETS = """
import ctypes
class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32)]
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("filters", ctypes.POINTER(Filter))]
load_number, equal, answer = 0x20, 0x15, 0x06
kill, allow = 0x80000000, 0x7FFF0000
filters = (Filter * 4)((load_number, 0, 0, 0), (equal, 0, 1, SOCKET), (answer, 0, 0, kill), (answer, 0, 0, allow))
system = ctypes.CDLL(None, use_errno=True)
assert system.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert system.prctl(22, 2, ctypes.byref(Program(4, filters)), 0, 0) == 0, ctypes.get_errno()  # PR_SET_SECCOMP
"""
SOCKET = {"x86_64": 41, "aarch64": 198}.get(platform.machine())

# Where one of these is set, onnxruntime 1.32 collects nothing of its own accord: on a CI server nothing could be seen.
CI = {
    *("CI", "TF_BUILD", "GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "TRAVIS", "JENKINS_URL", "CODEBUILD_BUILD_ID"),
    *("BUILDKITE", "TEAMCITY_VERSION", "APPVEYOR", "BITBUCKET_BUILD_NUMBER"),
}

SEGMENT = """
import time, numpy as np
from cookseg.runtime import STARTER, Segmenter
segmenter = Segmenter.load(STARTER, device="cpu")
end = time.monotonic() + 4
while time.monotonic() < end:
    segmenter.predict(np.zeros((96, 128, 3), np.uint8))
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or SOCKET is None,
    reason="the filter of system calls is for Linux on x86-64 and ARM",
)


def silent(code, home, **variables):
    """Run code with a HOME of its own, where it may open no socket."""
    names = {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", *CI}
    own = {name: value for name, value in os.environ.items() if name not in names}
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", NO_SOCKETS.replace("SOCKET)", f"{SOCKET})") + code],
        env={**own, "HOME": str(home), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def written(home):
    return [path for path in home.rglob("*") if not path.is_dir()]


def test_the_filter_sees_a_socket(tmp_path):
    assert silent("import socket; socket.socket()", tmp_path / "home").returncode == -signal.SIGSYS


def test_a_segmenter_writes_and_sends_nothing(tmp_path):
    result = silent(SEGMENT, tmp_path / "home")
    assert result.returncode == 0, result.stderr
    assert written(tmp_path / "home") == []


def test_the_masks_command_writes_and_sends_nothing(tmp_path):
    frames, out = os.fspath(STARTER.parent.parent / "tests/appliance/golden/frames"), os.fspath(tmp_path / "masks")
    code = f"from cookseg.runtime.terminal.cli import main\nmain(['masks', {frames!r}, '-o', {out!r}])"
    result = silent(code, tmp_path / "home")
    assert result.returncode == 0, result.stderr
    assert written(tmp_path / "masks")
    assert written(tmp_path / "home") == []


def test_who_has_set_the_variable_decides(tmp_path):
    """And what the tests above look for is there, where it is switched on."""
    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 29):
        pytest.skip("this onnxruntime collects nothing")
    result = silent(SEGMENT, tmp_path / "home", ORT_DISABLE_TELEMETRY="0")
    assert result.returncode == -signal.SIGSYS or written(tmp_path / "home")


@pytest.mark.parametrize("module", ["runtime.model.session", "export.quantize", "export.targets", "benchmarks.peers"])
def test_it_is_off_before_onnxruntime_is_imported(module):
    code = f"""
import importlib, os, sys
class Watch:
    def find_spec(name, path=None, target=None):
        if name == "onnxruntime":
            print("imported", os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Watch)
importlib.import_module("cookseg.{module}")
from cookseg.runtime.model.session import import_onnxruntime
import_onnxruntime()
"""
    own = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    result = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, check=True)
    assert result.stdout == "imported 1\n"
