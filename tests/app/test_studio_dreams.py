"""The studio: checkpoints, starts, dreams, episodes."""

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.models.catalogue import summary
from app.studio import Studio
from app.visitors import Role
from app.web.questions import ask
from engine.records.manifest import write_manifest
from tests.app.conftest import CHUNK, make_checkpoint, three


def finished(studio: Studio, dream: str) -> dict[str, Any]:
    """Watch a dream to its end, as a page does."""
    deadline = time.monotonic() + 40.0
    while (seen := ask(studio.imagine.dreams.pull, {"dream": dream, "after": 0}))[
        "state"
    ] == "running":
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
    return seen


def test_checkpoints_are_listed_with_what_a_page_shows(studio: Studio) -> None:
    records = studio.models.slots.checkpoints("policy")
    assert [record["id"] for record in records] == ["demo/base", "demo/seven"]
    assert records[0]["short"] == records[0]["hash"][:8]
    assert records[0]["summary"] == "rollout/success_rate 0.5"


def test_three_that_fit_are_described(studio: Studio) -> None:
    assert ask(studio.models.slots.together, three("demo/base", "demo/world", "demo/reward")) == {
        "text": "compatible · 64 px · 4-D actions · chunks of 8",
        "task": "coffee-push",
        "instruction": "push the mug under the coffee machine",
        "horizon": 48,
    }


@pytest.mark.parametrize(
    ("policy", "world_model", "sentence"),
    [
        ("demo/seven", "demo/world", "actions have 7 numbers, but the world model takes 4"),
        ("demo/world", "demo/world", "demo/world is a world model, not a policy"),
        ("demo/base", "demo/none", "there is no checkpoint demo/none"),
        ("/etc/passwd", "demo/world", "there is no checkpoint /etc/passwd"),
        ("demo/slow", "demo/world", "acts in chunks of 4, but the world model advances by 8"),
        ("demo/large", "demo/world", "the policy sees 224 pixels, but the world model draws 64"),
        ("demo/mute", "demo/world", "demo/mute does not say its action_dim"),
    ],
)
def test_three_that_do_not_fit_are_refused_with_the_reason(
    demo: Path, studio: Studio, policy: str, world_model: str, sentence: str
) -> None:
    base = {"role": "policy", "action_dim": 4, "chunk_size": CHUNK, "dino": {"image_size": 64}}
    make_checkpoint(demo / "checkpoints" / "slow", base | {"chunk_size": 4})
    make_checkpoint(demo / "checkpoints" / "large", base | {"dino": {"image_size": 224}})
    make_checkpoint(demo / "checkpoints" / "mute", {"role": "policy"})
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(studio.models.slots.together, three(policy, world_model, "demo/reward"))


def test_a_dream_is_watched_to_its_verdict_saved_and_found_again(
    studio: Studio, settings: dict[str, Any]
) -> None:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    assert ask(studio.imagine.dreams.act, {"dream": dream, "action": "run"})["state"] == "running"
    seen = finished(studio, dream)
    assert seen["outcome"] == {"success": True, "end_step": 14}
    assert (seen["next"], len(seen["frames"]), seen["horizon"]) == (17, 17, 48)
    episode = ask(studio.imagine.dreams.save, {"dream": dream})["episode"]
    clip = ask(studio.episodes.clips.clip, {"episode": episode})
    assert clip["frames"] == seen["frames"]
    assert clip["probabilities"] == seen["probabilities"]
    assert (clip["success"], clip["end_step"], clip["decisive"]) == (True, 14, [7, 14])
    assert clip["replay"]["seed"] == 7
    assert [record["id"] for record in studio.episodes.gallery.records(imagined=True)] == [episode]


def test_saved_episodes_outlive_the_studio(
    make_studio: Callable[..., Studio], settings: dict[str, Any]
) -> None:
    studio = make_studio()
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "run"})
    finished(studio, dream)
    episode = ask(studio.imagine.dreams.save, {"dream": dream})["episode"]
    assert ask(make_studio().episodes.clips.clip, {"episode": episode})["success"]


def test_imagine_gives_the_episode_that_a_dream_of_the_same_settings_gives(
    studio: Studio, settings: dict[str, Any]
) -> None:
    record = studio.episodes.gallery.record(
        ask(studio.imagine.dreams.imagine, settings | {"seed": 7})
    )
    assert studio.dreams.forget_unseen() == 0  # its id was told to nobody: nothing is kept of it
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "run"})
    finished(studio, dream)
    assert ask(studio.imagine.dreams.save, {"dream": dream})["episode"] == record["id"]


def test_an_upload_can_be_dreamt_from(studio: Studio, settings: dict[str, Any]) -> None:
    start_id = studio.imagine.starts.add_upload(np.full((80, 80, 3), 60, np.uint8))
    dream = ask(studio.imagine.dreams.open, settings | {"start_id": start_id, "horizon": CHUNK})[
        "dream"
    ]
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "run"})
    assert finished(studio, dream)["state"] == "done"
    assert (
        ask(
            studio.episodes.clips.clip,
            {"episode": ask(studio.imagine.dreams.save, {"dream": dream})["episode"]},
        )["start_id"]
        == start_id
    )


def test_empty_instruction_and_missing_knobs_take_the_task_s(
    studio: Studio, settings: dict[str, Any]
) -> None:
    few = {name: settings[name] for name in ("policy", "world_model", "reward_model", "start_id")}
    dream = ask(studio.imagine.dreams.open, few | {"instruction": ""})["dream"]
    assert ask(studio.imagine.dreams.pull, {"dream": dream})["horizon"] == 48


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"policy": "demo/none"}, "there is no checkpoint demo/none"),
        ({"policy": None}, "policy must be text, not None"),
        ({"policy": "demo/seven"}, "actions have 7 numbers"),
        ({"start_id": None}, "start_id is missing: choose a start"),
        ({"start_id": -5}, "the uploaded image is gone: upload it again"),
        ({"seed": -1}, "seed must be from 0"),
        ({"seed": "seven"}, "seed must be a whole number"),
        ({"denoising_steps": 0}, "denoising_steps must be from 1 to 50"),
        ({"temperature": float("nan")}, "temperature must be a number"),
        ({"temperature": 9}, "temperature must be from 0 to 5"),
        ({"horizon": 49}, "horizon must be from 1 to 48, not 49"),
        ({"horizon": 12}, "horizon 12 is not a multiple of the chunk size 8"),
        ({"instruction": 3}, "instruction must be text"),
        ({"instruction": "x" * 500}, "instruction may have 200 characters"),
        ({"model_path": "/etc"}, "model_path is not known here"),
    ],
)
def test_bad_settings_are_one_sentence(
    studio: Studio, settings: dict[str, Any], change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(studio.imagine.dreams.open, settings | change)["dream"]


@pytest.mark.parametrize("question", [None, "dream", {}, {"dream": "x"}, {"dream": "x", "y": 1}])
def test_a_bad_pull_is_one_sentence(studio: Studio, question: Any) -> None:
    with pytest.raises((ValueError, LookupError), match=r"^[^\n]+$"):
        ask(studio.imagine.dreams.pull, question)


def test_an_unknown_dream_or_action_is_refused(studio: Studio, settings: dict[str, Any]) -> None:
    with pytest.raises(LookupError, match="this dream is over"):
        ask(studio.imagine.dreams.act, {"dream": "nothing", "action": "run"})
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    with pytest.raises(ValueError, match="action must be one of"):
        ask(studio.imagine.dreams.act, {"dream": dream, "action": "fly"})


def test_on_a_public_studio_denoising_is_capped_and_paths_are_refused(
    make_studio: Callable[..., Studio], settings: dict[str, Any], tmp_path: Path
) -> None:
    studio = make_studio(role=Role.VISITOR)
    with pytest.raises(ValueError, match="denoising_steps must be from 1 to 8, not 9"):
        ask(studio.imagine.dreams.open, settings | {"denoising_steps": 9})["dream"]


@pytest.mark.parametrize(("named", "task"), [("hammer", "hammer"), ("tea", "coffee-push")])
def test_the_models_task_is_that_of_their_dreams(
    studio: Studio, demo: Path, settings: dict[str, Any], named: str, task: str
) -> None:
    card = demo / "checkpoints" / "base" / "card.json"
    card.write_text(json.dumps({"task": named}))
    write_manifest(card.parent)
    found = ask(studio.models.slots.together, three("demo/base", "demo/world", "demo/reward"))
    assert found["task"] == task
    dream = ask(
        studio.imagine.dreams.open,
        {name: settings[name] for name in ("policy", "world_model", "reward_model")}
        | {"start_id": studio.imagine.starts.add_upload(np.zeros((80, 80, 3), np.uint8))},
    )["dream"]
    seen = ask(studio.imagine.dreams.pull, {"dream": dream})
    assert seen["horizon"] == found["horizon"]
    assert studio.imagine.starts.warning(-5, "coffee") == ""


def test_without_a_demo_folder_the_studio_opens_empty(
    make_studio: Callable[..., Studio], demo: Path
) -> None:
    demo.rename(demo.with_name("elsewhere"))
    studio = make_studio()
    assert (studio.models.slots.checkpoints(), ask(studio.imagine.starts.shipped)["starts"]) == (
        [],
        [],
    )
    assert (studio.episodes.gallery.records(), studio.runs.all()) == ([], [])
    assert studio.health.look() == {"ok": True, "episodes": 0, "troubles": []}


@pytest.mark.parametrize("limit", [0, -1, 5_000, "all", None])
def test_a_bad_limit_is_refused(studio: Studio, limit: Any) -> None:
    with pytest.raises(ValueError, match="limit must be"):
        studio.episodes.gallery.records(limit=limit)


def test_an_unknown_episode_is_refused(studio: Studio) -> None:
    with pytest.raises((ValueError, LookupError), match="there is no episode nothing"):
        ask(studio.episodes.clips.clip, {"episode": "nothing"})


@pytest.mark.parametrize(
    ("card", "task"),
    [
        ({"task": "push"}, "push"),
        ({"config": {"task": "hammer"}}, "hammer"),
        ({"data": {"push expert (play)": 3, "push play (play)": 2}}, "push"),
        ({"data": {"push expert (play)": 3, "hammer play (play)": 2}}, ""),
        ({}, ""),
    ],
)
def test_a_checkpoint_s_task_is_named_or_the_only_one_in_its_data(
    studio: Studio, card: dict[str, Any], task: str
) -> None:
    checkpoint = dataclasses.replace(studio.cabinet.checkpoints.get("demo/base"), card=card)
    assert summary(checkpoint)["task"] == task
