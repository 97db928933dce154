"""What people said as immutable parts elsewhere, and taken in from there."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from engine.records.events import encode_line
from engine.records.types import Label
from storage.database import Database
from storage.downloads.sources import DEFAULT_RULES
from storage.events.event_log import EventLog
from storage.events.labels import LABELS, SPAN
from storage.events.preferences import PREFERENCES, Preference
from storage.upkeep.event_parts import pull, push, remember, remembered, status
from storage.upkeep.shelves import FolderShelf, open_shelf
from tests.storage.source_server import SourceServer

Maker = Callable[..., EventLog]

KINDS = {"label": LABELS, "preference": PREFERENCES}
LABEL = dataclasses.asdict(Label(event_id="", episode_id="x", outcome="fail"))
SAID = {
    "label": {name: value for name, value in LABEL.items() if name not in SPAN},
    "preference": dataclasses.asdict(Preference(event_id="", left="a", right="b", choice="left")),
}

# The Hub's library decides about Xet when it is imported, so this runs in a process of its own.
ON_THE_HUB = """
import sys
from pathlib import Path
from engine.records.types import Label
from storage.database import Database
from storage.upkeep.event_parts import pull, push
from storage.events.labels import LabelStore
from storage.upkeep.shelves import open_shelf
from storage.downloads.sources import Rules
root, url, host = sys.argv[1:]
shelf = open_shelf("me/labels", rules=Rules(hub=url, hosts=frozenset({host})), token="hf_secret")
mine, other = (
    LabelStore(Database(None, exports=Path(root)), Path(root, name)) for name in ("mine", "other")
)
for name in ("one", "two"):
    mine.append(Label(event_id=name, episode_id="x", outcome="fail"))
    push(shelf, mine.log)
print(pull(shelf, [other.log], dry_run=False)["labels"].added, other.events() == mine.events())
"""


@pytest.fixture(params=KINDS)
def noun(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_log(tmp_path: Path) -> Maker:
    databases: dict[str, Database] = {}

    def make(name: str, noun: str, start: float = 1.0) -> EventLog:
        if name not in databases:
            databases[name] = Database(None, exports=tmp_path)
        twin = tmp_path / f"{name}-{noun}.jsonl"
        return EventLog(databases[name], twin, KINDS[noun], clock=count(start).__next__)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def shelf(folder: Path) -> FolderShelf:
    found = open_shelf(str(folder), rules=DEFAULT_RULES, token=None)
    assert isinstance(found, FolderShelf)
    return found


def say(log: EventLog, *names: str) -> None:
    for name in names:
        log.append(SAID[log.kind.noun] | {"event_id": name})


def counts(shelf: FolderShelf, log: EventLog, *, dry_run: bool = False) -> tuple[int, int]:
    report = pull(shelf, [log], dry_run=dry_run)[log.kind.nouns]
    assert report.problems == ()
    return report.added, report.known


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))}


def test_what_is_not_there_yet_is_one_more_part(
    make_log: Maker, noun: str, shelf: FolderShelf, folder: Path
) -> None:
    log = make_log("mine", noun)
    assert push(shelf, log) == status(shelf, log)
    assert parts(folder) == {}
    say(log, "one", "two")
    assert push(shelf, log).synced == 2
    before = parts(folder)
    say(log, "three")
    assert (status(shelf, log).synced, status(shelf, log).events) == (2, 3)
    pushed = push(shelf, log)
    assert (pushed.synced, pushed.events, pushed.parts) == (3, 3, 2)
    after = parts(folder)
    assert list(after) == ["000000001-000000002.jsonl", "000000003-000000003.jsonl"]
    assert [path.name for path in folder.iterdir()] == [f"{noun}s"]
    assert before.items() <= after.items()  # no part is ever changed
    assert push(shelf, log) == pushed
    assert parts(folder) == after


def test_an_empty_studio_gets_the_same_log_back(
    make_log: Maker, noun: str, shelf: FolderShelf
) -> None:
    log = make_log("mine", noun)
    say(log, "one", "two")
    push(shelf, log)
    log.withdraw("two", new_event_id="three", actor="ann")
    push(shelf, log)
    other = make_log("other", noun, start=99.0)
    assert counts(shelf, other, dry_run=True) == (3, 0)
    assert other.events() == []
    assert counts(shelf, other) == (3, 0)
    assert other.events() == log.events()
    assert counts(shelf, other) == (0, 3)
    assert push(shelf, other) == status(shelf, log)
    say(log, "four")
    say(other, "five")
    push(shelf, log)
    with pytest.raises(ValueError, match=r"000000004\.jsonl holds no event 4 of this studio"):
        push(shelf, other)  # it would be taken for "four", and lost


def test_logs_of_two_studios_do_not_meet(make_log: Maker, noun: str, shelf: FolderShelf) -> None:
    mine, yours = make_log("mine", noun), make_log("yours", noun, start=50.0)
    say(mine, "one", "two")
    say(yours, "three")
    for log in (mine, yours):
        push(shelf, log)
    assert counts(shelf, mine) == (1, 2)
    assert {event["event_id"] for event in mine.events()} == {"one", "two", "three"}
    assert push(shelf, mine).synced == 3


def test_parts_lie_in_a_bucket_as_well(make_log: Maker, noun: str) -> None:
    shelf = FolderShelf(MemoryFileSystem(), f"/bucket/{noun}s of ours")
    log = make_log("mine", noun)
    say(log, "one")
    assert push(shelf, log).synced == 1
    assert counts(shelf, make_log("other", noun)) == (1, 0)


def spoilt(part: bytes, **changes: object) -> bytes:
    """A part whose second event says something else, with a checksum that fits."""
    first, second = part.splitlines(keepends=True)
    return first + encode_line(json.loads(second.partition(b" ")[2]) | changes)


@pytest.mark.parametrize(
    ("noun", "change", "sentence"),
    [
        ("label", lambda part: part[:-10], "-000000002.jsonl, line 2: it is damaged"),
        (
            "preference",
            lambda part: part.splitlines(keepends=True)[0],
            "-000000002.jsonl: it has 1 lines, not 2",
        ),
        (
            "label",
            lambda part: part.splitlines(keepends=True)[1] * 2,
            "line 1: it is event 2 of its log",
        ),
        (
            "preference",
            lambda part: b"00000000 {}\n" * 2,
            "-000000002.jsonl, line 1: it is damaged",
        ),
        ("label", lambda part: spoilt(part, colour=1), "line 2: colour unknown"),
        ("preference", lambda part: spoilt(part, actor=7), "line 2: actor must be str, not 7"),
        (
            "preference",
            lambda part: spoilt(part, supersedes="none"),
            "line 2: the [a-z]+ corrects none, which",
        ),
    ],
)
def test_a_damaged_part_is_refused_with_everything_else(
    make_log: Maker,
    noun: str,
    shelf: FolderShelf,
    folder: Path,
    change: Callable[[bytes], bytes],
    sentence: str,
) -> None:
    nouns = (noun, *(set(KINDS) - {noun}))
    for one in nouns:
        log = make_log("mine", one)
        say(log, "one", "two")
        push(shelf, log)
    [path] = (folder / f"{noun}s").rglob("*.jsonl")
    path.write_bytes(change(path.read_bytes()))
    others = [make_log("other", one) for one in nouns]
    found = pull(shelf, others, dry_run=False)
    assert re.search(f"^{noun}s/.*{sentence}", found[f"{noun}s"].problems[0])
    assert [report.problems for report in found.values()][1] == ()
    assert [log.events() for log in others] == [[], []]  # of the sound log neither


def test_a_missing_part_is_noticed_and_written_again(
    make_log: Maker, noun: str, shelf: FolderShelf, folder: Path
) -> None:
    log = make_log("mine", noun)
    for name in ("one", "two"):
        say(log, name)
        push(shelf, log)
    next(folder.rglob("000000001-*")).unlink()
    [problem] = pull(shelf, [make_log("other", noun)], dry_run=False)[f"{noun}s"].problems
    assert problem.endswith("000000002-000000002.jsonl: the events before it are missing")
    assert status(shelf, log).synced == 0
    assert push(shelf, log).synced == 2
    assert counts(shelf, make_log("third", noun)) == (2, 0)


def test_what_names_no_place_is_refused(make_log: Maker) -> None:
    for target, sentence in (
        ("OWNER/labels", "needs a login: set HF_TOKEN"),
        ("https://example.com/labels", "parts go to an absolute folder"),
        ("folder:mine", "parts go to an absolute folder"),
        ("relative/../up", "may not leave its place"),
    ):
        with pytest.raises(ValueError, match=sentence):
            open_shelf(target, rules=DEFAULT_RULES, token=None)
    logs = [make_log("mine", noun) for noun in KINDS]
    with pytest.raises(ValueError, match="there are no parts of labels or preferences"):
        pull(FolderShelf(MemoryFileSystem(), "/nothing"), logs, dry_run=True)


def test_the_last_success_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "sync.json"
    assert remembered(path) == {}
    remember(path, "/shared", {"labels": 1, "preferences": 2})
    found = remembered(path)
    assert (found["target"], found["synced"]) == ("/shared", {"labels": 1, "preferences": 2})
    path.write_text('{"target": "/shared", "at": 1.0, "synced": 3, "parts": 1}')
    assert remembered(path)["synced"] == {"labels": 3}  # written when labels alone were synced


@pytest.mark.slow
def test_parts_lie_in_a_dataset_of_the_hub_as_well(server: SourceServer, tmp_path: Path) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", ON_THE_HUB, str(tmp_path), server.url, server.host],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert ran.stdout == "2 True\n", ran.stderr
    repository = server.repositories["me/labels"]
    names = sorted(repository.commits[repository.branches["main"]])
    assert [name.rpartition("/")[2] for name in names] == [
        "000000001-000000001.jsonl",
        "000000002-000000002.jsonl",
    ]
