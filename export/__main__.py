"""`python -m cookseg.export` is `cook-export`."""

from cookseg.export.cli import main

main(prog_name="cook-export")
