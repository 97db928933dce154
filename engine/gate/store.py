"""Step 9: weights that passed the gate, kept once as safetensors under the hash of their bytes.

Below the root lie `<sha256>.safetensors`, `sources/<sha256 of a torch file>` (a text file with the
hash of what it became), and `.partial-*`, rooms of conversions under way. A file is in the store
whole or not at all, whoever is killed when.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from engine.durable import move_durably
from engine.gate.inspection import accepted_weights, examine
from engine.gate.verdict import Expected, Kind, Limits, Verdict
from engine.manifest import file_sha256


class Store:
    """A folder of checked weights; several processes may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, sha256: str) -> Path | None:
        """The stored weights of a file with this hash, be it theirs or that of their source."""
        source = self.root / "sources" / sha256
        stored = self._place(source.read_text() if source.is_file() else sha256)
        return stored if stored.is_file() else None

    def admit(
        self,
        path: Path,
        *,
        expected_sha256: str | None = None,
        expected: Expected | None = None,
        limits: Limits = Limits(),
    ) -> Path:
        """Put a file of weights through the gate and keep it; returns the stored file.

        Arguments as in `engine.gate.inspection.inspect`.

        Raises:
            ValueError: the file is refused, `reason: sentence`, or holds no weights.
        """
        with self._room() as room:
            verdict, weights = examine(
                path,
                room,
                expected_sha256=expected_sha256,
                expected=expected,
                known=self.find,
                limits=limits,
            )
            return self._keep(accepted_weights(verdict, weights), verdict, room)

    def _keep(self, weights: Path, verdict: Verdict, room: Path) -> Path:
        if weights.parent == self.root:
            return weights
        complete = room / "complete"
        if verdict.kind == Kind.SAFETENSORS:
            shutil.copyfile(weights, complete)
        else:
            weights.rename(complete)
        stored = file_sha256(complete)
        if verdict.kind == Kind.SAFETENSORS and stored != verdict.sha256:
            raise ValueError(f"{weights.name} was changed while it was read")
        place = self._place(stored)
        move_durably(complete, place)
        if stored != verdict.sha256:
            (room / "source").write_text(stored)
            move_durably(room / "source", self.root / "sources" / verdict.sha256)
        return place

    def _place(self, sha256: str) -> Path:
        return self.root / f"{sha256}.safetensors"

    @contextmanager
    def _room(self) -> Iterator[Path]:
        """A folder for one admission; what killed ones left behind is removed."""
        (self.root / "sources").mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("a") as lock:
            if _is_alone(lock):
                for left in self.root.glob(".partial-*"):
                    shutil.rmtree(left)
            fcntl.flock(lock, fcntl.LOCK_SH)
            with tempfile.TemporaryDirectory(prefix=".partial-", dir=self.root) as room:
                yield Path(room)


def _is_alone(lock: IO[str]) -> bool:
    """Whether no other admission is under way: each holds the lock, shared."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
