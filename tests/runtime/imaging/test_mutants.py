"""Damaged image files by chance: pixels or a documented error, in the loader and in the command, and no crash."""

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import mutants
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutants import SEEDS, attempt, mutant, with_right_checksums

from cookseg.runtime.imaging import containers, jpeg, tiff
from cookseg.runtime.imaging.images import decode_image, read_image
from cookseg.runtime.terminal.cli import main as cook_infer

MODEL = Path(__file__).parents[2] / "appliance/golden/model.onnx"
MUTANTS = int(os.environ.get("COOKSEG_MUTANTS", "300"))
COMMAND = ("-m", str(MODEL), "--threads", "1", "--json")


@st.composite
def damaged(draw):
    """A valid file with bits flipped, numbers in its header changed, parts cut out, put in and spliced."""
    data = bytearray(SEEDS[draw(st.sampled_from(sorted(SEEDS)))])
    for _ in range(draw(st.integers(1, 4))):
        at = int(draw(st.floats(0, 1)) ** 3 * len(data))  # headers come first
        other = SEEDS[draw(st.sampled_from(sorted(SEEDS)))]
        start = draw(st.integers(0, len(other)))
        match draw(st.sampled_from(["flip", "number", "cut", "insert", "splice", "truncate"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "number":
                number = draw(st.sampled_from([0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
                data[at : at + 4] = number.to_bytes(4, draw(st.sampled_from(["big", "little"])))
            case "cut":
                del data[at : at + draw(st.integers(1, 100))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=20))
            case "splice":
                data[at:] = other[start:]
            case "truncate":
                del data[at:]
    return with_right_checksums(data) if data.startswith(b"\x89PNG") and draw(st.booleans()) else bytes(data)


fuzz = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)


@pytest.fixture
def unpatched(monkeypatch):
    """Let `attempt` watch the checks of size, but only within a test."""
    for module in (containers, jpeg, tiff):
        monkeypatch.setattr(module, "check_size", module.check_size)


@settings(fuzz, max_examples=MUTANTS)
@given(data=damaged())
def test_damage_gives_pixels_or_a_documented_error(tmp_path_factory, unpatched, data):
    assert attempt(data, tmp_path_factory.getbasetemp() / "damaged") in {"pixels", "ImageError"}


@settings(fuzz, max_examples=max(10, MUTANTS // 20))
@given(contents=st.lists(damaged(), min_size=1, max_size=4))
def test_the_command_accounts_for_every_file(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("frames")
    for number, content in enumerate([SEEDS["png"], *contents]):
        (folder / f"{number}.jpg").write_bytes(content)
    result = CliRunner().invoke(cook_infer, ["masks", str(folder), "-o", str(folder / "out"), *COMMAND])
    value = json.loads(result.stdout)
    assert result.exit_code == (5 if value["failed"] else 0), result.exception
    for path in sorted(folder.glob("*.jpg")):
        mask = folder / "out" / path.with_suffix(".png").name
        assert mask.exists() != (str(path) in value["failed"])
        if mask.exists():
            assert read_image(mask).shape == decode_image(path.read_bytes(), "frame").shape
    assert value["masks"] == len(list((folder / "out").iterdir())) >= 1


@pytest.mark.integration
def test_no_mutant_crashes_or_hangs(tmp_path):
    script = mutants.__file__
    command = [sys.executable, str(script), "0", str(MUTANTS)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60 + MUTANTS, cwd=tmp_path, check=False)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, f"{lines[-1]}\n{result.stderr}"
    outcomes = collections.Counter(line.split()[1] for line in lines)
    assert outcomes.keys() == {"pixels", "ImageError"}
    assert outcomes.total() == MUTANTS
    assert min(outcomes.values()) > MUTANTS / 10  # neither all whole nor all refused at the first byte
    assert max(float(line.split()[2]) for line in lines) < 20


@pytest.mark.integration
def test_the_command_lives_through_all_mutants_and_lets_no_library_speak(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(MUTANTS):
        (tmp_path / "in" / f"{number:06}.jpg").write_bytes(mutant(number))
    command = [sys.executable, "-m", "cookseg.runtime", "masks", str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    environment = {name: value for name, value in os.environ.items() if name != "OPENCV_LOG_LEVEL"}
    result = subprocess.run(
        [*command, *COMMAND], capture_output=True, text=True, timeout=60 + MUTANTS, env=environment, check=False
    )
    assert result.returncode == 5, result.stderr
    value = json.loads(result.stdout)
    written = {path.stem for path in (tmp_path / "out").iterdir()}
    assert written.isdisjoint(Path(name).stem for name in value["failed"])
    assert len(written) == value["masks"] == MUTANTS - len(value["failed"])
    device, error, *lines = result.stderr.splitlines()
    assert device.startswith("device: ")
    assert error.startswith(f"Error: {len(value['failed'])} of {MUTANTS} images failed")
    assert len(lines) == min(len(value["failed"]), 21)
    assert all(line.startswith(f"  {tmp_path}") for line in lines[:20])
