"""The studio: checkpoints from a disk, official ones and ours, become choosable."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.studio import Studio
from app.web.questions import ask
from storage.downloads.official import PARTS
from tests.app.conftest import CONFIGS, make_checkpoint
from tests.storage.source_server import Repository, SourceServer

PATIENCE = 60.0


def pass_all(folder: Path) -> None:
    """A gate that lets everything through."""


def refuse(folder: Path) -> None:
    """A gate that lets nothing through."""
    raise ValueError(f"{folder.name}: not finite")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "mine", CONFIGS["reward"])


def ended(studio: Studio) -> dict[str, Any]:
    """The newest adoption, once it has ended."""
    deadline = time.monotonic() + PATIENCE
    while (newest := studio.models.adopting.all()[0])["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, "the adoption never ended"
        threading.Event().wait(0.01)
    return newest


def release(root: Path, task: str, *parts: str) -> Path:
    """The places of some parts of a task, with nothing in them."""
    for part in parts:
        (root / PARTS[part].format(task=task)).mkdir(parents=True)
    return root


# Ours.


def test_a_folder_in_our_format_goes_through_the_gate_into_the_catalogue(
    make_studio: Callable[..., Studio], mine: Path
) -> None:
    seen: list[Path] = []
    studio = make_studio(check=seen.append)
    [begun] = ask(studio.models.adopting.adopt, {"folder": f" {mine} ", "name": "judge"})[
        "adoptions"
    ]
    assert begun["run"] is False
    found = ended(studio)
    assert (found["id"], found["state"], found["error"]) == (begun["id"], "done", None)
    assert (found["checkpoint"], found["role"]) == ("local/judge", "reward_model")
    assert "local/judge" in [record["id"] for record in studio.models.slots.checkpoints()]
    assert seen == [mine]


def test_without_a_name_it_has_the_folder_s(make_studio: Callable[..., Studio], mine: Path) -> None:
    studio = make_studio(check=pass_all)
    ask(studio.models.adopting.adopt, {"folder": str(mine)})["adoptions"]
    assert ended(studio)["checkpoint"] == "local/mine"


def test_what_the_gate_refuses_stays_outside_with_its_sentence(
    make_studio: Callable[..., Studio], mine: Path
) -> None:
    studio = make_studio(check=refuse)
    ask(studio.models.adopting.adopt, {"folder": str(mine)})["adoptions"]
    found = ended(studio)
    assert (found["state"], found["error"], found["checkpoint"]) == (
        "failed",
        "mine: not finite",
        "",
    )
    assert not [r for r in studio.models.slots.checkpoints() if r["id"].startswith("local/")]


@pytest.mark.slow  # it brings all of torch
def test_the_gate_of_a_studio_is_the_real_one(studio: Studio, mine: Path) -> None:
    ask(studio.models.adopting.adopt, {"folder": str(mine)})[
        "adoptions"
    ]  # its weights are the text "mine"
    found = ended(studio)
    assert found["state"] == "failed"
    assert "model.safetensors" in found["error"]


@pytest.fixture
def server(mine: Path) -> Iterator[SourceServer]:
    """A web server with a reward model in our format at `/model/`."""
    server = SourceServer()
    server.files = {f"/model/{path.name}": path.read_bytes() for path in mine.iterdir()}
    server.files["/model/README.md"] = b"# mine"
    yield server
    server.end()


def test_a_download_in_our_format_keeps_where_it_came_from(
    make_studio: Callable[..., Studio], server: SourceServer
) -> None:
    studio = make_studio(rules=server.rules, check=pass_all)
    key = ask(studio.models.sources.plan, {"source": f"{server.url}/model/"})["key"]
    ask(studio.models.sources.start, {"key": key})
    studio.cabinet.downloads.wait(key)
    ask(studio.models.adopting.adopt, {"download": key})["adoptions"]
    assert ended(studio)["checkpoint"] == "hub/model"
    ask(studio.models.adopting.adopt, {"download": key, "name": "theirs"})["adoptions"]
    assert ended(studio)["checkpoint"] == "hub/theirs"
    [record] = [r for r in studio.models.slots.checkpoints() if r["id"] == "hub/theirs"]
    assert record["source"] == f"{server.url}/model/"


# Official.


def queued(studio: Studio, query: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What an adoption begins: the config of each run by its role."""
    begun = ask(studio.models.adopting.adopt, query)["adoptions"]
    assert [record["run"] for record in begun] == [True] * len(begun)
    return {r["role"]: studio.runs.status(r["id"])["config"] for r in begun}


def test_of_a_release_one_of_each_role_is_adopted(studio: Studio, tmp_path: Path) -> None:
    parts = ("policy_128", "policy_1280", "world_model", "reward_model", "autoencoder")
    root = release(tmp_path / "checkpoint_files", "square", *parts)
    begun = queued(studio, {"folder": str(tmp_path), "task": "square"})
    assert begun.keys() == {"policy", "world_model", "reward_model"}
    assert begun["policy"]["source"] == str(root / "WMPO_models" / "square" / "P_128")
    assert begun["world_model"]["autoencoder"] == str(root / "world_models" / "vae")
    assert {config["task"] for config in begun.values()} == {"square"}
    names = [record["id"] for record in studio.models.adopting.all()]
    assert any(name.startswith("square-policy-128-") for name in names)


def test_the_address_of_a_served_world_model_is_asked_by_a_run(studio: Studio) -> None:
    begun = queued(studio, {"folder": " http://127.0.0.1:7900 ", "name": "theirs_too"})
    assert {role: config["source"] for role, config in begun.items()} == {
        "world_model": "http://127.0.0.1:7900"
    }
    assert studio.models.adopting.all()[0]["id"].startswith("theirs-too-")


def test_the_parts_of_a_download_are_adopted(
    make_studio: Callable[..., Studio], server: SourceServer
) -> None:
    server.repositories["a/wmpo"] = Repository()
    server.repositories["a/wmpo"].commit(
        {
            "checkpoint_files/SFT_models/coffee/config.json": b"{}",
            "checkpoint_files/reward_models/videomae_coffee.pth": b"weights",
            "checkpoint_files/reward_models/videomae_square.pth": b"weights",
        }
    )
    studio = make_studio(rules=server.rules)
    parts = ["policy", "reward_model"]
    plan = ask(studio.models.sources.plan, {"source": "a/wmpo", "task": "coffee", "parts": parts})
    ask(studio.models.sources.start, {"key": plan["key"]})
    assert studio.cabinet.downloads.wait(plan["key"]).state == "complete"
    begun = queued(studio, {"download": plan["key"], "task": "coffee"})
    assert begun.keys() == {"policy", "reward_model"}
    assert begun["reward_model"]["source"].endswith("reward_models/videomae_coffee.pth")


def test_one_part_of_a_release_can_be_named(studio: Studio, tmp_path: Path) -> None:
    release(tmp_path, "coffee", "policy", "policy_1280")
    begun = queued(
        studio,
        {"folder": str(tmp_path), "task": "coffee", "role": "policy_1280", "name": "better"},
    )
    assert begun["policy"]["source"].endswith("WMPO_models/coffee/P_1280/".rstrip("/"))
    assert studio.models.adopting.all()[0]["id"].startswith("better-")


def test_a_single_official_checkpoint_needs_its_role(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "judge.pth"
    path.write_bytes(b"weights")
    query = {"folder": str(path), "task": "aloha"}
    with pytest.raises(ValueError, match=r"judge\.pth holds none of the released folders of aloha"):
        ask(studio.models.adopting.adopt, query)["adoptions"]
    begun = queued(studio, query | {"role": "reward_model", "success_threshold": 0.7})
    assert begun["reward_model"]["source"] == str(path)
    assert begun["reward_model"]["success_threshold"] == 0.7


def test_a_registered_folder_is_adopted_by_its_name(studio: Studio, tmp_path: Path) -> None:
    release(tmp_path / "release", "coffee", "reward_model")
    source = studio.cabinet.downloads.register_folder("here", tmp_path / "release")
    assert queued(studio, {"source": source, "task": "coffee"}).keys() == {"reward_model"}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (None, "an object with named values"),
        ({}, "name one place"),
        ({"folder": "/a", "download": "b"}, "name one place"),
        ({"folder": "relative"}, "there is no checkpoint directory relative"),
        ({"folder": "/nowhere/at/all"}, "there is no checkpoint directory /nowhere/at/all"),
        ({"folder": "/tmp", "task": "tea"}, "task must be one of coffee"),
        ({"folder": "/tmp"}, "task must be one of coffee"),
        ({"folder": "/tmp", "task": "coffee", "role": "poet"}, "role must be one of all, policy"),
        ({"folder": "/tmp", "name": "../up"}, "is not a checkpoint name"),
        ({"folder": "/tmp", "colour": 1}, "colour is not known here"),
        ({"source": "folder:none"}, "no folder is registered as 'none'"),
        ({"source": "fangqi/WMPO"}, "what is elsewhere is downloaded"),
        ({"download": "a-0"}, "there is no download 'a-0'"),
        (
            {"folder": "/tmp", "task": "coffee", "role": "policy", "success_threshold": 3},
            "success_threshold must be",
        ),
    ],
)
def test_a_bad_query_is_a_sentence(studio: Studio, query: Any, sentence: str) -> None:
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(studio.models.adopting.adopt, query)["adoptions"]
    assert studio.models.adopting.all() == []
