"""A frame: pixels with what is known of them, on the way from a source to a segmentation."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.keywords import checked_keywords

Size = tuple[int, int]
"""Height and width."""


@checked_keywords
@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a camera, or of an image file.

    Attributes:
        pixels: (h, w, 3) uint8 RGB; as large as the frame is, or smaller where that is enough for the network.
        size: Height and width of the frame, and so of its class map.
        name: What outputs call it: its path below its source without the suffix, or a number.
        time: When it was taken, in seconds since 1970; None where the source does not tell.
        reread: Gives the pixels (H, W, 3) at the frame's own size, where ``pixels`` are smaller.
    """

    pixels: UInt8Array = field(repr=False)
    size: Size
    name: str = ""
    time: float | None = None
    reread: Callable[[], UInt8Array] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, pixels: UInt8Array, name: str = "", time: float | None = None) -> "Frame":
        """Return the frame of pixels (H, W, 3) uint8 RGB that are as large as it is."""
        return cls(pixels, (pixels.shape[0], pixels.shape[1]), name, time)

    @functools.cached_property
    def whole(self) -> UInt8Array:
        """The pixels at the frame's own size, (H, W, 3) uint8 RGB.

        Raises:
            ImageError: They cannot be decoded.
            InputError: The source gave fewer pixels, and no way to read all of them.
        """
        if self.pixels.shape[:2] == self.size:
            return self.pixels
        if self.reread is None:
            raise InputError(
                f"{self.name or 'a frame'} has fewer pixels than its `size`, and no `reread` gives all of them"
            )
        return self.reread()
