"""The files that tools of the repository read agree with each other."""

import configparser
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
CI = (ROOT / ".ci/run").read_text("utf-8")
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text("utf-8"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


PINNED = {
    name_of(line): line.partition("==")[2]
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
}


def required(text):
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {name_of(line) for line in lines if line and not line.startswith("cookseg[")}


@pytest.mark.parametrize("extra", ["cpu", "import", "train", "export", "sign", "dev"])
def test_everything_that_dev_brings_is_pinned(extra):
    wanted = required(SETUP["options.extras_require"][extra]) | required(SETUP["options"]["install_requires"])
    assert wanted <= set(PINNED)
    assert all(re.fullmatch(r"[\d.]+", version) for version in PINNED.values()), "no local builds, no ranges"


def test_every_installation_is_constrained():
    """But for pip itself."""
    lines = [line for text in (MAKEFILE, CI) for line in text.splitlines() if "pip install" in line]
    assert len(lines) == 4
    for line in lines:
        assert re.search(r"-c (\$\(CONSTRAINTS\)|constraints\.txt) ", line) or line.endswith("--upgrade pip")


def test_all_name_one_version_of_torch():
    (build,) = (step["env"]["TORCH"] for step in WORKFLOW["jobs"]["test"]["steps"] if "run" in step)
    texts = (MAKEFILE, build, (ROOT / "README.md").read_text("utf-8"))
    for text in texts:
        assert set(re.findall(r"torch==([\d.]*\d)", text)) == {PINNED["torch"]}


def test_the_workflow_tests_each_python_that_is_promised():
    promised = re.findall(r"Python :: (3\.\d+)", SETUP["metadata"]["classifiers"])
    assert WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"] == promised


def test_pre_commit_checks_as_make_test_does():
    (ruff,) = (repo for repo in HOOKS["repos"] if repo["repo"].endswith("ruff-pre-commit"))
    assert ruff["rev"] == f"v{PINNED['ruff']}"
    (local,) = (repo for repo in HOOKS["repos"] if repo["repo"] == "local")
    for hook in local["hooks"]:
        assert hook["entry"].split("/")[-1] in MAKEFILE


def test_metadata_stays_in_setup_cfg():
    assert "project" not in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
