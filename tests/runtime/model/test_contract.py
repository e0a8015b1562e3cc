"""The contract: what is written is read again, and nothing that is not understood passes."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookseg.runtime.errors import InputError, ModelError
from cookseg.runtime.model.contract import COOKING, IGNORE, ClassTable, Contract, Preprocessing

RED, GREEN, BLUE = COOKING.colors
GONE = object()

CAMVID = {
    "classes": [
        {"name": "sky", "color": [128, 128, 128]},
        {"name": "building", "color": [128, 0, 0]},
        {"name": "pole", "color": [192, 192, 128]},
        {"name": "road", "color": [128, 64, 128]},
        {"name": "pavement", "color": [60, 40, 222]},
        {"name": "tree", "color": [128, 128, 0]},
        {"name": "sign", "color": [192, 128, 128]},
        {"name": "fence", "color": [64, 64, 128]},
        {"name": "car", "color": [64, 0, 128]},
        {"name": "pedestrian", "color": [64, 64, 0]},
        {"name": "bicyclist", "color": [0, 128, 192]},
    ],
    "ignore_index": 11,
    "ignore_color": [0, 0, 0],
}

color = st.tuples(*[st.integers(0, 255)] * 3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def tables(draw):
    count = draw(st.integers(2, 12))
    colors = draw(st.lists(color, min_size=count + 1, max_size=count + 1, unique=True))
    return ClassTable(
        names=tuple(draw(st.lists(st.text(min_size=1), min_size=count, max_size=count, unique=True))),
        colors=tuple(colors[:count]),
        ignore_index=draw(st.integers(count, 255)),
        ignore_color=draw(st.sampled_from([None, colors[count]])),
    )


specs = st.builds(
    Preprocessing,
    height=st.integers(16, 8192),
    width=st.integers(16, 8192),
    resize=st.sampled_from(["stretch", "letterbox"]),
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.01, 1)] * 3),
)


def strict_json(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def changed(path, value):
    """The JSON form of the default contract with one value replaced, added or taken away."""
    contract = copy.deepcopy(json.loads(Contract().to_json()))
    place = contract
    for key in path[:-1]:
        place = place[key]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(contract)


@given(st.builds(Contract, tables(), specs, st.dictionaries(st.text(), json_values, max_size=3)))
def test_what_is_written_is_read_again(contract):
    text = contract.to_json()
    assert Contract.from_json(text) == contract
    assert strict_json(text) == json.loads(json.dumps(contract.to_dict()))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("version",), 2, "version 2, this cookseg reads version 1: update cookseg"),
        (("version",), "1", "version '1'"),
        (("version",), GONE, "version None"),
        (("color_order",), "BGR", "unknown fields: color_order"),
        (("preprocessing", "color_order"), "BGR", "preprocessing spec has unknown fields: color_order"),
        (("classes", "background"), 0, "class table has unknown fields: background"),
        (("classes", "classes", 0, "weight"), 2, "class 'stirrer' has unknown fields: weight"),
        (("classes",), GONE, "classes"),
        (("classes",), None, "not understood"),
        (("classes", "classes"), GONE, "classes"),
        (("classes", "classes", 1, "color"), [255, 0, 0], "same colour"),
        (("classes", "ignore_index"), 2, "ignore_index is 2"),
        (("preprocessing",), GONE, "preprocessing"),
        (("preprocessing",), None, "not understood"),
        (("preprocessing",), [256, 256], "not understood"),
        (("preprocessing", "height"), GONE, "height"),
        (("preprocessing", "mean"), GONE, "mean"),
        (("preprocessing", "height"), 15, "height is 15; it must be an integer of 16 to 8192"),
        (("preprocessing", "width"), 8193, "width is 8193"),
        (("preprocessing", "width"), 256.0, "width is 256.0"),
        (("preprocessing", "width"), "256", "width is '256'"),
        (("preprocessing", "resize"), "crop", "stretch, letterbox"),
        (("preprocessing", "mean"), [0.5, 0.5], "mean"),
        (("preprocessing", "mean"), ["a", "b", "c"], "mean"),
        (("preprocessing", "mean"), [123.7, 116.3, 103.5], "mean"),
        (("preprocessing", "mean"), [float("nan"), 0.5, 0.5], "mean"),
        (("preprocessing", "std"), [0.2, 0.2, 0], "std"),
        (("preprocessing", "std"), [float("nan"), 0.2, 0.2], "std"),
        (("provenance",), "yesterday", "not understood"),
    ],
)
def test_what_is_not_understood_is_refused(path, value, message):
    with pytest.raises(ModelError, match=message):
        Contract.from_json(changed(path, value))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"cookseg"', "\0"])
def test_text_that_is_no_json_object_is_refused(text):
    with pytest.raises(ModelError, match="JSON"):
        Contract.from_json(text)


@pytest.mark.parametrize(
    ("names", "colors", "more", "message"),
    [
        (["food"], [BLUE], {}, "2 to 254 classes, this one has 1"),
        ([str(i) for i in range(255)], [(i, 0, 0) for i in range(255)], {}, "2 to 254 classes, this one has 255"),
        (["pan", "food"], [RED, GREEN, BLUE], {}, "2 names but 3 colours"),
        (["pan", "pan"], [RED, GREEN], {}, "same name: pan, pan"),
        (["pan", "food"], [RED, RED], {}, "same colour"),
        (["pan", "food"], [RED, GREEN], {"ignore_color": GREEN}, "same colour"),
        (["pan", "food"], [RED, (0, 256, 0)], {}, r"\[0, 256, 0\] is not an RGB colour"),
        (["pan", "food"], [RED, (0, -1, 0)], {}, r"\[0, -1, 0\] is not an RGB colour"),
        (["pan", "food"], [RED, (0, 0.5, 0)], {}, r"\[0, 0.5, 0\] is not an RGB colour"),
        (["pan", "food"], [RED, (0, 255, 0, 255)], {}, r"\[0, 255, 0, 255\] is not an RGB colour"),
        (["pan", "food"], [RED, GREEN], {"ignore_color": (0, 0, 300)}, r"\[0, 0, 300\] is not an RGB colour"),
        (["pan", "food"], [RED, GREEN], {"ignore_index": 1}, "ignore_index is 1, but 0 to 1 are classes"),
        (["pan", "food"], [RED, GREEN], {"ignore_index": 256}, "ignore_index is 256"),
    ],
)
def test_class_tables_out_of_range_are_refused(names, colors, more, message):
    with pytest.raises(InputError, match=message):
        ClassTable(tuple(names), tuple(colors), **more)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([{"name": "pan", "color": [0, 255, 0]}, {"name": "food", "color": [0, 0, 255]}], id="bare list"),
        pytest.param(None, id="null"),
        pytest.param({}, id="empty"),
        pytest.param({"classes": ["pan", "food"]}, id="names alone"),
        pytest.param({"classes": {"pan": [0, 255, 0], "food": [0, 0, 255]}}, id="name to colour"),
        pytest.param({"classes": [{"name": "pan"}, {"name": "food"}]}, id="no colours"),
        pytest.param({"classes": [{"name": "pan", "color": "#00ff00"}, {"name": "food", "color": "b"}]}, id="hex"),
        pytest.param({**CAMVID, "ignore_index": 11.7}, id="broken index"),
        pytest.param({**CAMVID, "ignore_index": None}, id="index null"),
        pytest.param({"classes": [{"name": None, "color": [0, 0, 0]}, *CAMVID["classes"]]}, id="name null"),
    ],
)
def test_class_tables_of_another_form_are_refused(value):
    with pytest.raises(InputError, match=r"class"):
        ClassTable.from_dict(value)


def test_a_table_of_eleven_classes_and_a_void():
    table = ClassTable.from_dict(CAMVID)
    assert len(table) == 11
    assert (table.names[10], table.colors[10]) == ("bicyclist", (0, 128, 192))
    assert (table.ignore_index, table.ignore_color) == (11, (0, 0, 0))
    assert table.to_dict() == CAMVID


def test_the_ignored_value_is_255_unless_said_otherwise():
    table = ClassTable.from_dict({"classes": CAMVID["classes"]})
    assert (table.ignore_index, table.ignore_color) == (IGNORE, None)
    assert ClassTable.from_dict(table.to_dict()) == table


@pytest.mark.parametrize("foreign", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 255, 0), (0, 255, 255)])
def test_tolerance_leaves_out_colours_that_mean_something_else(foreign):
    assert min(np.linalg.norm(np.subtract(foreign, c)) for c in COOKING.colors) > COOKING.tolerance


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(any))
def test_tolerance_takes_in_every_mix_of_the_cooking_colours(shares):
    mix = np.rint(np.average(COOKING.colors, axis=0, weights=shares))
    assert min(np.linalg.norm(mix - c) for c in COOKING.colors) <= COOKING.tolerance


@given(color, color, st.floats(0, 1))
def test_tolerance_takes_in_every_mix_of_two_colours(one, other, share):
    if one == other:
        return
    table = ClassTable(("pan", "food"), (one, other))
    mix = np.rint(np.multiply(one, share) + np.multiply(other, 1 - share))
    assert min(np.linalg.norm(mix - c) for c in table.colors) <= table.tolerance


def test_close_colours_make_the_tolerance_small():
    """Else the void of CamVid, 90 from the nearest class, would pass for a pedestrian."""
    table = ClassTable.from_dict({"classes": CAMVID["classes"]})
    assert table.tolerance < np.linalg.norm(table.colors[9])
