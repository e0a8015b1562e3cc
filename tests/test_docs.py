"""The documentation keeps its word: every command in it is run, here or by CI, and every example works.

Each command has a test of its own, in a folder with what it reads and nothing else: none needs the ones before it.
"""

import configparser
import json
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import cv2
import pytest
from click.testing import CliRunner

from cookseg.runtime import read_image
from cookseg.runtime.model.contract import ClassTable
from cookseg.runtime.model.seal import seal, signer

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests/appliance/golden"
BIN = Path(sys.executable).parent

EMBEDDING = "docs/embedding.md"  # tests/test_embedding.py runs its programs
RECORDS = ("benchmarks/camvid.md", "benchmarks/cooking.md")  # hours of training: their commands are read, not run
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for folder in ("", "docs", "benchmarks", "test_inf_masks")
    for path in sorted((ROOT / folder).glob("*.md"))
}

# What cannot run inside a test, and the file that runs it instead: None is the same command in another environment.
ELSEWHERE = {
    "make demo": ".ci/run",
    "make test": ".ci/run",
    "python -m build --wheel": ".ci/run",
    'pip install "dist/cookseg-0.1.0-py3-none-any.whl[cpu]"': ".ci/run",
    "PIP_EXTRA_INDEX_URL=<that address> make demo TORCH=torch==2.13.0+cpu": None,
    ". .venv/bin/activate": None,
    ".venv/bin/ruff check . && .venv/bin/ruff format --check .": "Makefile",
    ".venv/bin/mypy": "Makefile",
    "PYTHONPATH=.types .venv/bin/lint-imports": "Makefile",
    '.venv/bin/python -m pytest -m "not integration"': None,
    "pip install pre-commit && pre-commit install": None,
}
# Keeps a test short, wherever it stands in a command; everything else is run as written.
SHORTER = {
    "cook-data synth data/sets/kitchens": "--size 64 --train 8 --val 2 --test 1",
    "--clip": "--size 64 --fps 1",
    "cook-train": "--epochs 1 --imgsz 64",
    "-m cookseg.training": "--epochs 1 --imgsz 64",
    "--crop": "--crop 32",
    "--precision": "--calibration minmax --calibration-frames 4 --frames 4 --max-drop 100 --no-simplify",
    "cook-bench start": "--rounds 1 --imgsz 64",
    "cook-bench latency": "--iterations 3 --warmup 1",
}
IN_A_SHELL = {"cook-data doctor data/sets/mine", "cook-infer masks photo.jpg", "cook-infer info starter"}
"""Run as a user runs them; all other commands of cookseg run in this process, without seconds of imports."""

FILES = {  # how many files of each pattern a command leaves, beside what its options name
    "cook-infer masks photo.jpg": {"test_inf_masks/photo.png": 1},
    "cook-infer masks data/sets/mine/test/images -m runs/mine/model.onnx -o test_inf_masks --overlay": {
        "test_inf_masks/*.png": 2,
        "test_inf_masks/overlay/*.png": 2,
    },
    "cook-infer install runs/mine/model.onnx --into installed": {"installed/*.onnx": 2},
    "cook-data synth data/sets/film --clip 20": {"data/sets/film/clip.mp4": 1, "data/sets/film/val/masks/*.png": 20},
    "cook-train data/sets/mine -o runs/mine": {"runs/mine/*.pt": 2, "runs/mine/config.toml": 1},
}

_SETUP = configparser.ConfigParser()
_SETUP.read(ROOT / "setup.cfg")
SCRIPTS = dict(line.split(" = ") for line in _SETUP["options.entry_points"]["console_scripts"].strip().split("\n"))


def blocks(language, text):
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def spans(text):
    """Return all that stands between backticks in prose and tables."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]


def commands(*pages):
    lines = [
        line.partition("   #")[0].strip()
        for page in pages
        for block in blocks("sh", PAGES[page])
        for line in block.splitlines()
    ]
    return [line for line in dict.fromkeys(lines) if line]


COMMANDS = commands(*(page for page in PAGES if page not in {EMBEDDING, *RECORDS}))


def shortened(command):
    """Return a command as a test runs it."""
    if "--resume" in command:
        return command
    return " ".join([command, *(more for start, more in SHORTER.items() if start in command)])


def outputs(command):
    """Return the paths that a command makes."""
    found = re.findall(r"(?:-o|--fix|--sheet|--plot|--csv|--find-lr|-out) (\S+)", command)
    words = shlex.split(command)
    if words[0] == "cook-data" and words[1] in {"synth", "import", "export", "split"}:
        found.append(words[2 if words[1] == "synth" else 3])
    return found


def click_command(name):
    """Return the click command of a script, or of a module with a main."""
    module = SCRIPTS.get(name) or f"{name}:main"
    return pkgutil.resolve_name(module)


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


def write_other_layouts(sets):
    """The frames of ``mine`` with masks beside them, and with masks of class indices."""
    for split in ("train", "val"):
        beside, images, masks = sets / "beside" / split, *(sets / "indexed" / split / n for n in ("images", "masks"))
        for folder in (beside, images, masks):
            folder.mkdir(parents=True)
        for image in (sets / "mine" / split / "images").iterdir():
            mask = sets / "mine" / split / "masks" / f"{image.stem}.png"
            shutil.copy(image, beside)
            shutil.copy(mask, beside / f"{image.stem}_mask.png")
            shutil.copy(image, images)
            cv2.imwrite(str(masks / mask.name), read_image(mask).argmax(axis=2))


def write_signed(folder, model):
    """A pair of keys, and a model that is signed with them."""
    make = "openssl genpkey -algorithm ed25519 -out maker.key && openssl pkey -in maker.key -pubout -out maker.pub"
    subprocess.run(["/bin/bash", "-c", make], cwd=folder, check=True, capture_output=True)
    (folder / "runs/mine/fast.onnx").write_bytes(seal(model.read_bytes(), signer(folder / "maker.key")))


@pytest.fixture(scope="module")
def everything(scenes, trained, model, tmp_path_factory):
    """A folder with all that some command reads, at the paths of the documentation."""
    home = tmp_path_factory.mktemp("docs")
    sets = home / "data/sets"
    shutil.copytree(scenes, sets / "mine")
    write_other_layouts(sets)
    write_coco(home / "labels/coco", sets / "mine/train/images")
    for name in ("mine", "flatter", "large", "tuned"):
        shutil.copytree(trained.run, home / "runs" / name)  # with the model, which the fixture has put there
    write_signed(home, model)
    (home / "installed").mkdir()
    shutil.copy(GOLDEN / "model.onnx", home / "installed/model.onnx")
    shutil.copy(model, home / "installed/previous.onnx")
    for name in ("photo.jpg", "frame.jpg"):
        shutil.copy(next((sets / "mine/test/images").iterdir()), home / name)
    (home / "camera").mkdir()
    for image in (sets / "mine/test/images").iterdir():  # mirrored, or they were frames that have labels
        cv2.imwrite(str(home / "camera" / image.name), read_image(image)[:, ::-1, ::-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for start in ("cook-data import", "cook-data split"):
            (command,) = (line for line in COMMANDS if line.startswith(start))
            in_this_process(command)
    return home


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder, removed afterwards: together they would be gigabytes."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    shutil.rmtree(tmp_path)


def lay_out(everything, work, text):
    """Copy to a folder what a command or a program names."""
    pieces = [Path("installed"), Path("camera"), *(path.relative_to(everything) for path in everything.glob("*.*"))]
    pieces += [
        path.relative_to(everything)
        for pattern in ("data/sets/*", "runs/*", "labels/*")
        for path in everything.glob(pattern)
    ]
    for piece in pieces:
        if re.search(rf"(?<![\w./-]){re.escape(str(piece))}(?![\w.-])", text):
            (work / piece).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (everything / piece).is_dir() else shutil.copy
            copy(everything / piece, work / piece)


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def in_this_process(line):
    name, *arguments = shlex.split(line)
    result = CliRunner().invoke(click_command(name), arguments, prog_name=name)
    assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"


def in_a_shell(line, home):
    environment = {**os.environ, "PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(home), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        ["/bin/bash", "-c", line], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"


@pytest.mark.integration
@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in ELSEWHERE])
def test_the_command_works_as_written(command, everything, work):
    lay_out(everything, work, command)
    made = [] if "--resume" in command else [work / path for path in outputs(command)]
    for path in made:
        remove(path)
    if shlex.split(command)[0] in SCRIPTS and command not in IN_A_SHELL:
        in_this_process(shortened(command))
    else:
        in_a_shell(shortened(command), work)
    assert [path for path in made if not path.exists()] == []
    for pattern, count in FILES.get(command, {}).items():
        assert len(list(work.glob(pattern))) == count, pattern


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_a_test_cannot_run_is_run_elsewhere(command):
    assert command in COMMANDS
    if ELSEWHERE[command]:
        words = [word for word in command.replace(".venv/bin", "").split()[:2] if word != "PYTHONPATH=.types"]
        lines = (ROOT / ELSEWHERE[command]).read_text().splitlines()
        assert any(all(word in line for word in words) for line in lines)


def test_tables_of_exceptions_name_commands_that_exist():
    assert set(FILES) <= set(COMMANDS)
    assert set(COMMANDS) >= IN_A_SHELL
    assert all(any(start in command for command in COMMANDS) for start in SHORTER)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("page", "number"),
    [(page, n) for page in PAGES if page != EMBEDDING for n in range(len(blocks("python", PAGES[page])))],
)
def test_the_python_example_works_as_written(page, number, everything, work):
    example = blocks("python", PAGES[page])[number]
    lay_out(everything, work, example)
    exec(compile(example, page, "exec"), {"__name__": "example"})
    if "mask.png" in example:
        assert read_image("mask.png").shape == read_image("frame.jpg").shape


def test_the_class_table_example_is_valid():
    (example,) = (block for page in PAGES.values() for block in blocks("json", page))
    assert ClassTable.from_dict(json.loads(example)).ignore_index == 11


def walk(name, command):
    """Yield the name of a command, of a group and of each verb in it, with the click command."""
    yield name, command
    if isinstance(command, click.Group):  # some import a verb when they are asked for it
        context = click.Context(command)
        for verb in command.list_commands(context):
            yield from walk(f"{name} {verb}", command.get_command(context, verb))


def flags(command):
    """Return every flag of a click command."""
    with click.Context(command) as context:
        parameters = command.get_params(context)
    return {flag for parameter in parameters for flag in (*parameter.opts, *parameter.secondary_opts)}


MODULES = [f"python -m cookseg.benchmarks.{name}" for name in ("camvid", "soak", "training_speed")]
VERBS = dict(pair for script in SCRIPTS for pair in walk(script, click_command(script)))
PROGRAMS = {**VERBS, **{module: click_command(module.split()[-1]) for module in MODULES}}
PROGRAMS |= {f"python -m cookseg.{place.split('.')[1]}": VERBS[script] for script, place in SCRIPTS.items()}
FLAGS = {"--nproc-per-node", "--nnodes", "--rdzv-endpoint", "-m"}.union(*map(flags, PROGRAMS.values()))
MENTIONS = sorted({span for text in PAGES.values() for span in spans(text)}.union(commands(*RECORDS)))


@pytest.mark.parametrize("verb", [name for name, command in VERBS.items() if not isinstance(command, click.Group)])
def test_every_command_is_in_the_table(verb):
    assert re.search(rf"^\| `{verb}[ `]", PAGES["README.md"], re.MULTILINE)


@pytest.mark.parametrize("mention", [m for m in MENTIONS if m.startswith(("cook-", "python -m cookseg."))])
def test_a_command_in_prose_exists(mention):
    """Old names would stand in the text for ever: nothing else reads it."""
    words = mention.split()
    name = next(name for count in (3, 2, 1) if (name := " ".join(words[:count])) in PROGRAMS)
    program = PROGRAMS[name]
    rest = words[len(name.split()) :]
    assert not isinstance(program, click.Group) or not rest or rest[0].startswith("-"), f"{name} has no such verb"
    assert {word.partition("=")[0] for word in rest if re.match("--?[a-z]", word)} <= flags(program)


@pytest.mark.parametrize("mention", [m for m in MENTIONS if m.startswith("-")])
def test_an_option_in_prose_exists(mention):
    assert {word.partition("=")[0] for word in mention.split() if re.match("--?[a-z]", word)} <= FLAGS


def test_a_file_in_prose_exists():
    stages = tuple(f"{place.split('.')[1]}/" for place in SCRIPTS.values())
    named = [m for m in MENTIONS if m.startswith((*stages, "tests/", "docs/")) and not m.startswith("data/sets")]
    assert named
    assert [m for m in named if not re.search(r"[ {*]", m) and not (ROOT / m).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#?)([^)]*)\)", PAGES[page]):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_readme():
    found, new = set(), {ROOT / "README.md"}
    while new:
        found |= new
        links = {
            (page.parent / target).resolve()
            for page in new
            for target in re.findall(r"\]\((?!https?:)([^)#]+\.md)", page.read_text("utf-8"))
        }
        new = links - found
    assert {ROOT / page for page in PAGES} - {ROOT / "test_inf_masks/README.md"} <= found


def test_the_readme_is_a_quick_start():
    assert len(PAGES["README.md"].splitlines()) <= 150
