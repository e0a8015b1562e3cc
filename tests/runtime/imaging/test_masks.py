"""Masks as labelling tools, JPEG and resizing leave them: the right class, counted, or an error that names the file."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cookseg.runtime.errors import MaskError
from cookseg.runtime.imaging.masks import colorize, from_colors, overlay, packed, read_mask, unpacked
from cookseg.runtime.model.contract import COOKING, IGNORE, ClassTable

RED, GREEN, BLUE = COOKING.colors
BLACK, WHITE, YELLOW = (0, 0, 0), (255, 255, 255), (255, 255, 0)
VOID = ClassTable(COOKING.names, COOKING.colors, ignore_color=BLACK)
BINARY = ClassTable(("pan", "food"), (BLACK, WHITE))


def pan(height, width):
    """A class map with food in the middle and a stirrer across, with places where three classes meet."""
    class_map = np.ones((height, width), np.uint8)
    cv2.circle(class_map, (width // 2, height // 2), height // 3, 2, cv2.FILLED)
    cv2.line(class_map, (0, height // 4), (width // 2, height // 2), 0, height // 8)
    return class_map


def paint(class_map, *colors):
    """Colours by plain indexing, to hold `colorize` against."""
    return np.array(colors or COOKING.colors, np.uint8)[class_map]


def write(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_exact_colours(tmp_path):
    truth = np.array([[0, 1, 2], [IGNORE, 1, 0]], np.uint8)
    palette = np.zeros((256, 3), np.uint8)
    palette[:3] = COOKING.colors
    class_map, off = read_mask(write(tmp_path / "m.png", palette[truth]), VOID)
    np.testing.assert_array_equal(class_map, truth)
    assert (class_map.dtype, off) == (np.uint8, 0)


@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_class_colours_in_palette_and_rgba_files(tmp_path, mode):
    truth = pan(24, 32)
    class_map, off = read_mask(write(tmp_path / "m.png", paint(truth), mode), COOKING)
    np.testing.assert_array_equal(class_map, truth)
    assert off == 0


def test_classes_one_step_apart_stay_apart():
    table = ClassTable(("a", "b", "c"), ((10, 10, 10), (11, 10, 10), (10, 11, 10)))
    truth = pan(24, 32)
    np.testing.assert_array_equal(from_colors(paint(truth, *table.colors), table, "m")[0], truth)


@pytest.mark.parametrize("quality", [95, 75])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_jpeg_masks_go_to_the_nearest_class_and_are_counted(tmp_path, quality, subsampling):
    truth = pan(240, 320)
    path = write(tmp_path / "m.jpg", paint(truth), quality=quality, subsampling=subsampling)
    class_map, off = read_mask(path, COOKING)
    stored = np.asarray(Image.open(path))
    exact = (stored[:, :, None] == np.array(COOKING.colors)).all(axis=3).any(axis=2)
    assert off == pytest.approx((~exact).sum(), rel=0.01)  # two decoders
    assert (class_map != truth).mean() < 0.01
    changed = cv2.morphologyEx(truth, cv2.MORPH_GRADIENT, np.ones((9, 9), np.uint8)) > 0
    np.testing.assert_array_equal(class_map[~changed], truth[~changed])


@pytest.mark.parametrize("interpolation", [cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC])
@pytest.mark.parametrize("table", [COOKING, VOID, BINARY], ids=["cooking", "void", "binary"])
def test_resized_masks_go_to_the_nearest_class_and_are_counted(interpolation, table):
    truth = pan(120, 160) % len(table)
    rgb = cv2.resize(paint(truth, *table.colors), (107, 83), interpolation=interpolation)
    palette = [*table.colors, *([table.ignore_color] if table.ignore_color else [])]
    distances = np.linalg.norm(rgb[:, :, None].astype(float) - np.array(palette), axis=3)
    class_map, off = from_colors(rgb, table, "m")
    assert off == (distances.min(axis=2) > 0).sum() > 0
    given_up = np.where(class_map == IGNORE, len(table), class_map)
    chosen = np.take_along_axis(distances, given_up[..., None].astype(int), axis=2)[..., 0]
    np.testing.assert_array_equal(chosen, distances.min(axis=2))


def test_colours_of_no_class_are_named_with_file_and_count(tmp_path):
    rgb = np.full((4, 8, 3), GREEN, np.uint8)
    rgb[0, :3], rgb[1, :7], rgb[2, 0] = WHITE, YELLOW, (0, 250, 5)
    with pytest.raises(MaskError) as caught:
        read_mask(write(tmp_path / "frame 1.png", rgb), COOKING)
    message = str(caught.value)
    assert str(tmp_path / "frame 1.png") in message
    assert message.index("(255, 255, 0) on 7 pixels") < message.index("(255, 255, 255) on 3 pixels")
    assert "(0, 250, 5)" not in message  # green, nearly
    assert "classes.json" in message


def test_a_void_that_nobody_named_is_no_class():
    table = ClassTable(("pedestrian", "fence", "road"), ((64, 64, 0), (64, 64, 128), (128, 64, 128)))
    with pytest.raises(MaskError, match=r"m: colours of no class: \(0, 0, 0\) on 2 pixels"):
        from_colors(np.zeros((1, 2, 3), np.uint8), table, "m")


def test_grey_mask_of_indices_is_not_taken_for_colours(tmp_path):
    with pytest.raises(MaskError, match=r"m\.png: this mask is grey \(values 0, 1, 2\).*`mask_format='index'`"):
        read_mask(write(tmp_path / "m.png", pan(24, 32)), COOKING)


def test_black_and_white_masks_need_only_a_table_of_black_and_white(tmp_path):
    """Else 0/255 files are sent to `mask_format='index'`, where 255 is ignored and all food is lost."""
    truth = pan(24, 32) % 2
    class_map, off = read_mask(write(tmp_path / "m.png", truth * np.uint8(255)), BINARY)
    np.testing.assert_array_equal(class_map, truth)
    assert off == 0


def index_file(tmp_path, kind, class_map):
    """An index mask as Pillow writes it, and as labelling tools do."""
    path = tmp_path / "m.png"
    match kind:
        case "grey":
            return write(path, class_map)
        case "16 bits":
            return write(path, class_map.astype(np.uint16))
        case "tiff":
            return write(tmp_path / "m.tif", class_map)
        case "two grey samples":
            return write(path, np.dstack([class_map, np.full_like(class_map, 255)]))
    image = Image.frombytes("P", class_map.shape[::-1], class_map.tobytes())
    palettes = {
        "cooking": [*RED, *GREEN, *BLUE],
        "all black": [0] * 768,
        "grey palette": [9, 9, 9, 99, 99, 99, 7, 7, 7],
    }
    image.putpalette(palettes[kind])
    image.save(path)
    return path


@pytest.mark.parametrize(
    "kind", ["grey", "16 bits", "tiff", "two grey samples", "cooking", "all black", "grey palette"]
)
def test_index_masks(tmp_path, kind):
    truth = pan(24, 32)
    class_map, off = read_mask(index_file(tmp_path, kind, truth), COOKING, "index")
    np.testing.assert_array_equal(class_map, truth)
    assert (class_map.dtype, off) == (np.uint8, 0)


def test_index_masks_of_one_bit(tmp_path):
    truth = pan(24, 32) % 2
    class_map, _ = read_mask(write(tmp_path / "m.png", truth * np.uint8(255), "1"), BINARY, "index")
    np.testing.assert_array_equal(class_map, truth)


def test_colour_mask_is_not_taken_for_indices(tmp_path):
    with pytest.raises(MaskError, match=r"m\.png.*`mask_format='color'`"):
        read_mask(write(tmp_path / "m.png", paint(pan(24, 32))), COOKING, "index")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 3, 3], r"2 pixels have values of no class \(3\); with 3 classes 0 to 2 and 255"),
        ([0, 1, 2, 254], r"1 pixels have values of no class \(254\)"),
        ([0, 3, 100, 200], r"3 pixels have values of no class \(3, 100, 200\)"),
    ],
)
def test_indices_of_no_class_are_named_with_file_and_count(tmp_path, values, message):
    with pytest.raises(MaskError, match=rf"m\.png: {message}"):
        read_mask(write(tmp_path / "m.png", np.array([values], np.uint8)), COOKING, "index")


def test_the_ignored_index_and_255_are_ignored(tmp_path):
    table = ClassTable(tuple("abcdefghijk"), tuple((20 * i, 0, 0) for i in range(11)), ignore_index=11)
    path = write(tmp_path / "m.png", np.array([[0, 10, 11, 255]], np.uint8))
    assert read_mask(path, table, "index")[0].tolist() == [[0, 10, IGNORE, IGNORE]]
    with pytest.raises(MaskError, match="12"):
        read_mask(write(path, np.array([[12]], np.uint8)), table, "index")


@st.composite
def tables_and_maps(draw):
    count = draw(st.integers(2, 9))
    color = st.tuples(*[st.integers(0, 255)] * 3)
    colors = tuple(draw(st.lists(color, min_size=count + 1, max_size=count + 1, unique=True)))
    ignore = draw(st.booleans())
    table = ClassTable(tuple(map(str, range(count))), colors[:count], ignore_color=colors[count] if ignore else None)
    values = st.sampled_from([*range(count), *([IGNORE] if ignore else [])])
    rows = draw(st.lists(st.lists(values, min_size=4, max_size=4), min_size=1, max_size=4))
    return table, np.array(rows, np.uint8)


@settings(deadline=None)
@given(tables_and_maps())
def test_painted_maps_are_read_again(table_and_map):
    table, class_map = table_and_map
    rgb = colorize(class_map, table)
    of = {**dict(enumerate(table.colors)), IGNORE: table.ignore_color}
    assert [tuple(pixel) for pixel in rgb.reshape(-1, 3).tolist()] == [of[v] for v in class_map.ravel().tolist()]
    again, off = from_colors(rgb, table, "m")
    np.testing.assert_array_equal(again, class_map)
    assert off == 0


def test_ignored_pixels_are_black_where_they_have_no_colour():
    assert colorize(np.full((1, 1), IGNORE, np.uint8), COOKING).tolist() == [[[0, 0, 0]]]


def test_windows_of_a_map_are_painted_as_the_whole():
    class_map = pan(24, 32)
    np.testing.assert_array_equal(colorize(class_map[3:20:2, ::-1], COOKING), paint(class_map)[3:20:2, ::-1])


@pytest.mark.parametrize("opacity", [0, 0.45, 1])
def test_overlay_blends_the_colours_over_the_frame(opacity):
    frame = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    before, class_map = frame.copy(), pan(24, 32)
    blended = overlay(frame, class_map, COOKING, opacity)
    expected = frame * (1.0 - opacity) + paint(class_map) * float(opacity)
    assert blended.dtype == np.uint8
    assert np.abs(blended - expected).max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(frame, before)


def test_packed_colours_are_apart_and_come_back():
    rng = np.random.default_rng(0)
    colors = np.unique(rng.integers(0, 256, (5000, 3), np.uint8), axis=0).reshape(-1, 1, 3)
    assert len(np.unique(packed(colors))) == len(colors)
    np.testing.assert_array_equal(unpacked(packed(colors)), colors)
