"""The studio: runs, from checkpoint ids to curves and videos."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.launcher import event_text, thin
from app.studio import Studio
from engine.episodes import write_episode
from engine.events import encode_line
from engine.jobs.optimise import JobConfig
from engine.types import Outcome, Trajectory
from tests.app.conftest import START

Maker = Callable[..., Trajectory]
CONFIG = {
    "policy": "demo/base",
    "world_model": "demo/world",
    "reward_model": "demo/reward",
    "iterations": 2,
}


@pytest.fixture
def run(studio: Studio) -> str:
    return studio.start_run("optimise", CONFIG)


class Log:
    """Writes what the worker of a run would."""

    def __init__(self, studio: Studio, run: str) -> None:
        self.studio, self.run, self.seq = studio, run, 0
        self.directory = studio.data_directory / "runs" / run

    def emit(self, kind: str, **values: Any) -> None:
        self.seq += 1
        event = {"seq": self.seq, "attempt": 1, "time": 100.0 + self.seq, "kind": kind}
        with (self.directory / "events.jsonl").open("ab") as stream:
            stream.write(encode_line(event | values))
        self.studio.cabinet.ingest.ingest(self.run)


@pytest.fixture
def log(studio: Studio, run: str) -> Log:
    return Log(studio, run)


def spec(studio: Studio, run: str) -> dict[str, Any]:
    path = studio.data_directory / "runs" / run / "config.json"
    values: dict[str, Any] = json.loads(path.read_text())
    return values


def test_a_run_is_queued_with_directories_in_place_of_ids(
    studio: Studio, run: str, demo: Path
) -> None:
    assert run.startswith("optimise-")
    assert spec(studio, run)["job"] == "optimise"
    config = spec(studio, run)["config"]
    assert config["policy"] == str(demo / "checkpoints" / "base")
    assert (config["iterations"], config["group_size"]) == (2, JobConfig().group_size)


def test_the_shipped_starts_are_used_where_none_are_named(
    studio: Studio, run: str, demo: Path
) -> None:
    assert spec(studio, run)["config"]["starts"] == str(demo / "starts.npz")


def test_a_run_is_told_the_threshold_that_is_in_use(studio: Studio, run: str) -> None:
    assert spec(studio, run)["config"]["success_threshold"] == 0.0  # the reward model's own
    [judge] = studio.cabinet.checkpoints.all("reward_model")
    studio.cabinet.thresholds.save(judge.hash, 0.75, measures={})
    later = studio.start_run("optimise", CONFIG)
    assert spec(studio, later)["config"]["success_threshold"] == 0.75
    chosen = studio.start_run("optimise", CONFIG | {"success_threshold": 0.5})
    assert spec(studio, chosen)["config"]["success_threshold"] == 0.5


def test_status_and_list_agree(studio: Studio, run: str) -> None:
    status = studio.run_status(run)
    assert (status["state"], status["done"], status["total"]) == ("queued", 0, 0)
    [listed] = studio.list_runs()
    assert listed["id"] == run
    assert status["config"]["iterations"] == 2


@pytest.mark.parametrize(
    ("job", "config", "sentence"),
    [
        ("fly", {}, "job must be one of .*collect"),
        (None, {}, "job must be one of"),
        ("optimise", None, "the options of a run must be an object"),
        ("optimise", {"wings": 2}, "has no option wings"),
        ("optimise", {"iterations": 0}, "iterations must be at least 1"),
        ("optimise", {"iterations": "two"}, "iterations must be of type int"),
        ("optimise", {"policy": "demo/none"}, "there is no checkpoint demo/none"),
        ("optimise", {"policy": "../../etc"}, "there is no checkpoint"),
        ("optimise", {"policy": 3}, "a checkpoint is named by its id"),
    ],
)
def test_bad_runs_are_one_sentence_and_leave_nothing(
    studio: Studio, job: Any, config: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        studio.start_run(job, config)
    assert studio.list_runs() == []


def test_curves_come_by_cursor(studio: Studio, run: str, log: Log) -> None:
    log.emit("metric", step=1, metrics={"rollout/reward": 0.25})
    log.emit("metric", step=2, metrics={"rollout/reward": 0.5, "grpo/loss": 0.1})
    first = studio.run_metrics(run)
    assert first == {
        "next": 2,
        "series": {"rollout/reward": [[1, 0.25], [2, 0.5]], "grpo/loss": [[2, 0.1]]},
    }
    assert studio.run_metrics(run, after=2) == {"next": 2, "series": {}}
    log.emit("metric", step=3, metrics={"rollout/reward": 0.75})
    assert studio.run_metrics(run, after=2)["series"] == {"rollout/reward": [[3, 0.75]]}


def test_events_are_told_in_words(studio: Studio, run: str, log: Log) -> None:
    log.emit("state", state="running")
    log.emit("checkpoint", step=2)
    log.emit("alarm", message="every group was dropped")
    texts = [event["text"] for event in studio.run_events(run)]
    assert texts == ["every group was dropped", "checkpoint of step 2 saved", "running"]


def test_the_videos_of_an_iteration_come_in_groups(
    studio: Studio, run: str, log: Log, make_trajectory: Maker
) -> None:
    for start, member, success in ((START, 0, True), (START, 1, False), (START + 1, 0, False)):
        lineage = {
            "iteration": 1,
            "group": start,
            "member": member,
            "reward": float(success),
            "advantage": 0.5,
            "fate": "kept" if start == START else "too_few_successes",
        }
        name = f"iteration-0001-{start}-{member}"
        outcome = Outcome(success, 12 if success else 16)
        episode = make_trajectory(name, start_id=start, outcome=outcome, lineage=lineage)
        write_episode(log.directory / "episodes", episode)
        log.emit("episode", episode=name, success=success, end_step=12, iteration=1)
    assert studio.run_iterations(run) == [1]
    kept, dropped = studio.run_strip(run, 1)
    assert (kept["start_id"], kept["kept"], kept["reason"]) == (
        START,
        True,
        "kept, 1 of 2 succeed",
    )
    assert (dropped["kept"], dropped["reason"]) == (False, "dropped, all fail")
    first = kept["members"][0]
    assert (first["success"], first["reward"], first["advantage"]) == (True, 1.0, 0.5)
    assert first["sprite"].startswith("data:image/jpeg;base64,")
    assert studio.clip(first["episode"])["id"] == first["episode"]
    assert len(studio.list_episodes(run=run, iteration=1)) == 3


def test_an_iteration_without_videos_is_empty(studio: Studio, run: str) -> None:
    assert studio.run_strip(run, 5) == []


def test_stop_ends_a_queued_run(studio: Studio, run: str) -> None:
    assert studio.stop_run(run)["state"] == "cancelled"
    with pytest.raises(ValueError, match="is cancelled already"):
        studio.control_run(run, "pause")


@pytest.mark.parametrize("control", ["explode", None, 3])
def test_another_control_is_refused(studio: Studio, run: str, control: Any) -> None:
    with pytest.raises(ValueError, match="control must be one of"):
        studio.control_run(run, control)


def test_an_unknown_run_is_refused_everywhere(studio: Studio) -> None:
    calls: list[Callable[[], object]] = [
        lambda: studio.run_status("nothing"),
        lambda: studio.stop_run("nothing"),
        lambda: studio.run_metrics("nothing"),
        lambda: studio.run_iterations("nothing"),
        lambda: studio.run_strip("nothing", 1),
        lambda: studio.run_events("nothing"),
    ]
    sentences = []
    for call in calls:
        with pytest.raises(ValueError, match="there is no run nothing") as caught:
            call()
        sentences.append(str(caught.value))
    assert len(sentences) == len(calls)


def test_a_public_studio_runs_small_jobs_of_one_kind(
    make_studio: Callable[..., Studio],
) -> None:
    studio = make_studio(public=True)
    small = CONFIG | {"groups": 2, "max_groups": 4}
    with pytest.raises(ValueError, match="job must be one of optimise, not 'collect'"):
        studio.start_run("collect", {})
    with pytest.raises(ValueError, match="iterations may be at most 5, not 6"):
        studio.start_run("optimise", small | {"iterations": 6})
    with pytest.raises(ValueError, match="key_frames_from cannot be chosen on a public studio"):
        studio.start_run("optimise", small | {"key_frames_from": ["/etc"]})
    with pytest.raises(ValueError, match="does not play in the simulator"):
        studio.start_run("optimise", small | {"environment": "simulator"})
    with pytest.raises(ValueError, match="starts cannot be chosen on a public studio"):
        studio.start_run("optimise", small | {"starts": "/etc/passwd"})
    with pytest.raises(ValueError, match="there is no checkpoint /etc"):
        studio.start_run("optimise", small | {"policy": "/etc"})
    studio.start_run("optimise", small)
    status = studio.run_status(studio.start_run("optimise", small))
    assert "policy" not in status["config"]
    with pytest.raises(ValueError, match="other visitors' runs are waiting"):
        studio.start_run("optimise", small)


def test_a_long_curve_keeps_its_extremes() -> None:
    points = [[float(step), 0.0] for step in range(10_000)]
    points[4_321][1] = 9.0
    thinned = thin(points, most=100)
    assert len(thinned) <= 100
    assert [4_321.0, 9.0] in thinned
    assert thinned == sorted(thinned)


def test_a_short_curve_is_left_alone() -> None:
    assert thin([[1, 2.0]], most=100) == [[1, 2.0]]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"kind": "state", "state": "failed", "error": "no starts"}, "failed: no starts"),
        ({"kind": "result", "metrics": {"rollout/success_rate": 0.5}}, "rollout/success_rate 0.5"),
        ({"kind": "new"}, "new"),
    ],
)
def test_every_event_has_words(event: dict[str, Any], text: str) -> None:
    assert event_text(event) == text
