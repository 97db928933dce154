"""`python -m engine.gate FILE…`: one line a file, accepted or refused, and why."""

import argparse
import sys
from pathlib import Path

from engine.gate.inspection import inspect
from engine.gate.verdict import Verdict, shown


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 all accepted, 1 at least one refused."""
    parser = argparse.ArgumentParser(prog="python -m engine.gate", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    all_accepted = True
    for path in parser.parse_args(arguments).files:
        verdict = inspect(path)
        all_accepted &= verdict.accepted
        print(_line(verdict), flush=True)
    return 0 if all_accepted else 1


def _line(verdict: Verdict) -> str:
    if verdict.accepted:
        return f"accepted {verdict.sha256} {verdict.kind} {shown(str(verdict.path))}"
    return f"refused {verdict.reason}: {verdict.sentence}"


if __name__ == "__main__":
    sys.exit(main())
