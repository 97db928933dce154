"""Files and names that outlive a crash: synced before they are renamed, never half there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.records.texts import check_unicode


def write_json_durably(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all.

    Raises:
        ValueError: some text is no Unicode.
    """
    check_unicode(values)
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


def append_durably(path: Path, lines: bytes) -> None:
    """Add whole lines to a file, after a line break where a crash left the last one torn.

    Raises:
        OSError: the disk did not take all of it; what it took was taken back.
    """
    created = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        content = b"\n" + lines if torn else lines
        try:
            while content:
                content = content[os.write(descriptor, content) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if created:
        sync(path.parent)
