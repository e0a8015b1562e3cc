"""The walk: every file once, through links, and nothing that a system put there."""

import logging
import os

import pytest

from cookseg.runtime.errors import DatasetError
from cookseg.runtime.walk import is_passed_over, list_files


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def link(path, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target, target_is_directory=True)


def found(root, *suffixes):
    return [path.relative_to(root).as_posix() for path in list_files(root, suffixes)]


@pytest.fixture
def warnings(caplog):
    """Messages that were logged so far."""
    caplog.set_level(logging.WARNING, "cookseg")
    return lambda: [record.getMessage() for record in caplog.records]


def test_files_are_sorted_and_suffixes_of_any_case(tmp_path):
    touch(tmp_path, "b.JSON", "a/z.json", "a.Json", "c.xml", "d")
    assert found(tmp_path, ".json") == ["a/z.json", "a.Json", "b.JSON"]
    assert found(tmp_path) == ["a/z.json", "a.Json", "b.JSON", "c.xml", "d"]


@pytest.mark.parametrize(
    "name",
    [
        "._a.png",
        ".DS_Store",
        ".ipynb_checkpoints/a.png",
        "__MACOSX/a.png",
        "__MACOSX/deep/._a.png",
        "Thumbs.db",
        "thumbs.db",
        "desktop.ini",
        "@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg",
        "#recycle/a.png",
        "$RECYCLE.BIN/a.png",
        "Icon\r",
    ],
)
@pytest.mark.parametrize("below", ["", "deep/"])
def test_what_systems_put_beside_files_is_passed_over(tmp_path, name, below):
    touch(tmp_path, "a.png", f"{below}{name}")
    assert found(tmp_path) == ["a.png"]


@pytest.mark.parametrize("name", ["a.png", "_a.png", "MACOSX", "thumbs.png", "a.b", "a~"])
def test_names_of_people_are_kept(name):
    assert not is_passed_over(name)


def test_a_folder_that_is_named_may_be_hidden(tmp_path):
    touch(tmp_path, ".cache/__MACOSX/a.png")
    assert found(tmp_path / ".cache/__MACOSX") == ["a.png"]


def test_links_to_folders_are_followed(tmp_path, warnings):
    touch(tmp_path / "disk", "a.png", "deep/b.png")
    touch(tmp_path / "set", "c.png")
    link(tmp_path / "set/day", tmp_path / "disk")
    link(tmp_path / "set/hidden/.day", tmp_path / "disk/deep")
    assert found(tmp_path / "set") == ["c.png", "day/a.png", "day/deep/b.png"]
    link(tmp_path / "whole", "set")
    assert found(tmp_path / "whole") == ["c.png", "day/a.png", "day/deep/b.png"]
    assert warnings() == []


def test_links_behind_links(tmp_path):
    touch(tmp_path / "far", "a.png")
    link(tmp_path / "disk/more", tmp_path / "far")
    link(tmp_path / "set/day", tmp_path / "disk")
    assert found(tmp_path / "set") == ["day/more/a.png"]


@pytest.mark.parametrize("target", [".", "..", "../..", "../../.."])
def test_a_link_to_where_it_lies_is_named_once_and_left_out(tmp_path, warnings, target):
    root = touch(tmp_path / "set", "a.png", "deep/b.png")
    touch(tmp_path, "outside.png")
    link(root / "deep/again", target)
    for _ in range(2):
        assert found(root) == ["a.png", "deep/b.png"]
    (warning,) = warnings()
    assert str(root / "deep/again") in warning
    assert "left out" in warning


def test_links_that_lead_to_each_other_end(tmp_path):
    root = touch(tmp_path / "set", "a/1.png")
    touch(tmp_path / "disk", "2.png")
    for name in "pqr":  # 3 to the power of 40 ways, where nobody counts
        link(root / "a" / name, tmp_path / "disk")
        link(tmp_path / "disk" / name, root)
    assert found(root) == ["a/1.png", "a/p/2.png"]


def test_each_folder_is_listed_once_and_under_its_own_name(tmp_path, warnings):
    root = touch(tmp_path / "set", "night/1.png")
    touch(tmp_path / "disk", "2.png")
    link(root / "a", root / "night")
    link(root / "b", tmp_path / "disk")
    link(root / "c", tmp_path / "disk")
    assert found(root) == ["b/2.png", "night/1.png"]
    assert len(warnings()) == 2
    assert f"{root / 'c'}: this link leads to what is listed as {root / 'b'} already: left out" in warnings()


def test_links_that_lead_nowhere_are_not_just_missing(tmp_path, warnings):
    touch(tmp_path, "a.png")
    link(tmp_path / "b.png", "nowhere")
    link(tmp_path / "poha", "/media/disk/poha")
    assert found(tmp_path, ".png") == ["a.png", "b.png"]  # reading b.png is an error that names it
    assert warnings() == [f"{tmp_path / 'poha'}: this link leads nowhere, so what it stands for is left out"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "a/b.png")
    scandir = os.scandir

    def denied(path):  # root, as whom CI may run, is never denied
        if os.fspath(path).endswith("a"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DatasetError, match=r"a: Permission denied; make this folder readable"):
        list_files(tmp_path)
    with pytest.raises(DatasetError, match=r"nowhere: No such file.*check the path"):
        list_files(tmp_path / "nowhere")
