"""Files and names that outlive a crash: synced before they are renamed, never half there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json_durably(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(values, indent=1) + "\n")
    move_durably(partial, path)


def move_durably(source: Path, target: Path) -> None:
    """Rename a file or directory whose content is synced first, and its new name after.

    A file at `target` is replaced; of a directory, its files are synced too.
    """
    sync_all(source)
    source.replace(target)
    sync(target.parent)


def sync_all(path: Path) -> None:
    """Make a file, or a directory with everything in it, durable."""
    for part in [path, *path.rglob("*")]:
        sync(part)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
