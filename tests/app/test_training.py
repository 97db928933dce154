"""The Train page's use cases: curves, groups, flips, alarms, comparison, preflight, tables."""

import base64
import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.studio import Studio
from app.train.methods import get_method, methods, offered, values_of
from app.web.questions import ask
from engine.jobs.gates.report import report
from engine.records.episodes import write_episode
from engine.records.events import encode_line
from engine.records.manifest import write_manifest
from engine.records.types import Outcome, Trajectory
from engine.runs.registry import job_config
from tests.app.conftest import CONFIGS, OPTIMISE, START, make_checkpoint

Maker = Callable[..., Trajectory]
HASHED = ("world_model", "reward_model")
RATIOS = np.array([0.5, -0.25], np.float32)


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

    def record(self, episode: Trajectory) -> None:
        write_episode(self.directory / "episodes", episode)
        success, end = episode.outcome.success, episode.outcome.end_step
        self.emit("episode", episode=episode.id, success=success, end_step=end, iteration=1)


@pytest.fixture
def run(studio: Studio) -> str:
    return studio.train.training.start("optimise", OPTIMISE)


@pytest.fixture
def log(studio: Studio, run: str) -> Log:
    return Log(studio, run)


@pytest.fixture
def groups(log: Log, make_trajectory: Maker) -> Log:
    """A kept group of four with one success, and a dropped pair."""
    advantages = {True: 1.5, False: -0.5}
    for start, member, success in (
        *((START, member, member == 0) for member in range(4)),
        *((START + 1, member, False) for member in range(2)),
    ):
        kept = start == START
        lineage = {
            "iteration": 1,
            "group": start,
            "member": member,
            "reward": 5.0 * success,
            "advantage": advantages[success] if kept else 0.0,
            "fate": "kept" if kept else "too_few_successes",
        }
        log.record(
            make_trajectory(
                f"iteration-0001-{start}-{member}",
                start_id=start,
                outcome=Outcome(success, 12 if success else 16),
                arrays={"log_ratio": RATIOS, "clipped": np.array([0.0, 0.125], np.float32)},
                lineage=lineage,
            )
        )
    return log


def test_what_is_new_comes_by_cursor(studio: Studio, run: str, log: Log) -> None:
    log.emit("metric", step=1, metrics={"rollout/reward": 0.25, "rollout/frames": 64})
    log.emit("metric", step=2, metrics={"rollout/reward": 0.5})
    first = ask(studio.train.training.follow, {"run": run})
    assert first["next"] == 2
    assert first["series"]["rollout/reward"] == [[1, 0.25, 1], [2, 0.5, 2]]
    assert first["status"]["id"] == run == first["runs"][0]["id"]
    later = ask(studio.train.training.follow, {"run": run, "after": 2})
    assert (later["series"], later["alarms"]) == ({}, None)
    frames = ask(studio.train.training.follow, {"run": run, "axis": "frames"})
    assert frames["series"]["rollout/reward"] == [[64.0, 0.25, 1]]


def test_an_unknown_run_gives_only_the_list(studio: Studio, run: str) -> None:
    answer = ask(studio.train.training.follow, {"run": "long gone"})
    assert answer["status"] is None
    assert [record["id"] for record in answer["runs"]] == [run]


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ({"axis": "vibes"}, "axis must be one of iteration"),
        ({"after": -1}, "after must be from 0"),
        ({"others": {"nobody": 0}}, "nobody is not known"),
        ({"thresholds": {"luck": 1}}, "luck is not known"),
        ({"thresholds": {"gap": 2.0}}, "gap must be from 0 to 1, not 2"),
    ],
)
def test_bad_questions_are_refused(
    studio: Studio, run: str, question: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(studio.train.training.follow, {"run": run, **question})


def test_groups_come_kept_ones_first_with_what_the_update_did(
    studio: Studio, run: str, groups: Log
) -> None:
    assert ask(studio.train.training.follow, {"run": run})["iterations"] == [1]
    kept, dropped = ask(studio.train.training.strip, {"run": run, "iteration": 1})["groups"]
    assert (kept["start_id"], kept["kept"], kept["reason"]) == (START, True, "kept, 1 of 4 succeed")
    assert (dropped["kept"], dropped["reason"]) == (False, "dropped, all fail")
    first = kept["members"][0]
    assert (first["success"], first["reward"], first["advantage"]) == (True, 5.0, 1.5)
    found = ask(studio.train.training.films, {"episodes": [first["id"]]})[first["id"]]
    assert found["film"].startswith("data:image/webp;base64,")
    assert (found["stride"], found["end_step"]) == (1, 12)
    assert found["log_ratio"] == [0.5, -0.25]
    assert found["clipped"] == [0.0, 0.125]
    assert ask(studio.train.training.strip, {"run": run, "iteration": 5})["groups"] == []


def test_a_flip_changes_rewards_advantages_and_fate_and_stores_nothing(
    studio: Studio, run: str, groups: Log
) -> None:
    kept, dropped = ask(studio.train.training.strip, {"run": run, "iteration": 1})["groups"]
    question = {"run": run, "iteration": 1, "group": kept["group"]}
    stored = {member["id"]: member["advantage"] for member in kept["members"]}
    same = ask(studio.train.training.flip, {**question, "flipped": []})
    assert {i: m["advantage"] for i, m in same["members"].items()} == pytest.approx(
        stored, abs=1e-5
    )
    first, second, *_ = [member["id"] for member in kept["members"]]
    two = ask(studio.train.training.flip, {**question, "flipped": [second]})
    assert (two["kept"], two["reason"]) == (True, "kept, 2 of 4 succeed")
    # Two of four: mean 2.5, deviation sqrt(25 / 3) with G - 1.
    assert two["members"][second]["reward"] == 5.0
    assert two["members"][second]["advantage"] == pytest.approx(0.8660, abs=1e-4)
    none = ask(studio.train.training.flip, {**question, "flipped": [first]})
    assert (none["kept"], none["reason"]) == (False, "dropped, all fail")
    assert {member["advantage"] for member in none["members"].values()} == {0.0}
    saved = ask(
        studio.train.training.flip,
        {**question, "group": dropped["group"], "flipped": [dropped["members"][0]["id"]]},
    )
    assert saved["reason"] == "kept, 1 of 2 succeed"
    assert studio.episodes.judging.labels.counts()["labelled"] == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"flipped": ["stranger"]}, "stranger is in this group"),
        ({"group": "nothing", "flipped": []}, "nobody is in this group"),
        ({"flipped": "all"}, "flipped must be a list"),
    ],
)
def test_a_flip_of_somebody_else_is_refused(
    studio: Studio, run: str, groups: Log, change: dict[str, Any], sentence: str
) -> None:
    question = {"run": run, "iteration": 1, "group": str(START), "flipped": []}
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(studio.train.training.flip, question | change)


def test_where_rewards_were_dealt_out_verdicts_change_nothing(studio: Studio) -> None:
    run = studio.train.training.start("optimise", OPTIMISE | {"shuffle_rewards": True})
    with pytest.raises(ValueError, match="rewards were dealt out at random"):
        ask(studio.train.training.flip, {"run": run, "iteration": 1, "group": "1", "flipped": []})


def test_runs_are_compared_by_what_differs(studio: Studio, run: str) -> None:
    other = studio.train.training.start(
        "optimise", OPTIMISE | {"iterations": 3, "policy": "demo/base"}
    )
    found = ask(studio.train.training.differences, {"runs": [run, other]})
    assert all(name.startswith("WMPO, ") for name in found.pop("names"))
    assert found == {
        "runs": [run, other],
        "rows": [{"name": "iterations", "values": ["2", "3"]}],
    }
    Log(studio, other).emit("metric", step=1, metrics={"rollout/reward": 0.5})
    beside = ask(studio.train.training.follow, {"run": run, "others": {other: 0}})["others"]
    assert beside[other] == {"next": 1, "series": {"rollout/reward": [[1, 0.5, 1]]}}
    many = "insert into metrics select ?, s, 'loss', sin(s), 1, s, s from range(2, 5000) t(s)"
    studio.cabinet.database.write(lambda cursor: cursor.rows(many, [other]))
    alone = ask(studio.train.training.follow, {"run": other})["series"]["loss"]
    beside = ask(studio.train.training.follow, {"run": run, "others": {other: 0}})["others"]
    assert len(beside[other]["series"]["loss"]) < len(alone) <= 1_500
    with pytest.raises(ValueError, match="runs must be a list of 1 to 10"):
        ask(studio.train.training.differences, {"runs": []})


def test_a_table_holds_the_points_of_the_runs(studio: Studio, run: str, log: Log) -> None:
    log.emit("metric", step=1, metrics={"rollout/reward": 0.25})
    made = ask(studio.train.training.table, {"runs": [run], "format": "csv"})
    assert (made["name"], made["media_type"]) == (f"{run}.csv", "text/csv")
    text = base64.b64decode(made["data"].partition(",")[2]).decode()
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["run"], row["name"], row["value"]) == (run, "rollout/reward", "0.25")
    assert ask(studio.train.training.table, {"runs": [run], "format": "parquet"})["name"].endswith(
        ".parquet"
    )


def test_thresholds_decide_what_is_an_alarm(studio: Studio, run: str, log: Log) -> None:
    for step in range(1, 7):
        log.emit("metric", step=step, metrics={"grpo/kept_groups": 0, "rollout/entropy": 3 / step})
    alarms = ask(studio.train.training.follow, {"run": run})["alarms"]
    assert [alarm["name"] for alarm in alarms] == ["entropy collapse", "all groups dropped"]
    calm = {"dropped": 9, "entropy": 0.1}
    assert ask(studio.train.training.follow, {"run": run, "thresholds": calm})["alarms"] == []


def test_checkpoints_of_a_run_are_those_it_keeps(studio: Studio, run: str) -> None:
    assert ask(studio.train.training.checkpoints, {"run": run})["checkpoints"] == []
    with pytest.raises(LookupError, match="there is no run nothing"):
        ask(studio.train.training.checkpoints, {"run": "nothing"})["checkpoints"]


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_every_size_of_every_method_is_a_valid_config(method: Any) -> None:
    for size in method.sizes:
        config = job_config(method.job, values_of(method, size)).to_dict()
        named = {*method.hidden, *method.values, *offered()[method.job].shown}
        assert named <= set(config)
        decided = set(method.values) & set(offered()[method.job].hidden)
        assert all(config[name] == method.values[name] for name in decided)
    with pytest.raises(ValueError, match="there is no method 'luck'"):
        get_method("luck")


def look(studio: Studio, job: str, **changes: Any) -> dict[str, tuple[bool | None, str]]:
    found = studio.train.training.look(job, OPTIMISE | changes if job == "optimise" else changes)
    return {check["name"]: (check["ok"], check["text"]) for check in found["checks"]}


def test_preflight_says_what_it_knows(studio: Studio) -> None:
    found = look(studio, "optimise")
    assert found["models"] == (True, "compatible · 64 px · 4-D actions · chunks of 8")
    assert found["groups"] == (True, "kept with 1 to 7 successes of 8")
    assert found["reward"][0] and "τ 0.60" in found["reward"][1]
    assert found["disk"][0]
    assert (
        found["speed"][0] and "imagined frames/s on the CPU, an iteration of" in found["speed"][1]
    )
    assert found["time"][0] and found["time"][1].endswith(", as planned")
    cores = os.cpu_count() or 1
    assert (f"with workers {cores}, on all cores, about" in found["speed"][1]) == (cores > 1)
    assert "workers" not in look(studio, "optimise", workers=cores)["speed"][1]


def test_preflight_tells_of_the_gates_of_just_these_models(studio: Studio, run: str) -> None:
    assert look(studio, "optimise")["gates"][0] is None
    assert "not measured" in look(studio, "optimise")["gates"][1]
    directory = studio.data_directory / "runs" / run
    values = {"world_model": "demo/world", "reward_model": "demo/reward", "held_out": [run]}
    gates = studio.train.training.start("gates", values)
    hashes = {role: studio.cabinet.checkpoints.get(values[role]).hash for role in HASHED}
    measured = {"held out": {"auc": {"value": 0.8}, "missed": {"value": 0.1}}}
    write_documents(directory.parent / gates, report(measured, hashes))
    assert look(studio, "optimise")["gates"] == (
        None,
        "1 of 2 gates were not passed: AUC of the dreamt nearest distance (held out) 0.80, at "
        "least 0.90 was asked.",
    )
    write_documents(
        directory.parent / gates, report({"held out": {"missed": {"value": 0.1}}}, hashes)
    )
    assert look(studio, "optimise")["gates"] == (True, "All 1 gates were passed.")
    write_documents(directory.parent / gates, report(measured, hashes | {"reward_model": "other"}))
    assert "not measured" in look(studio, "optimise")["gates"][1]


def write_documents(directory: Path, document: dict[str, Any]) -> None:
    (directory / "documents").mkdir(exist_ok=True)
    (directory / "documents" / "gates.json").write_text(json.dumps(document))


def test_what_looks_at_reality_say_comes_with_the_curves(studio: Studio) -> None:
    looked = studio.train.training.start("optimise", OPTIMISE | {"real_every": 1, "groups": 4})
    log = Log(studio, looked)
    for step, (dreamt, real) in enumerate([(0.5, 0.5), (1.0, 0.5)], start=1):
        metrics = {"rollout/success_rate": dreamt, "real/success_rate": real}
        log.emit("metric", step=step, metrics=metrics | {"policy/kl_from_base": 0.01 * step})
    reality = ask(studio.train.training.follow, {"run": looked})["reality"]
    assert [look["updates"] for look in reality["looks"]] == [0, 1]
    assert [look["gap"][0] for look in reality["looks"]] == [0.0, 0.5]
    assert reality["parts"] is None  # four starts say too little
    blind = studio.train.training.start("optimise", OPTIMISE)
    assert ask(studio.train.training.follow, {"run": blind})["reality"] is None


def test_the_time_is_that_of_the_last_run_like_this_one(studio: Studio, run: str, log: Log) -> None:
    measured = {"rollout/frames": 100, "time/imagine_seconds": 5.0, "time/update_seconds": 2.0}
    log.emit("metric", step=1, metrics=measured)
    # 2 iterations of 2 groups of 4 dreams of 10 frames at 0.05 s a frame, and 2 s of update.
    found = look(studio, "optimise", groups=2, group_size=4, horizon=10)
    assert found["time"] == (True, "about 12 s, as the last run like it")


def test_world_models_that_never_saw_a_policy_are_known_by_their_cards(
    make_studio: Callable[..., Studio], demo: Path
) -> None:
    cards: dict[str, dict[str, Any]] = {
        "afresh": {"data": {"coffee-push expert (demonstrations)": 9}, "lineage": {}},
        "from-another": {"data": {"coffee-push play (play)": 9}, "lineage": {"world_model": "a"}},
        "aligned": {"data": {"coffee-push play (play)": 9, "coffee-push policy (budget)": 1}},
    }
    for name, card in cards.items():
        directory = make_checkpoint(demo / "checkpoints" / name, CONFIGS["world"])
        (directory / "card.json").write_text(json.dumps(card))
        write_manifest(directory)
    studio = make_studio()
    assert studio.train.training.unaligned() == ["demo/afresh"]
    told = {
        name: look(studio, "optimise", world_model=f"demo/{name}")["alignment"] for name in cards
    }
    assert told["afresh"] == (
        None,
        "a variant: the world model has never seen a policy's own rollouts",
    )
    assert told["from-another"][0] is None and "does not say" in told["from-another"][1]
    assert told["aligned"] == (True, "the world model has seen a policy's own rollouts")


def test_what_preflight_cannot_look_into_is_not_refused(studio: Studio, demo: Path) -> None:
    elsewhere = {"policy": str(demo / "checkpoints" / "base")}
    unseen = (None, "a directory named by its path is not looked into")
    assert look(studio, "optimise", **elsewhere)["models"] == unseen
    learnt = {"episodes_from": [str(demo)], **elsewhere}
    assert look(studio, "prefer", **learnt)["episodes"] == unseen
    for job, options in (("collect", {}), ("train_autoencoder", {"episodes_from": [str(demo)]})):
        assert studio.train.training.look(job, options)["ok"]
    assert studio.train.training.start("collect", {"episodes": 1})


@pytest.mark.parametrize(
    ("job", "changes", "sentence"),
    [
        ("optimise", {"policy": "demo/seven"}, "the policy's actions have 7 numbers"),
        ("optimise", {"world_model": ""}, "choose a world model"),
        ("optimise", {"keep_low": 0.95, "keep_high": 0.99}, "no group of 8 can be kept"),
        ("optimise", {"policy": "demo/none"}, "there is no checkpoint demo/none"),
        ("collect", {"source": "policy"}, "choose a policy"),
        ("optimise", {"logger": "wandb"}, "wandb is not installed here"),
        ("optimise", {"logger": "os"}, "logger must be one of none, trackio, wandb, not 'os'"),
        ("train_world_model", {"episodes_from": ["nothing"]}, "there is no run nothing"),
        ("train_world_model", {}, "choose a world model"),
        ("prefer", {"policy": "demo/base"}, "choose the runs whose episodes are learnt from"),
        ("clone", {"policy": "demo/base", "episodes_from": ["nothing"]}, "there is no run nothing"),
    ],
)
def test_a_run_that_cannot_work_is_refused_before_it_starts(
    studio: Studio, job: str, changes: dict[str, Any], sentence: str
) -> None:
    values = OPTIMISE | changes if job == "optimise" else changes
    # The page and the public API go through the same door.
    for start in (studio.train.training.start, studio.train.training.start):
        with pytest.raises((ValueError, LookupError), match=sentence):
            start(job, values)
    assert studio.runs.all() == []


def test_what_dpo_and_cloning_learn_from_is_counted(studio: Studio, groups: Log, run: str) -> None:
    source = {"policy": "demo/base", "episodes_from": [run]}
    told = "6 episodes, 1 of them successes"
    assert look(studio, "prefer", **source)["episodes"] == (
        True,
        f"{told}, 1 starts with both outcomes",
    )
    assert look(studio, "clone", **source)["episodes"] == (
        False,
        f"{told}: cloning needs at least 11 successes",
    )
    started = studio.train.training.start("prefer", source)
    spec = json.loads((studio.data_directory / "runs" / started / "config.json").read_text())
    assert spec["config"]["episodes_from"] == [str(studio.data_directory / "runs" / run)]
