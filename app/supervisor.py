"""Starts, watches, pauses, resumes and reaps worker processes (reliability.md §3.2)."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from app.journal import cause_of_end, crashes, is_ours, living_worker, note
from engine.run_directory import is_held, read_control, write_control
from storage.cabinet import Cabinet
from storage.runs import RunRow

logger = logging.getLogger(__name__)

CHECKOUT = Path(__file__).resolve().parent.parent
MAX_RESUMES = 3
ALIVE = ("starting", "running", "pausing", "stopping")
# What a worker may know of the app's environment: no tokens, no cookies, no keys.
PASSED_ON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "XDG_RUNTIME_DIR"),
    *("MUJOCO_GL", "PYOPENGL_PLATFORM", "CUDA_VISIBLE_DEVICES", "WMPO_DATA_DIR"),
)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the supervisor waits, in seconds.

    Attributes:
        stop: for a run to save and end; `cancel`: for one to end without saving.
        terminate: from SIGTERM to SIGKILL.
        resume: before the first automatic resume; doubled with each.
    """

    stop: float = 180.0
    cancel: float = 30.0
    terminate: float = 10.0
    resume: float = 1.0


@dataclass
class _Worker:
    """A living worker process; one that was adopted is not our child and has no `process`."""

    pid: int | None
    process: "subprocess.Popen[bytes] | None" = None
    asked: dict[str, float] = field(default_factory=dict)


class Supervisor:
    """Keeps at most `slots` workers going. Nothing is lost when the app ends: workers go on, and
    the next supervisor of the data directory adopts them.

    Args:
        command: starts a worker; the run directory is appended.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        *,
        slots: int = 1,
        command: Sequence[str] = (sys.executable, "-m", "engine.worker"),
        environ: Mapping[str, str] = os.environ,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cabinet = cabinet
        self._slots = slots
        self._command = list(command)
        self._environ = {name: environ[name] for name in PASSED_ON if name in environ}
        self._patience = patience or Patience()
        self._clock = clock
        self._lock = threading.RLock()
        self._workers: dict[str, _Worker] = {}
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

    def submit(self, run_id: str, job: str, config: Mapping[str, Any]) -> RunRow:
        """Queue a new run.

        Raises:
            ValueError: there is a run of that id.
        """
        with self._lock:  # a round must not find the directory before it is known as ours
            run = self._cabinet.runs.create(run_id, job, config)
            note(self._cabinet.runs.directory(run_id), {"event": "queued"})
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
            if run.ended and not (run.state == "failed" and control == "run"):
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
        """Watch every worker that lives, and settle what died unseen.

        Runs started on the command line are found as well: they are watched, not owned.
        """
        self._cabinet.runs.discover()
        for run in self._cabinet.runs.unfinished():
            if run.id in self._workers:
                continue
            directory = self._cabinet.runs.directory(run.id)
            pid = living_worker(directory)
            if pid is not None or is_held(directory):
                self._workers[run.id] = _Worker(pid)
            elif run.state in ALIVE:
                self._cabinet.ingest.ingest(run.id)
                self._settle(run.id, None)
            elif run.state == "queued":
                self._check_queued(run, directory)

    def _check_queued(self, run: RunRow, directory: Path) -> None:
        if read_control(directory) in ("stop", "cancel"):
            self._cabinet.runs.set_state(run.id, "cancelled")
        elif not is_ours(directory):
            sentence = "nothing runs it: it was not started by the studio"
            self._cabinet.runs.set_state(run.id, "lost", sentence)

    def _watch(self, run_id: str, worker: _Worker) -> None:
        status, ended = self._ended(run_id, worker)
        self._cabinet.ingest.ingest(run_id)
        directory = self._cabinet.runs.directory(run_id)
        if ended:
            del self._workers[run_id]
            if is_held(directory):  # by somebody else: a run on the command line
                self._workers[run_id] = _Worker(None)
            else:
                self._settle(run_id, status)
            return
        control = read_control(directory)
        self._show_control(run_id, control)
        if control in ("stop", "cancel"):
            self._insist(run_id, worker, control)

    def _ended(self, run_id: str, worker: _Worker) -> tuple[int | None, bool]:
        if worker.process is not None:
            status = worker.process.poll()
            return status, status is not None
        directory = self._cabinet.runs.directory(run_id)
        return None, living_worker(directory) is None and not is_held(directory)

    def _settle(self, run_id: str, status: int | None) -> None:
        """Find out what the end of a worker means; its log has been taken in."""
        run = self._cabinet.runs.get(run_id)
        if run.ended:
            return
        directory = self._cabinet.runs.directory(run_id)
        match read_control(directory):
            case "cancel":
                self._cabinet.runs.set_state(run_id, "cancelled")
            case "stop":
                forced = None if run.state == "paused" else "ended by force at its last checkpoint"
                self._cabinet.runs.set_state(run_id, "done", forced)
            case "run" if run.state == "paused":
                self._cabinet.runs.set_state(run_id, "queued")
            case "pause" if run.state != "paused":
                sentence = f"{cause_of_end(status, directory)} before it could save"
                self._cabinet.runs.set_state(run_id, "paused", sentence)
            case _ if run.state != "paused":
                self._crashed(run, status)

    def _crashed(self, run: RunRow, status: int | None) -> None:
        directory = self._cabinet.runs.directory(run.id)
        note(directory, {"event": "crash", "step": run.step, "status": status})
        steps = crashes(directory)
        what = cause_of_end(status, directory)
        if len(steps) > MAX_RESUMES:
            sentence = f"{what}; it was resumed {MAX_RESUMES} times already"
            self._cabinet.runs.set_state(run.id, "lost", sentence)
        elif len(steps) >= 2 and steps[-1] == steps[-2]:
            sentence = f"{what}, twice at step {run.step or 0}: not resumed again"
            self._cabinet.runs.set_state(run.id, "lost", sentence)
        else:
            wait = self._patience.resume * 2 ** (len(steps) - 1)
            self._not_before[run.id] = self._clock() + wait
            sentence = f"{what}; resuming, attempt {len(steps)} of {MAX_RESUMES}"
            self._cabinet.runs.set_state(run.id, "queued", sentence)

    def _show_control(self, run_id: str, control: str) -> None:
        run = self._cabinet.runs.get(run_id)
        shown = {"pause": "pausing", "stop": "stopping", "cancel": "stopping"}.get(control)
        if shown is None and run.state in ("pausing", "stopping"):
            shown = "running"
        if shown is not None and run.state in ALIVE and run.state != shown:
            self._cabinet.runs.set_state(run_id, shown, run.error)

    def _control_resting(self, run: RunRow, control: str) -> None:
        directory = self._cabinet.runs.directory(run.id)
        match control:
            case "run":
                note(directory, {"event": "resume"})
                self._not_before.pop(run.id, None)
                state = "queued"
            case "pause":
                state = "paused"
            case "stop" if run.attempt:
                state = "done"
            case _:
                state = "cancelled"
        self._cabinet.runs.set_state(run.id, state)

    def _insist(self, run_id: str, worker: _Worker, control: str) -> None:
        """A run that does not end when asked is ended: SIGTERM, then SIGKILL, to its group."""
        now = self._clock()
        asked = worker.asked.setdefault("asked", now)
        limit = self._patience.stop if control == "stop" else self._patience.cancel
        if worker.pid is None or now - asked < limit:
            return
        terminated = worker.asked.get("terminated")
        if terminated is None:
            worker.asked["terminated"] = now
            _signal_group(worker.pid, signal.SIGTERM)
        elif now - terminated >= self._patience.terminate:
            _signal_group(worker.pid, signal.SIGKILL)

    def _dispatch(self) -> None:
        now = self._clock()
        waiting = [run for run in self._cabinet.runs.unfinished() if run.state == "queued"]
        for run in waiting:
            if len(self._workers) >= self._slots:
                return
            if self._not_before.get(run.id, now) <= now:
                self._spawn(run)

    def _spawn(self, run: RunRow) -> None:
        directory = self._cabinet.runs.directory(run.id)
        write_control(directory, "run")
        environment = self._environ | {
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": str(CHECKOUT),
        }
        with (directory / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [*self._command, str(directory)],
                cwd=CHECKOUT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                close_fds=True,
            )
        created = _stand_back(process.pid)
        note(directory, {"event": "spawn", "pid": process.pid, "created": created})
        self._workers[run.id] = _Worker(process.pid, process)
        self._cabinet.runs.set_state(run.id, "starting", run.error)


def _stand_back(pid: int) -> float | None:
    """Let the app go first: lower priority, and first in line when memory runs out."""
    try:
        process = psutil.Process(pid)
        process.nice(10)
        Path(f"/proc/{pid}/oom_score_adj").write_text("500")
        return process.create_time()
    except (psutil.Error, OSError):
        return None  # it has ended already, or this system has no such file


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return  # it ended in the meantime
