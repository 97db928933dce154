"""The studio: runs, from checkpoint ids to curves and videos."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.access import LIMITS
from app.rates import TooMuchError
from app.runs.launcher import event_text
from app.studio import Studio
from app.visitors import Role
from app.web.questions import ask
from engine.config import Config
from engine.jobs.optimise.job import JobConfig
from engine.records.manifest import write_manifest
from engine.records.types import Trajectory
from engine.runs.registry import job_config
from tests.app.conftest import OPTIMISE

Maker = Callable[..., Trajectory]


@pytest.fixture
def run(studio: Studio) -> str:
    return studio.train.training.start("optimise", OPTIMISE)


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
    assert spec(studio, run)["config"]["starts"] == str(demo / "starts" / "coffee-push.npz")


def test_a_run_is_of_the_task_of_its_models_and_begins_from_its_starts(
    make_studio: Callable[..., Studio], demo: Path
) -> None:
    for name in ("base", "world", "reward"):
        place = demo / "checkpoints" / name
        (place / "card.json").write_text(json.dumps({"task": "plate-slide"}))
        write_manifest(place)
    studio = make_studio()
    shutil.copy(demo / "starts" / "coffee-push.npz", demo / "starts" / "plate-slide.npz")
    _, config = studio.runs.config("optimise", OPTIMISE)
    assert config["task"] == "plate-slide"
    assert config["starts"] == str((demo / "starts" / "plate-slide.npz").resolve())
    _, config = studio.runs.config("optimise", OPTIMISE | {"task": "coffee-push"})
    assert config["task"] == "coffee-push"


def test_a_run_is_told_the_threshold_that_is_in_use(studio: Studio, run: str) -> None:
    assert spec(studio, run)["config"]["success_threshold"] == 0.0  # the reward model's own
    [judge] = studio.cabinet.checkpoints.all("reward_model")
    studio.cabinet.thresholds.save(judge.hash, 0.75, measures={})
    later = studio.train.training.start("optimise", OPTIMISE)
    assert spec(studio, later)["config"]["success_threshold"] == 0.75
    chosen = studio.train.training.start("optimise", OPTIMISE | {"success_threshold": 0.5})
    assert spec(studio, chosen)["config"]["success_threshold"] == 0.5


def test_status_and_list_agree(studio: Studio, run: str) -> None:
    status = studio.runs.status(run)
    assert (status["state"], status["done"], status["total"]) == ("queued", 0, 0)
    [listed] = studio.runs.all()
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
    with pytest.raises((ValueError, LookupError), match=sentence):
        studio.train.training.start(job, config)
    assert studio.runs.all() == []


def test_stop_ends_a_queued_run(studio: Studio, run: str) -> None:
    assert ask(studio.runs.control, {"run": run, "control": "stop"})["state"] == "cancelled"
    with pytest.raises(ValueError, match="is cancelled already"):
        ask(studio.runs.control, {"run": run, "control": "pause"})


@pytest.mark.parametrize("control", ["explode", None, 3])
def test_another_control_is_refused(studio: Studio, run: str, control: Any) -> None:
    with pytest.raises(ValueError, match="control must be one of"):
        ask(studio.runs.control, {"run": run, "control": control})


def test_an_unknown_run_is_refused_everywhere(studio: Studio) -> None:
    calls: list[Callable[[], object]] = [
        lambda: studio.runs.status("nothing"),
        lambda: ask(studio.runs.control, {"run": "nothing", "control": "stop"}),
    ]
    sentences = []
    for call in calls:
        with pytest.raises((ValueError, LookupError), match="there is no run nothing") as caught:
            call()
        sentences.append(str(caught.value))
    assert len(sentences) == len(calls)


FREE = {  # numbers that do not say how much is computed or kept
    *("first_start", "seed", "real_budget", "checkpoint_every", "warmup_updates"),
}


def test_every_number_of_a_visitors_run_that_costs_something_has_a_most() -> None:
    limits = LIMITS[Role.VISITOR]
    for job in limits.run_jobs or ():
        config = job_config(job, {})
        names = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
        numbers = {name for name, value in names.items() if type(value) is int}
        parts = {name for name, value in names.items() if isinstance(value, Config)}
        assert numbers - FREE == numbers & set(limits.run_options), job
        assert parts <= set(limits.run_choices), job


def test_a_public_studio_runs_small_jobs_of_one_kind(
    make_studio: Callable[..., Studio],
) -> None:
    studio = make_studio(role=Role.VISITOR)
    small = OPTIMISE | {"groups": 2, "max_groups": 4}
    with pytest.raises(ValueError, match="job must be one of optimise, not 'collect'"):
        studio.train.training.start("collect", {})
    with pytest.raises(ValueError, match="iterations may be at most 5, not 6"):
        studio.train.training.start("optimise", small | {"iterations": 6})
    with pytest.raises(ValueError, match="key_frames_from cannot be chosen on a public studio"):
        studio.train.training.start("optimise", small | {"key_frames_from": ["/etc"]})
    with pytest.raises(ValueError, match="environment is imagination, not 'simulator'"):
        studio.train.training.start("optimise", small | {"environment": "simulator"})
    with pytest.raises(ValueError, match="starts cannot be chosen on a public studio"):
        studio.train.training.start("optimise", small | {"starts": "/etc/passwd"})
    with pytest.raises(ValueError, match="gates cannot be chosen on a public studio"):
        studio.train.training.start("optimise", small | {"gates": "/etc"})
    with pytest.raises(ValueError, match="ray is left empty, not '127"):
        studio.train.training.start("optimise", small | {"ray": "127.0.0.1:6379"})
    with pytest.raises(ValueError, match="workers"):
        studio.train.training.start("optimise", small | {"workers": 2})
    with pytest.raises(ValueError, match="learners may be at most 1, not 64"):
        studio.train.training.start("optimise", small | {"learners": 64})
    with pytest.raises(ValueError, match="economy is as it is, not"):
        studio.train.training.start("optimise", small | {"economy": {"lora_rank": 10**6}})
    with pytest.raises(ValueError, match="logger is none, not"):
        studio.train.training.start("optimise", small | {"logger": "trackio"})
    with pytest.raises((ValueError, LookupError), match="there is no checkpoint /etc"):
        studio.train.training.start("optimise", small | {"policy": "/etc"})
    studio.train.training.start("optimise", small)
    status = studio.runs.status(studio.train.training.start("optimise", small))
    assert "policy" not in status["config"]
    with pytest.raises(TooMuchError, match="other visitors' runs are waiting"):
        studio.train.training.start("optimise", small)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"kind": "state", "state": "failed", "error": "no starts"}, "failed: no starts"),
        ({"kind": "result", "metrics": {"rollout/success_rate": 0.5}}, "rollout success rate 0.5"),
        ({"kind": "state", "state": "running", "attempt": 2}, "running again, attempt 2"),
        ({"kind": "phase", "phase": "imagining"}, "imagining"),
        ({"kind": "new"}, "new"),
    ],
)
def test_every_event_has_words(event: dict[str, Any], text: str) -> None:
    assert event_text(event) == text
