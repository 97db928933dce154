"""A run on plain files: event log, episodes, ledger, checkpoints, control file, lock."""

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.checkpoint import whole_directory
from engine.episodes import write_episode
from engine.events import encode_line, read_events
from engine.manifest import verify_manifest
from engine.tasks import pool_of
from engine.types import Trajectory

CONTROLS = ("run", "pause", "stop", "cancel")
_STEP = re.compile(r"^step-(\d+)$")


class RunDirectory:
    """Implements `Run` (design.md §9). One process at a time may hold a directory.

    Raises:
        BlockingIOError: another process holds the run.
    """

    def __init__(
        self,
        directory: Path,
        *,
        keep: int = 2,
        listener: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.directory = directory
        self.keep = keep
        self._listener = listener
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = (directory / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._log_path = directory / "events.jsonl"
        self._heal_torn_tail()
        self._seq, self.attempt = 0, 1
        for _, event in read_events(self._log_path):
            self._seq = max(self._seq, event["seq"])
            self.attempt = max(self.attempt, event["attempt"] + 1)
        self._log = self._log_path.open("ab", buffering=0)

    def close(self) -> None:
        """Release the lock and the files."""
        self._log.close()
        self._lock.close()

    def emit(self, kind: str, **values: Any) -> None:
        """Append one event line with a single write."""
        self._seq += 1
        event = {"seq": self._seq, "attempt": self.attempt, "time": time.time(), "kind": kind}
        event |= values
        self._log.write(encode_line(event))
        if self._listener is not None:
            self._listener(event)

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Record numbers of one step; a number that is not finite raises `FloatingPointError`."""
        values = {name: float(value) for name, value in metrics.items()}
        bad = [name for name, value in values.items() if value - value != 0.0]
        if bad:
            raise FloatingPointError(f"{', '.join(bad)} is not finite at step {step}")
        self.emit("metric", step=step, metrics=values)

    def progress(self, done: int, total: int) -> None:
        """Record how far the job is; the reader derives the time left."""
        self.emit("progress", done=done, total=total)

    def alarm(self, message: str) -> None:
        """Record something a person should look at."""
        self.emit("alarm", message=message)

    def state(self, state: str, **values: Any) -> None:
        """Record a change of the run's state (design.md §9 lists the states)."""
        self.emit("state", state=state, **values)

    def result(self, metrics: dict[str, Any]) -> None:
        """Record what the job returned."""
        self.emit("result", metrics=metrics)

    def record(self, episode: Trajectory) -> None:
        """Store an episode; a real one is also written to the real-rollout ledger."""
        known = (self.directory / "episodes" / episode.id).exists()
        write_episode(self.directory / "episodes", episode)
        if known:
            return
        if not episode.imagined:
            self._append_ledger(episode)
        lineage = dict(episode.lineage)
        self.emit(
            "episode",
            episode=episode.id,
            success=episode.outcome.success,
            end_step=episode.outcome.end_step,
            iteration=lineage.get("iteration"),
        )

    def episode_ids(self) -> dict[str, bool]:
        """Episodes the run has stored, with their success: what a resumed job need not redo."""
        return {
            event["episode"]: event["success"]
            for _, event in read_events(self._log_path)
            if event["kind"] == "episode"
        }

    def count_real(
        self, *, task: str, start_id: int, use: str, policy: str | None, success: bool
    ) -> None:
        """Enter a real episode whose frames are not kept into the ledger."""
        self._append_line(
            {
                "task": task,
                "start_id": start_id,
                "pool": pool_of(start_id),
                "use": use,
                "run": self.directory.name,
                "policy": policy,
                "success": success,
            }
        )

    def _append_ledger(self, episode: Trajectory) -> None:
        self.count_real(
            task=episode.task,
            start_id=episode.start_id,
            use=str(episode.lineage.get("use", "unassigned")),
            policy=episode.lineage.get("policy"),
            success=episode.outcome.success,
        )

    def _append_line(self, entry: dict[str, Any]) -> None:
        with (self.directory / "ledger.jsonl").open("a") as stream:
            stream.write(json.dumps(entry) + "\n")

    @contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        """A directory to fill; it becomes `checkpoints/step-…` only if the block succeeds."""
        with whole_directory(self.directory / "checkpoints" / f"step-{step:06d}") as partial:
            yield partial
        self.emit("checkpoint", step=step)
        for old in self.checkpoints()[: -self.keep]:
            shutil.rmtree(old)

    def checkpoints(self) -> list[Path]:
        """Checkpoint directories, oldest first."""
        root = self.directory / "checkpoints"
        if not root.is_dir():
            return []
        return sorted(path for path in root.iterdir() if _STEP.match(path.name))

    def latest_checkpoint(self) -> Path | None:
        """The newest checkpoint whose files are what its manifest says."""
        for path in reversed(self.checkpoints()):
            try:
                verify_manifest(path)
            except ValueError:
                continue
            return path
        return None

    @property
    def control(self) -> str:
        """What the app asks for: run, pause, stop (save and end) or cancel (end)."""
        return read_control(self.directory)

    @property
    def stop_requested(self) -> bool:
        """Whether the job should end, saved (stop) or not (cancel)."""
        return self.control in ("stop", "cancel")

    @property
    def pause_requested(self) -> bool:
        """Whether the job should save, end with exit status 75 and be resumed later."""
        return self.control == "pause"

    def _heal_torn_tail(self) -> None:
        if not self._log_path.exists():
            return
        with self._log_path.open("r+b") as stream:
            if stream.seek(0, os.SEEK_END) == 0:
                return
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")


def read_control(directory: Path) -> str:
    """The control word of a run directory; `run` where nothing was asked."""
    path = directory / "control.json"
    if not path.exists():
        return "run"
    control: str = json.loads(path.read_text())["control"]
    return control


def write_control(directory: Path, control: str) -> None:
    """Ask a run to run, pause, stop or cancel; replaced atomically.

    Raises:
        ValueError: another word.
    """
    if control not in CONTROLS:
        raise ValueError(f"control must be one of {', '.join(CONTROLS)}, not {control!r}")
    partial = directory / ".control.json"
    partial.write_text(json.dumps({"control": control}) + "\n")
    partial.replace(directory / "control.json")


def is_held(directory: Path) -> bool:
    """Whether a living process holds the run's lock (freed by the kernel at its death)."""
    path = directory / "lock"
    if not path.exists():
        return False
    with path.open("r") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
