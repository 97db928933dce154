"""`python -m engine.parity DIR`: our modules against every reference vector in a folder.

A vector is a `.safetensors` with a `.json` beside it, named `<kind>_<suffix>`. Prints one line an
item; exits with 1 if an item is above its tolerance, a file cannot be checked, or there is none.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors import SafetensorError

from engine.parity import policy, reward, world_model
from engine.parity.items import Item, deterministic

CHECKS: dict[str, Callable[[Path], list[Item]]] = {
    **world_model.CHECKS,
    **policy.CHECKS,
    **reward.CHECKS,
}


def find_vectors(directory: Path) -> list[Path]:
    """The .json files of a folder that have a .safetensors beside them, sorted by name.

    Raises:
        ValueError: no such folder, or no vector in it.
    """
    if not directory.is_dir():
        raise ValueError(f"there is no folder {directory}")
    found = [
        path
        for path in sorted(directory.glob("*.json"))
        if path.with_suffix(".safetensors").is_file()
    ]
    if not found:
        raise ValueError(f"{directory} holds no reference vectors (.json beside .safetensors)")
    return found


def check(path: Path) -> list[Item]:
    """All items of one vector.

    Raises:
        ValueError: an unknown kind, or files that cannot be read or lack something.
    """
    kind = path.stem.rpartition("_")[0] or path.stem
    if kind not in CHECKS:
        raise ValueError(f"unknown kind {kind!r}; known: {', '.join(sorted(CHECKS))}")
    try:
        return CHECKS[kind](path)
    except KeyError as error:
        raise ValueError(f"lacks {error}") from error
    except (OSError, SafetensorError, RuntimeError, TypeError) as error:
        raise ValueError(f"cannot be checked: {_first_line(error)}") from error


def report(directory: Path) -> bool:
    """Print every item of every vector of a folder; True if all are within tolerance."""
    failures, total = 0, 0
    for path in find_vectors(directory):
        try:
            items = check(path)
        except ValueError as error:
            failures += 1
            print(f"FAIL  {path.stem}: {_first_line(error)}")
            continue
        for item in items:
            verdict = "ok  " if item.passed else "FAIL"
            print(
                f"{verdict}  {path.stem}  {item.name}  "
                f"error {item.error:.2e}  tolerance {item.tolerance:.2e}"
            )
        total += len(items)
        failures += sum(not item.passed for item in items) + (not items)
    print(f"{total} items, {failures} failed")
    return failures == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; the exit status is 0 only if everything was checked and passed."""
    parser = argparse.ArgumentParser(prog="python -m engine.parity", description=__doc__)
    parser.add_argument("directory", type=Path, help="folder of reference vectors")
    directory = parser.parse_args(arguments).directory
    deterministic()
    try:
        return 0 if report(directory) else 1
    except ValueError as error:
        print(f"FAIL  {error}")
        return 1


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


if __name__ == "__main__":
    raise SystemExit(main())
