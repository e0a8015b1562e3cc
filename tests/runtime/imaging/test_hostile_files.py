"""Files that would cost memory, time or the process: each costs one error that names it.

As a script, `python tests/test_hostile_files.py FILE...` reads files and prints for each how much memory that took.
"""

import io
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from mutants import bmp, old_bmp
from PIL import Image
from test_images import FILES, SCENE, chunk, encoded

from cookseg.runtime import files
from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging import images
from cookseg.runtime.imaging.containers import check_png
from cookseg.runtime.imaging.images import decode_image, read_image, read_mask_image
from cookseg.runtime.imaging.limits import MAX_BYTES, MAX_PARTS, MAX_PIXELS
from cookseg.runtime.imaging.preprocess import decode_frame
from cookseg.runtime.model.contract import Preprocessing

GOLDEN = Path(__file__).parents[2] / "appliance/golden"


def png(width, height, compressed, *others):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), *others, (b"IDAT", compressed), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)


def zeros(count):
    """Compress so many zeros, a thousandfold."""
    return zlib.compress(bytes(count), 9)


def endless_zeros(megabytes):
    """Compress megabytes of zeros without doing it more than once."""
    stream = zlib.compressobj(9)
    start = stream.compress(b"") + stream.flush(zlib.Z_FULL_FLUSH)
    return start + (stream.compress(bytes(1 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)) * megabytes + stream.flush()


def tiff(width, height, *more, bits=8, kind=4):
    entries = {256: (kind, width), 257: (4, height), 258: (3, bits), 259: (3, 1), 262: (3, 1), 273: (4, 300)}
    entries |= {278: (4, 8), 279: (4, 64)}
    entries |= {} if any(tag == 277 for tag, *_ in more) else {277: (3, 1)}
    listed = [(tag, *value) for tag, value in entries.items()] + list(more)
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in listed)
    return (b"II*\0" + struct.pack("<IH", 8, len(listed)) + directory + bytes(4)).ljust(300, b"\0") + bytes(64)


def riff(*chunks):
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2) for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def vp8(width, height):
    return b"VP8 ", b"\x10\x02\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(40)


def vp8l(width, height):
    return b"VP8L", b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14) + bytes(40)


def frame_of(width, height):
    triple = (value.to_bytes(3, "little") for value in (0, 0, width - 1, height - 1, 0))
    return b"ANMF", b"".join(triple) + b"\0"


def canvas(width, height):
    return b"VP8X", b"\x02\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def jpeg(width, height, kind="jpeg"):
    data = FILES[kind]
    at = data.index(b"\xff\xc2" if kind == "jpeg-progressive" else b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def many_scans(width, height, count):
    data = jpeg(width, height, "jpeg-progressive")
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + b"\xff\xd9"


def hidden_size():
    """A JPEG whose restart marker, which has no length, seems to hide the size from who believes in one."""
    data = jpeg(60000, 60000)
    at = data.index(b"\xff\xc0")
    return data[:at] + b"\xff\xd0\0\x40" + data[at:]


BOMBS = {
    "jpeg": (jpeg(60000, 60000), "claims 60000 x 60000"),
    "jpeg-hidden": (hidden_size(), "claims 60000 x 60000"),
    "jpeg-scans": (many_scans(8000, 8000, 200), "in 210 scans"),
    "jpeg-segments": (b"\xff\xd8" + b"\xff\xe5\0\2" * (MAX_PARTS + 1), "parts"),
    "jpeg-fill": (b"\xff\xd8" + b"\xff" * 5_000_000, "end marker"),
    "png": (png(60000, 60000, zeros(1)), "claims 60000 x 60000"),
    "png-small": (png(16, 16, endless_zeros(300)), "far more data than the 784 bytes"),
    "png-large": (png(2400, 2400, endless_zeros(5000)), "far more data"),
    "png-chunks": (png(16, 16, zeros(784), *[(b"teXt", b"")] * MAX_PARTS), "parts"),
    "bmp": (bmp(60000, 60000), "claims 60000 x 60000"),
    "bmp-upside-down": (bmp(60000, -60000), "claims 60000 x 60000"),
    "bmp-old": (old_bmp(60000, 60000, b""), "claims 60000 x 60000"),
    "bmp-short": (bmp(1, 1)[:20], "without its header"),
    "tiff": (tiff(60000, 60000), "claims 60000 x 60000"),
    "tiff-tile": (tiff(64, 64, (322, 4, 60000), (323, 4, 60000)), "claims 60000 x 60000"),
    "tiff-samples": (tiff(10000, 10000, bits=128), "of 16 bytes each"),
    "tiff-16-bit": (tiff(8200, 8192, (277, 3, 4), bits=16), "claims 8200 x 8192 pixels of 8 bytes each"),
    "webp-animated": (riff(canvas(8200, 8192), frame_of(8, 8)), "claims 8200 x 8192 pixels of 8 bytes each"),
    "tiff-twice": (tiff(60000, 60000, (256, 4, 8), (257, 4, 8)), "claims 60000 x 60000"),
    "tiff-type": (tiff(8, 8, kind=16), "a way of its own (tag 256)"),
    "webp-lossy": (riff(vp8(16383, 16383)), "claims 16383 x 16383"),
    "webp-lossless": (riff(vp8l(16383, 16383)), "claims 16383 x 16383"),
    "webp-canvas": (riff(canvas(60000, 60000), vp8(8, 8)), "claims 60000 x 60000"),
    "webp-frame": (riff(canvas(8, 8), frame_of(60000, 60000)), "claims 60000 x 60000"),
    "webp-behind-exif": (riff((b"EXIF", b"II*\0\x08\0\0\0"), vp8(16383, 16383)), "claims 16383 x 16383"),
    "webp-chunks": (riff(canvas(8, 8), *[(b"ABCD", b"")] * MAX_PARTS), "parts"),
}


def resident(what):
    return int(Path("/proc/self/status").read_text().split(what)[1].split()[0]) * 1024


def main(paths):
    """Read files with 60 MB of address space to spare, a JSON line for each."""
    read_image(GOLDEN / "frames/friedegg_8894.png")  # has loaded all libraries
    resource.setrlimit(resource.RLIMIT_AS, (resident("VmSize:") + (60 << 20), -1))
    for path in paths:
        before, start = resident("VmHWM:"), time.perf_counter()
        try:
            outcome = str(read_image(path).shape)
        except ImageError as error:
            outcome = str(error)
        line = {"path": path, "outcome": outcome, "bytes": resident("VmHWM:") - before}
        sys.stdout.write(json.dumps({**line, "seconds": time.perf_counter() - start}) + "\n")


def read_elsewhere(*paths):
    command = [sys.executable, __file__, *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_no_bomb_takes_memory_or_time(tmp_path):
    for name, (data, _) in BOMBS.items():
        (tmp_path / name).write_bytes(data)
    lines = read_elsewhere(*(tmp_path / name for name in BOMBS))
    assert len(lines) == len(BOMBS)
    for (name, (data, said)), line in zip(BOMBS.items(), lines, strict=True):
        assert line["outcome"].startswith(f"{tmp_path / name} "), line
        assert said in line["outcome"], line
        assert line["bytes"] < 2 * len(data) + 20e6, line
        assert line["seconds"] < 10, line  # on a busy machine; it takes half of one at most


def test_memory_that_runs_out_costs_one_frame_only(tmp_path):
    """Pictures of 100 MB and more, which a few bytes can claim to be, in a process that may have 60 MB more."""
    width, height = 8192, 4096
    black = Image.new("RGB", (width, height))
    contents = {
        "png": png(width, height, zeros((3 * width + 1) * height)),
        "webp": encoded_image(black, "WEBP", lossless=True, method=0),
        "tiff": encoded_image(black, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg": encoded_image(black, "JPEG"),
        "bmp": bmp(width, height, body=bytes(1000)),
        "small": FILES["png"],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    *big, small = read_elsewhere(*(tmp_path / name for name in contents))
    for line in big:
        assert line["outcome"].startswith(f"{line['path']} "), line
    assert small["outcome"] == str(SCENE.shape)
    assert decode_image(contents["webp"], "webp").shape == (height, width, 3)  # it was the memory


def encoded_image(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def test_what_numpy_cannot_have_is_an_error_of_the_file(monkeypatch):
    def narrowed(_):
        raise MemoryError

    monkeypatch.setattr(images, "_narrowed", narrowed)
    with pytest.raises(ImageError, match=r"x\.png needs more memory"):
        decode_image(FILES["png"], "x.png")


def test_pictures_within_the_limits_are_decoded():
    assert decode_image(many_scans(48, 32, 200), "x").shape == SCENE.shape
    assert decode_image(png(2, 2, zeros(14), *[(b"teXt", b"")] * 1000), "x").shape == (2, 2, 3)
    large = png(2400, 2400, zlib.compress(np.random.default_rng(0).bytes(2400 * 7201), 0))  # beyond the free size
    with pytest.raises(ImageError, match="cannot be decoded"):  # filters of no kind, but not for its length
        decode_image(large, "x")
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    assert np.array_equal(decode_image(encoded(noise, "PNG"), "x"), noise)
    assert MAX_PIXELS > 108e6  # the largest of common cameras


def test_opencv_sees_nothing_of_a_png_but_the_picture():
    profile = (b"iCCP", b"a\0\0" + zeros(1 << 20))
    data = png(2, 2, zeros(14), profile, (b"tEXt", b"a\0b"))
    assert check_png(data) == png(2, 2, zeros(14))


@pytest.mark.parametrize("header", [b"", chunk(b"IHDR", bytes(12)), chunk(b"IDAT", b"")])
def test_a_png_without_a_header_at_its_start_is_refused(header):
    data = FILES["png"]
    with pytest.raises(ImageError, match="without a header"):
        decode_image(data[:8] + header + data[33:], "x.png")


def within(seconds, action):
    """Run an action that may hang in a thread that does not keep the tests from ending."""
    done = []
    thread = threading.Thread(target=lambda: done.append(action()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert done, "it hangs"


@pytest.mark.parametrize("read", [read_image, read_mask_image])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("pipe", "is a named pipe"),
        ("socket", "is a socket"),
        ("folder", "is a directory"),
        ("zero", "is a device"),
        ("loop", "symbolic links"),
        ("dangling", "No such file"),
        ("huge", "has 10000 MB, more than 268"),
    ],
)
def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch, kind, said, read):
    monkeypatch.chdir(tmp_path)  # addresses of sockets are short
    path = Path("x.jpg")
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as sock:
                sock.bind(str(path))
        case "folder":
            path.mkdir()
        case "huge":
            with path.open("wb") as file:
                file.truncate(10**10)
        case _:
            path.symlink_to({"zero": "/dev/zero", "loop": path, "dangling": "nowhere"}[kind])

    def attempt():
        with pytest.raises(ImageError, match=rf"x\.jpg .*{said}"):
            read(path)
        return True

    within(20, attempt)


def test_a_pipe_that_takes_a_files_place_before_it_is_opened_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(FILES["png"])
    before = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda _: before)

    def attempt():
        with pytest.raises(ImageError, match="is a named pipe"):
            read_image(path)
        return True

    within(20, attempt)


@pytest.mark.parametrize("change", ["vanish", "shrink", "grow"])
def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch, change):
    path = tmp_path / "x.png"
    path.write_bytes(FILES["png"])
    fstat = os.fstat

    def changed(descriptor):
        status = fstat(descriptor)
        match change:
            case "vanish":
                path.unlink(missing_ok=True)
            case "shrink":
                os.truncate(path, 50)
            case "grow":
                with path.open("ab") as file:
                    file.truncate(MAX_BYTES * 10)
        return status

    monkeypatch.setattr(files.os, "fstat", changed)
    if change == "shrink":
        with pytest.raises(ImageError, match=r"x\.png is truncated"):
            read_image(path)
    else:
        assert np.array_equal(read_image(path), SCENE)  # as it was when it was opened


def test_the_command_writes_one_line_for_each(tmp_path):
    """Each bad file a line, whatever its name; nothing of libjpeg's and libpng's; and all good ones done."""
    folder = tmp_path / "in"
    folder.mkdir()
    bad = {"text.jpg": b"x", "line\nbreak.jpg": b"x", "bell\a\x1b[31m.png": b"x", os.fsdecode(b"caf\xe9.png"): b"x"}
    bad |= {f"{name}.img.png": data for name, (data, _) in BOMBS.items() if len(data) < 10_000}
    flipped = bytearray(FILES["png"])
    at = flipped.index(b"IDAT") + 4
    flipped[at + 20 : at + 24] = b"\xff\xfe\xfd\xfc"
    end = at + int.from_bytes(flipped[at - 8 : at - 4])
    flipped[end : end + 4] = zlib.crc32(flipped[at - 4 : end]).to_bytes(4)
    bad["libpng complains.png"] = bytes(flipped)
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "dangling.jpg").symlink_to("nowhere")
    (folder / "folder.jpg").mkdir()
    (folder / "folder.jpg/good.png").write_bytes(FILES["png"])
    (folder / "libjpeg complains.jpg").write_bytes(FILES["jpeg"][:2] + b"\xff\0\0" + FILES["jpeg"][2:])
    (folder / "tiny.png").write_bytes(cv2.imencode(".png", np.zeros((1, 1), np.uint16))[1].tobytes())
    command = ["masks", folder, "-m", GOLDEN / "model.onnx", "-o", tmp_path / "out", "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "OPENCV_LOG_LEVEL"}
    result = subprocess.run(
        [sys.executable, "-m", "cookseg.runtime", *map(str, command)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    assert result.returncode == 5
    value = json.loads(result.stdout)
    assert set(value["failed"]) == {str(folder / name) for name in [*bad, "pipe.jpg", "dangling.jpg"]}
    assert value["masks"] == 3
    assert len(list((tmp_path / "out").rglob("*.png"))) == 3
    device, error, *lines = result.stderr.splitlines()
    assert device.startswith("device: ")
    assert error == f"Error: {len(bad) + 2} of {len(bad) + 5} images failed, all others are done:"
    assert len(lines) == min(len(bad) + 2, 21)
    assert all(line.startswith(f"  {folder}/") for line in lines[:20])
    assert result.stderr.replace("\n", "").isprintable()
    noisy = subprocess.run(
        [sys.executable, "-m", "cookseg.runtime", *map(str, command)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**environment, "OPENCV_LOG_LEVEL": "silent"},
    )
    assert "Corrupt JPEG data" in noisy.stderr  # or the above would not show that it is kept away
    assert "libpng error" in noisy.stderr


if __name__ == "__main__":
    main(sys.argv[1:])


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 8), (8, 0)])
def test_a_jpeg_without_a_pixel_is_refused_for_a_network_too(width, height, resize):
    with pytest.raises(ImageError, match=r"a\.jpg cannot be decoded"):
        decode_frame(jpeg(width, height), "a.jpg", Preprocessing(resize=resize))
