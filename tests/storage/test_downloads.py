"""Downloads: planned, followed, cancelled, resumed, checked, and complete or not there."""

import hashlib
import json
import resource
import shutil
from pathlib import Path

import pytest

from storage.database import Database
from storage.downloads.downloads import Downloads
from storage.downloads.official import TASKS
from storage.workspace import Workspace
from tests.storage.conftest import Opener
from tests.storage.source_server import Fault, Repository, SourceServer

WEIGHTS = bytes(range(256)) * 2_000
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}
OFFICIAL = {
    f"checkpoint_files/{path}": path.encode() * 100
    for task in TASKS[:2]
    for path in (
        f"SFT_models/{task}/model.safetensors",
        f"world_models/{task}/P_128/ema.pt",
        f"reward_models/videomae_{task}.pth",
        "world_models/vae/config.json",
    )
}


@pytest.fixture
def model(server: SourceServer) -> Repository:
    repository = server.repositories["me/model"] = Repository()
    repository.commit(FILES)
    return repository


def model_path(repository: Repository, name: str = "model.safetensors") -> str:
    return f"/me/model/resolve/{repository.branches['main']}/{name}"


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def complete(downloads: Downloads, source: str, **wanted: object) -> str:
    key = downloads.plan(source, **wanted).key
    downloads.start(key)
    assert downloads.wait(key).state == "complete"
    return key


# Plans.


def test_a_plan_says_what_would_be_fetched(downloads: Downloads, model: Repository) -> None:
    plan = downloads.plan("me/model")
    assert plan.source == f"hf://me/model@{model.branches['main']}"
    assert [(file.path, file.bytes) for file in plan.files] == [
        ("config.json", 2),
        ("model.safetensors", 512_000),
    ]
    assert (plan.bytes, downloads.needed_bytes(plan)) == (512_002, 512_002)
    assert downloads.all() == []


def test_a_task_needs_its_own_files_alone(downloads: Downloads, server: SourceServer) -> None:
    server.repositories["a/wmpo"] = Repository()
    server.repositories["a/wmpo"].commit(OFFICIAL | {"data_files/a.npz": b"a"})
    key = complete(downloads, "a/wmpo", task="coffee")
    assert len(contents(downloads.folder(key))) == 4
    assert {
        part: path.relative_to(downloads.folder(key)).as_posix()
        for part, path in downloads.parts(key).items()
    } == {
        "policy": "checkpoint_files/SFT_models/coffee",
        "world_model": "checkpoint_files/world_models/coffee/P_128",
        "reward_model": "checkpoint_files/reward_models/videomae_coffee.pth",
        "autoencoder": "checkpoint_files/world_models/vae",
    }


def test_the_official_layout_needs_a_task(downloads: Downloads, server: SourceServer) -> None:
    server.repositories["a/wmpo"] = Repository()
    server.repositories["a/wmpo"].commit(OFFICIAL)
    with pytest.raises(ValueError, match="several tasks: choose one of coffee"):
        downloads.plan("a/wmpo")


def test_another_layout_takes_no_task(downloads: Downloads, model: Repository) -> None:
    with pytest.raises(ValueError, match="does not have the layout of the released"):
        downloads.plan("me/model", task="coffee")


def test_what_does_not_fit_on_the_disk_is_not_begun(opener: Opener, model: Repository) -> None:
    downloads = opener(free_bytes=lambda path: 700_000, reserve_bytes=200_000)
    plan = downloads.plan("me/model")
    wanted = (
        "512.0 kB would be fetched, but of 700.0 kB free on the disk "
        "200.0 kB are kept in reserve: 12.0 kB short"
    )
    assert downloads.shortage(plan) == wanted
    with pytest.raises(ValueError, match=r"12\.0 kB short"):
        downloads.start(plan.key)
    assert downloads.all() == []


def test_an_unplanned_download_is_not_begun(downloads: Downloads) -> None:
    with pytest.raises(LookupError, match="there is no download"):
        downloads.start("model-0123456789ab")


@pytest.mark.parametrize("key", ["", "..", "../../etc", "a/b", ".removed-a"])
def test_no_key_leads_out_of_the_downloads(downloads: Downloads, key: str) -> None:
    with pytest.raises(LookupError, match="there is no download"):
        downloads.folder(key)


# Fetching.


def test_a_complete_download_is_the_source_bit_for_bit(
    downloads: Downloads, model: Repository
) -> None:
    key = complete(downloads, "me/model")
    assert contents(downloads.folder(key)) == FILES
    status = downloads.status(key)
    assert (status.done, status.bytes, status.error) == (512_002, 512_002, "")


def test_the_hashes_of_what_was_fetched_are_recorded(
    downloads: Downloads, model: Repository
) -> None:
    key = complete(downloads, "me/model")
    marker = json.loads((downloads.folder(key).parent / "complete.json").read_text())
    assert {entry["name"]: entry["sha256"] for entry in marker["files"]} == {
        name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()
    }


def test_a_complete_download_is_not_fetched_again(
    downloads: Downloads, model: Repository, server: SourceServer
) -> None:
    key = complete(downloads, "me/model")
    server.requests.clear()
    assert downloads.start(key).state == "complete"
    assert server.requests == []


def test_a_download_without_network_is_used_as_it_is(
    opener: Opener, model: Repository, server: SourceServer
) -> None:
    key = complete(opener(), "me/model")
    server.end()
    later = opener()
    assert later.plan("me/model").key == key
    assert contents(later.folder(later.start(key).key)) == FILES
    with pytest.raises(ValueError, match="did not answer"):
        later.plan("me/other")
    with pytest.raises(ValueError, match="did not answer"):
        later.plan(f"me/model@{'0' * 40}")


def test_wrong_bytes_end_a_download_and_a_good_one_stays(
    downloads: Downloads, model: Repository, server: SourceServer
) -> None:
    good = complete(downloads, "me/model")
    model.commit(FILES | {"model.safetensors": WEIGHTS[::-1]})
    server.faults[model_path(model)] = Fault(content=WEIGHTS)
    bad = downloads.plan("me/model").key
    downloads.start(bad)
    status = downloads.wait(bad)
    assert (status.state, status.error) == (
        "failed",
        "model.safetensors is not the file that its source declares",
    )
    assert contents(downloads.folder(good)) == FILES
    with pytest.raises(ValueError, match="is not complete"):
        downloads.folder(bad)
    server.faults.clear()
    assert complete(downloads, "me/model") == bad


def test_a_cancelled_download_goes_on_where_it_ended(
    opener: Opener, model: Repository, server: SourceServer
) -> None:
    server.faults[model_path(model)] = Fault(pause_seconds=0.02, block=20_000)
    downloads = opener()
    key = downloads.plan("me/model").key
    downloads.start(key)
    while downloads.status(key).done < 100_000:
        downloads.wait(key, 0.01)
    live = downloads.status(key)
    assert live.state == "running"
    assert live.rate > 0
    assert live.seconds_left is not None
    downloads.cancel(key)
    ended = downloads.wait(key)
    assert ended.state == "cancelled"
    assert 100_000 <= ended.done < 512_002
    server.faults.clear()
    downloads.start(key)
    assert downloads.wait(key).state == "complete"
    assert server.asked(model_path(model))[-1]["range"] >= "bytes=1"


def test_a_closed_studio_leaves_an_interrupted_download_that_can_go_on(
    opener: Opener, model: Repository, server: SourceServer
) -> None:
    server.faults[model_path(model)] = Fault(pause_seconds=0.02, block=20_000, times=1)
    first = opener()
    key = first.plan("me/model").key
    first.start(key)
    while first.status(key).done < 100_000:
        first.wait(key, 0.01)
    first.close()
    second = opener()
    assert [(status.key, status.state) for status in second.all()] == [(key, "interrupted")]
    assert 100_000 <= second.status(key).done < 512_002
    second.start(key)  # the plan is on disk: nothing is asked of the source's list again
    assert second.wait(key).state == "complete"


def test_a_failure_is_remembered_by_the_next_studio(
    opener: Opener, model: Repository, server: SourceServer
) -> None:
    server.faults[model_path(model)] = Fault(status=404)
    first = opener()
    key = first.plan("me/model").key
    first.start(key)
    first.wait(key)
    first.close()
    status = opener().status(key)
    assert (status.state, status.error) == ("failed", "model.safetensors is not there")


def test_a_login_goes_to_the_hub_and_not_into_errors(
    opener: Opener, model: Repository, server: SourceServer
) -> None:
    downloads = opener(token=lambda: "hf_secret123")
    complete(downloads, "me/model")
    assert server.asked(model_path(model))[0]["authorization"] == "Bearer hf_secret123"
    model.commit(FILES | {"new": b"x"})
    server.faults[model_path(model)] = Fault(redirect="http://127.0.0.1:9/a?token=hf_secret123")
    server.faults[model_path(model, "new")] = server.faults[model_path(model)]
    key = downloads.plan("me/model").key
    downloads.start(key)
    assert "secret" not in downloads.wait(key).error


def test_a_file_that_is_here_already_is_shared(
    downloads: Downloads, model: Repository, server: SourceServer
) -> None:
    first = complete(downloads, "me/model")
    model.commit(FILES | {"config.json": b"{ }"})
    second = complete(downloads, "me/model")
    assert server.asked(model_path(model)) == []
    assert contents(downloads.folder(second)) == FILES | {"config.json": b"{ }"}
    downloads.remove(first)
    assert contents(downloads.folder(second))["model.safetensors"] == WEIGHTS


def test_a_shared_file_that_was_damaged_is_fetched(
    downloads: Downloads, model: Repository, server: SourceServer
) -> None:
    first = complete(downloads, "me/model")
    (downloads.folder(first) / "model.safetensors").write_bytes(WEIGHTS[::-1])
    model.commit(FILES | {"config.json": b"{ }"})
    second = complete(downloads, "me/model")
    assert contents(downloads.folder(second))["model.safetensors"] == WEIGHTS


def test_a_disk_that_takes_no_more_ends_a_download_that_can_go_on(
    downloads: Downloads, model: Repository
) -> None:
    key = downloads.plan("me/model").key
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    downloads.start(key)
    status = downloads.wait(key)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (status.state, status.error) == ("failed", "the disk refuses: File too large")
    downloads.start(key)
    assert downloads.wait(key).state == "complete"


def test_two_downloads_run_at_once_and_more_wait(
    opener: Opener, server: SourceServer, model: Repository
) -> None:
    downloads = opener(workers=1)
    server.faults[model_path(model)] = Fault(pause_seconds=0.02, block=20_000)
    first = downloads.plan("me/model").key
    second = downloads.plan("hf://me/model@main/config.json").key
    downloads.start(first)
    assert downloads.start(second).state == "queued"
    assert downloads.cancel(second).state == "cancelled"
    downloads.cancel(first)
    assert downloads.wait(first).state == "cancelled"


def test_a_removed_download_is_gone(opener: Opener, model: Repository) -> None:
    downloads = opener()
    key = complete(downloads, "me/model")
    room = downloads.folder(key).parent
    downloads.remove(key)
    assert not room.exists()
    assert downloads.all() == []
    assert opener().all() == []


def test_a_lost_database_is_rebuilt_from_the_rooms(
    opener: Opener, model: Repository, workspace: Workspace, server: SourceServer
) -> None:
    key = complete(opener(), "me/model")
    empty = Database(None, exports=workspace.exports)
    values = {"rules": server.rules, "token": lambda: None, "folders": workspace.folders}
    downloads = Downloads(empty, workspace.downloads, **values)
    assert [(status.key, status.state) for status in downloads.all()] == [(key, "complete")]
    downloads.close()
    empty.close()


def test_a_room_that_somebody_deleted_harms_no_list(
    downloads: Downloads, model: Repository, server: SourceServer
) -> None:
    server.faults[model_path(model)] = Fault(status=404)
    key = downloads.plan("me/model").key
    downloads.start(key)
    downloads.wait(key)
    later = complete(downloads, "hf://me/model@main/config.json")
    shutil.rmtree(downloads.folder(later).parent)
    assert {status.key for status in downloads.all()} == {key, later}
    with pytest.raises(LookupError, match="there is no download"):
        downloads.folder(later)


def test_a_download_whose_files_vanished_is_not_complete(opener: Opener, model: Repository) -> None:
    first = opener()
    key = complete(first, "me/model")
    (first.folder(key) / "model.safetensors").unlink()
    second = opener()
    assert second.status(key).state == "interrupted"
    second.start(key)
    assert second.wait(key).state == "complete"
