"""A frame: pixels with what is known of them, on the way from a source to a segmentation."""

from dataclasses import dataclass, field

from cookseg.runtime.imaging.images import UInt8Array

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Frame:
    """A frame of a camera, or of an image file.

    Attributes:
        pixels: (h, w, 3) uint8 RGB; as large as the frame is, or smaller where that is enough for the network.
        size: Height and width of the frame, and so of its class map.
        name: Its name in messages and outputs: a path below its source, or a number.
        time: When it was taken, in seconds since 1970; None where the source does not tell.
    """

    pixels: UInt8Array = field(repr=False)
    size: Size
    name: str = ""
    time: float | None = None

    @classmethod
    def of(cls, pixels: UInt8Array, name: str = "", time: float | None = None) -> "Frame":
        """Return the frame of pixels (H, W, 3) uint8 RGB that are as large as it is."""
        return cls(pixels, (pixels.shape[0], pixels.shape[1]), name, time)
