"""Where masks go when that place fails: full, read-only, removed, replaced, shared or cut off by a kill."""

import errno
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cookseg.runtime import files
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.stream.same_folder import SameFolder
from cookseg.runtime.terminal.cli import main as cook_infer

GOLDEN = Path(__file__).parents[2] / "appliance/golden"
FRAMES = sorted((GOLDEN / "frames").iterdir())


def make_frames(folder, count):
    """Fill a folder with links to the golden frames, in turn."""
    folder.mkdir()
    for number, frame in zip(range(count), itertools.cycle(FRAMES), strict=False):
        (folder / f"{number:05}.png").symlink_to(frame)
    return folder


def start(source, output, **options):
    """Start cook-infer masks as a process."""
    arguments = ["masks", source, "-o", output, "-m", GOLDEN / "model.onnx", "--threads", "1", "--json"]
    command = [sys.executable, "-m", "cookseg.runtime", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def finish(process):
    """Wait for it; return exit code, stdout and the lines of stderr without the device's."""
    stdout, stderr = process.communicate(timeout=120)
    return process.returncode, stdout, [line for line in stderr.splitlines() if not line.startswith("device: ")]


def open_descriptors():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else None


def wait_for_masks(folder, process, count):
    while len(list(folder.glob("*.png"))) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """The bytes of the right mask of each golden frame."""
    root = tmp_path_factory.mktemp("right")
    code, _, lines = finish(start(GOLDEN / "frames", root / "out"))
    assert (code, lines) == (0, [])
    return [(root / "out" / frame.name).read_bytes() for frame in FRAMES]


def assert_whole(folder, right):
    """Every mask in a folder is the right one of its frame."""
    masks = sorted(folder.glob("*.png"))
    for mask in masks:
        assert mask.read_bytes() == right[int(mask.stem) % len(FRAMES)], mask
    return len(masks)


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path, right):
    """The file system itself stops half-way in the first mask: the process may write no larger files."""
    frames, out = make_frames(tmp_path / "in", 3), tmp_path / "out"
    out.mkdir()
    (out / "00000.png").write_bytes(right[0])
    most = min(map(len, right)) // 2
    limited = start(frames, out, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
    code, stdout, lines = finish(limited)
    assert (code, stdout, len(lines)) == (1, "", 1)
    assert lines[0].startswith(f"Error: {out / '00000.png'} cannot be written: ")
    assert "disk is not full" in lines[0]
    assert list(out.iterdir()) == [out / "00000.png"]
    assert (out / "00000.png").read_bytes() == right[0]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("call", ["open", "mkdir", "fsync", "replace"])
def test_a_place_that_refuses_is_one_line_whatever_the_cause_and_the_call(tmp_path, monkeypatch, number, call):
    out = tmp_path / "out"
    out.mkdir()

    place = files.os if call == "fsync" else Path
    original = getattr(place, call)

    def refuse(what, *arguments, **options):  # root, as whom CI may run, is refused nothing
        if call == "open" and what.suffix != ".tmp":
            return original(what, *arguments, **options)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(place, call, refuse)
    arguments = ["masks", str(FRAMES[0]), "-o", str(out), "-m", str(GOLDEN / "model.onnx")]
    result = CliRunner().invoke(cook_infer, arguments)
    monkeypatch.undo()
    assert result.exit_code == 1
    error = result.stderr.splitlines()[-1]
    assert error.startswith(f"Error: {out / FRAMES[0].name} cannot be written: {os.strerror(number)}")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("instead", ["nothing", "folder", "file"])
def test_a_folder_that_is_taken_away_in_the_middle_is_an_error(tmp_path, right, instead):
    """Masks are lost, or may be: to make the folder again and say that all went well would be a lie."""
    frames, out = make_frames(tmp_path / "in", 1000), tmp_path / "out"
    process = start(frames, out)
    wait_for_masks(out, process, 3)
    out.rename(tmp_path / "away")  # at once, which removing is not
    if instead == "folder":
        out.mkdir(exist_ok=True)
    elif instead == "file":
        with (tmp_path / "file").open("w") as file:
            file.write("a file")
        shutil.rmtree(out, ignore_errors=True)
        try:
            (tmp_path / "file").rename(out)
        except IsADirectoryError:
            pytest.skip("the command was faster and made the folder again")
    code, stdout, lines = finish(process)
    assert (code, stdout, len(lines)) == (1, "", 1)
    assert lines[0].startswith(f"Error: {out}")
    assert "was removed or replaced" in lines[0] or "cannot be written" in lines[0]
    assert 3 <= assert_whole(tmp_path / "away", right) < 1000
    if instead == "file" and out.is_file():
        assert out.read_text() == "a file"
    elif out.exists():
        assert_whole(out, right)


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_stays_is_the_same_and_another_one_is_not(tmp_path, there):
    folder = tmp_path / "out"
    picture = np.zeros((2, 2), np.uint8)
    if there:
        folder.mkdir()
    descriptors = open_descriptors()
    same = SameFolder(folder)
    same.watch()
    for name in ("a.png", "sub/b.png"):
        write_png(folder / name, picture)
        same.require()
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="out was removed or replaced"):
        same.require()
    write_png(folder / "c.png", picture)
    with pytest.raises(InputError, match="out was removed or replaced"):
        same.require()
    same.close()
    assert open_descriptors() == descriptors
    same.require()  # nobody watches


def test_a_folder_that_is_removed_before_the_first_look_is_noticed(tmp_path):
    same = SameFolder(tmp_path / "out")
    same.watch()
    with pytest.raises(InputError, match="out was removed or replaced"):
        same.require()


def test_two_processes_may_share_an_output_folder(tmp_path, right):
    frames, out = make_frames(tmp_path / "in", 150), tmp_path / "out"
    processes = [start(frames, out) for _ in range(2)]
    for process in processes:
        code, stdout, lines = finish(process)
        assert (code, lines) == (0, [])
        assert json.loads(stdout)["masks"] == 150
    assert assert_whole(out, right) == 150
    assert len(list(out.iterdir())) == 150  # and no temporary files


def test_a_kill_leaves_whole_masks_and_the_next_run_completes_them(tmp_path, right):
    frames, out = make_frames(tmp_path / "in", 300), tmp_path / "out"
    process = start(frames, out)
    wait_for_masks(out, process, 10)
    process.kill()
    process.communicate()
    assert 10 <= assert_whole(out, right) < 300
    assert finish(start(frames, out))[0] == 0
    assert assert_whole(out, right) == 300
    assert read_image(out / "00000.png").any()
