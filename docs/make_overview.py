"""Draw the README's pictures, from what `make demo` left and from new scenes: `python docs/make_overview.py`."""

from pathlib import Path

import cv2
import numpy as np

from cookseg.data.synthetic.scenes import render, sessions
from cookseg.runtime import read_image, write_png
from cookseg.runtime.imaging.images import UInt8Array
from cookseg.runtime.imaging.masks import colorize
from cookseg.runtime.model.contract import COOKING

ROOT = Path(__file__).parent.parent
FRAMES = 4


def rows(tiles: list[UInt8Array], columns: int) -> UInt8Array:
    """Lay out tiles of one size, so many in a row."""
    return np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])


frames = sorted((ROOT / "data/sets/demo/test/images").iterdir())
chosen = frames[4 :: len(frames) // FRAMES][:FRAMES]
folders = [ROOT / "test_inf_masks", ROOT / "test_inf_masks/overlay"]
pictures = [read_image(path) for path in chosen]
pictures += [read_image(folder / f"{path.stem}.png") for folder in folders for path in chosen]
write_png(ROOT / "docs/overview.png", rows(pictures, FRAMES))

kitchens = [render(session, 0.1 + 0.8 * i / 15, (180, 240))[0] for i, session in enumerate(sessions(16, seed=20))]
session = sessions(1, seed=23)[0]
over_time = [render(session, progress, (180, 240)) for progress in np.linspace(0.02, 0.98, 8)]
film = [frame for frame, _ in over_time] + [colorize(classes, COOKING) for _, classes in over_time]
sheet = rows([*kitchens, *film], 8)
cv2.imwrite(str(ROOT / "docs/scenes.jpg"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
