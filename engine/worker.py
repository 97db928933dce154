"""A run in a process of its own: `python -m engine.worker DIR`."""

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.device import Placement, choose_device, default_placement, limit_threads
from engine.records.room import is_full
from engine.runs.registry import has_models, run_job
from engine.runs.retention import Retention
from engine.runs.run_directory import RunDirectory
from engine.runs.slot import Slot
from engine.runs.tracker import tracked

if TYPE_CHECKING:  # it loads torch
    from engine.protocols import Run

DONE, FAILED, BAD_INPUT, HELD, NO_ROOM, PAUSED = 0, 1, 2, 3, 74, 75
SLOT_VARIABLE = "WMPO_SLOT"

Job = Callable[[str, Mapping[str, Any], "Run"], dict[str, Any] | None]


def execute(
    directory: Path,
    listener: Callable[[dict[str, Any]], None] | None = None,
    *,
    slot: Slot | None = None,
    job: Job = run_job,
    rest_on: Sequence[signal.Signals] = (signal.SIGTERM,),
) -> tuple[int, dict[str, Any] | None]:
    """Run what `config.json` of a run directory says; states and errors go to its event log.

    Args:
        rest_on: signals that ask the job to save and to end at its next boundary; a second one
            does what it always did.
        slot: where the run computes; it waits for its turn there.
        job: runs a job by name.

    Returns:
        (exit status, metrics): 0 done, stopped or cancelled; 1 failed; 2 bad input; 74 the disk is
        full, 75 paused: it goes on from there.

    Raises:
        BlockingIOError: another process holds the run.
    """
    run = RunDirectory(directory, listener=listener, slot=slot)
    run.heartbeat.begin()
    before = {number: signal.getsignal(number) for number in rest_on}

    def rest(number: int, _: object) -> None:
        run.rest()
        signal.signal(number, before[signal.Signals(number)])

    for number in rest_on:
        signal.signal(number, rest)
    try:
        if slot is not None:
            slot.take(run.heartbeat.move)
        return _execute(run, job)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if slot is not None:
            slot.leave()
        run.close()


def _execute(run: RunDirectory, job: Job) -> tuple[int, dict[str, Any] | None]:
    try:
        run.state("running")
        spec = json.loads((run.directory / "config.json").read_text())
        run.retain(Retention.from_dict(spec.get("retention", {})))
        asked = spec.get("placement")
        if has_models(spec["job"]):
            limit_threads()
            run.place(Placement.from_dict(asked) if asked else default_placement(choose_device()))
        metrics = run.finished_result()  # of an attempt that was killed before it said "done"
        if metrics is None:
            with tracked(run.directory.name, spec["config"], run.listen, run.alarm):
                metrics = job(spec["job"], spec["config"], run)
            if metrics is None:
                return _end_as_asked(run)
            run.result(metrics)
        run.state("done")
        return DONE, metrics
    except Exception as error:  # the one place: a run must end in a state, whatever happened
        if is_full(error):
            run.heartbeat.no_room(str(error))  # the event log may not take another line
            return NO_ROOM, None
        plain = isinstance(error, (ValueError, LookupError, OSError))
        run.state("failed", error=_sentence(error), traceback=traceback.format_exc())
        return BAD_INPUT if plain else FAILED, None


def _end_as_asked(run: RunDirectory) -> tuple[int, None]:
    match run.control:
        case "pause":
            run.state("paused")
            return PAUSED, None
        case "cancel":
            run.state("cancelled")
        case _:
            run.state("done", stopped=True)
    return DONE, None


def _sentence(error: Exception) -> str:
    if isinstance(error, (ValueError, LookupError, OSError)):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if is_memory or "can't allocate memory" in text:
        return f"out of memory: choose smaller batches, models or groups ({text.splitlines()[0]})"
    return text


def main() -> int:
    """Entry point of a queued run."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    named = os.environ.get(SLOT_VARIABLE)
    try:
        status, _ = execute(Path(sys.argv[1]), slot=Slot(Path(named)) if named else None)
    except BlockingIOError:
        return HELD
    return status


if __name__ == "__main__":
    sys.exit(main())
