"""The studio's way from labels to a retraining, its comparison, and judging runs anew."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.studio import Studio
from app.web.questions import ask
from engine.records.episodes import write_episode
from engine.records.events import encode_line
from engine.records.label_set import read_label_set
from engine.records.types import Label, Trajectory
from tests.app.conftest import make_checkpoint

Maker = Callable[..., Trajectory]


@pytest.fixture
def labelled(studio: Studio, make_trajectory: Maker) -> Studio:
    """Two episodes with labels, and one without."""
    for name, imagined in (("a", True), ("b", False), ("c", True)):
        studio.cabinet.trajectories.add(make_trajectory(name, imagined=imagined))
    for name, outcome in (("a", "fail"), ("b", "success")):
        label = Label(event_id=f"event-{name}", episode_id=name, outcome=outcome)
        studio.cabinet.labels.append(label)
    return studio


def spec(studio: Studio, run: str) -> dict[str, Any]:
    path = studio.data_directory / "runs" / run / "config.json"
    values: dict[str, Any] = json.loads(path.read_text())["config"]
    return values


def finish(studio: Studio, run: str, documents: dict[str, Any], result: dict[str, Any]) -> None:
    """Leave what a worker leaves."""
    directory = studio.data_directory / "runs" / run
    (directory / "documents").mkdir()
    for name, values in documents.items():
        (directory / "documents" / f"{name}.json").write_text(json.dumps(values))
    with (directory / "events.jsonl").open("ab") as stream:
        for seq, (kind, values) in enumerate(
            [("result", {"metrics": result}), ("state", {"state": "done"})], start=1
        ):
            event = {"seq": seq, "attempt": 1, "time": 100.0, "kind": kind}
            stream.write(encode_line(event | values))
    studio.cabinet.ingest.ingest(run)


def test_a_chain_learns_from_what_people_have_said_by_now_of_its_task(
    labelled: Studio, make_trajectory: Maker
) -> None:
    trajectories = labelled.cabinet.trajectories
    for name in ("taken", "other"):
        labelled.cabinet.runs.create(name, "import_recordings", {})
    for run, name in (("taken", "x"), ("taken", "y"), ("other", "z")):
        recorded = make_trajectory(
            name, imagined=False, task="drawer" if run == "taken" else "pour"
        )
        directory = write_episode(labelled.cabinet.runs.directory(run) / "episodes", recorded)
        trajectories.index([trajectories.row_of(directory, run=run)])
    label = Label(event_id="event-x", episode_id="taken.x", outcome="success")
    options = {"episodes_from": ["taken"], "label_set": "now"}
    labelled.cabinet.labels.append(label)
    config = spec(labelled, labelled.train.training.start("train_task", options))
    frozen = read_label_set(Path(config["label_set"]))
    assert [(one.episode_id, one.success) for one in frozen] == [("taken.x", True)]
    options["episodes_from"] = ["other"]
    config = spec(labelled, labelled.train.training.start("train_task", options))
    assert (config["label_set"], config["labelled_from"]) == ("", [])


def test_a_retraining_is_told_directories_that_nobody_typed(labelled: Studio, demo: Path) -> None:
    frozen = ask(labelled.reward.retraining.freeze, {})
    assert ask(labelled.reward.retraining.standing, {})["episodes"] == frozen["episodes"] == 2
    assert labelled.reward.retraining.label_sets() == [frozen]
    run = ask(
        labelled.reward.retraining.start,
        {"label_set": frozen["version"][:12], "reward_model": "demo/reward", "steps": 7},
    )["run"]
    config = spec(labelled, run)
    assert config["label_set"] == str(
        labelled.cabinet.workspace.label_sets / str(frozen["version"])
    )
    assert config["labelled_from"] == [str(labelled.cabinet.workspace.episodes)]
    assert config["reward_model"] == str(demo / "checkpoints" / "reward")
    assert config["fit"]["steps"] == 7


@pytest.mark.parametrize(
    ("method", "query", "sentence"),
    [
        ("freeze", {"actor": "nobody"}, "no label fits"),
        ("freeze", {"imagined": "yes"}, "imagined must be true or false"),
        ("freeze", {"colour": "red"}, "colour is not known here"),
        ("start", {}, "label_set is missing"),
        ("start", {"label_set": "/etc"}, "there is no label set"),
        ("start", {"label_set": "/etc", "labelled_from": ["/etc"]}, "labelled_from is not known"),
        ("start", {"label_set": "x", "steps": 0}, "steps must be from 1"),
        ("rejudge", {"run": "none"}, "there is no run none"),
        ("compare", {"run": "none"}, "there is no run none"),
        ("restart", {"run": "none", "reward_model": "demo/reward"}, "there is no run none"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    labelled: Studio, method: str, query: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(getattr(labelled.reward.retraining, method), query)
    assert labelled.runs.all() == []


def test_old_and_new_model_come_side_by_side_the_largest_change_first(labelled: Studio) -> None:
    frozen = ask(labelled.reward.retraining.freeze, {})
    run = ask(labelled.reward.retraining.start, {"label_set": frozen["version"]})["run"]
    assert ask(labelled.reward.retraining.compare, {"run": run})["rows"] == []

    def row(name: str, old: float, new: float) -> dict[str, Any]:
        return {
            "episode": name,
            "imagined": True,
            "gold": name == "a",
            "human": False,
            "old": {"probability": old, "success": old > 0.5},
            "new": {"probability": new, "success": new > 0.5},
        }

    rows = [row("a", 0.75, 0.5), row("b", 0.75, 0.25)]
    metrics = {"gold/verdict": "better: …", "gold/better": True, "gold/real_clips": 1}
    finish(labelled, run, {"disagreements": {"clips": 2, "rows": rows}}, metrics)
    found = ask(labelled.reward.retraining.compare, {"run": run})
    assert [r["episode_id"] for r in found["rows"]] == ["b", "a"]
    first = found["rows"][0]
    assert (first["old"], first["old_success"], first["new"], first["human"]) == (
        0.75,
        True,
        0.25,
        "fail",
    )
    assert first["image"].startswith("data:image/")
    assert (found["verdict"], found["better"], found["total"]) == ("better: …", True, 2)


@pytest.fixture
def optimised(studio: Studio) -> str:
    """A run of GRPO that kept two checkpoints."""
    models = {role: f"demo/{name}" for role, name in (("policy", "base"), ("world_model", "world"))}
    run = studio.train.training.start(
        "optimise", {**models, "reward_model": "demo/reward", "iterations": 5, "keep_low": 0.25}
    )
    for step in (2, 3):
        directory = studio.data_directory / "runs" / run / "checkpoints" / f"step-{step:06d}"
        make_checkpoint(directory, {"role": "policy", "action_dim": 4, "chunk_size": 8})
    return run


def test_a_run_is_judged_anew_with_the_bounds_it_had(studio: Studio, optimised: str) -> None:
    run = ask(
        studio.reward.retraining.rejudge, {"run": optimised, "threshold": 0.75, "iteration": 2}
    )["run"]
    config = spec(studio, run)
    assert config["episodes_from"] == [str(studio.data_directory / "runs" / optimised)]
    assert (config["threshold"], config["iteration"], config["keep_low"]) == (0.75, 2, 0.25)

    def group(number: int, *, changed: bool, flipped: bool) -> dict[str, Any]:
        return {"group": number, "changed": changed, "flipped": flipped, "members": []}

    groups = [
        group(1, changed=False, flipped=False),
        group(2, changed=True, flipped=False),
        group(3, changed=True, flipped=True),
    ]
    finish(studio, run, {"groups": {"groups": groups}}, {"rejudge/groups_flipped": 1.0})
    found = ask(studio.reward.retraining.flips, {"run": run})
    assert [g["group"] for g in found["groups"]] == [3, 2]
    assert (found["source"], found["counts"]["groups_flipped"]) == (optimised, 1.0)
    assert len(ask(studio.reward.retraining.flips, {"run": run, "all": True})["groups"]) == 3


def test_a_restart_goes_on_from_a_kept_checkpoint_with_another_judge(
    studio: Studio, optimised: str, demo: Path
) -> None:
    make_checkpoint(demo / "checkpoints" / "better", {"role": "reward_model"})
    run = ask(
        studio.reward.retraining.restart,
        {"run": optimised, "reward_model": "demo/better", "iteration": 2},
    )["run"]
    config = spec(studio, run)
    kept = studio.data_directory / "runs" / optimised / "checkpoints"
    assert config["restart_from"] == str(kept / "step-000002")
    assert config["reward_model"] == str(demo / "checkpoints" / "better")
    assert (config["iterations"], config["keep_low"]) == (5, 0.25)
    with pytest.raises(ValueError, match="kept the checkpoints of iterations 2, 3, not of 1"):
        ask(
            studio.reward.retraining.restart,
            {"run": optimised, "reward_model": "demo/better", "iteration": 1},
        )["run"]


def test_a_judge_of_states_is_no_start_of_a_retraining(
    make_studio: Callable[..., Studio], demo: Path
) -> None:
    judge = {"role": "reward_model", "family": "states", "window": 8}
    make_checkpoint(demo / "checkpoints" / "judge", judge)
    assert make_studio().reward.retraining.models() == [
        {"id": "demo/judge", "learns": False},
        {"id": "demo/reward", "learns": True},
    ]
