"""Installation: the version that runs is whole at every moment, whatever interrupts, and there is a way back."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import power_cuts
import pytest
from click.testing import CliRunner
from power_cuts import GOLDEN, files, trust, version

from cookseg.runtime.errors import CheckFailedError, DeviceError, InputError, ModelError
from cookseg.runtime.files import sync_folder
from cookseg.runtime.model import installation
from cookseg.runtime.model.installation import install, rollback, status
from cookseg.runtime.model.seal import seal
from cookseg.runtime.model.structure import MOST_BYTES
from cookseg.runtime.terminal.cli import main

KILLS = int(os.environ.get("COOKSEG_KILLS", "50"))


def digest(content):
    return content[-64:].decode()


@pytest.fixture
def models(tmp_path):
    paths = [tmp_path / f"v{number}.onnx" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(version(number))
    return paths


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "installed"


class TestVersions:
    def test_the_first_one_has_none_before_it(self, models, folder):
        assert install(models[0], folder, trust)
        assert (folder / "model.onnx").read_bytes() == models[0].read_bytes()
        assert files(folder) == ["model.onnx"]
        current, previous = status(folder).current, status(folder).previous
        assert current.sha256 == digest(models[0].read_bytes())
        assert current.fault is None
        assert current.mean_iou > 0
        assert previous is None

    def test_the_one_before_is_kept_and_an_older_one_goes(self, models, folder):
        for model in models:
            assert install(model, folder, trust)
        assert (folder / "model.onnx").read_bytes() == models[2].read_bytes()
        assert (folder / "previous.onnx").read_bytes() == models[1].read_bytes()
        assert files(folder) == ["model.onnx", "previous.onnx"]

    def test_the_same_one_again_changes_nothing(self, models, folder):
        install(models[0], folder, trust)
        install(models[1], folder, trust)
        before = status(folder)
        assert not install(models[1], folder, trust)
        assert status(folder) == before

    def test_rollback_returns_and_a_second_one_undoes_it(self, models, folder):
        install(models[0], folder, trust)
        install(models[1], folder, trust)
        installed = status(folder).current.installed
        rollback(folder, trust)
        assert (folder / "model.onnx").read_bytes() == models[0].read_bytes()
        assert (folder / "previous.onnx").read_bytes() == models[1].read_bytes()
        assert status(folder).previous.installed == installed
        rollback(folder, trust)
        assert (folder / "model.onnx").read_bytes() == models[1].read_bytes()

    def test_nothing_to_return_to_is_said(self, models, folder):
        with pytest.raises(InputError, match="no such folder"):
            rollback(folder, trust)
        install(models[0], folder, trust)
        with pytest.raises(InputError, match="no previous version"):
            rollback(folder, trust)

    def test_what_is_damaged_is_no_way_back(self, models, folder):
        install(models[0], folder, trust)
        install(models[1], folder, trust)
        (folder / "model.onnx").write_bytes(b"flash memory wears out")
        assert "damaged" in status(folder).current.fault
        assert install(models[2], folder, trust)
        assert (folder / "previous.onnx").read_bytes() == models[0].read_bytes()
        (folder / "previous.onnx").write_bytes(b"here too")
        with pytest.raises(ModelError, match=r"previous\.onnx has no seal"):
            rollback(folder, trust)
        assert (folder / "model.onnx").read_bytes() == models[2].read_bytes()

    def test_a_return_from_a_damaged_one_leaves_nothing_to_return_to(self, models, folder):
        install(models[0], folder, trust)
        install(models[1], folder, trust)
        (folder / "model.onnx").write_bytes(b"flash memory wears out")
        rollback(folder, trust)
        assert (folder / "model.onnx").read_bytes() == models[0].read_bytes()
        assert status(folder).previous is None
        shutil.copy(folder / "model.onnx", folder / "previous.onnx")  # as if the power had failed after the switch
        assert status(folder).previous is None
        with pytest.raises(InputError, match="no previous version"):
            rollback(folder, trust)

    def test_the_same_one_again_must_prove_itself_again(self, models, folder):
        def unsigned(path):
            raise ModelError(f"{path} is not signed")

        install(models[0], folder, trust)
        with pytest.raises(ModelError, match=r"v0\.onnx is not signed"):
            install(models[0], folder, unsigned)

    def test_each_rename_reaches_the_disk_before_the_next_step(self, models, folder, monkeypatch):
        install(models[0], folder, trust)
        steps, replace = [], os.replace

        def renamed(source, target):
            steps.append(Path(target).name)
            replace(source, target)

        monkeypatch.setattr(os, "replace", renamed)
        monkeypatch.setattr(installation, "sync_folder", lambda _: steps.append("sync"))
        install(models[1], folder, trust)
        assert steps == ["staged.onnx", "displaced.onnx", "sync", "model.onnx", "sync", "previous.onnx", "sync"]

    def test_a_disk_that_fails_is_not_taken_for_one_that_need_not_be_asked(self, tmp_path, monkeypatch):
        def fail(number):
            def fsync(_):
                raise OSError(number, os.strerror(number))

            monkeypatch.setattr(os, "fsync", fsync)

        fail(errno.EINVAL)  # what file systems say that cannot
        sync_folder(tmp_path)
        fail(errno.EIO)
        with pytest.raises(OSError, match="Input/output error"):
            sync_folder(tmp_path)

    @pytest.mark.parametrize("validation", [[1], "good", {"mean_iou": "good"}, None])
    def test_a_score_that_is_none_is_left_out(self, validation):
        assert installation._mean_iou(validation) is None


class TestFailure:
    def test_a_model_that_fails_its_proof_is_named_and_not_installed(self, models, folder):
        def refuse(path):
            raise CheckFailedError(f"{path}: wrong answers")

        install(models[0], folder, trust)
        with pytest.raises(CheckFailedError) as error:
            install(models[1], folder, refuse)
        assert str(error.value) == f"{models[1]}: wrong answers"
        assert files(folder) == ["model.onnx"]
        assert (folder / "model.onnx").read_bytes() == models[0].read_bytes()

    def test_a_damaged_or_missing_file_is_named(self, models, folder, tmp_path):
        install(models[0], folder, trust)
        models[1].write_bytes(models[1].read_bytes()[:-1])
        with pytest.raises(ModelError, match=r"v1\.onnx has no seal"):
            install(models[1], folder, trust)
        with pytest.raises(ModelError, match="No such file"):
            install(tmp_path / "none.onnx", folder, trust)
        assert files(folder) == ["model.onnx"]

    def test_a_file_that_cannot_be_a_model_is_not_read(self, folder, tmp_path):
        with (tmp_path / "huge.onnx").open("wb") as file:
            file.truncate(MOST_BYTES + 1)  # no byte of it is on the disk
        with pytest.raises(ModelError, match="no model of cookseg is larger"):
            install(tmp_path / "huge.onnx", folder, trust)

    def test_an_error_after_the_switch_does_not_say_that_the_old_one_runs(self, models, folder, monkeypatch):
        install(models[0], folder, trust)
        replace = os.replace

        def fail(source, target):
            if Path(target).name == "previous.onnx":
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(target))
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", fail)
            with pytest.raises(InputError, match=r"status .* says which version runs"):
                install(models[1], folder, trust)
        found = status(folder)
        assert [found.current.sha256, found.previous.sha256] == [digest(models[n].read_bytes()) for n in (1, 0)]

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
    def test_a_disk_that_fails_at_any_step_leaves_a_whole_version(self, models, folder, monkeypatch, call, number):
        install(models[0], folder, trust)
        install(models[1], folder, trust)
        real, steps = getattr(os, call), 0
        for failing in range(1, 20):
            steps = 0

            def fail(*arguments, failing=failing, **options):
                nonlocal steps
                steps += 1
                if steps == failing:
                    raise OSError(number, os.strerror(number))
                return real(*arguments, **options)

            with monkeypatch.context() as patch:
                patch.setattr(os, call, fail)
                with contextlib.suppress(InputError):  # and nothing else
                    install(models[2], folder, trust)
            current = (folder / "model.onnx").read_bytes()
            assert current in {models[1].read_bytes(), models[2].read_bytes()}
            install(models[1], folder, trust)
            if steps < failing:
                break
        assert steps < failing  # every step was made to fail once
        assert not set(files(folder)) - {"model.onnx", "previous.onnx"}

    def test_a_full_disk_leaves_the_old_version(self, models, folder):
        """A limit on the size of files stands for the disk's: the kernel refuses to write on."""
        install(models[0], folder, trust)
        code = (
            "import resource, signal, sys\nfrom pathlib import Path\n"
            "from cookseg.runtime.model.installation import install\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (99999, 99999))\n"
            "install(Path(sys.argv[1]), Path(sys.argv[2]), lambda _: None)"
        )
        command = [sys.executable, "-c", code, models[1], folder]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "staged.onnx cannot be written: File too large" in result.stderr
        assert files(folder) == ["model.onnx"]
        assert (folder / "model.onnx").read_bytes() == models[0].read_bytes()

    def test_two_at_once_are_kept_apart(self, models, folder):
        inside, leave = threading.Event(), threading.Event()

        def slow(_):
            inside.set()
            leave.wait(30)

        thread = threading.Thread(target=install, args=(models[0], folder, slow))
        thread.start()
        inside.wait(30)
        try:
            with pytest.raises(InputError, match="another installation is at work"):
                install(models[1], folder, trust)
        finally:
            leave.set()
            thread.join()
        assert (folder / "model.onnx").read_bytes() == models[0].read_bytes()


class TestProver:
    def test_a_right_model_passes(self):
        installation.prover("cpu", 1.0, None)(GOLDEN)

    def test_wrong_answers_are_told_from_damage(self, tmp_path):
        with pytest.raises(CheckFailedError, match="came out as when it was exported"):
            installation.prover("cpu", 0.999, None)(swapped(GOLDEN, tmp_path / "swapped.onnx"))

    def test_a_crash_is_an_error_of_the_model(self, monkeypatch):
        monkeypatch.setattr(installation, "_PROVE", (sys.executable, "-c", "import os; os.abort()"))
        with pytest.raises(ModelError, match=r"crashed in its self-test \(signal 6\)"):
            installation.prover("cpu", 1.0, None)(GOLDEN)

    def test_a_hang_is_ended(self, monkeypatch):
        monkeypatch.setattr(installation, "_PROVE", (sys.executable, "-c", "import time; time.sleep(99)"))
        monkeypatch.setattr(installation, "_PATIENCE", 1)
        with pytest.raises(ModelError, match="did not end its self-test"):
            installation.prover("cpu", 1.0, None)(GOLDEN)

    @pytest.mark.parametrize(
        ("device", "key", "error", "said"),
        [
            ("QNNExecutionProvider", None, DeviceError, "`device='QNNExecutionProvider'` is not available"),
            ("cpu", "no.pem", InputError, r"no\.pem: No such file"),
        ],
    )
    def test_errors_keep_their_class_and_message(self, device, key, error, said):
        with pytest.raises(error, match=said):
            installation.prover(device, 1.0, Path(key) if key else None)(GOLDEN)

    def test_it_needs_no_click(self):
        code = (
            "import runpy, sys; sys.modules['click'] = None; sys.argv[1:] = ['0', sys.argv[1], 'cpu', '1.0'];"
            "runpy.run_module('cookseg.runtime.model.prove', run_name='__main__')"
        )
        command = [sys.executable, "-c", code, str(GOLDEN)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")

    @pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
    def test_memory_is_bounded(self, monkeypatch):
        monkeypatch.setattr(installation, "_MEMORY", 200 << 20)
        with pytest.raises((ModelError, CheckFailedError)):
            installation.prover("cpu", 1.0, None)(GOLDEN)


def swapped(model, path):
    """Write a model whose golden vectors expect other classes."""
    onnx = pytest.importorskip("onnx")
    proto = onnx.load_from_string(model.read_bytes())
    node = next(n for n in proto.graph.node if n.op_type == "ArgMax")
    at = list(proto.graph.node).index(node)
    proto.graph.node.insert(at, onnx.helper.make_node("Sub", [node.input[0], node.input[0]], ["nothing"]))
    node.input[0] = "nothing"
    path.write_bytes(seal(proto.SerializeToString()))
    return path


@pytest.mark.integration
class TestCommands:
    def invoke(self, *arguments):
        return CliRunner().invoke(main, [*map(str, arguments)])

    def test_install_status_and_rollback(self, models, folder):
        first = self.invoke("install", models[0], "--into", folder, "--device", "cpu", "--json")
        assert first.exit_code == 0, first.stderr
        assert json.loads(first.stdout)["installed"]
        assert "already runs" in self.invoke("install", models[0], "--into", folder).stdout
        assert self.invoke("install", models[1], "--into", folder).exit_code == 0
        value = json.loads(self.invoke("status", folder, "--json").stdout)
        assert value["current"]["sha256"] == digest(models[1].read_bytes())
        assert value["previous"]["sha256"] == digest(models[0].read_bytes())
        assert self.invoke("rollback", folder).exit_code == 0
        assert digest(models[0].read_bytes())[:12] in self.invoke("status", folder).stdout.splitlines()[2]

    def test_a_device_that_is_not_there_is_exit_4_and_said_as_it_was_typed(self, models, folder):
        result = self.invoke("install", models[0], "--into", folder, "--device", "QNNExecutionProvider")
        assert result.exit_code == 4
        assert result.stderr.startswith("Error: --device QNNExecutionProvider is not available: onnxruntime")

    def test_a_wrong_model_is_exit_3_and_the_old_one_stays(self, models, folder, tmp_path):
        self.invoke("install", models[0], "--into", folder)
        result = self.invoke("install", swapped(GOLDEN, tmp_path / "wrong.onnx"), "--into", folder)
        assert result.exit_code == 3
        assert "wrong.onnx" in result.stderr
        assert (folder / "model.onnx").read_bytes() == models[0].read_bytes()

    def test_status_is_exit_3_where_nothing_whole_is_installed(self, models, folder):
        folder.mkdir()
        assert self.invoke("status", folder).exit_code == 3
        self.invoke("install", models[0], "--into", folder)
        with (folder / "model.onnx").open("r+b") as file:
            file.seek(5000)
            file.write(b"?")
        result = self.invoke("status", folder)
        assert result.exit_code == 3
        assert "damaged" in result.stderr


@pytest.mark.integration
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("action", ["install", "rollback"])
def test_a_kill_at_any_moment_leaves_one_whole_version(action):
    command = [sys.executable, power_cuts.__file__, action, str(KILLS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert sum(found.values()) == KILLS
    assert found.keys() >= {"killed at a call, not switched", "killed at a call, switched"}
