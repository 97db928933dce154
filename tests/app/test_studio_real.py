"""The studio over the real model classes and the real worker, in miniature."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.studio import Studio
from app.web.questions import ask
from engine.device import slot_names
from engine.records.events import read_events
from engine.records.manifest import verify_manifest
from engine.runs.run_directory import is_held
from engine.runs.slot import Slot
from storage.workspace import open_workspace
from tests.app.conftest import three
from tests.app.real_demo import START, build_demo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(540)]

MODELS = {
    "policy": "demo/policy",
    "world_model": "demo/world",
    "reward_model": "demo/reward",
}
RUN = MODELS | {
    "iterations": 2,
    "groups": 1,
    "max_groups": 1,
    "group_size": 2,
    "horizon": 16,
    "denoising_steps": 1,
    "keep_low": 0.0,
    "keep_high": 1.0,
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture
def open_studio(demo: Path, tmp_path: Path) -> Iterator[Callable[[], Studio]]:
    """Opens the studio of one data directory again and again; no run outlives the test."""
    opened: list[Studio] = []

    def open_again() -> Studio:
        while opened:
            opened.pop().close()
        opened.append(Studio(open_workspace(tmp_path / "data"), demo=demo))
        return opened[-1]

    yield open_again
    studio = opened[-1] if opened else open_again()
    for run in studio.runs.all():
        if run["state"] not in ("done", "failed", "cancelled"):
            ask(studio.runs.control, {"run": run["id"], "control": "cancel"})
    until(lambda: not studio.cabinet.runs.unfinished())
    studio.close()


def until(reached: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 400.0
    while not reached():
        assert time.monotonic() < deadline, "the condition was never reached"
        threading.Event().wait(0.05)


def test_a_dream_of_the_real_models_runs_and_is_the_same_again(
    open_studio: Callable[[], Studio],
) -> None:
    studio = open_studio()
    studio.warm_up()
    settings: dict[str, Any] = MODELS | {"start_id": START, "seed": 3, "horizon": 16}
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "run"})
    until(lambda: ask(studio.imagine.dreams.pull, {"dream": dream})["state"] != "running")
    seen = ask(studio.imagine.dreams.pull, {"dream": dream})
    assert seen["error"] is None
    assert len(seen["ends"]) == len(seen["probabilities"]) > 0
    first = ask(
        studio.episodes.clips.clip,
        {"episode": ask(studio.imagine.dreams.save, {"dream": dream})["episode"]},
    )
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "reset"})
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "run"})
    until(lambda: ask(studio.imagine.dreams.pull, {"dream": dream})["state"] != "running")
    again = ask(studio.imagine.dreams.pull, {"dream": dream})
    assert (again["frames"], again["actions"]) == (first["frames"], first["actions"])
    assert again["probabilities"] == first["probabilities"]


@pytest.mark.soak
def test_a_run_survives_a_restart_of_the_app_and_a_kill_of_its_worker(
    open_studio: Callable[[], Studio], tmp_path: Path
) -> None:
    studio = open_studio()
    # Variants of the context: their dreams, too, come back bit for bit.
    run = studio.train.training.start("optimise", RUN | {"anchored": True, "context_noise": 50.0})
    until(lambda: studio.runs.status(run)["state"] == "running")
    studio = open_studio()
    directory = tmp_path / "data" / "runs" / run
    # As on a GPU: whoever asks this process for the slot gets it in the midst of the worker's run.
    with Slot(studio.cabinet.workspace.locks / f"{slot_names()[0]}.lock").turn():
        assert is_held(directory)
        kinds = {event["kind"] for _, event in read_events(directory / "events.jsonl")}
        assert "result" not in kinds
    until(lambda: studio.train.training.curves(run).next > 0)
    [spawned] = [
        line for line in (directory / "supervisor.jsonl").read_text().split("\n") if "spawn" in line
    ]
    worker = int(spawned.split('"pid":')[1].split(",")[0])
    if studio.runs.status(run)["state"] == "running":
        os.killpg(worker, signal.SIGKILL)
    until(lambda: studio.runs.status(run)["state"] == "done")
    reward = studio.train.training.curves(run).series["rollout/reward"]
    assert [step for step, *_ in reward] == [1, 2]
    assert ask(studio.train.training.follow, {"run": run})["iterations"] == [1, 2]
    [group] = ask(studio.train.training.strip, {"run": run, "iteration": 1})["groups"]
    assert len(group["members"]) == 2
    for iteration in (1, 2):  # the policy of each, bit for bit
        episodes = [
            m["id"]
            for g in ask(studio.train.training.strip, {"run": run, "iteration": iteration})[
                "groups"
            ]
            for m in g["members"]
        ]
        episodes += [
            p["id"]
            for p in ask(studio.train.training.probes, {"run": run})["probes"]
            if p["iteration"] == iteration
        ]
        for episode in episodes:
            assert ask(
                studio.imagine.dreams.replay,
                ask(studio.imagine.dreams.permalink, {"episode": episode}),
            )["exact"]
    trained = f"run/{run}/step-000002"
    assert trained in [record["id"] for record in studio.models.slots.checkpoints("policy")]
    verify_manifest(directory / "checkpoints" / "step-000002")
    assert ask(studio.models.slots.together, three(trained, "demo/world", "demo/reward"))["text"]


def test_a_run_that_cannot_work_fails_in_a_sentence(
    open_studio: Callable[[], Studio], demo: Path
) -> None:
    studio = open_studio()
    with pytest.raises(ValueError, match="demo/world is a world model, not a reward model"):
        studio.train.training.start("optimise", RUN | {"reward_model": "demo/world"})
    unseen = str(demo / "checkpoints" / "world")  # preflight does not look into paths
    run = studio.train.training.start("optimise", RUN | {"reward_model": unseen})
    until(lambda: studio.runs.status(run)["state"] == "failed")
    error = studio.runs.status(run)["error"]
    assert "world is not the checkpoint of a reward_model" in error
    assert "\n" not in error
