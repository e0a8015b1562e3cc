"""Training in torch: U-Nets, augmentation, loss, loop, checkpoints."""

from pathlib import Path

STARTER = Path(__file__).with_name("starter.pt")
"""The checkpoint that `cookseg.runtime.STARTER` was made of, in float16, to fine-tune it."""
