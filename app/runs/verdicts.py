"""What became of a worker, in a sentence: it stands still, answers no more, or has ended."""

import signal
from pathlib import Path

from engine.runs.heartbeat import Beat


def standstill(beat: Beat | None, *, now: float, since: float, stalled: float, hung: float) -> str:
    """Why a living worker is to be looked at; empty while it moves.

    Args:
        now, since: monotonic seconds; nothing before `since`, when this process was first seen,
            counts against it.
        stalled: longest time without progress, if twenty usual steps are not longer still.
        hung: longest time without a sign of life.
    """
    beats, moves, pace = (beat.beat, beat.moved, beat.pace) if beat else (since, since, 0.0)
    if now - max(beats, since) > hung:
        return (
            f"hung: the worker has not answered for {_span(hung)}; "
            "pause or stop it to have it ended, then resume it"
        )
    limit = max(stalled, 20.0 * pace)
    if now - max(moves, since) > limit:
        usual = f" (a step usually takes {_span(pace)})" if pace else ""
        return f"stalled: the worker lives, but made no progress for {_span(limit)}{usual}"
    return ""


def cause_of_end(status: int | None, directory: Path, *, out_of_memory: bool) -> str:
    """Why a worker ended that did not say so itself.

    Args:
        status: as `Popen.returncode`; None where the worker was not our child.
        out_of_memory: whether the system ended a process for want of memory at that time.
    """
    killed = status == -signal.SIGKILL
    if out_of_memory and (killed or status is None):
        return "the worker ran out of memory and the system ended it"
    if killed:
        return "the worker was killed"
    if status is not None and status < 0:
        return f"the worker was ended by signal {-status}"
    last = next((line for line in reversed(_tail(directory / "log.txt")) if line), "")
    return f"the worker ended unexpectedly{f' ({last[:200]})' if last else ''}"


def _tail(path: Path) -> list[str]:
    """The last lines of a log, of which there may be gigabytes."""
    if not path.exists():
        return []
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 4096))
        return [line.strip() for line in stream.read().decode(errors="replace").splitlines()]


def _span(seconds: float) -> str:
    """Seconds for a person: `2 minutes`, `0.4 seconds`."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.2g} seconds"
