"""A run on plain files: event log, episodes, ledger, checkpoints, control file, lock."""

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from engine.device import Placement
from engine.records.durable import write_json_durably
from engine.records.episodes import episode_record, read_record, write_episode
from engine.records.events import encode_line, read_run_events
from engine.records.file_locks import hold, is_locked
from engine.records.ledger import append_ledger, ledger_entry, read_ledger
from engine.records.manifest import verify_manifest, whole_directory
from engine.records.room import check_room, newest_checkpoint_bytes
from engine.records.tasks import tasks
from engine.records.types import Trajectory
from engine.runs.control import read_control
from engine.runs.heartbeat import Heartbeat
from engine.runs.retention import Retention
from engine.runs.slot import Slot

DOCUMENTS = "documents"
_STEP = re.compile(r"^step-(\d+)$")


class RunDirectory:
    """Implements `Run` (design.md §9). One process at a time may hold a directory.

    Args:
        obeys: the run which this is a stage of: its control file is read instead of the own, and
            its heartbeat and slot are shared.
        slot: where this run computes; others may ask for a turn there.

    Raises:
        BlockingIOError: another process holds the run.
    """

    def __init__(
        self,
        directory: Path,
        *,
        listener: Callable[[dict[str, Any]], None] | None = None,
        obeys: "RunDirectory | None" = None,
        slot: Slot | None = None,
    ) -> None:
        self.directory = directory
        self._obeys = obeys
        self._slot: Slot | None = obeys._slot if obeys else slot
        self._placement = obeys.placement if obeys else Placement()
        self._told_to_rest = False
        self._retention = Retention()
        self._listeners = [] if listener is None else [listener]
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = hold(directory / "lock")
        self.heartbeat: Heartbeat = obeys.heartbeat if obeys else Heartbeat(directory)
        self._log_path = directory / "events.jsonl"
        self._ledger_path = directory / "ledger.jsonl"
        self._clear_half_written()
        self._seq, self.attempt = 0, 1
        self._recorded: set[str] = set()
        self._announced: set[int] = set()
        self._scores: list[tuple[int, float]] = []
        for event in read_run_events(self._log_path):
            self._seq = max(self._seq, event["seq"])
            self.attempt = max(self.attempt, event["attempt"] + 1)
            self._remember(event)
        self._entries = {json.dumps(entry): entry for entry in read_ledger(directory)}
        self._log = self._log_path.open("ab", buffering=0)
        self.heartbeat.saved(len(self._recorded) + len(self._entries) + len(self._announced))
        for step in self._steps():  # complete, but a kill came before it was said
            self._announce(step)

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """Call a function with every event from now on."""
        self._listeners.append(listener)

    def retain(self, retention: Retention) -> None:
        """Keep checkpoints by these rules from now on; what a killed attempt left over goes."""
        self._retention, self._scores = retention, []
        for event in read_run_events(self._log_path):
            self._remember(event)
        self._drop_superfluous()

    def close(self) -> None:
        """Release the lock and the files."""
        if self._obeys is None:
            self.heartbeat.close()
        self._log.close()
        self._lock.close()

    def emit(self, kind: str, **values: Any) -> None:
        """Append one event line with a single write.

        Raises:
            OSError: the disk took only a part of the line, which was taken back.
        """
        event = {"seq": self._seq + 1, "attempt": self.attempt, "kind": kind}
        event |= {"time": time.time(), "mono": time.monotonic()} | values
        line = encode_line(event)
        written = self._log.write(line)
        if written != len(line):
            os.truncate(self._log_path, self._log_path.stat().st_size - (written or 0))
            raise OSError(errno.ENOSPC, "the event log could not be written whole")
        self._seq += 1
        self._remember(event)
        self.heartbeat.move()
        for listener in self._listeners:
            listener(event)

    def _remember(self, event: Mapping[str, Any]) -> None:
        match event["kind"]:
            case "episode" if "episode" in event:
                self._recorded.add(event["episode"])
            case "checkpoint" if event.get("step") is not None:
                self._announced.add(event["step"])
            case "metric" if event.get("step") is not None:
                best = event.get("metrics", {}).get(self._retention.best)
                self._scores += [] if best is None else [(event["step"], best)]

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

    def phase(self, name: str) -> None:
        """Say what the job does from now on; progress is counted anew from here."""
        self.emit("phase", phase=name)

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
        results = [e["metrics"] for e in read_run_events(self._log_path) if e["kind"] == "result"]
        return results[-1] if results else None

    def record(self, episode: Trajectory) -> None:
        """Store an episode; a real one is also written to the real-rollout ledger.

        An episode of an id that the run has recorded is left as it is. One that a killed attempt
        stored without saying so is said now, and enters the ledger once.
        """
        if episode.id in self._recorded:
            return
        write_episode(self.directory / "episodes", _with_version(episode))
        self._say(episode_record(episode))

    def workroom(self) -> Path:
        """A folder for what is not finished; it goes when the run is done with it."""
        room = self.directory / "work"
        room.mkdir(exist_ok=True)
        return room

    def store(self, episode: Trajectory) -> None:
        """Write an episode into the workroom; `publish` makes it one of the run's, in one move."""
        write_episode(self.workroom(), _with_version(episode))

    def publish(self, episode_id: str) -> None:
        """Record an episode that `store` wrote, as `record` would have; once."""
        source, target = self.workroom() / episode_id, self.directory / "episodes" / episode_id
        if episode_id in self._recorded:
            return
        if source.is_dir() and not target.is_dir():  # else a kill came between move and word
            target.parent.mkdir(exist_ok=True)
            source.rename(target)
        self._say(read_record(target))

    def _say(self, record: Mapping[str, Any]) -> None:
        """An episode lies under `episodes`: tell the ledger, if it is real, and the log."""
        lineage = record["lineage"]
        if not record["imagined"]:
            self.count_real(
                task=record["task"],
                start_id=record["start_id"],
                use=str(lineage.get("use", "unassigned")),
                policy=lineage.get("policy"),
                success=record["success"],
                episode=record["id"],
            )
        self.emit(
            "episode",
            episode=record["id"],
            success=record["success"],
            end_step=record["end_step"],
            iteration=lineage.get("iteration"),
        )
        self.heartbeat.saved()

    def episode_ids(self) -> dict[str, bool]:
        """Episodes the run has stored, with their success: what a resumed job need not redo."""
        return {
            event["episode"]: bool(event.get("success"))
            for event in read_run_events(self._log_path)
            if event["kind"] == "episode" and "episode" in event
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
        """Enter a real episode into the ledger; `episode` is its id where its frames are kept.

        An entry that is there already is left as it is: a resumed run played the episode again.
        """
        entry = ledger_entry(
            self.directory,
            task=task,
            start_id=start_id,
            use=use,
            policy=policy,
            success=success,
            episode=episode,
        )
        line = json.dumps(entry)
        if line not in self._entries:
            append_ledger(self.directory, entry)
            self._entries[line] = entry
            self.heartbeat.saved()

    def real_outcomes(self) -> dict[int, bool]:
        """Start ids of the run's real episodes with their success, from the ledger."""
        return {entry["start_id"]: entry["success"] for entry in self._entries.values()}

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
        """A directory to fill; it becomes `checkpoints/step-…` only if the block succeeds.

        Older checkpoints go by the rules of retention, after the new one was read back.

        Raises:
            OSError: there is no room for another checkpoint as large as the newest.
        """
        check_room(self.directory, newest_checkpoint_bytes(self.directory))
        target = self.directory / "checkpoints" / f"step-{step:06d}"
        with whole_directory(target) as partial:
            yield partial
        verify_manifest(target)
        self._announce(step)
        self._drop_superfluous()
        self.heartbeat.count_from(step)

    def _drop_superfluous(self) -> None:
        found = self._steps()
        for old in self._retention.superfluous(list(found), self._scores):
            shutil.rmtree(found[old])

    def _announce(self, step: int) -> None:
        """Say that a checkpoint is complete, once."""
        if step not in self._announced:
            self.emit("checkpoint", step=step)
            self.heartbeat.saved()

    def checkpoints(self) -> list[Path]:
        """Checkpoint directories, oldest first."""
        return list(self._steps().values())

    def _steps(self) -> dict[int, Path]:
        root = self.directory / "checkpoints"
        if not root.is_dir():
            return {}
        found = sorted(
            (int(match[1]), root / match[0])
            for match in map(_STEP.match, os.listdir(root))
            if match
        )
        return dict(found)

    def latest_checkpoint(self) -> Path | None:
        """The newest checkpoint whose files are what its manifest says; others raise an alarm."""
        for step, path in reversed(self._steps().items()):
            try:
                verify_manifest(path)
            except ValueError as error:
                self.alarm(f"{path.name} is damaged and was skipped: {error}")
                continue
            self.heartbeat.count_from(step)
            return path
        return None

    @property
    def control(self) -> str:
        """What the app asks for: run, pause, stop (save and end) or cancel (end)."""
        if self._obeys is not None:
            return self._obeys.control
        asked = read_control(self.directory)
        return "pause" if asked == "run" and self._told_to_rest else asked

    def rest(self) -> None:
        """Ask the job to save and end at its next boundary, as a pause does."""
        self._told_to_rest = True

    @property
    def stop_requested(self) -> bool:
        """Whether the job should end, saved (stop) or not (cancel). Asking marks a boundary."""
        self.heartbeat.turn()
        return self.control in ("stop", "cancel")

    @property
    def pause_requested(self) -> bool:
        """Whether the job should save, end with exit status 75 and be resumed later."""
        return self.control == "pause"

    @property
    def placement(self) -> Placement:
        """How every model of the run lies on its device."""
        return self._placement

    def place(self, placement: Placement) -> None:
        """Say, before the job begins, how its models lie on the device; recorded."""
        self._placement = placement
        self.emit("placement", **asdict(placement))

    def give_way(self) -> None:
        """A boundary between chunks or micro-batches: a dream on a page may go first here."""
        self.heartbeat.turn()
        if self._slot is not None:
            self._slot.give_way(self.heartbeat.move)

    def _clear_half_written(self) -> None:
        """Tidy up after a killed attempt; nobody else writes here, because the lock is held."""
        for path in self.directory.glob("*/.partial-*"):
            shutil.rmtree(path)
        if self._log_path.exists() and not _ends_a_line(self._log_path):
            with self._log_path.open("ab") as stream:
                stream.write(b"\n")
        if self._ledger_path.exists() and not _ends_a_line(self._ledger_path):
            os.truncate(self._ledger_path, self._ledger_path.read_bytes().rfind(b"\n") + 1)


def _with_version(episode: Trajectory) -> Trajectory:
    """The episode with the hash of its task's record; as it is where there is no such record."""
    task = tasks().get(episode.task)
    if task is None:
        return episode
    return replace(episode, lineage={**episode.lineage, "task_record": task.version})


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 1))
        return stream.read(1) in (b"", b"\n")


def read_documents(directory: Path, prefix: str = "") -> dict[str, dict[str, Any]]:
    """The documents of a run directory whose name begins with `prefix`, by name, in order."""
    paths = sorted((directory / DOCUMENTS).glob("[!.]*.json"))
    return {
        path.stem: json.loads(path.read_text()) for path in paths if path.stem.startswith(prefix)
    }


def is_held(directory: Path) -> bool:
    """Whether a living process holds the run's lock (freed by the kernel at its death)."""
    return is_locked(directory / "lock")
