"""`python -m cookseg.benchmarks` is `cook-bench`."""

from cookseg.benchmarks.cli import main

main(prog_name="cook-bench")
