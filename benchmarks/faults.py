"""Frames for a soak run, and what an appliance meets between them: each fault must give an `InputError`."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cookseg.data.synthetic.scenes import render, sessions
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.model.segmenter import Segmenter

Fault = tuple[str, Callable[[], Any]]

_SIZES = ((96, 128), (120, 160), (90, 68), (48, 64), (1, 1))
_SUFFIXES = (".jpg", ".png", ".webp", ".bmp", ".tif")


def make_frames(folder: Path) -> list[Path]:
    """Write rendered frames, one of each format, each of its own size; return their paths."""
    paths = []
    for session, size, suffix in zip(sessions(len(_SIZES), seed=0), _SIZES, _SUFFIXES, strict=True):
        frame, _ = render(session, 0.5, (96, 128))
        path = folder / f"frame{suffix}"
        path.write_bytes(_encoded(suffix, cv2.resize(frame, size[::-1])))
        paths.append(path)
    return paths


def make_faults(segmenter: Segmenter, folder: Path) -> list[Fault]:
    """Make what each fault needs in a folder; return names of faults, and what must be refused."""
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    jpeg, png = _encoded(".jpg", frame), _encoded(".png", frame)
    vp8l = b"VP8L" + struct.pack("<IBI", 5, 0x2F, 16382 | 16382 << 14) + b"\0"
    files = {
        "truncated JPEG": jpeg[: len(jpeg) // 2],
        "truncated PNG": png[: len(png) // 2],
        "damaged PNG": png[:-20] + b"\xff" + png[-19:],
        "empty file": b"",
        "no image": b"a text",
        "JPEG bomb": jpeg.replace(struct.pack(">HH", 60, 80), struct.pack(">HH", 65500, 65500), 1),
        "BMP bomb": b"BM" + bytes(12) + struct.pack("<Iii", 40, 60_000, 60_000) + bytes(28),
        "WebP bomb": b"RIFF" + struct.pack("<I", 4 + len(vp8l)) + b"WEBP" + vp8l,
    }
    paths = {name: folder / name for name in [*files, "missing file", "folder", "pipe", "file of 10 GB"]}
    for name, content in files.items():
        paths[name].write_bytes(content)
    paths["folder"].mkdir()
    os.mkfifo(paths["pipe"])
    with paths["file of 10 GB"].open("wb") as file:
        file.truncate(10**10)  # a hole: it takes no room
    arrays = {
        "grey frame": frame[..., 0],
        "frame with alpha": np.dstack([frame, frame[..., 0]]),
        "frame of floats": frame / 255,
        "frame without pixels": frame[:0],
        "no frame at all": None,
    }
    return [
        *((name, lambda path=path: segmenter.predict(read_image(path))) for name, path in paths.items()),
        *((name, lambda array=array: segmenter.predict(array)) for name, array in arrays.items()),
        ("batch of another size", lambda: segmenter.engine(frame[None])),
    ]


def _encoded(suffix: str, frame: np.ndarray[Any, Any]) -> bytes:
    return cv2.imencode(suffix, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1].tobytes()
