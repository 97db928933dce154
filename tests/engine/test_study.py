"""A study in miniature: laid out, adopted, killed, resumed, reported."""

import json
import os
import shutil
import signal
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from engine.checkpoints.checkpoint import write_json
from engine.jobs.study.job import JobConfig, command, run
from engine.jobs.study.side_by_side import SideBySide
from engine.jobs.study.study_plan import Planned, check_leaks, plan_study
from engine.records.events import read_events
from engine.records.ledger import read_ledger
from engine.records.manifest import file_sha256
from engine.runs.control import write_control
from engine.runs.heartbeat import read_heartbeat
from engine.runs.registry import job_config
from engine.runs.run_directory import RunDirectory, read_documents
from tests.engine import forked_worker
from tests.engine import tiny as world

DOCS = Path(__file__).parents[2] / "docs"

Tiny = tuple[Path, dict[str, str]]


def _plan(config: JobConfig) -> list[Planned]:
    return plan_study(
        shared=config.shared,
        per_seed=config.per_seed,
        seeds=config.seeds,
        sizes=config.sizes,
        arms={arm.name: arm.policy for arm in config.chosen_arms()},
        test=config.test,
        tests_of={arm.name: arm.test for arm in config.chosen_arms()},
    )


def _small(**changes: Any) -> JobConfig:
    """Two arms on one collected start pool; nothing is run."""
    values: dict[str, Any] = {
        "seeds": [3, 4],
        "sizes": {"P": 6},
        "shared": [{"name": "base", "job": "clone", "options": {"episodes_from": ["elsewhere"]}}],
        "per_seed": [
            {
                "name": "own",
                "job": "collect",
                "options": {"episodes": "$P", "first_start": "$seed*P", "pool": "budget"},
            },
            {"name": "bc", "job": "clone", "options": {"episodes_from": ["{own}"]}},
        ],
        "arms": [
            {"name": "base", "title": "base", "policy": "{base@last}"},
            {"name": "bc", "title": "BC", "policy": "{bc@last}"},
        ],
        "test": {"episodes": 5},
    }
    return JobConfig.from_dict({**values, **changes})


def test_seeds_get_stages_of_their_own_and_each_policy_is_tested_at_once() -> None:
    planned = _plan(_small())
    assert [stage.name for stage in planned] == [
        *("base", "test_base"),
        *("own-3", "bc-3", "test_bc-3"),
        *("own-4", "bc-4", "test_bc-4"),
    ]
    [own] = [stage for stage in planned if stage.name == "own-4"]
    assert (own.config["episodes"], own.config["first_start"]) == (6, 24)
    [bc] = [stage for stage in planned if stage.name == "bc-4"]
    assert bc.needs == {"own-4"}


def test_an_arm_may_be_tested_at_a_temperature_of_its_own() -> None:
    arms = [
        *_small().to_dict()["arms"],
        {"name": "sharp", "title": "sharp", "policy": "{base@last}", "test": {"temperature": 0.5}},
    ]
    planned = _plan(_small(arms=arms, test={"episodes": 5, "temperature": 1.0}))
    found = {stage.name: stage.config["temperature"] for stage in planned if stage.arm}
    assert found == {"test_base": 1.0, "test_sharp": 0.5, "test_bc-3": 1.0, "test_bc-4": 1.0}


def test_stages_that_no_chosen_arm_needs_are_left_out() -> None:
    names = [stage.name for stage in _plan(_small(only=["base"]))]
    assert names == ["base", "test_base"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"only": ["nobody"]}, "the study has no arm nobody"),
        ({"sizes": {}}, r"\$P is not known; sizes are seed"),
        ({"test": {"episode": 5}}, "JobConfig has no option episode"),
        ({"shared": []}, "arm base names a stage that the study does not have"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused_before_anything_runs(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        _plan(_small(**changes))


def test_a_stage_before_what_it_needs_is_refused() -> None:
    swapped = list(reversed(_small().to_dict()["per_seed"]))
    with pytest.raises(ValueError, match="stage bc-3 needs own-3, which comes later"):
        _plan(_small(per_seed=swapped))


def test_overlapping_pools_of_training_and_test_refuse_to_run(tmp_path: Path) -> None:
    leaking = _small(test={"episodes": 5, "pool": "budget", "first_start": 20})
    sentence = "test_bc-3: stage own-3 learnt from 4 of the 5 starts it would be tested on"
    with pytest.raises(ValueError, match=sentence):
        check_leaks(_plan(leaking))
    directory = RunDirectory(tmp_path / "run")
    with pytest.raises(ValueError, match=sentence):
        run(leaking, directory)
    directory.close()
    assert not (tmp_path / "run" / "stages").exists()


STUDIES = ("upper_bound", "coffee_push", "plate_slide")


@pytest.mark.parametrize("name", STUDIES)
def test_studies_of_the_world_model_are_whole_and_test_on_starts_of_their_own(name: str) -> None:
    config = JobConfig.from_dict(json.loads((DOCS / f"{name}.json").read_text()))
    everything = _plan(config.replace(only=tuple(arm.name for arm in config.arms)))
    check_leaks(everything)
    # Neither the study's own starts nor those that `real_every` looks at are tested on.
    looked_at = max(stage.config.get("real_episodes", 0) for stage in everything)
    [first] = {stage.config["first_start"] for stage in everything if stage.arm}
    assert looked_at <= 200 <= first
    trained = [stage for stage in everything if stage.job == "optimise"]
    assert len({json.dumps(stage.config["learning_rate"]) for stage in trained}) == 1
    assert {stage.config["shuffle_rewards"] for stage in trained} == {True, False}


def test_the_command_names_what_differs_from_the_file() -> None:
    path = DOCS / "plate_slide.json"
    values = json.loads(path.read_text())
    values["sizes"]["P"] = 64
    values |= {"root": "/somewhere/else", "seeds": [0], "file": str(path)}
    words = command(JobConfig.from_dict(values))
    assert "--set sizes.P=64" in words
    assert "--set 'seeds=[0]'" in words
    assert "somewhere" not in words
    assert "sizes.iterations" not in words


def test_a_study_whose_file_is_elsewhere_still_has_a_command() -> None:
    config = JobConfig(file="gone/study.json")
    assert command(config) == "python -m engine study --config gone/study.json --out RUN_DIR"


def _tiny_study(root: Path) -> dict[str, Any]:
    """Base, cloning, GRPO in the simulator and WMPO from the tiny world, with a budget of two."""
    stages = [stage.to_dict() for stage in world.STAGES]
    imagination = {
        "policy": "{policy@last}",
        "world_model": "{wm@last}",
        "reward_model": "{reward@last}",
        "seed": "$seed",
        "iterations": 2,
        "num_starts": 2,
        "groups": 1,
        "max_groups": 1,
        "group_size": 2,
        "horizon": 8,
        "denoising_steps": 1,
        "keep_low": 0.0,
        "keep_high": 1.0,
        "real_every": 2,
        "real_episodes": 1,
    }
    simulator = {
        "policy": "{policy@last}",
        "environment": "simulator",
        "pool": "budget",
        "num_starts": 1,
        "real_budget": "$P",
        "group_size": 2,
        "seed": "$seed",
    }
    return {
        "root": str(root),
        "seeds": [0],
        "sizes": {"P": 2},
        "shared": stages,
        "per_seed": [
            {"name": "simulator", "job": "optimise", "options": simulator},
            {"name": "wmpo", "job": "optimise", "options": imagination},
        ],
        "arms": [
            {"name": "base", "title": "base", "policy": "{policy@last}"},
            {"name": "simulator", "title": "GRPO", "policy": "{simulator@last}"},
            {"name": "wmpo", "title": "WMPO", "policy": "{wmpo@last}"},
        ],
        "test": {"episodes": 2},
    }


def _prepared(directory: Path, options: dict[str, Any]) -> Path:
    directory.mkdir()
    config = JobConfig.from_dict(options).to_dict()
    write_json(directory / "config.json", {"job": "study", "config": config})
    return directory


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_study_adopts_is_killed_resumes_and_reports(tiny: Tiny, tmp_path: Path) -> None:
    root, _ = tiny
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    other = tmp_path / "other" / "policy"  # a stage of the same name, made in another way
    other.mkdir(parents=True)
    shutil.copyfile(root / "policy" / "events.jsonl", other / "events.jsonl")
    stored = json.loads((root / "policy" / "config.json").read_text())
    stored["config"]["seed"] += 1
    write_json(other / "config.json", stored)
    options = _tiny_study(root) | {"root": f"{other.parent}:{root}"}
    cut = _prepared(tmp_path / "cut", options)
    assert forked_worker.run(cut, kill_at_metric="wmpo-0/rollout") == -signal.SIGKILL
    report = (cut / "report.md").read_text()
    assert "2 of 3 tests are done" in report
    assert "| WMPO | not run |" in report
    played = (cut / "stages" / "simulator-0" / "ledger.jsonl").read_bytes()

    assert forked_worker.run(cut) == 0
    [results] = [
        e["metrics"] for _, e in read_events(cut / "events.jsonl") if e["kind"] == "result"
    ]
    assert set(results) == {
        "test_base/success_rate",
        "test_simulator-0/success_rate",
        "test_wmpo-0/success_rate",
    }
    # What was adopted was only read, what was done was not done again, and the kill left no trace.
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    done = {path.name for path in (cut / "stages").iterdir()}
    assert done == {"simulator-0", "wmpo-0", "test_base", "test_simulator-0", "test_wmpo-0"}
    lies = read_documents(cut, "stages")["stages"]
    assert lies["policy"] == str(root / "policy")
    assert lies["wmpo-0"] == str(cut / "stages" / "wmpo-0")
    assert (cut / "stages/simulator-0/ledger.jsonl").read_bytes() == played
    assert len(read_ledger(cut / "stages" / "simulator-0")) == 2
    report = (cut / "report.md").read_text()
    assert "3 of 3 tests are done" in report
    assert "| GRPO | 4 | 0 | 0 | 2 | 2 | 2 |" in report
    looked = report[report.index("## Dreamt minus real success") :]
    assert "| wmpo-0 | 0 | 0.0000 |" in looked and "| simulator-0 | 0 |" not in looked
    assert (cut / "report.html").read_text().startswith("<!doctype html>")

    whole = _prepared(tmp_path / "whole", {**options, "only": ["wmpo"]})
    assert forked_worker.run(whole) == 0
    assert _weights(whole) == _weights(cut)


def _weights(directory: Path) -> str:
    last = Path(world.last_checkpoint(directory / "stages" / "wmpo-0"))
    return file_sha256(last / "model.safetensors")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_study_told_to_stop_stops_inside_a_stage(tiny: Tiny, tmp_path: Path) -> None:
    directory = _prepared(tmp_path / "run", _tiny_study(tiny[0]))
    write_control(directory, "stop")
    assert forked_worker.run(directory) == 0
    assert not (directory / "stages").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_stage_beside_another_is_begun_again_when_its_process_is_killed(
    tiny: Tiny, tmp_path: Path
) -> None:
    options = {"policy": world.last_checkpoint(tiny[0] / "policy"), "episodes": 2}
    config = job_config("evaluate", options).to_dict()
    whole = world.do("evaluate", tmp_path / "whole", **options)
    study = RunDirectory(tmp_path / "study")
    results: dict[str, Any] = {}
    with closing(study), closing(SideBySide(study)) as beside:
        for name in ("one", "other"):
            beside.begin(name, "evaluate", config, study.directory / name)
        assert beside.names == ["one", "other"]
        os.kill(_process_of(study.directory / "other"), signal.SIGKILL)
        while beside.names:
            results |= beside.ended()
    told = [event for _, event in read_events(tmp_path / "study" / "events.jsonl")]
    [alarm] = [event["message"] for event in told if event["kind"] == "alarm"]
    assert alarm == "other: its process was killed (-9); it is begun again"
    assert {tuple(sorted(result)) for result in results.values()} == {tuple(sorted(whole or {}))}
    same = [value["evaluate/success_rate"] for value in (whole or {}, *results.values())]
    assert len(set(same)) == 1 and set(results) == {"one", "other"}
    named = {name.partition("/")[0] for event in told for name in event.get("metrics", ())}
    assert named == {"one", "other"}


def _process_of(directory: Path) -> int:
    """The process that has begun to compute a run."""
    while (beat := read_heartbeat(directory)) is None:
        Event().wait(0.01)
    return beat.pid


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_study_side_by_side_has_the_results_of_one_stage_after_another(
    tiny: Tiny, tmp_path: Path
) -> None:
    options = _tiny_study(tiny[0])
    runs = [_prepared(tmp_path / str(count), options | {"side_by_side": count}) for count in (1, 2)]
    assert [forked_worker.run(directory) for directory in runs] == [0, 0]
    assert _weights(runs[0]) == _weights(runs[1])
    metrics = [
        [e["metrics"] for _, e in read_events(directory / "events.jsonl") if e["kind"] == "result"]
        for directory in runs
    ]
    assert metrics[0] == metrics[1] != []
