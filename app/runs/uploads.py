"""Where Gradio puts what browsers send: a folder of the studio's own, gone when the studio is.

A studio that was killed leaves its folder; the next one sees by its lock that it is nobody's.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.records.file_locks import hold, is_locked

PREFIX, LOCK = "wmpo-uploads-", ".lock"
YOUNG = 60.0  # seconds in which a folder may not be held yet
UNLOCKED = 7 * 86_400.0  # after which a folder without a lock is nobody's


@contextmanager
def held_uploads(root: Path | None = None) -> Iterator[Path]:
    """A new folder below `root` or the temporary directory, held until the block ends, and then
    deleted."""
    made = tempfile.TemporaryDirectory(prefix=PREFIX, dir=root, ignore_cleanup_errors=True)
    with made as name:
        with hold(Path(name) / LOCK):
            yield Path(name)


def clear_orphans(root: Path, *, now: float | None = None) -> int:
    """Delete the folders of studios that are gone; how many they were."""
    now = time.time() if now is None else now
    count = 0
    for folder in root.glob(f"{PREFIX}*"):
        try:
            has_lock = (folder / LOCK).exists()  # earlier studios held none
            age = now - folder.stat().st_mtime
            if age < (YOUNG if has_lock else UNLOCKED) or is_locked(folder / LOCK):
                continue
        except OSError:
            continue  # somebody else's
        shutil.rmtree(folder, ignore_errors=True)
        count += not folder.exists()
    return count
