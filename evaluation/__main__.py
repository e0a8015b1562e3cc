"""`python -m cookseg.evaluation` is `cook-eval`."""

from cookseg.evaluation.cli import main

main(prog_name="cook-eval")
