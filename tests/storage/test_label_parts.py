"""Label events as immutable parts elsewhere, and taken in from there."""

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from engine.types import Label
from storage.database import Database
from storage.label_parts import FolderShelf, open_shelf, pull, push, remember, remembered, status
from storage.labels import LabelStore
from storage.sources import DEFAULT_RULES
from tests.storage.source_server import SourceServer

Maker = Callable[..., LabelStore]

# The Hub's library decides about Xet when it is imported, so this runs in a process of its own.
ON_THE_HUB = """
import sys
from pathlib import Path
from engine.types import Label
from storage.database import Database
from storage.label_parts import open_shelf, pull, push
from storage.labels import LabelStore
from storage.sources import Rules
root, url, host = sys.argv[1:]
shelf = open_shelf("me/labels", rules=Rules(hub=url, hosts=frozenset({host})), token="hf_secret")
mine, other = (
    LabelStore(Database(None, exports=Path(root)), Path(root, name)) for name in ("mine", "other")
)
for name in ("one", "two"):
    mine.append(Label(event_id=name, episode_id="x", outcome="fail"))
    push(shelf, mine)
print(pull(shelf, other), other.events() == mine.events())
"""


@pytest.fixture
def make_store(tmp_path: Path) -> Maker:
    def make(name: str, start: float = 1.0) -> LabelStore:
        database = Database(None, exports=tmp_path)
        return LabelStore(database, tmp_path / f"{name}.jsonl", clock=count(start).__next__)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def shelf(folder: Path) -> FolderShelf:
    found = open_shelf(str(folder), rules=DEFAULT_RULES, token=None)
    assert isinstance(found, FolderShelf)
    return found


def say(store: LabelStore, *names: str) -> None:
    for name in names:
        store.append(Label(event_id=name, episode_id="x", outcome="fail"))


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))}


def test_what_is_not_there_yet_is_one_more_part(
    make_store: Maker, shelf: FolderShelf, folder: Path
) -> None:
    store = make_store("mine")
    assert push(shelf, store) == status(shelf, store)
    assert parts(folder) == {}
    say(store, "one", "two")
    assert push(shelf, store).synced == 2
    before = parts(folder)
    say(store, "three")
    assert (status(shelf, store).synced, status(shelf, store).events) == (2, 3)
    pushed = push(shelf, store)
    assert (pushed.synced, pushed.events, pushed.parts) == (3, 3, 2)
    after = parts(folder)
    assert list(after) == ["000000001-000000002.jsonl", "000000003-000000003.jsonl"]
    assert before.items() <= after.items()  # no part is ever changed
    assert push(shelf, store) == pushed
    assert parts(folder) == after


def test_an_empty_studio_gets_the_same_log_back(make_store: Maker, shelf: FolderShelf) -> None:
    store = make_store("mine")
    say(store, "one", "two")
    push(shelf, store)
    store.withdraw("two", new_event_id="three")
    push(shelf, store)
    other = make_store("other", start=99.0)
    assert pull(shelf, other) == (3, 0)
    assert other.events() == store.events()
    assert pull(shelf, other) == (0, 3)


def test_logs_of_two_studios_do_not_meet(make_store: Maker, shelf: FolderShelf) -> None:
    mine, yours = make_store("mine"), make_store("yours", start=50.0)
    say(mine, "one", "two")
    say(yours, "three")
    for store in (mine, yours):
        push(shelf, store)
    assert pull(shelf, mine) == (1, 2)
    assert {label.event_id for label in mine.all()} == {"one", "two", "three"}
    assert push(shelf, mine).synced == 3


def test_parts_lie_in_a_bucket_as_well(make_store: Maker) -> None:
    shelf = FolderShelf(MemoryFileSystem(), "/bucket/labels of ours")
    store = make_store("mine")
    say(store, "one")
    assert push(shelf, store).synced == 1
    assert pull(shelf, make_store("other")) == (1, 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda part: part[:-10], "000000001-000000002.jsonl, line 2: it is damaged"),
        (lambda part: part.splitlines(keepends=True)[0], "it has 1 lines, not 2"),
        (lambda part: part.splitlines(keepends=True)[1] * 2, "line 1: it is event 2 of its log"),
        (lambda part: b"00000000 {}\n" * 2, "line 1: it is damaged"),
    ],
)
def test_a_damaged_part_is_refused(
    make_store: Maker,
    shelf: FolderShelf,
    folder: Path,
    change: Callable[[bytes], bytes],
    sentence: str,
) -> None:
    store, other = make_store("mine"), make_store("other")
    say(store, "one", "two")
    push(shelf, store)
    [path] = folder.rglob("*.jsonl")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=sentence):
        pull(shelf, other)
    assert other.events() == []


def test_a_missing_part_is_noticed_and_written_again(
    make_store: Maker, shelf: FolderShelf, folder: Path
) -> None:
    store = make_store("mine")
    for name in ("one", "two"):
        say(store, name)
        push(shelf, store)
    next(folder.rglob("000000001-*")).unlink()
    with pytest.raises(ValueError, match="the events before it are missing"):
        pull(shelf, make_store("other"))
    assert status(shelf, store).synced == 0
    assert push(shelf, store).synced == 2
    assert pull(shelf, make_store("third")) == (2, 0)


def test_what_names_no_place_is_refused(make_store: Maker) -> None:
    for target, sentence in (
        ("OWNER/labels", "needs a login: set HF_TOKEN"),
        ("https://example.com/labels", "labels go to an absolute folder"),
        ("folder:mine", "labels go to an absolute folder"),
        ("relative/../up", "may not leave its place"),
    ):
        with pytest.raises(ValueError, match=sentence):
            open_shelf(target, rules=DEFAULT_RULES, token=None)
    with pytest.raises(ValueError, match="no labels are there"):
        pull(FolderShelf(MemoryFileSystem(), "/nothing"), make_store("mine"))


def test_the_last_success_is_remembered(
    make_store: Maker, shelf: FolderShelf, tmp_path: Path
) -> None:
    assert remembered(tmp_path / "sync.json") == {}
    store = make_store("mine")
    say(store, "one")
    remember(tmp_path / "sync.json", "/shared", push(shelf, store))
    found = remembered(tmp_path / "sync.json")
    assert (found["target"], found["synced"], found["parts"]) == ("/shared", 1, 1)


@pytest.mark.slow
def test_parts_lie_in_a_dataset_of_the_hub_as_well(server: SourceServer, tmp_path: Path) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", ON_THE_HUB, str(tmp_path), server.url, server.host],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert ran.stdout == "(2, 0) True\n", ran.stderr
    repository = server.repositories["me/labels"]
    names = sorted(repository.commits[repository.branches["main"]])
    assert [name.rpartition("/")[2] for name in names] == [
        "000000001-000000001.jsonl",
        "000000002-000000002.jsonl",
    ]
