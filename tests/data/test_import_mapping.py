"""The class of each label may stand in a file, and what is proposed for labels without one works when it is pasted."""

import json
import shlex
import tomllib

import pytest
from labelled import FOOD, INSIDE, coco, picture, run, truth, write

from cookseg.data.importers.mapping import read_mapping
from cookseg.runtime.errors import InputError

ODD = ("egg, fried", "ladle ", " ", "a\nb", "`egg`", 'a, "b\\c"', "\x1b[1m", "\x7f")
PLAIN = ("fried egg", "chef's ladle", "$HOME", "a=b", "*x", "!x", "#1", "å", "", 'the "pan"', "back\\slash")


@pytest.fixture
def source(tmp_path):
    def make(labels):
        picture(tmp_path / "pan_1.png")
        annotations = [{"category_id": number} for number in range(1, len(labels) + 1)]
        return coco(tmp_path / "a.json", annotations, categories=labels)

    return make


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("labels.toml", '"egg, fried" = "food"\n"ladle " = "none"\n'),
            ("labels.json", '{"egg, fried": "food", "ladle ": "none"}'),
            ("LABELS.TOML", '"egg, fried" = "food"\n"*" = "none"\n'),
        ],
    )
    def test_labels_with_commas_and_blanks_are_mapped(self, tmp_path, source, name, content):
        labels = source(["egg, fried", "ladle "])
        result = run(labels, tmp_path / "new", "--map", write(tmp_path / "maps" / name, content))
        assert result.exit_code == 0, result.stderr
        assert (truth(tmp_path / "new")[INSIDE] == FOOD).all()

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("a.toml", '"egg" = "fod"', '"egg" = "fod": expected LABEL=TARGET with one of stirrer'),
            ("a.toml", "egg", "not a valid file of labels"),
            ("a.toml", 'egg = "food"\negg = "none"', "not a valid file of labels"),
            ("a.toml", 'fried.egg = "food"', "a label with a dot needs quotes"),
            ("a.toml", "egg = 1", '"fried egg" = "food"'),
            ("a.json", '{"egg": "food", "egg": "none"}', "'egg' has two entries"),
            ("a.json", '["egg"]', '{"fried egg": "food"}'),
            ("a.json", "[" * 100_000, "not a valid file of labels"),
            ("a.json", b"\xff", "not a valid file of labels"),
        ],
    )
    def test_files_of_no_use_are_named(self, tmp_path, source, name, content, said):
        (tmp_path / "maps").mkdir()
        path = tmp_path / "maps" / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        result = run(source(["egg"]), tmp_path / "new", "--map", path)
        assert result.exit_code == 1
        assert str(path) in result.stderr
        assert said in result.stderr

    def test_a_file_that_is_not_there_is_named_with_the_option(self, tmp_path, source):
        result = run(source(["egg"]), tmp_path / "new", "--map", "gone.toml")
        assert "--map gone.toml: No such file" in result.stderr

    def test_python_takes_a_path_and_a_mapping(self, tmp_path):
        path = write(tmp_path / "labels.json", {"egg, fried": "food"})
        assert read_mapping(path).targets == read_mapping({"egg, fried": "food"}).targets
        with pytest.raises(InputError, match=r"expected a file of \.toml or \.json"):
            read_mapping(tmp_path / "labels.txt")


class TestProposals:
    @pytest.mark.parametrize("label", PLAIN)
    def test_a_proposed_line_works_when_it_is_pasted(self, tmp_path, source, label):
        labels = source([label])
        said = run(labels, tmp_path / "new", "--map", "ladle=stirrer").stderr
        line = said.rpartition("in place of CLASS: ")[2].replace("CLASS", "food")
        words = shlex.split(line)
        assert [words[0], len(words)] == ["--map", 2]
        assert run(labels, tmp_path / "new", *words).exit_code == 0

    @pytest.mark.parametrize("label", ODD)
    def test_for_other_labels_a_file_is_proposed_and_works(self, tmp_path, source, label):
        labels = source([label, "egg"])
        said = run(labels, tmp_path / "new", "--map", "ladle=stirrer").stderr
        assert "pass it as --map labels.toml:\n" in said
        lines = said.rpartition("labels.toml:\n")[2]
        assert tomllib.loads(lines) == {"ladle": "stirrer", label: "CLASS", "egg": "CLASS"}
        file = write(tmp_path / "labels.toml", lines.replace("CLASS", "food"))
        assert run(labels, tmp_path / "new", "--map", file).exit_code == 0

    @pytest.mark.parametrize("name", ["labels.toml", "labels.json"])
    def test_a_file_that_lacks_labels_is_completed(self, tmp_path, source, name):
        given = '"egg" = "food"\n' if name.endswith("toml") else '{"egg": "food"}'
        file = write(tmp_path / "maps" / name, given)
        said = run(source(["egg", "ladle"]), tmp_path / "new", "--map", file).stderr
        assert f"add these lines to {file}" in said
        lines = said.rpartition("in place of CLASS:\n")[2]
        loaded = tomllib.loads(lines) if name.endswith("toml") else json.loads(f"{{{lines}}}")
        assert loaded == {"ladle": "CLASS"}
