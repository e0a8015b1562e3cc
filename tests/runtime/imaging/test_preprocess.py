"""From a file to the network's input: a JPEG decoded small is the frame that decoding it whole would give."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from cookseg.runtime.errors import DatasetError, ImageError, InputError
from cookseg.runtime.imaging.images import decode_image
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.imaging.preprocess import decode_frame, fit, fitted_size
from cookseg.runtime.model.contract import COOKING, Preprocessing
from cookseg.runtime.scoring.dataset import Layout, Pair, read_pair

SPEC = Preprocessing(48, 64)


def smooth(height, width):
    """A picture of soft blobs, as unlike under any two orientations as can be."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


SCENE = smooth(32, 48)


def spec(height, width, resize):
    return Preprocessing(height=height, width=width, resize=resize)


def jpeg(picture, orientation=1, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=95, exif=exif, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(480, 640), (98, 132), (392, 516), (385, 512), (60, 80)])
def test_a_jpeg_decoded_small_is_the_same_frame(size, orientation):
    data = jpeg(smooth(*size), orientation)
    whole = decode_image(data, "a.jpg")
    frame = decode_frame(data, "a.jpg", SPEC)
    assert frame.size == whole.shape[:2]
    assert np.abs(fit(frame.pixels, SPEC).astype(int) - fit(whole, SPEC)).mean() < 1


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((480, 640), (60, 80)),
        ((392, 516), (98, 129)),
        ((382, 640), (191, 320)),
        ((391, 640), (391, 640)),
        ((8, 8), (8, 8)),
    ],
)
def test_it_is_decoded_as_small_as_covers_the_input_and_leaves_no_rest(size, shape):
    assert decode_frame(jpeg(smooth(*size)), "a.jpg", SPEC).pixels.shape[:2] == shape


def test_letterbox_needs_to_cover_only_what_the_frame_fills():
    letterbox = Preprocessing(64, 64, "letterbox")
    assert decode_frame(jpeg(smooth(128, 640)), "a.jpg", letterbox).pixels.shape == (16, 80, 3)


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_all_kinds_of_jpeg(options):
    data = jpeg(smooth(480, 640), **options)
    frame = decode_frame(data, "a.jpg", SPEC)
    assert (frame.pixels.shape, frame.size) == ((60, 80, 3), (480, 640))
    assert np.abs(fit(frame.pixels, SPEC).astype(int) - fit(decode_image(data, "a.jpg"), SPEC)).mean() < 1


def test_grey_jpegs_and_other_formats_come_as_rgb():
    grey = jpeg(smooth(480, 640)[..., 0])
    assert decode_frame(grey, "a.jpg", SPEC).pixels.shape == (60, 80, 3)
    for suffix in (".png", ".bmp", ".tif", ".webp"):
        frame = decode_frame(cv2.imencode(suffix, smooth(100, 90))[1].tobytes(), suffix, SPEC)
        assert (frame.pixels.shape, frame.size) == ((100, 90, 3), (100, 90))


def test_a_truncated_jpeg_is_refused_small_as_it_is_whole():
    data = jpeg(smooth(480, 640))
    for length in (3, 20, 300, len(data) // 2, len(data) - 3):
        with pytest.raises(ImageError, match=r"^cut\.jpg "):
            decode_frame(data[:length], "cut.jpg", SPEC)
    ends_early = data[: len(data) // 2] + b"\xff\xd9"  # its picture ends half-way down, with an end marker
    with pytest.raises(ImageError, match="ends before the image does"):
        decode_frame(ends_early, "cut.jpg", SPEC)


def test_exif_that_can_be_read_in_two_ways_gives_the_picture_that_is_seen():
    """OpenCV and this project look for the orientation in different places where a file has two EXIF segments."""
    once = jpeg(smooth(300, 500), 6)
    start = once.index(b"\xff\xe1")
    length = int.from_bytes(once[start + 2 : start + 4]) + 2
    segment = once[start : start + length]
    other = jpeg(smooth(300, 500), 1)[start : start + length]
    for data in (once[:start] + segment + other + once[start + length :], once[:start] + other + once[start:]):
        frame = decode_frame(data, "a.jpg", SPEC)
        assert frame.size == decode_image(data, "a.jpg").shape[:2]
        assert (frame.pixels.shape[0] > frame.pixels.shape[1]) == (frame.size[0] > frame.size[1])


@pytest.mark.parametrize("size", [(1080, 1920), (480, 640), (513, 1023), (100, 3000), (2200, 70)])
def test_halving_and_then_interpolating_is_close_to_the_mean_over_areas(size):
    noisy = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    picture = cv2.addWeighted(smooth(*size), 0.9, noisy, 0.1, 0)
    found = fit(picture, SPEC).astype(int)
    mean = cv2.resize(picture, (SPEC.width, SPEC.height), interpolation=cv2.INTER_AREA)
    assert np.abs(found - mean).mean() < 3
    skipping = cv2.resize(picture, (SPEC.width, SPEC.height), interpolation=cv2.INTER_NEAREST)
    assert np.abs(found - mean).mean() < np.abs(skipping.astype(int) - mean).mean() / 2


def test_a_pair_for_a_network_has_a_small_frame_and_a_whole_truth(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(smooth(480, 640)))
    write_png(tmp_path / "a.png", np.full((480, 640, 3), COOKING.colors[2], np.uint8))
    pair = Pair("a", tmp_path / "a.jpg", tmp_path / "a.png")
    sample = read_pair(pair, COOKING, Layout(), SPEC)
    assert (sample.frame.shape, sample.truth.shape) == ((60, 80, 3), (480, 640))
    assert read_pair(pair, COOKING, Layout()).frame.shape == (480, 640, 3)
    write_png(tmp_path / "a.png", np.full((60, 80, 3), COOKING.colors[2], np.uint8))
    with pytest.raises(DatasetError, match=r"80x60.*640x480"):
        read_pair(pair, COOKING, Layout(), SPEC)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (1080, 1920, (36, 64)),
        (1920, 1080, (48, 27)),
        (48, 64, (48, 64)),
        (3, 3, (48, 48)),
        (1, 9999, (1, 64)),
    ],
)
def test_letterbox_keeps_the_shape_and_pads_below_and_right(height, width, expected):
    letterbox = spec(48, 64, "letterbox")
    rows, columns = fitted_size(height, width, letterbox)
    assert (rows, columns) == expected
    fitted = fit(np.full((height, width, 3), 200, np.uint8), letterbox)
    assert fitted.shape == (48, 64, 3)
    assert (fitted[:rows, :columns] == 200).all()
    assert (fitted[rows:] == (124, 116, 104)).all()  # ImageNet's mean
    assert (fitted[:, columns:] == (124, 116, 104)).all()


def test_stretch_fills_the_input():
    assert fitted_size(1080, 1920, spec(48, 64, "stretch")) == (48, 64)
    assert fit(SCENE, spec(48, 64, "stretch")).shape == (48, 64, 3)
    assert np.array_equal(fit(SCENE, spec(32, 48, "stretch")), SCENE)


def test_shrinking_averages_and_enlarging_interpolates():
    board = np.zeros((128, 128, 3), np.uint8)
    board[::4, ::4] = 160  # every sixteenth pixel: its mean is 10, while linear sampling would miss or hit
    assert (fit(board, spec(32, 32, "stretch")) == 10).all()
    edge = np.zeros((16, 16, 3), np.uint8)
    edge[:, 8:] = 200
    assert len(np.unique(fit(edge, spec(64, 64, "stretch")))) > 2


@pytest.mark.parametrize("frame", [np.zeros((9, 9)), np.zeros((9, 9, 4), np.uint8), np.zeros((0, 9, 3), np.uint8)])
def test_fit_refuses_what_is_no_frame(frame):
    with pytest.raises(InputError, match="must be"):
        fit(frame, Preprocessing())


def test_fit_looks_at_no_pixel_statistics_and_leaves_the_frame_alone():
    dark, before = SCENE // 64, (SCENE // 64).copy()
    assert fit(dark, spec(16, 16, "letterbox"))[:10].max() <= 3
    assert np.array_equal(dark, before)
