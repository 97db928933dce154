"""Starts, watches, pauses, resumes and reaps worker processes (reliability.md §3.2)."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from app.runs import journal
from app.runs.guard import Guard
from app.runs.journal import crashes, is_ours, last_spawned, living_worker, note
from app.runs.patience import Patience
from app.runs.processes import (
    Worker,
    end_group,
    end_leftovers,
    identity,
    leads_group,
    memory_kills,
    signal_group,
    start,
)
from app.runs.verdicts import cause_of_end, standstill
from engine.records.file_locks import is_locked
from engine.records.room import RESERVE_BYTES, free_bytes, in_words, newest_checkpoint_bytes
from engine.records.states import RunState
from engine.runs.control import read_control, write_control
from engine.runs.heartbeat import NAME as HEARTBEAT
from engine.runs.heartbeat import Beat, read_heartbeat
from engine.runs.run_directory import is_held
from storage.cabinet import Cabinet
from storage.runs.runs import RunRow

logger = logging.getLogger(__name__)

MAX_RESUMES = 3
SHOWN = {"pause": RunState.PAUSING, "stop": RunState.STOPPING, "cancel": RunState.STOPPING}


class Supervisor:
    """Keeps one worker going at each slot. Nothing is lost when the app ends: workers go on, and
    the next supervisor of the data directory adopts them.

    Args:
        slots: where workers compute, such as `cpu-0` or `gpu-0`; each has one lock.
        command: starts a worker; the run directory is appended.
        reserve: bytes to be left free beside the next checkpoint of a run.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        *,
        slots: Sequence[str] = ("cpu-0",),
        command: Sequence[str] = (sys.executable, "-m", "engine.worker"),
        environ: Mapping[str, str] = os.environ,
        patience: Patience | None = None,
        reserve: int = RESERVE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cabinet = cabinet
        self._slots = slots
        self._command = list(command)
        self._environ = dict(environ)
        self._patience = patience or Patience()
        self._reserve = reserve
        self._clock = clock
        self._lock = threading.RLock()
        self._guard = Guard(cabinet.runs)
        self._workers: dict[str, Worker] = {}
        self._not_before: dict[str, float] = {}
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._loop: threading.Thread | None = None
        with self._lock:
            self._adopt()

    @property
    def has_children(self) -> bool:
        """Whether processes that this supervisor started are alive or unreaped."""
        with self._lock:
            return any(worker.process is not None for worker in self._workers.values())

    def begin(self, *, every_seconds: float = 0.5) -> None:
        """Do the rounds in a thread from now on."""
        self._loop = threading.Thread(
            target=self._rounds, args=(every_seconds,), name="supervisor", daemon=True
        )
        self._loop.start()

    def close(self) -> None:
        """End the thread; workers go on."""
        self._closing.set()
        self._wake.set()
        if self._loop is not None:
            self._loop.join()
        for worker in self._workers.values():
            if worker.process is not None and worker.process.poll() is None:
                # Told that it is dealt with, Popen does not warn that nobody waited for it.
                worker.process.returncode = 0

    def submit(
        self, run_id: str, job: str, config: Mapping[str, Any], *, owner: str = ""
    ) -> RunRow:
        """Queue a new run of a visitor, or of the house.

        Raises:
            ValueError: there is a run of that id.
        """
        with self._lock:  # a round must not find the directory before it is known as ours
            run = self._cabinet.runs.create(run_id, job, config)
            note(self._cabinet.runs.directory(run_id), {"event": "queued", "owner": owner})
        self._wake.set()
        return run

    def control(self, run_id: str, control: str) -> RunRow:
        """Ask a run to run (resume), pause, stop (save and end) or cancel (end).

        Raises:
            LookupError: no such run.
            ValueError: another word, or a run that has ended.
        """
        with self._lock:
            run = self._cabinet.runs.get(run_id)
            if run.ended and not (run.state is RunState.FAILED and control == "run"):
                raise ValueError(f"run {run_id} is {run.state} already")
            directory = self._cabinet.runs.directory(run_id)
            write_control(directory, control)
            if run_id in self._workers:
                self._workers[run_id].asked = {}
                self._show_control(run_id, control)
            else:
                self._control_resting(run, control)
        self._wake.set()
        return self._cabinet.runs.get(run_id)

    def tick(self) -> None:
        """One round: take in what workers wrote, settle those that ended, start what waits."""
        with self._lock:
            self._adopt()
            for run_id, worker in list(self._workers.items()):
                with self._guard.of(run_id):
                    self._watch(run_id, worker)
            self._dispatch()

    def _rounds(self, every_seconds: float) -> None:
        # A round that fails must not end the rounds: its error is logged and the next one tries.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="supervisor") as rounds:
            while not self._closing.is_set():
                error = rounds.submit(self.tick).exception()
                if error is not None:
                    logger.error("a round of the supervisor failed: %s", error, exc_info=error)
                self._wake.wait(every_seconds)
                self._wake.clear()

    def _adopt(self) -> None:
        """Watch every worker that lives, and end the runs whose workers are gone.

        Runs started on the command line are found as well: they are watched, not owned.
        """
        for run_id in [*self._cabinet.runs.discover(), *self._cabinet.ingest.gone_on()]:
            with self._guard.of(run_id):
                self._cabinet.ingest.ingest(run_id)
                self._receive(run_id)
        for run in self._cabinet.runs.unfinished():
            if run.id not in self._workers:
                with self._guard.of(run.id):
                    self._adopt_one(run, self._cabinet.runs.directory(run.id))

    def _adopt_one(self, run: RunRow, directory: Path) -> None:
        worker = self._living(directory)
        if worker is not None:
            self._workers[run.id] = worker
        elif run.state.alive:
            self._cabinet.ingest.ingest(run.id)
            self._died_unseen(run.id, directory)
        elif run.state is RunState.QUEUED:
            self._check_queued(run, directory)
        elif run.state is RunState.PAUSED and is_ours(directory):
            self._wake_up(run, directory)

    def _died_unseen(self, run_id: str, directory: Path) -> None:
        spawned = last_spawned(directory)
        if spawned is not None:
            end_leftovers(spawned.pid, self._cabinet.workspace.locks)
        # Whether the system ended a process for want of memory since the worker was started.
        short = spawned is not None and memory_kills() > spawned.memory_kills
        self._settle(run_id, None, short)

    def _receive(self, run_id: str) -> None:
        """A run whose directory was copied here rests until somebody resumes it.

        Where only the database was lost the directory lies where it lay, and the run goes on.
        """
        run, directory = self._cabinet.runs.get(run_id), self._cabinet.runs.directory(run_id)
        if not run.ended and journal.came_from_elsewhere(directory):
            note(directory, {"event": "arrived"})
            write_control(directory, "pause")
            sentence = "its directory came from elsewhere: it goes on here when you resume it"
            self._cabinet.runs.set_state(run_id, RunState.PAUSED, sentence)

    def _living(self, directory: Path) -> Worker | None:
        """The worker of a run, whoever started it; None where none lives."""
        spawned = living_worker(directory)
        if spawned is not None:
            return Worker(spawned.pid, spawned.slot, self._clock(), memory_kills())
        if not is_held(directory):
            return None
        # One of ours was started, but the app was killed before it could note that.
        beat = read_heartbeat(directory) if is_ours(directory) else None
        pid = beat.pid if beat is not None and leads_group(beat.pid) else None
        return Worker(pid, None, self._clock(), memory_kills())

    def _check_queued(self, run: RunRow, directory: Path) -> None:
        if read_control(directory) in ("stop", "cancel"):
            self._cabinet.runs.set_state(run.id, RunState.CANCELLED)
        elif not is_ours(directory):
            sentence = "nothing runs it: it was not started by the studio"
            self._cabinet.runs.set_state(run.id, RunState.LOST, sentence)

    def _wake_up(self, run: RunRow, directory: Path) -> None:
        """A run that nobody paused goes on: the system ended it, or the disk was full."""
        goes_on = read_control(directory) == "run" and not self._lacks_room(directory)
        if goes_on and self._not_before.get(run.id, 0.0) <= self._clock():
            self._cabinet.runs.set_state(run.id, RunState.QUEUED)

    def _watch(self, run_id: str, worker: Worker) -> None:
        status, ended = self._ended(run_id, worker)
        self._cabinet.ingest.ingest(run_id)
        directory = self._cabinet.runs.directory(run_id)
        kills = memory_kills()
        if ended:
            del self._workers[run_id]
            if worker.pid is not None:
                end_group(worker.pid)
            other = self._living(directory)  # somebody else's: a run on the command line
            if other is not None:
                self._workers[run_id] = other
            else:
                self._settle(run_id, status, kills > worker.memory_kills)
            return
        worker.count_memory_kills(kills, self._clock())
        control = read_control(directory)
        self._show_control(run_id, control)
        self._look_at(run_id, worker, read_heartbeat(directory))
        if control != "run":
            self._insist(worker, control)

    def _ended(self, run_id: str, worker: Worker) -> tuple[int | None, bool]:
        if worker.process is not None:
            status = worker.process.poll()
            return status, status is not None
        return None, self._living(self._cabinet.runs.directory(run_id)) is None

    def _look_at(self, run_id: str, worker: Worker, beat: Beat | None) -> None:
        """Say when a worker stands still, and take it back when it moves again."""
        if worker.pid is None and beat is None:
            return  # an older version wrote no heartbeat
        limits = {"stalled": self._patience.stalled, "hung": self._patience.hung}
        sentence = standstill(beat, now=self._clock(), since=worker.since, **limits)
        kind = sentence.partition(":")[0]
        state = self._cabinet.runs.get(run_id).state
        if kind != worker.standstill and state.alive:  # it may have said that it is done
            worker.standstill = kind
            self._cabinet.runs.set_state(run_id, state, sentence or None)

    def _settle(self, run_id: str, status: int | None, out_of_memory: bool) -> None:
        """Find out what the end of a worker means; its log has been taken in."""
        run = self._cabinet.runs.get(run_id)
        if run.ended:
            return
        directory = self._cabinet.runs.directory(run_id)
        cause = cause_of_end(status, directory, out_of_memory=out_of_memory)
        beat, rests = read_heartbeat(directory), run.state is RunState.PAUSED
        match read_control(directory):
            case "cancel":
                self._cabinet.runs.set_state(run_id, RunState.CANCELLED)
            case "stop":
                forced = None if rests else "ended by force at its last checkpoint"
                self._cabinet.runs.set_state(run_id, RunState.DONE, forced)
            case "pause" if not rests:
                self._cabinet.runs.set_state(run_id, RunState.PAUSED, f"{cause} before saving")
            case _ if rests:
                self._not_before[run_id] = self._clock() + self._patience.resume
            case _ if beat is not None and beat.no_room:
                self._not_before[run_id] = self._clock() + self._patience.resume
                sentence = f"the disk is full ({beat.no_room}): it goes on when there is room again"
                self._cabinet.runs.set_state(run_id, RunState.PAUSED, sentence)
            case _ if not is_ours(directory):
                self._cabinet.runs.set_state(run_id, RunState.LOST, f"{cause}, on the command line")
            case _:
                self._crashed(run, cause, beat)

    def _crashed(self, run: RunRow, cause: str, beat: Beat | None) -> None:
        directory = self._cabinet.runs.directory(run.id)
        step, turns, saved = (beat.step, beat.turns, beat.saved) if beat else (None, 0, 0)
        note(directory, {"event": "crash", "step": step, "turns": turns, "saved": saved})
        places = crashes(directory)
        if len(places) > MAX_RESUMES:
            sentence = f"{cause}; it was resumed {MAX_RESUMES} times and saved nothing since"
            self._cabinet.runs.set_state(run.id, RunState.LOST, sentence)
        elif len(places) >= 2 and places[-1] == places[-2]:
            reached = run.step or step
            where = f"at step {reached}" if reached else "before its first step"
            sentence = f"{cause}, twice {where}: not resumed again"
            self._cabinet.runs.set_state(run.id, RunState.LOST, sentence)
        else:
            wait = self._patience.resume * 2 ** (len(places) - 1)
            self._not_before[run.id] = self._clock() + wait
            sentence = f"{cause}; resuming, attempt {len(places)} of {MAX_RESUMES}"
            self._cabinet.runs.set_state(run.id, RunState.QUEUED, sentence)

    def _show_control(self, run_id: str, control: str) -> None:
        run = self._cabinet.runs.get(run_id)
        moving = RunState.RUNNING if run.state in SHOWN.values() else run.state
        shown = SHOWN.get(control, moving)
        if run.state.alive and run.state is not shown:
            self._cabinet.runs.set_state(run_id, shown, run.error)

    def _control_resting(self, run: RunRow, control: str) -> None:
        directory = self._cabinet.runs.directory(run.id)
        match control:
            case "run":
                note(directory, {"event": "resume"})
                self._not_before.pop(run.id, None)
                state = RunState.QUEUED
            case "pause":
                state = RunState.PAUSED
            case "stop" if run.attempt:
                state = RunState.DONE
            case _:
                state = RunState.CANCELLED
        self._cabinet.runs.set_state(run.id, state)

    def _insist(self, worker: Worker, control: str) -> None:
        """A run that does not end when asked is ended: SIGTERM, then SIGKILL, to its group."""
        now = self._clock()
        asked = worker.asked.setdefault("asked", now)
        limit = self._patience.cancel if control == "cancel" else self._patience.stop
        if worker.pid is None or now - asked < limit:
            return
        terminated = worker.asked.get("terminated")
        if terminated is None:
            worker.asked["terminated"] = now
            signal_group(worker.pid, signal.SIGTERM)
        elif now - terminated >= self._patience.terminate:
            signal_group(worker.pid, signal.SIGKILL)

    def _dispatch(self) -> None:
        now = self._clock()
        taken = {worker.slot for worker in self._workers.values()}
        free = [s for s in self._slots if s not in taken and not is_locked(self._lock_of(s))]
        for run in self._cabinet.runs.unfinished():
            if not free:
                return
            if run.state is not RunState.QUEUED or self._not_before.get(run.id, now) > now:
                continue
            with self._guard.of(run.id):
                lacking = self._lacks_room(self._cabinet.runs.directory(run.id))
                if not lacking:
                    self._spawn(run, free.pop(0))
                elif run.error != lacking:
                    self._cabinet.runs.set_state(run.id, RunState.QUEUED, lacking)

    def _lacks_room(self, directory: Path) -> str:
        """Why a run cannot save its next checkpoint; empty where it can."""
        needed, free = newest_checkpoint_bytes(directory) + self._reserve, free_bytes(directory)
        if free >= needed:
            return ""
        return f"waits for room on the disk: {in_words(needed)} are needed, {in_words(free)} free"

    def _lock_of(self, slot: str) -> Path:
        return self._cabinet.workspace.locks / f"{slot}.lock"

    def _spawn(self, run: RunRow, slot: str) -> None:
        directory = self._cabinet.runs.directory(run.id)
        write_control(directory, "run")
        (directory / HEARTBEAT).unlink(missing_ok=True)  # of another attempt
        kills = memory_kills()
        process = start(self._command, directory, self._environ, self._lock_of(slot))
        worker = Worker(process.pid, slot, self._clock(), kills, process)
        self._workers[run.id] = worker
        told = {"pid": process.pid, "identity": identity(process.pid) or "ended at once"}
        note(directory, {"event": "spawn", "slot": slot, "memory_kills": kills} | told)
        self._cabinet.runs.set_state(run.id, RunState.STARTING, run.error)
