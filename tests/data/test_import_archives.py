"""`cook-data import` reads a ``.zip`` as it was downloaded, and nothing that could do harm."""

import os
import signal
import stat
import struct
import zipfile

import pytest
from labelled import INSIDE, MAP, SQUARE, coco, cvat, names, picture, run, truth, write

from cookseg.data.importers import archive, registry
from cookseg.data.importers.archive import Limits, unpack
from cookseg.runtime.errors import InputError


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The folder for temporary files, which must be empty in the end."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


def packed(path, *entries):
    """An archive of names and contents."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def with_member(name, **attributes):
    member = zipfile.ZipInfo(name)
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    return member


class TestImport:
    def export(self, tmp_path, *more, images=("pan_1.png",)):
        annotations = [{"image_id": number} for number, _ in enumerate(images, 1)]
        coco(tmp_path / "in/annotations/instances_val.json", annotations, images=images)
        picture(tmp_path / "in/images/pan_1.png")
        files = [path for path in (tmp_path / "in").rglob("*") if path.is_file()]
        entries = [(path.relative_to(tmp_path / "in").as_posix(), path.read_bytes()) for path in files]
        return packed(tmp_path / "export.zip", *entries, *more)

    def test_an_archive_is_read_as_its_folder(self, tmp_path, scratch):
        sides = [("__MACOSX/annotations/._instances_val.json", b"\0\5\x16\7"), (".DS_Store", b"\0")]
        result = run(self.export(tmp_path, *sides), tmp_path / "new", "--map", MAP)
        assert result.exit_code == 0, result.stderr
        assert (truth(tmp_path / "new", "val")[INSIDE] == 2).all()
        assert names(tmp_path / "new", "val") == ["pan_1"]

    def test_messages_name_the_archive_and_no_temporary_folder(self, tmp_path, scratch):
        more = ("images/pan_2.png", b"no image"), ("labels.json", "[]")
        source = self.export(tmp_path, *more, images=("pan_1.png", "pan_2.png"))
        result = run(source, tmp_path / "new", "--map", MAP)
        assert result.exit_code == 5
        assert f"{source}/images/pan_2.png" in result.stderr
        assert f"{source}/labels.json: not a COCO file" in result.stdout
        assert str(scratch) not in result.stderr + result.stdout

    def test_other_formats_in_it_are_named_as_in_a_folder(self, tmp_path, scratch):
        source = packed(tmp_path / "a.zip", ("ds/ann/pan_1.png.json", '{"size": {}, "objects": []}'))
        assert f"{source}/ds/ann/pan_1.png.json: written by Supervisely" in run(source, tmp_path / "new").stderr

    def test_a_signal_leaves_nothing_behind(self, tmp_path, scratch, monkeypatch):
        monkeypatch.setattr(registry, "read", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        before = signal.getsignal(signal.SIGTERM)
        assert run(self.export(tmp_path), tmp_path / "new", "--map", MAP).exit_code == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is before


class TestRefusals:
    LINK = with_member("images", create_system=3, external_attr=(stat.S_IFLNK | 0o777) << 16)
    PIPE = with_member("a.json", create_system=3, external_attr=(stat.S_IFIFO | 0o600) << 16)

    @pytest.mark.parametrize(
        ("entries", "said"),
        [
            ([("../a.json", "{}")], "'../a.json', which leads out of its folder"),
            ([("b/../../a.json", "{}")], "leads out"),
            ([("..\\a.json", "{}")], "leads out"),
            ([("/etc/a.json", "{}")], "leads out"),
            ([("\\\\host\\a.json", "{}")], "leads out"),
            ([("C:\\a.json", "{}")], "leads out"),
            ([("c:a.json", "{}")], "leads out"),
            ([("a.json", "{}"), ("./a.json", "{}")], "holds a.json twice"),
            ([("a/b.json", "{}"), ("a\\b.json", "{}")], "holds a/b.json twice"),
            ([("a", "{}"), ("a/b.json", "{}")], "a is a file and a folder"),
            ([(LINK, "/etc")], "images is a link"),
            ([(PIPE, "")], "a.json is not a file"),
            ([("a.json", b"0" * 2**20), ("b.json", "{}")], "a.json would grow"),
            ([(f"{i}.json", b"0" * 2**15) for i in range(6)], "all of it would grow"),
            ([(f"{i}.json", "") for i in range(9)], "holds 9 files, more than 8"),
            ([("a.png", bytes(range(256)) * 40_000)], "would be 0 GB, more than"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_what_no_dataset_holds_is_refused_before_anything_is_written(self, tmp_path, entries, said):
        source = packed(tmp_path / "a.zip", *entries)
        limits = Limits(files=8, size=10_000_000, ratio=100, small=2**17)
        with pytest.raises(InputError) as caught:
            unpack(source, tmp_path / "new", limits)
        assert said in str(caught.value)
        assert str(source) in str(caught.value)
        assert not list((tmp_path / "new").iterdir())

    def test_encrypted_members_are_refused(self, tmp_path):
        data = bytearray(packed(tmp_path / "a.zip", ("a.json", "{}")).read_bytes())
        for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            data[data.index(signature) + offset] |= 1
        (tmp_path / "a.zip").write_bytes(data)
        with pytest.raises(InputError, match=r"a\.json is encrypted: pack it again without a password"):
            unpack(tmp_path / "a.zip", tmp_path / "new")

    def test_members_that_share_their_bytes_are_refused(self, tmp_path):
        entries = [(f"{i}.json", os.urandom(2000)) for i in range(4)]
        data = bytearray(packed(tmp_path / "a.zip", *entries).read_bytes())
        at = -1
        while (at := data.find(b"PK\1\2", at + 1)) >= 0:
            struct.pack_into("<I", data, at + 20, 9000)  # the compressed size
        (tmp_path / "a.zip").write_bytes(data)
        with pytest.raises(InputError, match="its members overlap"):
            unpack(tmp_path / "a.zip", tmp_path / "new")

    @pytest.mark.parametrize("content", [b"", b"PK\3\4", b"no zip"])
    def test_what_is_no_archive_is_named(self, tmp_path, content):
        (tmp_path / "a.zip").write_bytes(content)
        assert "a.zip is not a complete zip archive" in run(tmp_path / "a.zip", tmp_path / "new").stderr

    def test_damage_inside_is_named(self, tmp_path):
        data = bytearray(packed(tmp_path / "a.zip", ("a.json", os.urandom(500))).read_bytes())
        data[200] ^= 255
        (tmp_path / "a.zip").write_bytes(data)
        with pytest.raises(InputError, match="not a complete zip archive"):
            unpack(tmp_path / "a.zip", tmp_path / "new")

    def test_a_full_disk_is_named(self, tmp_path, monkeypatch):
        monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
        source = packed(tmp_path / "a.zip", ("a.json", "0123456789abc"))
        with pytest.raises(InputError, match="are free: set TMPDIR"):
            unpack(source, tmp_path / "new")


class TestText:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
    def test_xml_with_a_document_type_is_refused_in_any_encoding(self, tmp_path, encoding):
        text = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>'
        (tmp_path / "a.xml").write_bytes(text.encode(encoding))
        result = run(tmp_path / "a.xml", tmp_path / "new")
        assert result.exit_code == 1
        assert "declares entities" in result.stderr

    def test_json_that_is_nested_without_end_is_named(self, tmp_path):
        write(tmp_path / "a.json", "[" * 200_000)
        result = run(tmp_path / "a.json", tmp_path / "new")
        assert result.exit_code == 1
        assert "a.json is not valid JSON" in result.stderr

    def test_the_words_of_a_document_type_in_a_label_do_no_harm(self, tmp_path):
        picture(tmp_path / "pan_1.png")
        points = ";".join(f"{x},{y}" for x, y in SQUARE)
        source = cvat(tmp_path / "a.xml", pan_1=f'<polygon label="&lt;!DOCTYPE" points="{points}"/><!-- <!DOCTYPE -->')
        assert run(source, tmp_path / "new", "--map", "*=food").exit_code == 0
