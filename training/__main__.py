"""`python -m cookseg.training` is `cook-train`."""

from cookseg.training.cli import main

main(prog_name="cook-train")
