"""`cookseg.data` from Python: typed, silent, without click, and in the language of Python where it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from planted import Frame, cook_data, no_mask, other_size, small_mask

import cookseg.data
from cookseg.data import Plan, diagnose, export_labels, fix, import_labels, render_set, require_sound, split, survey
from cookseg.data.doctor import checks, report
from cookseg.data.doctor.check import Check, Row
from cookseg.data.importers import registry
from cookseg.data.importers.labels import LabelledImage, Labels
from cookseg.data.importers.shapes import Shape
from cookseg.data.sessions import compile_pattern
from cookseg.runtime.errors import CheckFailedError, InputError
from cookseg.runtime.model.contract import COOKING
from cookseg.runtime.scoring.dataset import Layout

SILENT = """
import sys
sys.modules["click"] = None  # importing it is an ImportError from here on
from cookseg.data import diagnose, export_labels, fix, import_labels, render_set, split, survey
root, out, labels = sys.argv[1:]
assert split(root, out, val=0.3).splits["val"].frames
found = survey(root)
assert not diagnose(found).findings
fix(found, f"{out}-fixed")
assert export_labels(root, f"{out}-exported", kind="yolo").frames
import_labels(labels, f"{out}-imported", mapping={"egg": "food", "ladle": "stirrer", "bowl": "food"})
assert "click" in sys.modules and sys.modules["click"] is None
"""


def test_every_name_is_there_and_no_other():
    names = {name: getattr(cookseg.data, name) for name in cookseg.data.__all__}
    assert all(value.__doc__ for value in names.values())
    assert dir(cookseg.data) == sorted(cookseg.data.__all__)
    with pytest.raises(AttributeError, match="no attribute 'surveys'"):
        _ = cookseg.data.surveys


def test_nothing_is_printed_and_click_is_not_needed(clean, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "a.json").write_bytes((Path(__file__).parent / "importers/coco/instances_val.json").read_bytes())
    Image.new("RGB", (64, 48)).save(labels / "pan_1.png")
    command = [sys.executable, "-c", SILENT, clean, tmp_path / "out", labels]
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_no_module_but_the_command_knows_the_terminal():
    folder = Path(__file__).parents[2] / "data"
    known = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if re.search(r"import click|from click|runtime\.terminal", path.read_text())
    ]
    assert known == ["cli.py"]


@pytest.mark.parametrize(
    ("function", "wrong", "meant"),
    [
        (survey, "layuot", "layout"),
        (split, "vals", "val"),
        (import_labels, "map", "mapping"),
        (export_labels, "kinds", "kind"),
        (render_set, "plans", "plan"),
        (require_sound, "layuot", "layout"),
    ],
)
def test_a_wrong_keyword_names_the_right_one(function, wrong, meant):
    with pytest.raises(TypeError, match=f"no argument '{wrong}', did you mean '{meant}'"):
        function("root", "out", **{wrong: 1})


def test_progress_is_told_to_whom_asks(clean):
    told = []

    def tell(items, label, total):
        told.append((label, total))
        return items

    survey(clean, progress=tell)
    assert told == [("checking", 18)]


def test_a_rendered_set_is_what_the_plan_says(tmp_path):
    made = render_set(tmp_path / "set", Plan({"train": 3, "val": 1}, per_session=2, sizes=[(24, 32)]))
    assert made.to_dict() == {"dataset": str(tmp_path / "set"), "frames": {"train": 3, "val": 1}, "sessions": 3}
    assert len(list((tmp_path / "set/train/images").iterdir())) == 3


class TestDoctor:
    def test_the_report_is_that_of_the_command(self, clean):
        small_mask(Frame(clean, "train", 7))
        found = diagnose(survey(str(clean)))
        (finding,) = found.errors
        assert (finding.name, len(finding.rows)) == ("size-differs", 1)
        said = json.loads(cook_data("doctor", clean, "--json").stdout)
        for value in (said, mine := found.to_dict()):
            assert "fix" in value["findings"][0].pop("remedy")
        assert mine == said

    def test_remedies_name_parameters_in_python_and_flags_in_the_terminal(self, clean):
        no_mask(Frame(clean, "train", 7))
        (finding,) = diagnose(survey(clean)).findings
        assert "`masks` and `mask_suffix` say" in finding.check.remedy
        for options in ([], ["--json"]):
            assert "--masks and --mask-suffix say" in cook_data("doctor", clean, *options).stdout

    def test_no_check_names_a_flag(self):
        texts = [text for check in checks.CHECKS.values() for text in (check.title, check.remedy)]
        assert not [text for text in texts if "--" in text]

    def test_every_check_is_in_the_catalogue_by_a_name_of_its_own(self):
        defined = [
            kind
            for theme in checks._THEMES
            for kind in vars(theme).values()
            if isinstance(kind, type) and issubclass(kind, Check) and kind.__module__ == theme.__name__
        ]
        named = [kind.name for kind in defined if not kind.__name__.startswith("_")]
        assert sorted(named) == sorted(checks.CHECKS)
        severities = [check.severity for check in checks.CHECKS.values()]
        assert severities == sorted(severities)

    def test_a_new_check_is_one_class(self, clean, monkeypatch):
        class Wide(Check):
            """A frame that is wider than high."""

            name, severity, title, remedy, columns = "wide", "error", "wide frames", "rotate them", ("file", "by")

            def find(self, survey):
                return ((r.size[1] - r.size[0], Row((survey.name(r.image), r.size[1]), r)) for r in survey.records)

        monkeypatch.setattr(report, "CHECKS", {**checks.CHECKS, "wide": Wide()})
        frame = Frame(clean, "train", 7)
        other_size(frame)
        found = {finding.name: finding for finding in diagnose(survey(clean)).findings}
        assert len(found["wide"].rows) == 18
        with pytest.raises(CheckFailedError, match="16 faults would break the run"):
            require_sound(clean)

    def test_an_unsound_set_is_refused_in_words_that_a_command_can_spell(self, clean):
        require_sound(clean)
        frame = Frame(clean, "train", 7)
        no_mask(frame)
        with pytest.raises(CheckFailedError, match="`check=False` trains all the same") as caught:
            require_sound(clean)
        assert frame.image.name in str(caught.value)
        assert "--" not in str(caught.value)

    def test_a_fixed_copy_counts_its_changes(self, clean, tmp_path):
        no_mask(Frame(clean, "train", 7))
        copy = fix(survey(clean), tmp_path / "fixed")
        assert (copy.count("left out"), copy.count("changed")) == (1, 0)
        assert not diagnose(survey(tmp_path / "fixed")).findings


class TestSplit:
    def test_the_result_is_what_the_command_prints(self, clean, tmp_path):
        pattern = compile_pattern(r"(?P<session>.*)_\d+")
        result = split(clean, tmp_path / "a", val=0.3, session_pattern=pattern)
        assert result.to_dict() == split(clean, val=0.3, session_pattern=pattern.pattern).to_dict()
        told = cook_data("split", clean, "--dry-run", "--val", 0.3, "--session-pattern", pattern.pattern, "--json")
        assert json.loads(told.stdout) == result.to_dict()
        assert json.loads((tmp_path / "a/split.json").read_text()) == result.to_dict()

    @pytest.mark.parametrize("shares", [{"val": 0.5, "test": 0.5}, {"val": 0}, {"val": -0.1}, {"test": -0.1}])
    def test_shares_that_leave_nothing_are_refused(self, clean, shares):
        with pytest.raises(InputError, match="`val="):
            split(clean, **shares)

    def test_blocks_name_the_parameter_in_python_and_the_flag_in_the_terminal(self, clean):
        pattern = "(?P<session>nobody)"
        assert "`session_pattern`" in split(clean, session_pattern=pattern).warnings[0]
        said = cook_data("split", clean, "--dry-run", "--session-pattern", pattern).stdout
        assert "tell sessions by --session-pattern or" in said

    def test_a_pattern_that_finds_nothing_is_refused_by_its_parameter(self, clean):
        with pytest.raises(InputError, match=re.escape("`session_pattern='('` is not a regular expression")):
            split(clean, session_pattern="(")


class TestImport:
    def test_a_new_format_is_one_class(self, clean, tmp_path, monkeypatch):
        class Corners:
            """Files of one line: label, left, top, right, bottom."""

            name, suffixes = "corners", (".corners",)

            def claims(self, path):
                return path.suffix == ".corners"

            def read(self, request):
                image = next(iter((clean / "train/images").iterdir()))
                label, left, top, right, bottom = next(request.source.glob("*.corners")).read_text().split()
                x, y, u, v = map(float, (left, top, right, bottom))
                shape = Shape(label, [[x, y, u, y, u, v, x, v]])
                return Labels([LabelledImage(request.split, image.stem, image, (shape,))])

        monkeypatch.setattr(registry, "_TOOLS", (*registry._TOOLS, Corners()))
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels/a.corners").write_text("egg 10 10 30 20")
        made = import_labels(tmp_path / "labels", tmp_path / "new", mapping={"egg": "food"}, split="val")
        assert (made.kind, made.frames, made.labels["egg"].pixels) == ("corners", {"val": 1}, 200)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"kind": "tiff"}, "`kind='tiff'` is not a format"),
            ({"split": "valid"}, "`split='valid'` is not a split"),
            ({"order": ["egg"]}, "`order='egg'`"),
            ({"mapping": {"egg": "fod"}}, "`mapping='egg=fod'`"),
            ({"mapping": "egg"}, "`mapping='egg'`: expected LABEL=TARGET"),
            ({"unlabelled": "table"}, "`unlabelled='table'`"),
        ],
    )
    def test_what_is_refused_is_named_as_in_python(self, tmp_path, options, said):
        (tmp_path / "a.json").write_text('{"images": [], "annotations": [], "categories": []}')
        with pytest.raises(InputError, match=re.escape(said)):
            import_labels(tmp_path / "a.json", tmp_path / "new", **options)
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize("order", ["food,stirrer", ["food", "stirrer"], "area"])
    def test_an_order_of_classes_is_a_text_or_a_sequence(self, order):
        from cookseg.data.importers.rules import parse_order

        assert parse_order(order, COOKING) == ("area" if order == "area" else ("food", "stirrer"))


def test_layouts_are_those_of_the_runtime():
    assert cookseg.data.Layout is Layout
