"""`python -m cookseg.training` is `cook-train`, and what torchrun starts."""

import os

from cookseg.training.cli import main

try:
    main(prog_name="cook-train")
except SystemExit as end:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from cookseg.training import distributed

        distributed.end(end.code if isinstance(end.code, int) else 1)
    raise
