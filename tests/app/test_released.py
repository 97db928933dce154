"""The released checkpoints of each task, through the studio: adopted, described, rolled out.

The jobs run in this process, one after the other; the drill at the end kills their processes.
"""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from app.live.models import Models
from app.runs.processes import CHECKOUT
from app.studio import Studio
from app.web.questions import ask
from engine.parity.items import Item, compare, load_vectors
from engine.policy.tokens import first_action_id
from engine.records.manifest import verify_manifest
from engine.records.tasks import get_task
from engine.released.tasks import RELEASED
from engine.worker import execute
from storage.workspace import open_workspace
from tests.engine.released.official import GOLDEN, write_release

ROLES = ("policy", "world_model", "reward_model")
JUDGED = 112  # the shortest horizon whose last windows count


@pytest.fixture
def open_studio(tmp_path: Path) -> Iterator[Callable[[], Studio]]:
    """Opens the studio of one data directory again and again, with the real models."""
    opened: list[Studio] = []

    def open_again() -> Studio:
        close()
        workspace = open_workspace(tmp_path / "data")
        opened.append(Studio(workspace, demo=tmp_path / "demo", models=Models(), supervise=False))
        return opened[-1]

    def close() -> None:
        while opened:
            opened.pop().close()

    yield open_again
    close()


def adopted(studio: Studio, folder: Path, task: str) -> dict[str, str]:
    """Catalogue ids by role, once every job has been done."""
    query = {"folder": str(folder), "task": task, "trial_megabytes": 0, "success_threshold": 0.5}
    if RELEASED[task].success_threshold is not None:
        del query["success_threshold"]
    for record in ask(studio.models.adopting.adopt, query)["adoptions"]:
        status, _ = execute(studio.cabinet.runs.directory(record["id"]))
        assert status == 0, (
            studio.cabinet.runs.directory(record["id"]) / "events.jsonl"
        ).read_text()
        studio.cabinet.ingest.ingest(record["id"])
    found = {record["role"]: record["checkpoint"] for record in studio.models.adopting.all()}
    assert found.keys() == set(ROLES)
    return found


def uploaded(studio: Studio) -> int:
    """A start from a picture that is larger than the models' frames, and no square."""
    picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    return studio.imagine.starts.add_upload(picture)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "task",
    [task if task == "coffee" else pytest.param(task, marks=pytest.mark.soak) for task in RELEASED],
)
def test_a_release_is_adopted_and_rolled_out_to_a_verdict(
    open_studio: Callable[[], Studio], task: str, tmp_path: Path
) -> None:
    write_release(tmp_path / "checkpoint_files", task)
    studio = open_studio()
    three = adopted(studio, tmp_path, task)
    found = ask(studio.models.slots.together, three)
    record = get_task(task)
    assert (found["task"], found["horizon"]) == (task, record.horizon)
    assert found["instruction"] == record.instruction
    plan = ask(studio.models.slots.memory_plan, three | {"rows": 1})
    assert [check["name"] for check in plan["checks"] if check["ok"] is False] == []
    assert ask(studio.imagine.starts.shipped, {"task": task})["starts"] == []
    start = three | {"start_id": uploaded(studio), "denoising_steps": 1, "seed": 3}
    dream = ask(studio.imagine.dreams.open, start | {"horizon": JUDGED})["dream"]
    studio.dreams.complete(dream, seconds=240.0)
    seen = ask(studio.imagine.dreams.pull, {"dream": dream})
    assert (seen["state"], seen["error"]) == ("done", None)
    assert seen["ends"][0] == 108
    clip = ask(
        studio.episodes.clips.clip,
        {"episode": ask(studio.imagine.dreams.save, {"dream": dream})["episode"]},
    )
    assert (clip["task"], clip["instruction"]) == (task, record.instruction)
    assert len(clip["frames"]) == len(clip["actions"]) + 1 > 100
    assert clip["success"] in (True, False)
    assert differing(studio, three) == []


def differing(studio: Studio, three: dict[str, str]) -> list[Item]:
    """Outputs of the models as the studio loads them that are not the reference vectors'."""
    get = studio.cabinet.checkpoints.get
    policy, world_model, reward_model = (
        studio.dreams.models.get(get(three[role])) for role in ROLES
    )
    _, language = load_vectors(GOLDEN / "vla_a")
    _, world = load_vectors(GOLDEN / "wm_transformer_a")
    _, reward = load_vectors(GOLDEN / "reward_videomae_a")
    first = first_action_id(policy.config.vocab_without_padding)
    size = world_model.config.image_size
    with torch.no_grad():
        logits = policy(
            language["in.pixel_values"],
            language["in.input_ids"],
            language["in.attention_mask"].bool(),
        )
        velocity = world_model.transformer(
            *(world[f"in.{name}"] for name in ("x", "timestep", "actions")),
            world["in.x_mask"].bool(),
            size,
            size,
        )
        judged = reward_model(reward["in.pixel_values"])
    items = (
        compare("policy", logits, language["out.logits_action"][..., first : first + 256]),
        compare("world model", velocity, world["out.model"]),
        compare("reward model", judged, reward["out.logits"]),
    )
    return [item for item in items if not item.passed]


# Killed at work.


def killed_somewhere(directory: Path, chance: random.Random) -> None:
    """A worker of a run that is killed, with all it started, at some point after it began."""
    log = directory / "events.jsonl"
    before = log.stat().st_size if log.exists() else 0
    worker = subprocess.Popen(
        [sys.executable, "-m", "engine.worker", str(directory)],
        cwd=CHECKOUT,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    pause = threading.Event()
    while worker.poll() is None and (not log.exists() or log.stat().st_size == before):
        pause.wait(0.01)
    pause.wait(chance.uniform(0.0, 2.5))
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


@pytest.mark.soak
@pytest.mark.parametrize("kills", [2, 50])
def test_a_killed_adoption_leaves_nothing_and_the_next_attempt_succeeds(
    open_studio: Callable[[], Studio], kills: int, tmp_path: Path
) -> None:
    write_release(tmp_path / "checkpoint_files", "coffee")
    query = {"folder": str(tmp_path), "task": "coffee", "role": "reward_model"}
    chance = random.Random(7)
    finished = 0
    for _ in range(kills):
        studio = open_studio()
        [begun] = ask(studio.models.adopting.adopt, query | {"trial_megabytes": 0})["adoptions"]
        directory = studio.cabinet.runs.directory(begun["id"])
        killed_somewhere(directory, chance)
        studio = open_studio()
        whole = [
            r
            for r in studio.models.slots.checkpoints()
            if r["id"].startswith(f"run/{begun['id']}/")
        ]
        finished += len(whole)
        for record in whole:
            verify_manifest(studio.cabinet.checkpoints.get(record["id"]).directory)
        assert execute(directory)[0] == 0
        studio.cabinet.ingest.ingest(begun["id"])
        assert studio.models.adopting.all()[0]["checkpoint"]
        assert [path.name for path in (directory / "checkpoints").iterdir()] == ["step-000001"]
    assert finished < kills  # some were killed before they were done
