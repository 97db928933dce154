"""Runs that ship with the demo: a new data directory gets a copy, to watch and to compare with."""

import logging
import shutil
from pathlib import Path

logger = logging.getLogger(__name__)


def bring_shipped(shipped: Path, runs: Path) -> list[str]:
    """Copy the runs that are not here yet, each whole or not at all; their names."""
    brought = []
    for source in sorted(shipped.glob("*/config.json")):
        name = source.parent.name
        if (runs / name).exists():
            continue
        partial = runs / f".partial-{name}"
        try:
            runs.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(source.parent, partial)
            partial.replace(runs / name)
        except OSError as error:
            logger.warning("the shipped run %s is left out: %s", name, error)
            continue
        brought.append(name)
    return brought
