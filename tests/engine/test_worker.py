"""A run as a process of its own sees it: how it begins, ends and says why."""

import errno
import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.protocols import Run
from engine.records.events import read_events
from engine.records.file_locks import is_locked
from engine.runs.heartbeat import read_heartbeat
from engine.runs.slot import Slot
from engine.worker import BAD_INPUT, DONE, FAILED, NO_ROOM, PAUSED, execute

Job = Callable[[str, Mapping[str, Any], Run], dict[str, Any] | None]


def prepared(directory: Path, **spec: Any) -> Path:
    (directory / "config.json").write_text(json.dumps({"job": "any", "config": {}} | spec))
    return directory


def states(directory: Path) -> list[str]:
    events = [event for _, event in read_events(directory / "events.jsonl")]
    return [event["state"] for event in events if event["kind"] == "state"]


def raising(error: Exception) -> Job:
    def job(name: str, config: Mapping[str, Any], run: Run) -> None:
        raise error

    return job


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (ValueError("optimise needs policy="), BAD_INPUT, "optimise needs policy="),
        (FloatingPointError("the loss is nan"), FAILED, "FloatingPointError: the loss is nan"),
        (MemoryError("no more"), FAILED, "out of memory: choose smaller batches, models or groups"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes\nat …"),
            FAILED,
            "out of memory: choose smaller batches, models or groups (RuntimeError: Default",
        ),
    ],
)
def test_a_failed_job_says_why(
    error: Exception, status: int, sentence: str, tmp_path: Path
) -> None:
    assert execute(prepared(tmp_path), job=raising(error)) == (status, None)
    *_, last = [event for _, event in read_events(tmp_path / "events.jsonl")]
    assert last["state"] == "failed" and last["error"].startswith(sentence)
    assert "raise error" in last["traceback"]


def test_a_full_disk_is_no_failure_and_is_said_where_there_is_room(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "3 MB are free")
    assert execute(prepared(tmp_path), job=raising(error))[0] == NO_ROOM
    beat = read_heartbeat(tmp_path)
    assert beat is not None and "3 MB are free" in beat.no_room
    assert states(tmp_path) == ["running"]


def test_sigterm_ends_a_job_saved_and_paused_at_its_next_boundary(tmp_path: Path) -> None:
    def job(name: str, config: Mapping[str, Any], run: Run) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert run.pause_requested and not run.stop_requested
        with run.checkpoint(3):
            pass

    before = signal.getsignal(signal.SIGTERM)
    assert execute(prepared(tmp_path), job=job) == (PAUSED, None)
    assert states(tmp_path) == ["running", "paused"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    assert execute(prepared(tmp_path), job=lambda *_: {"loss": 0.5}) == (DONE, {"loss": 0.5})
    again = execute(tmp_path, job=raising(AssertionError("it was done again")))
    assert again == (DONE, {"loss": 0.5})


def test_a_job_computes_at_its_slot(tmp_path: Path) -> None:
    slot = Slot(tmp_path / "locks" / "cpu-0.lock")

    def job(name: str, config: Mapping[str, Any], run: Run) -> dict[str, Any]:
        assert is_locked(tmp_path / "locks" / "cpu-0.lock")
        run.give_way()
        return {}

    assert execute(prepared(tmp_path), slot=slot, job=job) == (DONE, {})
    assert not is_locked(tmp_path / "locks" / "cpu-0.lock")


def test_the_best_checkpoint_is_kept_where_the_run_asks_for_it(tmp_path: Path) -> None:
    def job(name: str, config: Mapping[str, Any], run: Run) -> dict[str, Any]:
        for step, score in enumerate([0.1, 0.9, 0.3, 0.2, 0.5]):
            run.log(step, {"rollout/success_rate": score})
            with run.checkpoint(step):
                pass
        return {}

    execute(prepared(tmp_path, retention={"best": "rollout/success_rate"}), job=job)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-000001", "step-000003", "step-000004"]
