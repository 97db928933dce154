"""Event logs become rows exactly once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.records.episodes import write_episode
from engine.records.events import encode_line
from engine.records.types import Trajectory
from storage.cabinet import Cabinet
from storage.runs.ingest import Ingest

Maker = Callable[..., Trajectory]


class Log:
    """Writes the event log of a run as a worker would."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seq = 0
        self.attempt = 1

    def emit(self, kind: str, **values: Any) -> None:
        self.seq += 1
        event = {"seq": self.seq, "attempt": self.attempt, "time": float(self.seq), "kind": kind}
        self.write(encode_line(event | values))

    def metric(self, step: int, **metrics: float) -> None:
        self.emit("metric", step=step, metrics=metrics)

    def write(self, line: bytes) -> None:
        with (self.directory / "events.jsonl").open("ab") as stream:
            stream.write(line)


@pytest.fixture
def log(cabinet: Cabinet) -> Log:
    cabinet.runs.create("run-1", "optimise", {"seed": 3})
    return Log(cabinet.runs.directory("run-1"))


def values(cabinet: Cabinet) -> list[tuple[int, float]]:
    return [(row["step"], row["value"]) for row in cabinet.curves.table(["run-1"])]


def test_events_become_points_and_state(cabinet: Cabinet, log: Log) -> None:
    log.emit("state", state="running")
    log.metric(1, loss=0.5)
    log.emit("progress", done=1, total=4)
    assert cabinet.ingest.ingest("run-1") == 3
    run = cabinet.runs.get("run-1")
    assert (run.state, run.done, run.total, run.step, run.attempt) == ("running", 1, 4, 1, 1)
    assert (run.started, run.updated) == (1.0, 3.0)
    assert values(cabinet) == [(1, 0.5)]


def test_an_episode_of_a_stage_is_one_of_the_run(
    cabinet: Cabinet, log: Log, make_trajectory: Maker
) -> None:
    episode = make_trajectory("dream-0")
    write_episode(log.directory / "stages" / "optimise" / "episodes", episode)
    log.emit("episode", episode="dream-0", stage="optimise")
    log.emit("episode", episode="dream-0", stage="../optimise")
    cabinet.ingest.ingest("run-1")
    found = cabinet.trajectories.find("run-1.dream-0")
    assert (found.run, found.task) == ("run-1", episode.task)
    frames = cabinet.trajectories.get(found.id).frames
    assert frames.tobytes() == episode.frames.tobytes()


def test_ingesting_again_changes_nothing(cabinet: Cabinet, log: Log) -> None:
    log.metric(1, loss=0.5)
    cabinet.ingest.ingest("run-1")
    assert cabinet.ingest.ingest("run-1") == 0
    assert values(cabinet) == [(1, 0.5)]


def test_only_what_is_new_is_read(cabinet: Cabinet, log: Log) -> None:
    log.metric(1, loss=0.5)
    cabinet.ingest.ingest("run-1")
    log.metric(2, loss=0.25)
    assert cabinet.ingest.ingest("run-1") == 1
    assert values(cabinet) == [(1, 0.5), (2, 0.25)]


def test_a_line_still_being_written_waits(cabinet: Cabinet, log: Log) -> None:
    log.metric(1, loss=0.5)
    log.write(b"0badc0de {")
    cabinet.ingest.ingest("run-1")
    log.write(b"\n")
    log.metric(2, loss=0.25)
    assert cabinet.ingest.ingest("run-1") == 1
    assert values(cabinet) == [(1, 0.5), (2, 0.25)]


def test_a_damaged_line_is_skipped(cabinet: Cabinet, log: Log) -> None:
    log.metric(1, loss=0.5)
    log.write(b'00000000 {"seq":2}\n')
    log.metric(3, loss=0.25)
    cabinet.ingest.ingest("run-1")
    assert values(cabinet) == [(1, 0.5), (3, 0.25)]


def test_of_one_step_the_later_attempt_counts(cabinet: Cabinet, log: Log) -> None:
    log.metric(1, loss=0.5)
    log.metric(2, loss=0.4)
    cabinet.ingest.ingest("run-1")
    log.attempt = 2
    log.metric(2, loss=0.3)
    cabinet.ingest.ingest("run-1")
    assert values(cabinet) == [(1, 0.5), (2, 0.3)]


def test_one_batch_may_hold_both_attempts(cabinet: Cabinet, log: Log) -> None:
    log.metric(2, loss=0.4)
    log.attempt = 2
    log.metric(2, loss=0.3)
    cabinet.ingest.ingest("run-1")
    assert values(cabinet) == [(2, 0.3)]


def test_an_event_of_another_shape_is_skipped(cabinet: Cabinet, log: Log) -> None:
    log.emit("metric", step=1)
    log.emit("metric", step=1, metrics={"loss": "low"})
    log.metric(2, loss=0.25)
    assert cabinet.ingest.ingest("run-1") == 3
    assert values(cabinet) == [(2, 0.25)]


def test_an_episode_event_makes_an_index_row(
    cabinet: Cabinet, log: Log, make_trajectory: Maker
) -> None:
    lineage = {"iteration": 2, "group": 300_000, "member": 1, "advantage": -0.5, "reward": 1.0}
    write_episode(log.directory / "episodes", make_trajectory("e", lineage=lineage))
    log.emit("episode", episode="e", success=True, end_step=2, iteration=2)
    cabinet.ingest.ingest("run-1")
    row = cabinet.trajectories.find("run-1.e")
    assert (row.run, row.iteration, row.group_name, row.member) == ("run-1", 2, "300000", 1)
    assert (row.advantage, row.reward, row.created) == (-0.5, 1.0, 1.0)
    assert cabinet.runs.iterations("run-1") == [2]
    assert cabinet.trajectories.get("run-1.e").id == "run-1.e"


def test_an_episode_whose_files_are_missing_is_skipped(cabinet: Cabinet, log: Log) -> None:
    log.emit("episode", episode="nowhere", success=True, end_step=2, iteration=2)
    log.metric(1, loss=0.5)
    cabinet.ingest.ingest("run-1")
    assert cabinet.trajectories.ids() == []
    assert values(cabinet) == [(1, 0.5)]


def test_the_result_and_the_end_are_kept(cabinet: Cabinet, log: Log) -> None:
    log.emit("result", metrics={"rollout/success_rate": 0.5})
    log.emit("state", state="done")
    cabinet.ingest.ingest("run-1")
    run = cabinet.runs.get("run-1")
    assert run.ended
    assert run.result == {"rollout/success_rate": 0.5}


def test_a_failure_keeps_its_sentence(cabinet: Cabinet, log: Log) -> None:
    log.emit("state", state="failed", error="no such checkpoint")
    cabinet.ingest.ingest("run-1")
    assert cabinet.runs.get("run-1").error == "no such checkpoint"


def test_the_time_left_follows_the_pace_of_the_attempt(cabinet: Cabinet, log: Log) -> None:
    log.emit("state", state="running")
    log.emit("progress", done=10, total=100)
    log.emit("progress", done=20, total=100)
    cabinet.ingest.ingest("run-1")
    assert cabinet.runs.get("run-1").seconds_left == 8.0


def test_a_new_attempt_starts_a_new_pace(cabinet: Cabinet, log: Log) -> None:
    log.emit("state", state="running")
    log.emit("progress", done=20, total=100)
    log.attempt = 2
    log.emit("state", state="running")
    log.emit("progress", done=15, total=100)
    cabinet.ingest.ingest("run-1")
    run = cabinet.runs.get("run-1")
    assert (run.attempt, run.done, run.seconds_left) == (2, 15, None)


def test_more_events_than_a_batch_are_all_taken_in(cabinet: Cabinet, log: Log) -> None:
    lines = [
        encode_line(
            {"seq": i, "attempt": 1, "time": 0.0, "kind": "metric", "step": i, "metrics": {"a": i}}
        )
        for i in range(1, 2_501)
    ]
    log.write(b"".join(lines))
    assert cabinet.ingest.ingest("run-1") == 2_500
    assert len(values(cabinet)) == 2_500


def test_events_are_listed_newest_first_without_points(cabinet: Cabinet, log: Log) -> None:
    log.emit("state", state="running")
    log.metric(1, loss=0.5)
    log.emit("alarm", message="look")
    cabinet.ingest.ingest("run-1")
    kinds = [event["kind"] for event in cabinet.runs.events("run-1", limit=5)]
    assert kinds == ["alarm", "state"]


def entry(start_id: int, use: str) -> bytes:
    values = {"task": "push", "start_id": start_id, "pool": "budget", "use": use, "run": "run-1"}
    return json.dumps(values | {"policy": None, "success": True}).encode() + b"\n"


def test_ledgers_are_merged_once_and_damaged_lines_skipped(cabinet: Cabinet, log: Log) -> None:
    ledger = log.directory / "ledger.jsonl"
    ledger.write_bytes(entry(200_000, "reward") + b"{torn\n" + entry(200_001, "reward"))
    cabinet.ingest.ingest("run-1")
    cabinet.ingest.ingest("run-1")
    assert [row["start_id"] for row in cabinet.runs.ledger()] == [200_000, 200_001]


def test_a_start_used_twice_shows_in_the_overlaps(cabinet: Cabinet, log: Log) -> None:
    ledger = log.directory / "ledger.jsonl"
    ledger.write_bytes(entry(200_000, "reward") + entry(200_000, "test") + entry(1, "test"))
    cabinet.ingest.ingest("run-1")
    assert cabinet.runs.overlaps() == [
        {"task": "push", "start_id": 200_000, "uses": ["reward", "test"]}
    ]


def test_an_unknown_run_is_a_lookup_error(cabinet: Cabinet) -> None:
    with pytest.raises(LookupError, match="there is no run nothing"):
        cabinet.ingest.ingest("nothing")


def test_two_runs_of_one_id_are_refused(cabinet: Cabinet, log: Log) -> None:
    with pytest.raises(ValueError, match="there is already a run run-1"):
        cabinet.runs.create("run-1", "optimise", {})


def test_a_worker_that_writes_faster_than_we_read_does_not_keep_us(
    cabinet: Cabinet, log: Log
) -> None:
    log.metric(1, loss=0.5)
    rows = cabinet.trajectories.row_of
    grown: list[int] = []

    class Growing:
        """Index rows of a run whose log grows whenever one is made."""

        def row_of(self, directory: Path, *, run: str | None = None) -> dict[str, Any]:
            grown.append(1)
            log.emit("episode", episode="more", success=True, end_step=1, iteration=1)
            return rows(directory, run=run)

    ingest = Ingest(cabinet.database, log.directory.parent, Growing())
    log.emit("episode", episode="first", success=True, end_step=1, iteration=1)
    assert ingest.ingest("run-1") == 2
    assert len(grown) == 1


def test_a_phase_is_told_and_what_was_counted_before_it_is_forgotten(
    cabinet: Cabinet, log: Log
) -> None:
    log.emit("state", state="running")
    log.emit("phase", phase="playing in the simulator")
    log.emit("progress", done=24, total=24)
    log.emit("phase", phase="imagining and comparing")
    cabinet.ingest.ingest("run-1")
    run = cabinet.runs.get("run-1")
    assert (run.done, run.total, run.seconds_left) == (None, None, None)
    assert cabinet.runs.phase("run-1") == "imagining and comparing"
    log.attempt = 2
    log.emit("state", state="running")
    cabinet.ingest.ingest("run-1")
    assert cabinet.runs.phase("run-1") == ""  # of the attempt before
