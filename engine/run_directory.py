"""A run on plain files: event log, episodes, ledger, checkpoints, control file, lock."""

import errno
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from engine.checkpoint import whole_directory
from engine.durable import write_json_durably
from engine.episodes import write_episode
from engine.events import encode_line, read_events
from engine.manifest import verify_manifest
from engine.tasks import pool_of
from engine.types import Trajectory

CONTROLS = ("run", "pause", "stop", "cancel")
DOCUMENTS = "documents"
_STEP = re.compile(r"^step-(\d+)$")


class RunDirectory:
    """Implements `Run` (design.md §9). One process at a time may hold a directory.

    Args:
        obeys: the directory whose control file is read instead of its own: that of the run which
            this is a stage of.

    Raises:
        BlockingIOError: another process holds the run.
    """

    def __init__(
        self,
        directory: Path,
        *,
        keep: int = 2,
        listener: Callable[[dict[str, Any]], None] | None = None,
        obeys: Path | None = None,
    ) -> None:
        self.directory = directory
        self._control_directory = obeys or directory
        self.keep = keep
        self._listener = listener
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = _hold(directory / "lock")
        self._log_path = directory / "events.jsonl"
        self._ledger_path = directory / "ledger.jsonl"
        self._clear_half_written()
        self._seq, self.attempt = 0, 1
        self._recorded: set[str] = set()
        for _, event in read_events(self._log_path):
            self._seq = max(self._seq, event["seq"])
            self.attempt = max(self.attempt, event["attempt"] + 1)
            if event["kind"] == "episode":
                self._recorded.add(event["episode"])
        self._counted = {entry.get("episode") for entry in read_ledger(directory)}
        self._log = self._log_path.open("ab", buffering=0)

    def close(self) -> None:
        """Release the lock and the files."""
        self._log.close()
        self._lock.close()

    def emit(self, kind: str, **values: Any) -> None:
        """Append one event line with a single write.

        Raises:
            OSError: the disk took only a part of the line.
        """
        event = {"seq": self._seq + 1, "attempt": self.attempt, "time": time.time(), "kind": kind}
        event |= values
        line = encode_line(event)
        if self._log.write(line) != len(line):
            raise OSError(errno.ENOSPC, "the event log could not be written whole")
        self._seq += 1
        if self._listener is not None:
            self._listener(event)

    def log(self, step: int, metrics: Mapping[str, float | int]) -> None:
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

    def finished_result(self) -> dict[str, Any] | None:
        """What the job returned, if an earlier attempt came to its end."""
        results = [e["metrics"] for _, e in read_events(self._log_path) if e["kind"] == "result"]
        return results[-1] if results else None

    def record(self, episode: Trajectory) -> None:
        """Store an episode; a real one is also written to the real-rollout ledger.

        An episode of an id that the run has recorded is left as it is. One that a killed attempt
        stored without saying so is said now, and enters the ledger once.
        """
        if episode.id in self._recorded:
            return
        write_episode(self.directory / "episodes", episode)
        if not episode.imagined and episode.id not in self._counted:
            self._append_ledger(episode)
        lineage = dict(episode.lineage)
        self.emit(
            "episode",
            episode=episode.id,
            success=episode.outcome.success,
            end_step=episode.outcome.end_step,
            iteration=lineage.get("iteration"),
        )
        self._recorded.add(episode.id)

    def episode_ids(self) -> dict[str, bool]:
        """Episodes the run has stored, with their success: what a resumed job need not redo."""
        return {
            event["episode"]: event["success"]
            for _, event in read_events(self._log_path)
            if event["kind"] == "episode"
        }

    def count_real(
        self,
        *,
        task: str,
        start_id: int,
        use: str,
        policy: str | None,
        success: bool,
        episode: str | None = None,
    ) -> None:
        """Enter a real episode into the ledger; `episode` is its id where its frames are kept."""
        count_real(
            self.directory,
            task=task,
            start_id=start_id,
            use=use,
            policy=policy,
            success=success,
            episode=episode,
        )

    def _append_ledger(self, episode: Trajectory) -> None:
        self.count_real(
            task=episode.task,
            start_id=episode.start_id,
            use=str(episode.lineage.get("use", "unassigned")),
            policy=episode.lineage.get("policy"),
            success=episode.outcome.success,
            episode=episode.id,
        )
        self._counted.add(episode.id)

    def real_outcomes(self) -> dict[int, bool]:
        """Start ids of the run's real episodes with their success, from the ledger."""
        return {entry["start_id"]: entry["success"] for entry in read_ledger(self.directory)}

    def write_document(self, name: str, values: Mapping[str, Any]) -> None:
        """Keep plain values as `documents/<name>.json`, whole or not at all; replaces the name's.

        For results that are too large for the event log, and for work that need not be done twice.
        """
        folder = self.directory / DOCUMENTS
        folder.mkdir(exist_ok=True)
        write_json_durably(folder / f"{name}.json", values)

    def documents(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """The documents whose name begins with `prefix`, by name."""
        return read_documents(self.directory, prefix)

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
        steps = {
            int(match[1]): root / match[0] for match in map(_STEP.match, os.listdir(root)) if match
        }
        return [steps[step] for step in sorted(steps)]

    def latest_checkpoint(self) -> Path | None:
        """The newest checkpoint whose files are what its manifest says; others raise an alarm."""
        for path in reversed(self.checkpoints()):
            try:
                verify_manifest(path)
            except ValueError as error:
                self.alarm(f"{path.name} is damaged and was passed over: {error}")
                continue
            return path
        return None

    @property
    def control(self) -> str:
        """What the app asks for: run, pause, stop (save and end) or cancel (end)."""
        return read_control(self._control_directory)

    @property
    def stop_requested(self) -> bool:
        """Whether the job should end, saved (stop) or not (cancel)."""
        return self.control in ("stop", "cancel")

    @property
    def pause_requested(self) -> bool:
        """Whether the job should save, end with exit status 75 and be resumed later."""
        return self.control == "pause"

    def _clear_half_written(self) -> None:
        """Tidy up after a killed attempt; nobody else writes here, because the lock is held."""
        for path in self.directory.glob("*/.partial-*"):
            shutil.rmtree(path)
        if self._log_path.exists() and not _ends_a_line(self._log_path):
            with self._log_path.open("ab") as stream:
                stream.write(b"\n")
        if self._ledger_path.exists() and not _ends_a_line(self._ledger_path):
            os.truncate(self._ledger_path, self._ledger_path.read_bytes().rfind(b"\n") + 1)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 1))
        return stream.read(1) in (b"", b"\n")


def _hold(path: Path) -> TextIO:
    """A lock file, held. A look by `is_held` lasts microseconds, so a refusal is tried again."""
    lock = path.open("w")
    pauses = [0.2, 0.05, 0.01]
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not pauses:
                lock.close()
                raise
            time.sleep(pauses.pop())
        else:
            return lock


def count_real(
    directory: Path,
    *,
    task: str,
    start_id: int,
    use: str,
    policy: str | None,
    success: bool,
    episode: str | None,
) -> None:
    """Append a real rollout to a directory's ledger."""
    entry = {
        "episode": episode,
        "task": task,
        "start_id": start_id,
        "pool": pool_of(start_id),
        "use": use,
        "run": directory.name,
        "policy": policy,
        "success": success,
    }
    with (directory / "ledger.jsonl").open("a") as stream:
        stream.write(json.dumps(entry) + "\n")


def read_ledger(directory: Path) -> list[dict[str, Any]]:
    """The real rollouts of a run directory; a last line still being written is left out."""
    path = directory / "ledger.jsonl"
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def read_documents(directory: Path, prefix: str = "") -> dict[str, dict[str, Any]]:
    """The documents of a run directory whose name begins with `prefix`, by name, in order."""
    paths = sorted((directory / DOCUMENTS).glob("[!.]*.json"))
    return {
        path.stem: json.loads(path.read_text()) for path in paths if path.stem.startswith(prefix)
    }


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
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
