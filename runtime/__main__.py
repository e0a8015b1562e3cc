"""`python -m cookseg.runtime` is `cook-infer`."""

from cookseg.runtime.terminal.cli import main

main(prog_name="cook-infer")
