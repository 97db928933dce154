"""`python -m engine.released CHECKPOINT DIRECTORY`: export to the official layout.

The way in is the job `adopt`: `python -m engine adopt --out RUN_DIR --set role=… --set source=…`.
"""

import argparse
import sys
from pathlib import Path

from engine.released.export import export


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m engine.released", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint directory of ours")
    parser.add_argument("directory", type=Path, help="the folder to write; must not exist")
    parser.add_argument("--like", type=Path, help="the adopted checkpoint a policy came from")
    options = parser.parse_args(arguments)
    try:
        export(options.checkpoint, options.directory, like=options.like)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
