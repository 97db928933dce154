"""A run in a process of its own: `python -m engine.worker DIR`."""

import json
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.device import limit_threads
from engine.jobs.registry import run_job
from engine.run_directory import RunDirectory

DONE, FAILED, BAD_INPUT, HELD, PAUSED = 0, 1, 2, 3, 75


def execute(
    directory: Path, listener: Callable[[dict[str, Any]], None] | None = None
) -> tuple[int, dict[str, Any] | None]:
    """Run what `config.json` of a run directory says; states and errors go to its event log.

    Returns:
        (exit status, metrics): 0 done, stopped or cancelled; 1 failed; 2 bad input; 75 paused.

    Raises:
        BlockingIOError: another process holds the run.
    """
    limit_threads()
    run = RunDirectory(directory, listener=listener)
    try:
        return _execute(run)
    finally:
        run.close()


def _execute(run: RunDirectory) -> tuple[int, dict[str, Any] | None]:
    run.state("running")
    try:
        spec = json.loads((run.directory / "config.json").read_text())
        metrics = run_job(spec["job"], spec["config"], run)
    except (ValueError, LookupError, OSError) as error:
        run.state("failed", error=str(error), traceback=traceback.format_exc())
        return BAD_INPUT, None
    except Exception as error:  # the one place: a run must end in a state, whatever happened
        message = f"{type(error).__name__}: {error}"
        run.state("failed", error=message, traceback=traceback.format_exc())
        return FAILED, None
    if metrics is not None:
        run.result(metrics)
        run.state("done")
        return DONE, metrics
    match run.control:
        case "pause":
            run.state("paused")
            return PAUSED, None
        case "cancel":
            run.state("cancelled")
        case _:
            run.state("done", stopped=True)
    return DONE, None


def main() -> int:
    """Entry point of a queued run."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        status, _ = execute(Path(sys.argv[1]))
    except BlockingIOError:
        return HELD
    return status


if __name__ == "__main__":
    sys.exit(main())
