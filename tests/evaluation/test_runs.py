"""`cook-eval runs`: what it reads from run folders, and what became of `cook-train compare`."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from matplotlib.colors import to_rgb

from cookseg.evaluation import compare_runs
from cookseg.evaluation.cli import main
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.images import read_image
from cookseg.training.cli import main as cook_train


def write(folder, mious, parameters=1000, **settings):
    """Write what `cook-train` leaves, as far as a comparison reads it."""
    folder.mkdir()
    record = {"data": "/sets/mine", "config": {"lr": 0.1, "augment": {"rotation": 30}, **settings}}
    (folder / "run.json").write_text(json.dumps(record | ({"parameters": parameters} if parameters else {})))
    rows = ["epoch,step,lr,train_loss,val_miou,val_iou_food,val_iou_pan,images_per_s,waiting"]
    rows += [f"{i + 1},{i},0.1,{2 - m},{m},{m / 2},,{10 * (i + 1)},0.25" for i, m in enumerate(mious)]
    (folder / "metrics.csv").write_text("\n".join(rows))
    return str(folder)


@pytest.fixture
def runs(tmp_path):
    one = write(tmp_path / "one", [0.2, 0.8, 0.6])
    return one, write(tmp_path / "other", [0.5], parameters=None, augment={"rotation": 90})


def compare(*arguments):
    return CliRunner().invoke(main, ["runs", *map(str, arguments)])


def test_figures_are_those_of_the_folders(runs):
    result = json.loads(compare(*runs, "--json").stdout)
    assert result["differ"] == ["augment.rotation"]
    one, other = result["runs"]
    assert (one["best_miou"], one["best_epoch"], one["last_miou"], one["epochs"]) == (0.8, 2, 0.6, 3)
    assert one["iou"] == {"food": 0.4, "pan": None}
    assert (one["images_per_s"], one["waiting"], one["parameters"]) == (20, 0.25, 1000)
    assert (other["best_miou"], other["parameters"]) == (0.5, None)


def test_the_table_has_a_row_for_each_run_and_a_column_for_each_difference(runs):
    header, _, first, second = compare(*runs).stdout.splitlines()
    assert header.split()[-1] == "augment.rotation"
    assert first.split() == [runs[0], "0.8000", "2", "0.6000", "0.4000", "n/a", "3", "20", "1,000", "30"]
    assert second.split() == [runs[1], "0.5000", "1", "0.5000", "0.2500", "n/a", "1", "10", "n/a", "90"]


def test_it_is_a_function_too(runs, tmp_path):
    comparison = compare_runs(runs)
    assert comparison.differ == ["augment.rotation"]
    assert comparison.to_dict() == json.loads(compare(*runs, "--json").stdout)
    with pytest.raises(InputError, match="`runs`"):
        compare_runs([])
    with pytest.raises(TypeError, match="did you mean 'plot'"):
        compare_runs(runs, plots=tmp_path / "c.png")


class TestPlot:
    @pytest.fixture
    def file(self, runs, tmp_path, figures):
        file = tmp_path / "plots/c.png"
        assert compare(*runs, "--plot", file).exit_code == 0
        return file

    def test_it_shows_each_runs_validation_and_loss_over_the_epochs(self, runs, file, figures):
        (figure,) = figures
        left, right = figure.axes
        curves = [[[point.tolist() for point in line.get_xydata()] for line in axes.lines] for axes in (left, right)]
        assert curves[0] == [[[1, 0.2], [2, 0.8], [3, 0.6]], [[1, 0.5]]]
        assert curves[1] == [[[1, 1.8], [2, 1.2], [3, 1.4]], [[1, 1.5]]]
        assert (left.get_xlabel(), left.get_ylabel(), left.get_ylim()) == ("epoch", "validation mIoU", (0, 1))
        assert (right.get_xlabel(), right.get_ylabel(), right.get_ylim()[0]) == ("epoch", "training loss", 0)
        names = [text.get_text() for text in left.get_legend().get_texts()]
        assert names == [f"{runs[0]} (0.8000)", f"{runs[1]} (0.5000)"]

    def test_a_run_has_a_colour_of_its_own_in_both_halves_of_the_picture(self, file, figures):
        image = read_image(file)
        half = image.shape[1] // 2
        (figure,) = figures
        colors = [[line.get_color() for line in axes.lines] for axes in figure.axes]
        assert colors[0] == colors[1]
        assert len(set(colors[0])) == 2
        for color in colors[0]:
            rgb = [round(255 * part) for part in to_rgb(color)]
            for part in (image[:, :half], image[:, half:]):  # the legend is in the left one: the right one has curves
                assert (part == rgb).all(axis=2).sum() >= 4, f"no {color}"


def test_the_table_needs_no_torch(runs):
    code = "import sys; sys.modules['torch'] = None; from cookseg.evaluation.cli import main; main()"
    line = [sys.executable, "-c", code, "runs", *runs]
    assert subprocess.run(line, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("broken", ["run.json", "metrics.csv"])
def test_what_is_no_run_is_named(runs, tmp_path, broken):
    (tmp_path / "other" / broken).write_text("epoch\n1\n")
    result = compare(*runs)
    assert result.exit_code == 1
    assert "other: not a run of cook-train" in result.stderr


def test_a_run_without_a_validation_is_named(runs, tmp_path):
    (tmp_path / "one/metrics.csv").write_text("epoch,val_miou,train_loss\n")
    assert "holds no validation yet" in compare(*runs).stderr


def test_a_dataset_may_have_the_commands_name(tmp_path, monkeypatch):
    (tmp_path / "compare").mkdir()
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cook_train, ["./compare", "-o", "run", "--no-check"])
    assert "compare/train/images: no such folder of images" in result.stderr


def test_the_command_of_before_names_its_successor(runs):
    result = CliRunner().invoke(cook_train, ["compare", *runs])
    assert result.exit_code == 2
    assert "cook-eval runs" in result.stderr


@pytest.mark.integration
def test_it_reads_what_a_run_leaves(trained):
    (run,) = json.loads(compare(trained.run, "--json").stdout)["runs"]
    assert run["best_miou"] > 0.5
    assert list(run["iou"]) == ["stirrer", "pan+background", "food"]
    assert run["parameters"] > 1e6
    assert run["settings"]["preprocessing.height"] == 64
    assert run["images_per_s"] > 0
