"""A run on plain files, whoever is killed when."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.protocols import Run
from engine.records.events import read_events
from engine.records.ledger import read_ledger
from engine.records.types import Outcome, Trajectory
from engine.runs.control import read_control, write_control
from engine.runs.retention import Retention
from engine.runs.run_directory import RunDirectory, is_held


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    held = RunDirectory(tmp_path)
    yield held
    held.close()


def episode(episode_id: str, *, imagined: bool = False, start_id: int = 200_000) -> Trajectory:
    return Trajectory(
        id=episode_id,
        task="coffee-push",
        start_id=start_id,
        instruction="push the mug",
        imagined=imagined,
        outcome=Outcome(True, 1),
        frames=np.zeros((3, 2, 2, 3), np.uint8),
        actions=np.zeros((2, 4), np.float32),
        lineage={"use": "world model", "policy": "c0ffee", "iteration": 4},
    )


def events(directory: Path, kind: str | None = None) -> list[dict[str, object]]:
    read = [event for _, event in read_events(directory / "events.jsonl")]
    return [event for event in read if kind in (None, event["kind"])]


def save(run: RunDirectory, *steps: int) -> None:
    for step in steps:
        with run.checkpoint(step) as directory:
            (directory / "progress.json").write_text(json.dumps({"step": step}))


def checkpoint_names(run: RunDirectory) -> list[str]:
    return [path.name for path in run.checkpoints()]


def test_a_run_directory_is_a_run(run: RunDirectory) -> None:
    assert isinstance(run, Run)


# The event log.


def test_each_kind_of_event_carries_its_values(run: RunDirectory) -> None:
    run.state("running")
    run.log(3, {"grpo/kept_groups": 2.0})
    run.progress(1, 10)
    run.alarm("imagined success rises alone")
    run.result({"rollout/success_rate": 0.5})
    told = [
        {name: event[name] for name in event if name not in ("seq", "attempt", "time", "mono")}
        for event in events(run.directory)
    ]
    assert told == [
        {"kind": "state", "state": "running"},
        {"kind": "metric", "step": 3, "metrics": {"grpo/kept_groups": 2.0}},
        {"kind": "progress", "done": 1, "total": 10},
        {"kind": "alarm", "message": "imagined success rises alone"},
        {"kind": "result", "metrics": {"rollout/success_rate": 0.5}},
    ]


def test_events_are_numbered_without_a_gap_over_all_attempts(tmp_path: Path) -> None:
    for _ in range(3):
        run = RunDirectory(tmp_path)
        run.progress(0, 2)
        run.progress(1, 2)
        run.close()
    assert [event["seq"] for event in events(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert [event["attempt"] for event in events(tmp_path)] == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_stops_the_run(number: float, run: RunDirectory) -> None:
    with pytest.raises(FloatingPointError, match="policy/loss is not finite at step 2"):
        run.log(2, {"policy/loss": number, "policy/lr": 0.1})
    assert events(run.directory) == []


def test_an_event_that_is_refused_takes_no_number(run: RunDirectory) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.result({"fidelity/psnr": float("nan")})
    run.progress(1, 1)
    assert [event["seq"] for event in events(run.directory)] == [1]


def test_a_listener_hears_what_is_written(tmp_path: Path) -> None:
    heard: list[dict[str, object]] = []
    run = RunDirectory(tmp_path, listener=heard.append)
    run.progress(1, 2)
    run.close()
    assert heard == events(tmp_path)


def test_a_torn_tail_is_healed(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.progress(0, 2)
    run.progress(1, 2)
    run.close()
    log = tmp_path / "events.jsonl"
    os.truncate(log, log.stat().st_size - 5)
    run = RunDirectory(tmp_path)
    run.progress(2, 2)
    run.close()
    assert [(event["seq"], event["done"]) for event in events(tmp_path)] == [(1, 0), (2, 2)]


# The lock.


def test_only_one_may_hold_a_run(run: RunDirectory) -> None:
    assert is_held(run.directory)
    with pytest.raises(BlockingIOError):
        RunDirectory(run.directory)


def test_a_closed_run_may_be_held_again(tmp_path: Path) -> None:
    RunDirectory(tmp_path).close()
    assert not is_held(tmp_path)
    RunDirectory(tmp_path).close()


def test_a_directory_without_a_run_is_not_held(tmp_path: Path) -> None:
    assert not is_held(tmp_path)


def test_looking_at_a_lock_does_not_take_it(tmp_path: Path) -> None:
    RunDirectory(tmp_path).close()
    assert not any(is_held(tmp_path) for _ in range(3))
    RunDirectory(tmp_path).close()


# Control words.


def test_a_run_nobody_spoke_to_runs(run: RunDirectory) -> None:
    assert (run.control, run.stop_requested, run.pause_requested) == ("run", False, False)


@pytest.mark.parametrize(
    ("word", "stop", "pause"),
    [
        ("run", False, False),
        ("pause", False, True),
        ("stop", True, False),
        ("cancel", True, False),
    ],
)
def test_a_control_word_is_obeyed(word: str, stop: bool, pause: bool, run: RunDirectory) -> None:
    write_control(run.directory, word)
    assert (run.control, run.stop_requested, run.pause_requested) == (word, stop, pause)


def test_an_unknown_control_word_is_refused_and_the_last_one_stands(tmp_path: Path) -> None:
    write_control(tmp_path, "pause")
    with pytest.raises(ValueError, match="run, pause, stop, cancel, not 'halt'"):
        write_control(tmp_path, "halt")
    assert read_control(tmp_path) == "pause"


# Checkpoints.


def test_a_checkpoint_appears_whole(run: RunDirectory) -> None:
    with run.checkpoint(7) as directory:
        (directory / "progress.json").write_text("{}")
        assert run.latest_checkpoint() is None
    latest = run.latest_checkpoint()
    assert latest == run.directory / "checkpoints" / "step-000007"
    assert [event["step"] for event in events(run.directory, "checkpoint")] == [7]


def test_a_checkpoint_that_fails_does_not_appear(run: RunDirectory) -> None:
    save(run, 1)
    with pytest.raises(FloatingPointError), run.checkpoint(2):
        raise FloatingPointError
    assert checkpoint_names(run) == ["step-000001"]
    assert [event["step"] for event in events(run.directory, "checkpoint")] == [1]


def test_the_newest_two_checkpoints_are_kept(run: RunDirectory) -> None:
    save(run, 5, 10, 15, 20)
    assert checkpoint_names(run) == ["step-000015", "step-000020"]


def test_a_million_steps_are_more_than_the_steps_before(run: RunDirectory) -> None:
    save(run, 999_998, 999_999, 1_000_000)
    assert checkpoint_names(run) == ["step-999999", "step-1000000"]


def test_a_damaged_newest_checkpoint_is_passed_over_and_said(run: RunDirectory) -> None:
    save(run, 1, 2)
    (run.directory / "checkpoints" / "step-000002" / "progress.json").write_text("{}")
    assert run.latest_checkpoint() == run.directory / "checkpoints" / "step-000001"
    [alarm] = events(run.directory, "alarm")
    assert str(alarm["message"]).startswith("step-000002 is damaged and was skipped")


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"files": 3}'])
def test_a_damaged_manifest_is_passed_over(manifest: str, run: RunDirectory) -> None:
    save(run, 1, 2)
    (run.directory / "checkpoints" / "step-000002" / "manifest.json").write_text(manifest)
    assert run.latest_checkpoint() == run.directory / "checkpoints" / "step-000001"


def test_what_a_killed_attempt_left_half_written_is_cleared(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / ".partial-a" / "new").mkdir(parents=True)
    (tmp_path / "episodes" / ".partial-b").mkdir(parents=True)
    RunDirectory(tmp_path).close()
    assert [*(tmp_path / "checkpoints").iterdir(), *(tmp_path / "episodes").iterdir()] == []


def test_a_checkpoint_completed_but_not_said_before_a_kill_is_said_after_it(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    save(run, 1, 2)
    run.close()
    log = tmp_path / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:1]))
    RunDirectory(tmp_path).close()
    assert [event["step"] for event in events(tmp_path, "checkpoint")] == [1, 2]


def test_a_checkpoint_that_a_killed_attempt_did_not_get_to_remove_goes(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    save(run, 1, 2)
    shutil.copytree(run.checkpoints()[0], tmp_path / "checkpoints" / "step-000000")
    run.close()
    run = RunDirectory(tmp_path)
    run.retain(Retention())
    assert checkpoint_names(run) == ["step-000001", "step-000002"]
    run.close()


def test_a_checkpoint_made_again_is_said_once(tmp_path: Path) -> None:
    for _ in range(2):
        run = RunDirectory(tmp_path)
        save(run, 1)
        run.close()
    assert len(events(tmp_path, "checkpoint")) == 1


def test_a_stage_obeys_the_run_it_belongs_to(run: RunDirectory, tmp_path: Path) -> None:
    stage = RunDirectory(tmp_path / "stage", obeys=run)
    run.rest()
    assert stage.pause_requested
    write_control(run.directory, "stop")
    assert stage.stop_requested and not stage.pause_requested
    stage.close()


# Episodes and the ledger of real rollouts.


def test_a_real_episode_enters_the_ledger(run: RunDirectory) -> None:
    run.record(episode("a"))
    assert read_ledger(run.directory) == [
        {
            "episode": "a",
            "task": "coffee-push",
            "start_id": 200_000,
            "pool": "budget",
            "use": "world model",
            "run": run.directory.name,
            "policy": "c0ffee",
            "success": True,
        }
    ]
    [event] = events(run.directory, "episode")
    assert (event["episode"], event["success"], event["iteration"]) == ("a", True, 4)
    assert run.episode_ids() == {"a": True}


def test_an_imagined_episode_does_not(run: RunDirectory) -> None:
    run.record(episode("a", imagined=True))
    assert read_ledger(run.directory) == []
    assert run.episode_ids() == {"a": True}


def test_a_real_episode_whose_frames_are_not_kept_counts_all_the_same(run: RunDirectory) -> None:
    run.count_real(task="push", start_id=1_000_000, use="test", policy=None, success=False)
    [entry] = read_ledger(run.directory)
    assert (entry["pool"], entry["episode"], entry["success"]) == ("test", None, False)


def test_a_real_episode_played_again_after_a_kill_counts_once(tmp_path: Path) -> None:
    for iteration in ("iteration 1", "iteration 1", "iteration 2"):
        run = RunDirectory(tmp_path)
        run.count_real(
            task="push", start_id=400_000, use="diagnostic", policy=iteration, success=True
        )
        run.close()
    assert [entry["policy"] for entry in read_ledger(tmp_path)] == ["iteration 1", "iteration 2"]


def test_an_episode_recorded_again_counts_once(tmp_path: Path) -> None:
    for _ in range(2):
        run = RunDirectory(tmp_path)
        run.record(episode("a"))
        run.record(episode("a"))
        run.close()
    assert len(read_ledger(tmp_path)) == 1
    assert len(events(tmp_path, "episode")) == 1


def test_an_episode_stored_but_not_said_before_a_kill_is_said_after_it(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.record(episode("a"))
    run.close()
    (tmp_path / "events.jsonl").unlink()
    run = RunDirectory(tmp_path)
    run.record(episode("a"))
    run.close()
    assert len(read_ledger(tmp_path)) == 1
    assert len(events(tmp_path, "episode")) == 1


def test_an_episode_stored_but_not_counted_before_a_kill_is_counted_after_it(
    tmp_path: Path,
) -> None:
    run = RunDirectory(tmp_path)
    run.record(episode("a"))
    run.close()
    (tmp_path / "events.jsonl").unlink()
    os.truncate(tmp_path / "ledger.jsonl", 20)
    run = RunDirectory(tmp_path)
    run.record(episode("a"))
    run.close()
    assert [entry["episode"] for entry in read_ledger(tmp_path)] == ["a"]


# A process killed in mid-write.

WRITER = """
import sys
from pathlib import Path
from engine.runs.run_directory import RunDirectory

run = RunDirectory(Path(sys.argv[1]))
print("held", flush=True)
step = 0
while True:
    step += 1
    run.log(step, {"policy/loss": 1.0 / step})
    if step % 20 == 0:
        with run.checkpoint(step) as directory:
            (directory / "weights").write_bytes(bytes(100_000))
        print("saved", flush=True)
"""


@pytest.mark.slow  # three fresh interpreters have to import torch
@pytest.mark.timeout(300)
def test_a_run_killed_in_mid_write_stays_readable_and_goes_on(tmp_path: Path) -> None:
    for attempt in (1, 2, 3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            told = [writer.stdout.readline() for _ in range(attempt + 1)]
            held = is_held(tmp_path)
            writer.kill()
        assert told[0] == "held\n"
        assert held
        assert not is_held(tmp_path)
    run = RunDirectory(tmp_path)
    numbers = [event["seq"] for event in events(tmp_path)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert run.attempt == 4
    assert run.latest_checkpoint() is not None
    assert list((tmp_path / "checkpoints").glob(".partial-*")) == []
    run.close()
