"""The supervisor's own log of a run: which processes it started and how they ended."""

import signal
import time
from pathlib import Path
from typing import Any

import psutil

from engine.events import encode_line, read_events

JOURNAL = "supervisor.jsonl"


def note(directory: Path, event: dict[str, Any]) -> None:
    """Append to the supervisor's own log of a run; it survives the app and the database."""
    with (directory / JOURNAL).open("ab") as stream:
        stream.write(encode_line({"time": time.time()} | event))


def is_ours(directory: Path) -> bool:
    """Whether a run was queued by a studio, and not made on the command line."""
    return (directory / JOURNAL).exists()


def crashes(directory: Path) -> list[int | None]:
    """Steps at which workers crashed since the last time a person resumed the run."""
    steps: list[int | None] = []
    for _, event in read_events(directory / JOURNAL):
        if event.get("event") == "resume":
            steps.clear()
        elif event.get("event") == "crash":
            steps.append(event.get("step"))
    return steps


def living_worker(directory: Path) -> int | None:
    """Process id of the last worker that was spawned, if it is that process and lives."""
    spawned = [e for _, e in read_events(directory / JOURNAL) if e.get("event") == "spawn"]
    if not spawned:
        return None
    pid: int = spawned[-1]["pid"]
    try:
        process = psutil.Process(pid)
        same = process.create_time() == spawned[-1]["created"]
        return pid if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def cause_of_end(status: int | None, directory: Path) -> str:
    """Why a worker ended, in words: its signal, or the last line of `log.txt`."""
    if status == -signal.SIGKILL:
        return "the worker was killed (out of memory?)"
    if status is not None and status < 0:
        return f"the worker was ended by signal {-status}"
    log = directory / "log.txt"
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"the worker ended unexpectedly{f' ({last[:200]})' if last else ''}"
