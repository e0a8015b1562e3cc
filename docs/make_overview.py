"""Draw the README's picture from what `make demo` left: `python docs/make_overview.py`."""

from pathlib import Path

import numpy as np

from cookseg.runtime import read_image, write_png

ROOT = Path(__file__).parent.parent
FRAMES = 4

frames = sorted((ROOT / "data/sets/demo/test/images").iterdir())
chosen = frames[4 :: len(frames) // FRAMES][:FRAMES]
rows = [
    [read_image(path) for path in chosen],
    [read_image(ROOT / f"test_inf_masks/{path.stem}.png") for path in chosen],
    [read_image(ROOT / f"test_inf_masks/overlay/{path.stem}.png") for path in chosen],
]
write_png(ROOT / "docs/overview.png", np.vstack([np.hstack(row) for row in rows]))
