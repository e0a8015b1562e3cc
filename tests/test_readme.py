"""The README keeps its word: every command in it is run, here or by CI."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.contract import ClassTable

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BIN = Path(sys.executable).parent

# What cannot run inside a test, and where it runs instead.
ELSEWHERE = {
    "make demo": ".ci/run",
    "make test": ".ci/run",
    "python -m build --wheel": ".ci/run",
    'pip install "dist/cookseg-0.1.0-py3-none-any.whl[cpu]"': ".ci/run",
    ". .venv/bin/activate": None,  # the tests run in an environment of their own
    "PIP_EXTRA_INDEX_URL=<that address> make demo TORCH=torch==2.13.0+cpu": None,  # another build, the same command
}
# Keeps a test short; everything else is run as it stands.
SHORTER = {
    "cook-data synth": " --size 64",
    **dict.fromkeys(
        (f"cook-train data/sets/mine -o runs/{run}" for run in ("fixed", "large", "small")),
        " --epochs 2 --imgsz 64 --crop 32",
    ),
    "cook-train data": " --epochs 2 --imgsz 64",
    "torchrun": " --epochs 2 --imgsz 64",
    "cook-bench": " --iterations 3 --warmup 1",
}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands():
    lines = [line.partition("   #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("command", [c for c in ELSEWHERE if ELSEWHERE[c]])
def test_ci_runs_what_the_tests_cannot(command):
    assert command in commands()
    words = command.split()[:2]
    assert any(all(word in line for word in words) for line in (ROOT / ELSEWHERE[command]).read_text().splitlines())


def write_coco(folder, images):
    """Frames of four sessions, each with a spatula, a thermometer and a growing egg."""
    folder.mkdir(parents=True)
    names = ["spatula", "egg", "thermometer"]
    value = {"images": [], "annotations": [], "categories": [{"id": i, "name": name} for i, name in enumerate(names)]}
    for number, image in enumerate(sorted(images.iterdir())):
        shutil.copy(image, folder / f"egg_{number // 2}_{number}.jpg")
        value["images"].append({"id": number, "file_name": f"egg_{number // 2}_{number}.jpg"})
        for category in range(3):
            left, top, right, bottom = 20 * category, 10, 20 * category + 15, 30 + 4 * number
            polygon = [left, top, right, top, right, bottom, left, bottom]
            entry = {"id": len(value["annotations"]), "image_id": number, "category_id": category}
            value["annotations"].append({**entry, "segmentation": [polygon]})
    (folder / "instances.json").write_text(json.dumps(value))


@pytest.mark.integration
def test_every_command_works_as_written(scenes, model, tmp_path):
    """In one folder, in the README's order, as a user would."""
    mine = tmp_path / "data/sets/mine"
    shutil.copytree(scenes, mine)
    beside = tmp_path / "data/sets/beside"
    indexed = tmp_path / "data/sets/indexed"
    for split in ("train", "val"):
        for folder in (beside / split, indexed / split / "images", indexed / split / "masks"):
            folder.mkdir(parents=True)
        for image in (mine / split / "images").iterdir():
            mask = mine / split / "masks" / f"{image.stem}.png"
            shutil.copy(image, beside / split)
            shutil.copy(mask, beside / split / f"{image.stem}_mask.png")
            shutil.copy(image, indexed / split / "images")
            cv2.imwrite(str(indexed / split / "masks" / mask.name), read_image(mask).argmax(axis=2))
    write_coco(tmp_path / "labels/coco", mine / "train/images")
    shutil.copy(next((mine / "train/images").iterdir()), tmp_path / "photo.jpg")
    path = f"{BIN}:/usr/bin:/bin"
    for command in commands():
        if command in ELSEWHERE:
            continue
        line = command + next((more for start, more in SHORTER.items() if command.startswith(start)), "")
        line = line.replace(" --epochs 2 --imgsz 64", "") if "--resume" in line else line
        result = subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=tmp_path,
            env={"PATH": path, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"
    assert (tmp_path / "test_inf_masks/photo.png").exists()
    assert len(list((tmp_path / "test_inf_masks").glob("*.png"))) == 1 + 2
    assert len(list((tmp_path / "test_inf_masks/overlay").glob("*.png"))) == 2


@pytest.mark.integration
def test_the_python_example_works_as_written(scenes, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/mine").mkdir(parents=True)
    shutil.copy(model, tmp_path / "runs/mine/model.onnx")
    shutil.copy(next((scenes / "test/images").iterdir()), tmp_path / "frame.jpg")
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    assert read_image("mask.png").shape == read_image("frame.jpg").shape


def test_the_class_table_example_is_valid():
    import json

    (example,) = blocks("json")
    assert ClassTable.from_dict(json.loads(example)).ignore_index == 11


def test_every_command_of_the_package_is_in_the_table():
    import configparser

    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"].split("\n")
    for script in filter(None, scripts):
        assert f"| `{script.split(' =')[0]}" in README


def test_links_point_at_files():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
