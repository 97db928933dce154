"""The studio: checkpoints from elsewhere."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.studio import Studio
from app.web.questions import ask
from engine.records.manifest import verify_manifest
from storage.upkeep.publishing import pull
from tests.app.conftest import CONFIGS, make_checkpoint, three
from tests.storage.source_server import Fault, SourceServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SourceServer]:
    """A web server with a policy in our format at `/model/`."""
    server = SourceServer()
    folder = make_checkpoint(tmp_path / "published", CONFIGS["base"])
    server.files = {f"/model/{path.name}": path.read_bytes() for path in folder.iterdir()}
    yield server
    server.end()


@pytest.fixture
def studio(make_studio: Callable[..., Studio], server: SourceServer) -> Studio:
    return make_studio(rules=server.rules)


def fetched(studio: Studio, source: str) -> dict[str, Any]:
    """The one download of a studio, once it has ended."""
    key = ask(studio.models.sources.plan, {"source": source})["key"]
    ask(studio.models.sources.start, {"key": key})
    studio.cabinet.downloads.wait(key)
    [download] = studio.models.sources.all()
    return download


def test_a_plan_shows_every_file_before_anything_is_fetched(
    studio: Studio, server: SourceServer
) -> None:
    plan = ask(studio.models.sources.plan, {"source": f" {server.url}/model/ "})
    sizes = {file["path"]: file["bytes"] for file in plan["files"]}
    assert sizes.keys() == {"model.safetensors", "config.json", "card.json", "manifest.json"}
    assert plan["bytes"] == plan["needed"] == sum(sizes.values())
    assert plan["fits"] is True
    assert plan["text"].startswith("4 files, ")
    assert studio.models.sources.all() == []
    assert json.loads(json.dumps(plan)) == plan


def test_a_download_is_followed_to_its_end(studio: Studio, server: SourceServer) -> None:
    download = fetched(studio, f"{server.url}/model/")
    assert (download["state"], download["error"]) == ("complete", "")
    assert download["done"] == download["bytes"]
    assert json.loads(json.dumps(download)) == download


def test_a_download_that_fails_says_why(studio: Studio, server: SourceServer) -> None:
    swapped = server.files["/model/model.safetensors"][::-1]
    server.faults["/model/model.safetensors"] = Fault(content=swapped)
    download = fetched(studio, f"{server.url}/model/")
    assert download["state"] == "failed"
    assert download["error"] == "model.safetensors is not the file that its source declares"


def test_a_running_download_can_be_cancelled(studio: Studio, server: SourceServer) -> None:
    server.faults["/model/model.safetensors"] = Fault(pause_seconds=0.05, block=1)
    key = ask(studio.models.sources.plan, {"source": f"{server.url}/model/"})["key"]
    assert ask(studio.models.sources.start, {"key": key})["state"] in ("queued", "running")
    ask(studio.models.sources.cancel, {"key": key})
    assert studio.cabinet.downloads.wait(key).state == "cancelled"


def test_a_checkpoint_that_was_pulled_can_be_chosen(studio: Studio, server: SourceServer) -> None:
    cabinet = studio.cabinet
    pull(
        f"{server.url}/model/",
        "mine",
        downloads=cabinet.downloads,
        catalogue=cabinet.checkpoints,
        check=verify_manifest,
    )
    [record] = [r for r in studio.models.slots.checkpoints("policy") if r["id"] == "hub/mine"]
    assert record["source"] == f"{server.url}/model/"
    assert ask(studio.models.slots.together, three("hub/mine", "demo/world", "demo/reward"))["text"]


def test_a_registered_folder_is_a_source(studio: Studio, tmp_path: Path) -> None:
    source = studio.cabinet.downloads.register_folder("mine", tmp_path / "published")
    plan = ask(studio.models.sources.plan, {"source": source})
    assert (plan["source"], plan["needed"]) == ("folder:mine", 0)


def published(studio: Studio, target: str) -> dict[str, Any]:
    """The errand that published a checkpoint, after its end."""
    errand = ask(studio.models.sources.publish, {"checkpoint": "demo/base", "target": target})
    while errand["state"] in ("queued", "running"):
        threading.Event().wait(0.01)
        [errand] = ask(studio.errands.follow, {"ids": [errand["id"]]})["errands"]
    return errand


def test_a_checkpoint_is_published_to_a_folder_as_it_was_previewed(
    studio: Studio, tmp_path: Path
) -> None:
    told = ask(studio.models.sources.publication, {"checkpoint": "demo/base"})
    errand = published(studio, str(tmp_path / "shelf"))
    place = tmp_path / "shelf"
    assert errand["result"] == {"place": str(place), "text": f"Published: {place}"}
    assert errand["total"] == told["bytes"] == sum(f.stat().st_size for f in place.iterdir())
    assert told["files"] == len(list(place.iterdir()))
    assert told["card"] == (place / "README.md").read_text()
    again = published(studio, str(tmp_path / "shelf"))
    assert again["error"] == f"there is already something at {place}"


@pytest.mark.parametrize(
    ("target", "reason"),
    [("", "say where to"), (" ", "say where to"), (7, "target must be text")],
)
def test_a_target_that_says_nothing_is_refused_at_once(
    studio: Studio, target: Any, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        ask(studio.models.sources.publish, {"checkpoint": "demo/base", "target": target})


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (None, "an object with named values"),
        ({}, "source is missing"),
        ({"source": 3}, "source must be text"),
        ({"source": "me/model", "path": "/"}, "path is not known here"),
        ({"source": "me/model", "parts": "policy"}, "parts must be a list"),
        ({"source": "me/model", "parts": [1]}, "parts must be one of policy"),
        ({"source": "file:///etc/passwd"}, "is not a source"),
        ({"source": "https://169.254.169.254/latest/"}, "not a public host name"),
        ({"source": "folder:none"}, "no folder is registered"),
    ],
)
def test_a_bad_query_is_a_sentence(studio: Studio, query: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ask(studio.models.sources.plan, query)


def test_unknown_names_are_sentences(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises((ValueError, LookupError), match="there is no download 'a-0'"):
        ask(studio.models.sources.start, {"key": "a-0"})
    with pytest.raises((ValueError, LookupError), match=r"there is no download '\.\./a'"):
        ask(studio.models.sources.cancel, {"key": "../a"})
    with pytest.raises((ValueError, LookupError), match="there is no checkpoint demo/none"):
        ask(
            studio.models.sources.publish,
            {"checkpoint": "demo/none", "target": str(tmp_path / "shelf")},
        )
