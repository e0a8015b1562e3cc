"""Header of an image file of any kind: samples and orientation as stored, which decoding evens out."""

from dataclasses import dataclass
from pathlib import Path

from cookseg.runtime.errors import ImageError
from cookseg.runtime.imaging import containers, tiff
from cookseg.runtime.imaging.bmp import read_bmp_header
from cookseg.runtime.imaging.containers import container, png_chunks
from cookseg.runtime.imaging.jpeg import read_jpeg_header

_PNG_MODELS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey+alpha", 6: "RGBA"}
_JPEG_MODELS = {1: "grey", 4: "CMYK"}
_MODELS = {1: "grey", 2: "grey+alpha", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Header:
    """How a file stores its image.

    Attributes:
        kind: JPEG, PNG, BMP, TIFF or WebP.
        model: ``grey``, ``grey+alpha``, ``RGB``, ``RGBA``, ``palette`` or ``CMYK``.
        bits: Bits per sample.
        orientation: EXIF orientation, 1 to 8; 1 is as stored.
        lossy: Whether pixels are only nearly what was saved.
    """

    kind: str
    model: str = "RGB"
    bits: int = 8
    orientation: int = 1
    lossy: bool = False

    def __str__(self) -> str:
        """Describe the samples, as in ``16-bit grey PNG``."""
        return f"{self.bits}-bit {self.model} {self.kind}"

    @property
    def is_plain(self) -> bool:
        """Whether any reader gets the same upright 8-bit pixels from it."""
        models = {"JPEG": {"RGB", "grey"}, "PNG": {"RGB", "grey", "palette"}}.get(self.kind, set())
        return self.model in models and self.bits <= 8 and self.orientation == 1


def read_header(path: Path) -> Header:
    """Read the header of an image that `cookseg.runtime.imaging.images.read_image` can decode.

    Raises:
        ImageError: The file is truncated, or of another kind.
        OSError: The file cannot be read.
    """
    return header_of(path.read_bytes(), str(path))


def header_of(data: bytes, name: str) -> Header:
    """Return what `read_header` does, of the bytes of a file; ``name`` is what messages call it."""
    match kind := container(data):
        case "JPEG":
            jpeg = read_jpeg_header(data)
            if jpeg.scan < 0:
                raise ImageError(f"{name} is a truncated JPEG: copy or record it again")
            model = _JPEG_MODELS.get(jpeg.components, "RGB")
            return Header(kind, model, jpeg.bits, jpeg.orientation, lossy=True)
        case "PNG":
            orientation = 1
            for chunk, start, end in png_chunks(data):
                if chunk == b"eXIf":
                    orientation = tiff.orientation(data[start:end])
            return Header(kind, _PNG_MODELS.get(data[25], "RGB"), data[24], orientation)
        case "BMP":
            bits = read_bmp_header(data).bits
            return Header(kind, "palette" if bits <= 8 else "RGBA" if bits == 32 else "RGB")
        case "TIFF":
            stored = tiff.read_tiff_header(data)
            return Header(kind, _MODELS.get(stored.samples, "RGB"), stored.bits, stored.orientation)
        case "WebP":
            alpha = data[12:16] == b"VP8X" and data[20] & 0x10
            orientation = containers.webp_orientation(data)
            return Header(kind, "RGBA" if alpha else "RGB", 8, orientation, lossy=b"VP8 " in data[12:4096])
    raise ImageError(f"{name} is not a JPEG, PNG, BMP, TIFF or WebP")
