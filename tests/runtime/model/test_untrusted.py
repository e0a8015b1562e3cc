"""Model files of unknown origin: refused with a clear error, and whatever they hold, no crash and no hang.

As a script, `python tests/test_untrusted.py SEED COUNT` loads and runs mutants and prints what became of each.
"""

import collections
import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cookseg.runtime.errors import CooksegError, InputError, ModelError
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.model.seal import seal
from cookseg.runtime.model.selftest import selftest
from cookseg.runtime.model.session import Settings
from cookseg.runtime.model.structure import require_plain
from cookseg.runtime.terminal.cli import main as cook_infer

MODEL = Path(__file__).parents[2] / "appliance/golden/model.onnx"
MUTANTS = int(os.environ.get("COOKSEG_MUTANTS", "300"))


def mutant(content, seed):
    """Return a model with a few changes, as damage or malice could make them, under a seal that fits."""
    rng = random.Random(seed)
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        at = rng.randrange(rng.choice((len(data), min(10_000, len(data)))))  # nodes come first; most of it is weights
        match rng.randrange(7):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                data[at : at + 10] = b"\xff" * 9 + b"\x01"  # the largest integer of the format
            case 3:
                del data[at + 1 : at + rng.choice((2, 3, 100))]
            case 4:
                data[at:at] = rng.randbytes(rng.choice((1, 4, 100)))
            case 5:
                end = at + rng.choice((4, 50, 2000))
                data[at:at] = data[at:end]
            case 6:
                data = data[: max(at, 1)]
    return seal(bytes(data))


def attempt(content, frame):
    """Load, self-test and run a model; return what became of it."""
    try:
        engine = OnnxEngine(content, "cpu", Settings(threads=1))
        selftest(engine)
        engine(frame)
    except CooksegError as error:
        return type(error).__name__
    return "works"


def main(seed, count):
    """Attempt mutants within 4 GiB of memory, a line for each before it and after it."""
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    content = MODEL.read_bytes()
    spec = OnnxEngine(content, "cpu").contract.preprocessing
    frame = np.zeros((1, spec.height, spec.width, 3), np.uint8)
    for number in range(seed, seed + count):
        sys.stdout.write(f"{number}: ")
        sys.stdout.flush()
        start = time.perf_counter()
        outcome = attempt(mutant(content, number), frame)
        sys.stdout.write(f"{outcome} {time.perf_counter() - start:.3f}\n")


@pytest.mark.integration
def test_no_mutant_of_a_model_crashes_or_hangs(tmp_path):
    command = [sys.executable, __file__, "0", str(MUTANTS)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60 + MUTANTS, cwd=tmp_path, check=False)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, f"{lines[-1]}\n{result.stderr}"
    assert len(lines) == MUTANTS
    outcomes = collections.Counter(line.split()[1] for line in lines)
    assert outcomes.keys() <= {"works", "ModelError"}
    assert outcomes["ModelError"] > MUTANTS / 2
    assert outcomes["works"] > 0  # a changed weight is a right model of other numbers
    assert max(float(line.split()[2]) for line in lines) < 20
    assert list(tmp_path.iterdir()) == []


onnx = pytest.importorskip("onnx")


def edit(change):
    """Return the golden model after a change, under a seal that fits."""
    model = onnx.load_from_string(MODEL.read_bytes())
    change(model)
    return seal(model.SerializeToString())


def external(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def huge(model):
    model.graph.initializer[0].dims[:] = [1 << 40, 1 << 20]


def huge_without_data(model):
    huge(model)
    model.graph.initializer[0].ClearField("raw_data")


def custom_operator(model):
    model.graph.node[3].domain = "evil.com"


def custom_domain(model):
    model.opset_import.add(domain="evil.com", version=1)


def unknown_operator(model):
    model.graph.node[3].op_type = "StringConcat"


def loop(model):
    model.graph.node[3].op_type = "Loop"


def subgraph(model):
    body = onnx.helper.make_graph([], "body", [], [])
    model.graph.node[3].attribute.append(onnx.helper.make_attribute("body", body))


def functions(model):
    model.functions.add(name="f", domain="")


def sparse(model):
    model.graph.sparse_initializer.add()


def wide_padding(model):
    node = next(n for n in model.graph.node if n.op_type == "Conv")
    next(a for a in node.attribute if a.name == "pads").ints[:] = [1 << 30] * 4


def strings(model):
    model.graph.initializer[0].data_type = onnx.TensorProto.STRING


def many_nodes(model):
    for _ in range(10_001):
        model.graph.node.append(model.graph.node[-1])


def deep_contract(model):
    next(p for p in model.metadata_props if p.key == "cookseg").value = "[" * 100_000


def contract_of_tomorrow(model):
    entry = next(p for p in model.metadata_props if p.key == "cookseg")
    entry.value = entry.value.replace('"version": 1', '"version": 2')


def no_contract(model):
    del model.metadata_props[:]


def deep_golden(model):
    next(p for p in model.metadata_props if p.key == "cookseg.golden").value = "[" * 100_000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (external, "lies in another file"),
        (huge, "is of shape"),
        (huge_without_data, "is of shape"),
        (custom_operator, "an operator evil.com."),
        (custom_domain, "operators of 'evil.com'"),
        (unknown_operator, "an operator 'StringConcat'"),
        (loop, "an operator 'Loop'"),
        (subgraph, "holds a graph"),
        (functions, "functions"),
        (sparse, "sparse weights"),
        (wide_padding, "a parameter of 1073741824"),
        (strings, "is of type 8"),
        (many_nodes, "more than 10,000 nodes"),
        (deep_contract, "not JSON"),
        (contract_of_tomorrow, "version 2"),
        (no_contract, "not made by cook-export"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cook_export_never_writes_is_refused(change, said):
    with pytest.raises(ModelError, match=said):
        OnnxEngine(edit(change), "cpu")


def test_golden_vectors_without_end_are_refused():
    with pytest.raises(ModelError, match="golden vectors are damaged"):
        selftest(OnnxEngine(edit(deep_golden), "cpu"))


@pytest.mark.parametrize(
    "validation", ["null", "7", '"good"', '{"confusion_matrix": [[1]]}', '{"confusion_matrix": [1, 2]}']
)
def test_odd_scores_do_not_keep_a_model_from_telling_what_it_is(tmp_path, validation):
    def claim(model):
        entry = next(p for p in model.metadata_props if p.key == "cookseg")
        contract = json.loads(entry.value)
        contract["provenance"]["validation"] = json.loads(validation)
        entry.value = json.dumps(contract)

    path = tmp_path / "model.onnx"
    path.write_bytes(edit(claim))
    result = CliRunner().invoke(cook_infer, ["info", str(path)])
    assert result.exit_code == 0, result.exception
    assert "stirrer" in result.stdout
    assert "Measured on its validation set" not in result.stdout


@pytest.mark.parametrize("content", [b"", b"no model", b"\x3a\x00\x3a\x00", b"\x3a\x05" * 20, b"\x0b" * 50], ids=repr)
def test_what_is_no_model_at_all_is_refused(content):
    with pytest.raises(ModelError, match="model: "):
        require_plain(content, "model")


def test_a_file_too_large_for_a_model_is_not_read(tmp_path):
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(5 << 30)  # a hole: it takes no room
    with pytest.raises(ModelError, match=r"5369 MB, more than 1074"):
        OnnxEngine(path, "cpu")


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((1, 16, 16, 3), np.uint8),
        np.zeros((1, 96, 128, 3), np.float32),
        np.zeros((96, 128, 3), np.uint8),
        [1, 2],
    ],
    ids=["size", "dtype", "no batch", "list"],
)
def test_input_that_the_graph_cannot_take_is_named(frames):
    with pytest.raises(InputError, match="the network takes frames of uint8"):
        OnnxEngine(MODEL, "cpu")(frames)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
