"""What the commands have in common: exit codes, errors of one line, JSON alone on stdout, tables, and `cook-infer`."""

import json
import logging
import re
from dataclasses import dataclass

import click
import pytest
from click.testing import CliRunner

from cookseg.benchmarks.cli import main as cook_bench
from cookseg.data.cli import main as cook_data
from cookseg.runtime import errors
from cookseg.runtime.errors import require_extra
from cookseg.runtime.results import Table, grid
from cookseg.runtime.terminal import bars, console
from cookseg.runtime.terminal.cli import main as cook_infer


def run(command, *arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def raising(error):
    @click.group(cls=console.Group)
    def group():
        pass

    @group.command()
    def fail():
        raise error

    return CliRunner().invoke(group, ["fail"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CooksegError("pan.jpg: no"), 1),
        (errors.InputError("pan.jpg: no"), 1),
        (errors.ImageError("pan.jpg: no"), 1),
        (errors.MaskError("pan.jpg: no"), 1),
        (errors.DatasetError("pan.jpg: no"), 1),
        (errors.ModelError("pan.jpg: no"), 1),
        (errors.MissingExtraError("pan.jpg: no"), 1),
        (errors.CheckFailedError("pan.jpg: no"), 3),
        (errors.DeviceError("pan.jpg: no"), 4),
        (errors.PartialFailureError("pan.jpg: no"), 5),
        (PermissionError(13, "Permission denied", "pan.jpg"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_one_line_and_an_exit_code(error, code):
    result = raising(error)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("Error: ")
    assert "pan.jpg" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_drawn_tree_of_errors_is_the_real_one():
    drawn = re.findall(r"(\w+Error)\s+(\d)\s", errors.__doc__)
    real, tree = [], [errors.CooksegError]
    while tree:
        error = tree.pop(0)
        real.append((error.__name__, str(error.exit_code)))
        tree = error.__subclasses__() + tree
    assert drawn == [entry for entry in real if entry[0] in errors.__dict__]


def test_a_mistake_of_the_program_is_not_dressed_up_as_the_users():
    assert isinstance(raising(ZeroDivisionError()).exception, ZeroDivisionError)


def test_tables_stand_in_columns():
    rows = [["stirrer", "0.5", "1,000"], ["food", "0.25"], ["pan+background", "", "7"]]
    assert grid(rows, ["class", "IoU", "support"]).splitlines() == [
        "class            IoU  support",
        "--------------  ----  -------",
        "stirrer          0.5    1,000",
        "food            0.25",
        "pan+background              7",
    ]


def test_parameters_are_said_as_they_are_typed():
    size, format_ = click.Option(["--imgsz", "size"]), click.Option(["--mask-format"])
    command = console.Command(
        "c", params=[size, format_], flags={"check=False": "--no-check", "augment.steam": "--steam"}
    )
    said = "`size=(352, 480)`, `mask_format='index'`, `check=False`, `augment.steam`; `other=1` and `cook-data doctor`"
    assert command.spelled(said) == (
        "--imgsz 480x352, --mask-format index, --no-check, --steam; `other=1` and `cook-data doctor`"
    )


@pytest.mark.parametrize("as_json", [True, False])
def test_parameters_in_a_result_are_said_as_they_are_typed(as_json):
    class Advice:
        def to_dict(self):
            return {"`fix`": ["`fix` does", {"text": "`other` and `fix`"}], "count": 2, "none": None}

        def tables(self):
            return [Table(["`fix`", "cell"], [["a", "b"]], above="`fix` does")]

    command = console.Command(
        "c", params=[click.Option(["--fix"])], callback=lambda fix: console.emit(as_json, Advice())
    )
    said = CliRunner().invoke(command).stdout
    if as_json:
        expected = {"`fix`": ["--fix does", {"text": "`other` and --fix"}], "count": 2, "none": None}
        assert json.loads(said) == expected
    else:
        assert said.startswith("--fix does\n")


def test_a_command_says_what_the_library_logs_and_a_program_that_calls_it_hears_nothing(capfd):
    @click.command(cls=console.Command, params=[click.Option(["--batch"], type=int)])
    def command(batch):
        logging.getLogger("cookseg.training").info("training on cpu")
        logging.getLogger("cookseg.training").warning("`batch=%s` is larger than the set", batch)

    result = CliRunner().invoke(command, ["--batch", "8"])
    assert (result.stdout, result.stderr) == ("", "training on cpu\nwarning: --batch 8 is larger than the set\n")
    logging.getLogger("cookseg.training").warning("nobody listens")
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_leads_to_its_extra():
    remedy = r"a signature needs the package no_such_package.*pip install 'cookseg\[sign\]'"
    with pytest.raises(errors.MissingExtraError, match=remedy), require_extra("sign", "a signature"):
        import no_such_package  # noqa: F401


def test_a_broken_package_leads_to_its_extra_with_the_cause():
    remedy = r"this needs the package torch.*\(libc10\.so: cannot open.*pip install 'cookseg\[train\]'"
    with pytest.raises(errors.MissingExtraError, match=remedy), require_extra("train"):
        raise ImportError("libc10.so: cannot open shared object file", name="torch._C")


def test_a_mistake_in_cookseg_is_not_a_missing_extra():
    with pytest.raises(ImportError, match="cookseg"), require_extra("train"):
        from cookseg.runtime import no_such_name  # noqa: F401


@dataclass(frozen=True)
class Masks:
    """A result."""

    count: int

    def to_dict(self):
        return {"masks": self.count}

    def tables(self):
        yield Table(["name", "masks"], [["pan", str(self.count)]], title="Masks")


def test_nothing_but_the_result_is_on_stdout(capsys):
    assert list(bars.bar([1, 2], "masks", 2)) == [1, 2]
    with bars.step_progress(2, "training") as step:
        step("loss 0.1")
    console.note("device: cpu")
    console.emit(True, Masks(2))
    out, err = capsys.readouterr()
    assert json.loads(out) == {"masks": 2}
    assert err == "device: cpu\n"  # no bar: nobody watches


@pytest.mark.parametrize(
    ("command", "arguments", "named"),
    [
        (cook_infer, ["masks"], "SOURCE"),
        (cook_infer, ["info"], "MODEL"),
        (cook_bench, ["latency"], "MODEL"),
        (cook_infer, ["masks", "a.jpg", "-m", "x.onnx", "--device", "gpu"], "cuda"),
        (cook_infer, ["masks", "a.jpg", "-m", "x.onnx", "--threads", "-1"], "--threads"),
        (cook_infer, ["eval", "nowhere", "-m", "x.onnx"], "nowhere"),
        (cook_infer, ["eval", ".", "-m", "x.onnx", "--mask-format", "rgb"], "index"),
        (cook_data, ["doctor", "nowhere"], "nowhere"),
        (cook_data, ["doktor"], "doktor"),
    ],
)
def test_a_wrong_command_line_exits_with_2(command, arguments, named):
    result = run(command, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr


def test_the_version_is_the_packages():
    from importlib.metadata import version

    assert version("cookseg") in run(cook_infer, "--version").stdout
