"""Evaluations: what would run, what is refused, and what the numbers of runs say."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.live.simulator import Simulator
from app.studio import Studio
from app.web.questions import ask
from engine.records.ledger import append_ledger, ledger_entry
from engine.records.manifest import write_manifest
from engine.records.types import Outcome, Trajectory
from engine.runs.registry import job_config
from engine.runs.run_directory import RunDirectory
from storage.workspace import Workspace
from tests.app.conftest import make_checkpoint
from tests.fakes import CountingEnv

CHECKOUT = Path(__file__).parents[2]
FIRST, SECOND = [1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1]
QUERY: dict[str, Any] = {
    "policies": [{"id": "demo/base"}],
    "tasks": ["coffee-push"],
    "pools": ["test"],
    "first_start": 0,
    "episodes": 8,
    "temperature": 0,
    "seeds": 3,
    "record_episodes": 2,
}


@pytest.fixture
def studio(make_studio: Callable[..., Studio]) -> Studio:
    return make_studio(simulator=Simulator(CountingEnv))


def finish(workspace: Workspace, name: str, outcomes: list[int], **options: Any) -> Path:
    """The directory of a finished evaluate run, as its job leaves it."""
    config = {"pool": "test", "episodes": len(outcomes), "policy": f"/elsewhere/{name}", **options}
    directory = workspace.runs / name
    run = RunDirectory(directory)
    document = {"job": "evaluate", "config": job_config("evaluate", config).to_dict()}
    (directory / "config.json").write_text(json.dumps(document))
    run.state("running")
    for start, success in enumerate(outcomes):
        run.count_real(
            task="coffee-push",
            start_id=1_000_000 + start,
            use="test",
            policy=None,
            success=bool(success),
        )
    run.progress(len(outcomes), len(outcomes))
    run.result({"evaluate/success_rate": sum(outcomes) / len(outcomes), "outcomes": outcomes})
    run.state("done")
    run.close()
    return directory


def seen(make_studio: Callable[..., Studio]) -> Studio:
    """A studio that takes in the run directories that were put there."""
    return make_studio(simulator=Simulator(CountingEnv))


def test_a_plan_counts_what_is_new_and_greedy_play_needs_no_seeds(studio: Studio) -> None:
    plan = ask(studio.evaluate.evaluation.plan, QUERY)
    assert (plan["new"], plan["known"], plan["episodes"], plan["measured"]) == (1, 0, 8, False)
    assert plan["notes"] == ["Greedy play is the same for every seed: each policy plays once."]
    sampled = ask(
        studio.evaluate.evaluation.plan, QUERY | {"temperature": 1.0, "pools": ["test", "free"]}
    )
    assert (sampled["new"], sampled["notes"]) == (6, [])


def test_a_started_evaluation_is_queued_once_and_stands_in_its_cells(studio: Studio) -> None:
    [run] = ask(studio.evaluate.evaluation.start, QUERY)["runs"]
    assert studio.runs.status(run)["config"]["arm"] == "demo/base"
    with pytest.raises(ValueError, match="all of this has been run already"):
        ask(studio.evaluate.evaluation.start, QUERY)
    [suite] = studio.evaluate.evaluation.suites()
    [task] = ask(studio.evaluate.evaluation.results, {"suite": suite["id"]})["tasks"]
    [[cell]] = task["cells"].values()
    assert (cell["run"], cell["state"], cell["total"]) == (run, "queued", 8)
    assert task["means"] == {}


def test_a_policy_is_not_tested_on_what_it_has_learnt_from(
    make_studio: Callable[..., Studio], demo: Path
) -> None:
    leaky = make_checkpoint(demo / "checkpoints" / "leaky", {"role": "policy", "action_dim": 4})
    (leaky / "card.json").write_text(json.dumps({"starts": [[1_000_002, 1_000_003]]}))
    write_manifest(leaky)
    evaluation = make_studio(simulator=Simulator(CountingEnv)).evaluate.evaluation
    with pytest.raises(ValueError, match=r"leaky learnt from 2 of the 8 starts .* \(pool test\)"):
        ask(evaluation.plan, QUERY | {"policies": [{"id": "demo/leaky"}]})
    with pytest.raises(ValueError, match="acts in 7 dimensions, but coffee-push takes 4"):
        ask(evaluation.plan, QUERY | {"policies": [{"id": "demo/seven"}]})
    with pytest.raises(ValueError, match="choose at least one of the tasks"):
        ask(evaluation.plan, QUERY | {"tasks": []})


def test_trainings_of_an_arm_are_its_seeds_and_one_policy_stands_in_every_column(
    workspace: Workspace, make_studio: Callable[..., Studio]
) -> None:
    finish(workspace, "base", FIRST)
    for training in range(2):
        finish(workspace, f"better-{training}", SECOND, arm="better")
    evaluation = seen(make_studio).evaluate.evaluation
    [suite] = evaluation.suites()
    found = ask(evaluation.results, {"suite": suite["id"]})
    assert (found["reference"], found["columns"]) == ("base", 2)
    assert "A seed is one training of an arm" in found["about"]
    [task] = found["tasks"]
    base, better = (task["cells"][arm["name"]] for arm in found["arms"])
    assert [cell["run"] for cell in base] == ["base", "base"]
    assert sorted(cell["run"] for cell in better) == ["better-0", "better-1"]
    assert (base[0]["rate"], base[0]["successes"]) == (0.375, 3)
    assert base[0]["low"] == pytest.approx(0.1368, abs=1e-3)  # Wilson, 3 of 8
    [difference] = found["differences"]
    assert (difference["mean"], difference["seeds"]) == (0.625, 2)
    assert [(t["only_arm"], t["only_reference"], t["strong"]) for t in found["paired"]] == [
        (5, 0, False),
        (5, 0, False),
    ]


def test_what_was_not_run_is_absent_and_tasks_are_adjusted_together(
    workspace: Workspace, make_studio: Callable[..., Studio]
) -> None:
    for task in ("push", "hammer"):
        finish(workspace, f"base-{task}", FIRST, task=task, arm="base", policy="/base")
    finish(workspace, "other-push", SECOND, task="push", arm="other", policy="/other")
    evaluation = seen(make_studio).evaluate.evaluation
    found = ask(evaluation.results, {"suite": "test-0-8-0"})
    cells = {task["task"]: task["cells"]["other"] for task in found["tasks"]}
    assert cells["hammer"] == [None]
    assert found["overall"] == []  # the arm is not there in every task
    finish(workspace, "other-hammer", SECOND, task="hammer", arm="other", policy="/other")
    evaluation = seen(make_studio).evaluate.evaluation
    found = ask(evaluation.results, {"suite": "test-0-8-0"})
    first, second = found["differences"]
    assert first["adjusted"] == min(1.0, 2 * first["p"]) == second["adjusted"]
    assert [(d["arm"], d["mean"], d["strong"]) for d in found["overall"]] == [
        ("other", 0.625, False)
    ]


def test_an_arm_is_followed_to_its_videos(
    workspace: Workspace,
    make_studio: Callable[..., Studio],
    make_trajectory: Callable[..., Trajectory],
) -> None:
    directory = finish(workspace, "base", FIRST, record_episodes=1)
    run = RunDirectory(directory)
    run.record(
        make_trajectory(
            "coffee-push-evaluate-1000000-0",
            start_id=1_000_000,
            imagined=False,
            outcome=Outcome(True, 12),
            lineage={"use": "test", "source": "evaluate"},
        )
    )
    run.close()
    found = ask(seen(make_studio).evaluate.evaluation.videos, {"run": "base"})["starts"]
    assert found[:2] == [
        [1_000_000, True, "base.coffee-push-evaluate-1000000-0"],
        [1_000_001, True, None],
    ]
    assert [success for _, success, _ in found] == [bool(value) for value in FIRST]


def test_the_report_is_a_file_of_its_own(
    workspace: Workspace, make_studio: Callable[..., Studio]
) -> None:
    finish(workspace, "base", FIRST)
    finish(workspace, "other", SECOND)
    report = seen(make_studio).evaluate.evaluation.report
    file = ask(report, {"suite": "test-0-8-0", "format": "markdown"})
    text = base64.b64decode(file["data"].partition(",")[2]).decode()
    assert file["name"] == "evaluation-test-0-8-0.md"
    assert "| base | 37.5 [13.7, 69.4] | 37.5 [" in text
    assert "| other | 1 | +62.5 [" in text
    assert (
        "<!doctype html>"
        in base64.b64decode(ask(report, {"suite": "test-0-8-0"})["data"].partition(",")[2]).decode()
    )


def test_the_power_calculator_answers_in_starts(studio: Studio) -> None:
    query = {"difference": 0.1, "discordant": 0.3, "rate": 0.3, "episodes": 400}
    found = ask(studio.evaluate.evaluation.power, query)
    assert (found["paired"], found["unpaired"]) == (234, 356)  # field.md: 233, 356
    assert found["detectable"] == pytest.approx(0.0764, abs=1e-3)
    with pytest.raises(ValueError, match="cannot differ by"):
        ask(studio.evaluate.evaluation.power, query | {"discordant": 0.05})


def test_the_ledger_counts_runs_twins_and_stages_and_shows_double_use(
    workspace: Workspace, make_studio: Callable[..., Studio]
) -> None:
    directory = finish(workspace, "base", FIRST)
    stage = workspace.runs / "study" / "stages" / "rollouts"
    for where, use in ((directory, "policy"), (stage, "world model")):
        where.mkdir(parents=True, exist_ok=True)
        entry = ledger_entry(
            where,
            task="coffee-push",
            start_id=1_000_000,
            use=use,
            policy=None,
            success=False,
            episode=None,
        )
        append_ledger(where, entry)
    found = seen(make_studio).evaluate.evaluation.ledger()
    counted = {row["use"]: (row["episodes"], row["successes"]) for row in found["uses"]}
    assert counted == {"test": (8, 3), "policy": (1, 0), "world model": (1, 0)}
    assert found["overlaps"] == [["coffee-push", 1_000_000, ["policy", "test"]]]


def test_a_study_shows_its_report_while_it_runs(
    workspace: Workspace, make_studio: Callable[..., Studio]
) -> None:
    directory = workspace.runs / "study"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({"job": "study", "config": {"title": "S"}}))
    studio = seen(make_studio)
    assert [(s["title"], s["reported"]) for s in studio.evaluate.evaluation.studies()] == [
        ("S", False)
    ]
    with pytest.raises(ValueError, match="study has written no report yet"):
        ask(studio.evaluate.evaluation.study_report, {"run": "study"})
    (directory / "report.html").write_text("<p>not run</p>")
    assert (
        ask(studio.evaluate.evaluation.study_report, {"run": "study"})["text"] == "<p>not run</p>"
    )


def test_the_shipped_studies_are_shown_and_are_those_of_the_docs(
    studio: Studio, demo: Path
) -> None:
    evaluation = studio.evaluate.evaluation
    assert evaluation.studies() == []
    with pytest.raises(LookupError):
        ask(evaluation.study_report, {"run": "sample-plate_slide"})
    shipped = CHECKOUT / "storage" / "demo" / "studies"
    shutil.copytree(shipped, demo / "studies")
    names = sorted(path.name for path in shipped.iterdir())
    assert [study["id"] for study in evaluation.studies()] == [f"sample-{name}" for name in names]
    for name, study in zip(names, evaluation.studies(), strict=True):
        text = (CHECKOUT / "docs" / f"{name}.md").read_text()
        assert text.startswith(f"# {study['title']}\n")
        found = ask(evaluation.study_report, {"run": study["id"], "format": "markdown"})
        assert (found["name"], found["text"]) == (f"{name}.md", text)
        page = ask(evaluation.study_report, {"run": study["id"]})
        assert page["text"] == (shipped / name / "report.html").read_text()
