"""A model gives the same mask without cookseg: the examples of docs/embedding.md, held against the `Segmenter`."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.model.seal import seal
from cookseg.runtime.model.segmenter import Segmenter

ROOT = Path(__file__).parent.parent
DOC = (ROOT / "docs/embedding.md").read_text("utf-8")
EMBEDDING = ROOT / "docs/embedding"
GOLDEN = ROOT / "tests/appliance/golden"
MODEL = GOLDEN / "model.onnx"
FRAMES = sorted((GOLDEN / "frames").iterdir())

# What npm says where there is no way to the registry; anything else is a fault, such as a version that does not exist.
UNREACHABLE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONN(REFUSED|RESET)|E(NET|HOST)UNREACH|ETIMEDOUT|SOCKET_TIMEOUT|E50\d")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)


def run(command, **options):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)


def refused(command, *, because):
    """Assert that an example says in one line what is wrong."""
    result = run(command)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert because in result.stderr


def assert_silent(command, folder):
    """Assert that onnxruntime keeps neither a device id nor events, which it would send."""
    home = folder / "home"
    home.mkdir()
    variables = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    assert run(command, cwd=folder, env={**variables, "HOME": str(home)}).returncode == 0
    assert list(home.iterdir()) == []


def with_contract(path, text):
    """The golden model with another contract, or none, and a seal that fits."""
    model = onnx.load_from_string(MODEL.read_bytes())
    others = [entry for entry in model.metadata_props if entry.key not in {"cookseg", "cookseg.sha256"}]
    del model.metadata_props[:]
    model.metadata_props.extend(others)
    if text:
        onnx.helper.set_model_props(model, {**{entry.key: entry.value for entry in others}, "cookseg": text})
    path.write_bytes(seal(model.SerializeToString()))
    return path


@pytest.fixture(scope="module")
def node():
    """The command that runs segment.mjs beside the packages it needs, which are kept in .node from run to run."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed: segment.mjs is untested here")
    package = EMBEDDING / "package.json"
    home = ROOT / ".node" / hashlib.sha256(package.read_bytes()).hexdigest()[:16]
    if not home.exists():
        home.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as folder:
            packages = Path(folder, "packages")
            packages.mkdir()
            shutil.copy(package, packages)
            install(packages)
            packages.rename(home)  # half an installation is never found there
    shutil.copy(EMBEDDING / "segment.mjs", home)
    return ["node", home / "segment.mjs"]


def install(folder):
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    try:
        result = run(command, cwd=folder, env={**os.environ, "ONNXRUNTIME_NODE_INSTALL": "skip"}, timeout=300)
    except subprocess.TimeoutExpired:
        pytest.skip("npm install took more than 5 minutes: segment.mjs is untested here")
    if result.returncode and UNREACHABLE.search(result.stderr):
        pytest.skip("npm's registry cannot be reached: segment.mjs is untested here")
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    """segment.cpp, compiled with onnxruntime's headers and library, or with the library that the Python package has."""
    folder = tmp_path_factory.mktemp("cpp")
    if not shutil.which("g++"):
        pytest.skip("g++ is not installed: segment.cpp is untested here")
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", EMBEDDING / "segment.cpp", "-o", folder / "segment"]
    result = run([*command, *engine_flags(folder)])
    assert result.returncode == 0, result.stderr
    return [folder / "segment"]


def engine_flags(folder):
    if root := os.environ.get("ONNXRUNTIME_ROOT"):
        libraries = sorted(Path(root).glob("lib/libonnxruntime.so*")) or packaged_libraries()
        for name in ("libonnxruntime.so", "libonnxruntime.so.1"):  # to link with, and the one that is loaded
            (folder / name).symlink_to(libraries[-1].resolve())
        return ["-isystem", f"{root}/include", f"-L{folder}", "-lonnxruntime", f"-Wl,-rpath,{folder}"]
    if shutil.which("pkg-config"):
        result = run(["pkg-config", "--cflags", "--libs", "libonnxruntime"])
        if result.returncode == 0:
            return result.stdout.split()
    return pytest.skip("no libonnxruntime in pkg-config, ONNXRUNTIME_ROOT is not set: segment.cpp is untested here")


def packaged_libraries():
    return sorted(Path(find_spec("onnxruntime").origin).parent.glob("capi/libonnxruntime.so.*"))


@pytest.fixture(params=FRAMES, ids=lambda path: path.stem)
def case(request, tmp_path, monkeypatch):
    """A folder with a model, a frame and the mask that it must give, as the document's Python makes it."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(MODEL, "model.onnx")
    cv2.imwrite("frame.jpg", read_image(request.param)[..., ::-1])
    (example,) = blocks("python")
    exec(compile(example, "embedding.md", "exec"), {})
    assert len(np.unique(read_image("expected.png").reshape(-1, 3), axis=0)) == 3
    return tmp_path


@pytest.mark.integration
class TestNode:
    def test_the_mask_is_that_of_the_segmenter(self, node, case):
        result = run([*node, "model.onnx", "frame.png", "mask.png"], cwd=case)
        assert result.returncode == 0, result.stderr
        np.testing.assert_array_equal(read_image("mask.png"), read_image("expected.png"))
        assert not list(case.glob("*.part"))

    def test_nothing_is_kept_below_home(self, node, case):
        assert_silent([*node, "model.onnx", "frame.png", "mask.png"], case)

    def test_alpha_is_dropped(self, node, tmp_path):
        frame = cv2.resize(cv2.imread(str(FRAMES[0])), (128, 96))
        cv2.imwrite(str(tmp_path / "frame.png"), np.dstack([frame, frame[..., 0]]))
        result = run([*node, MODEL, tmp_path / "frame.png", tmp_path / "mask.png"])
        assert result.returncode == 0, result.stderr
        expected = Segmenter.load(MODEL, device="cpu").predict(frame[..., ::-1]).color
        np.testing.assert_array_equal(read_image(tmp_path / "mask.png"), expected)

    def test_faults_are_one_line_and_exit_1(self, node, tmp_path):
        mask = tmp_path / "mask.png"
        frame = tmp_path / "frame.png"
        write_png(frame, np.zeros((96, 128, 3), np.uint8))
        cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((96, 128, 3), np.uint16))
        (tmp_path / "short.png").write_bytes(FRAMES[0].read_bytes()[:-1000])
        (tmp_path / "short.onnx").write_bytes(MODEL.read_bytes()[:-1000])
        (tmp_path / "flipped.onnx").write_bytes(b"\x09" + MODEL.read_bytes()[1:])
        refused([*node, MODEL, frame], because="usage: node segment.mjs")
        refused([*node, MODEL, FRAMES[0], mask], because="is 181x135, but the network sees 128x96")
        refused([*node, MODEL, tmp_path / "deep.png", mask], because="16 bits per sample")
        refused([*node, MODEL, tmp_path / "short.png", mask], because="short.png is not a PNG, or is damaged")
        refused([*node, MODEL, tmp_path / "none.png", mask], because="none.png cannot be read")
        refused([*node, MODEL, frame, tmp_path / "none/mask.png"], because="none/mask.png")
        refused([*node, tmp_path / "short.onnx", frame, mask], because="short.onnx has no seal")
        refused([*node, tmp_path / "flipped.onnx", frame, mask], because="flipped.onnx is damaged")
        refused([*node, with_contract(tmp_path / "2.onnx", '{"version": 2}'), frame, mask], because="version 2")
        refused([*node, with_contract(tmp_path / "0.onnx", None), frame, mask], because="no cookseg contract")
        assert not mask.exists()


@pytest.mark.integration
class TestCpp:
    def test_the_mask_is_that_of_the_segmenter(self, binary, case):
        result = run([*binary, "model.onnx", "frame.ppm", "mask.ppm"], cwd=case)
        assert result.returncode == 0, result.stderr
        mask = cv2.imread("mask.ppm", cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(mask, read_image("expected.png"))
        assert not list(case.glob("*.part"))

    def test_nothing_is_kept_below_home(self, binary, case):
        assert_silent([*binary, "model.onnx", "frame.ppm", "mask.ppm"], case)

    def test_faults_are_one_line_and_exit_1(self, binary, tmp_path):
        mask = tmp_path / "mask.ppm"
        frame = tmp_path / "frame.ppm"
        cv2.imwrite(str(frame), np.zeros((96, 128, 3), np.uint8))
        cv2.imwrite(str(tmp_path / "large.ppm"), np.zeros((135, 181, 3), np.uint8))
        (tmp_path / "short.ppm").write_bytes(frame.read_bytes()[:-1])
        (tmp_path / "short.onnx").write_bytes(MODEL.read_bytes()[:-1000])
        refused([*binary, MODEL, frame], because="usage: segment")
        refused([*binary, MODEL, tmp_path / "large.ppm", mask], because="is 181x135, but the network sees 128x96")
        refused([*binary, MODEL, tmp_path / "short.ppm", mask], because="short.ppm is cut short")
        refused([*binary, MODEL, FRAMES[0], mask], because="is not a binary PPM")
        refused([*binary, MODEL, tmp_path / "none.ppm", mask], because="none.ppm cannot be read")
        refused([*binary, MODEL, frame, tmp_path / "none/mask.ppm"], because="none/mask.ppm cannot be written")
        refused([*binary, tmp_path / "short.onnx", frame, mask], because="short.onnx")
        refused([*binary, with_contract(tmp_path / "2.onnx", '{"version": 2}'), frame, mask], because="version 1")
        refused([*binary, with_contract(tmp_path / "0.onnx", None), frame, mask], because="no cookseg contract")
        assert not mask.exists()


class TestDocument:
    def test_the_command_that_checks_the_seal_sees_a_flipped_bit(self, tmp_path):
        (command,) = [block for block in blocks("sh") if "sha256sum" in block]
        content = bytearray(MODEL.read_bytes())
        for flipped in (False, True):
            content[1000] ^= flipped
            (tmp_path / "model.onnx").write_bytes(content)
            assert (run(["bash", "-c", command], cwd=tmp_path).returncode != 0) == flipped

    def test_it_names_the_versions_of_the_packages(self):
        for name, version in json.loads((EMBEDDING / "package.json").read_text())["dependencies"].items():
            assert re.fullmatch(r"\d+\.\d+\.\d+", version), "not pinned"
            assert f"{name} {version}" in DOC

    def test_links_point_at_files(self):
        targets = re.findall(r"\]\((?!http)([^)#]+)\)", DOC)
        assert targets
        assert all((ROOT / "docs" / target).exists() for target in targets)
