"""`python -m cookseg.data` is `cook-data`."""

from cookseg.data.cli import main

main(prog_name="cook-data")
