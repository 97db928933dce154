"""Label events as immutable parts in a folder, a bucket or a Hub dataset; and labels from them.

A part is `labels/LOG/FIRST-LAST.jsonl`: the events of those places in a log, one CRC-checked line
each, as in the twin. LOG is the beginning of the hash of the log's first event, so parts of two
studios never meet. A part is written once and never changed; what is not there yet is one more
part. The database itself never leaves the studio.
"""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from huggingface_hub import CommitOperationAdd, HfApi, HfFileSystem

from engine.durable import write_json_durably
from engine.events import decode_line, encode_line
from storage.exports.labels import parse_event
from storage.hub import hub_in_a_sentence
from storage.labels import LabelEvent, LabelStore
from storage.sources import Rules, parse_source

ROOM = "labels"
LARGEST_PART, MOST_PARTS = 64 * 2**20, 100_000
_PART = re.compile(rf"{ROOM}/([0-9a-f]{{12}})/(\d{{9}})-(\d{{9}})\.jsonl")


class Shelf(Protocol):
    """Where parts are: names relative to the target."""

    def names(self) -> list[str]:
        """What is there under `labels/`."""
        ...

    def read(self, name: str) -> bytes:
        """The content of a part."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Put a part where none is."""
        ...


@dataclass(frozen=True)
class SyncStatus:
    """How much of the log is at the target.

    Attributes:
        synced: the last place in the log that is there.
        events: the last place in the log here.
        parts: of this log, at the target.
    """

    synced: int
    events: int
    parts: int


class FolderShelf:
    """A folder on any file system that fsspec reaches."""

    def __init__(self, filesystem: AbstractFileSystem, path: str) -> None:
        self._filesystem, self._path = filesystem, path.rstrip("/")

    def names(self) -> list[str]:
        """What is there under `labels/`."""
        self._filesystem.invalidate_cache()
        found = self._filesystem.find(f"{self._path}/{ROOM}")
        return [name[name.rindex(f"/{ROOM}/") + 1 :] for name in map(str, found)]

    def read(self, name: str) -> bytes:
        """The content of a part."""
        if self._filesystem.size(f"{self._path}/{name}") > LARGEST_PART:
            raise ValueError(f"{name} is larger than any part")
        content: bytes = self._filesystem.cat_file(f"{self._path}/{name}")
        return content

    def write(self, name: str, content: bytes) -> None:
        """Put a part where none is: under another name first, so that no half of one is read."""
        target = f"{self._path}/{name}"
        self._filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
        self._filesystem.pipe_file(f"{target}.part", content)
        self._filesystem.mv(f"{target}.part", target)


class HubShelf:
    """A private dataset on the Hub; a part is one commit."""

    def __init__(self, repository: str, rules: Rules, token: str) -> None:
        self._repository = repository
        self._api = HfApi(endpoint=rules.hub, token=token)
        self._files = HfFileSystem(endpoint=rules.hub, token=token)
        with hub_in_a_sentence(repository):
            self._api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)

    def names(self) -> list[str]:
        """What is there under `labels/`."""
        with hub_in_a_sentence(self._repository):
            files = self._api.list_repo_files(self._repository, repo_type="dataset")
        return [name for name in files if name.startswith(f"{ROOM}/")]

    def read(self, name: str) -> bytes:
        """The content of a part."""
        with hub_in_a_sentence(self._repository):
            content: bytes = self._files.cat_file(f"datasets/{self._repository}/{name}")
        return content

    def write(self, name: str, content: bytes) -> None:
        """Put a part where none is."""
        with hub_in_a_sentence(self._repository):
            self._api.create_commit(
                self._repository,
                [CommitOperationAdd(name, content)],
                commit_message=f"Labels {name}",
                repo_type="dataset",
            )


def open_shelf(target: str, *, rules: Rules, token: str | None) -> Shelf:
    """The place that a text names: an absolute path, s3://, gs:// or OWNER/DATASET of the Hub.

    Raises:
        ValueError: it names none, or there is no login for it.
    """
    if target.startswith(("/", "~")):
        return FolderShelf(*url_to_fs(str(Path(target).expanduser())))
    source = parse_source(target, rules)
    if source.kind in ("s3", "gs"):
        try:
            return FolderShelf(*url_to_fs(target))
        except ImportError as error:
            raise ValueError(f"{source.kind}:// needs one package more: {error}") from error
    if source.kind != "hf" or source.path or source.revision != "main":
        raise ValueError("labels go to an absolute folder, s3://, gs:// or OWNER/DATASET")
    if not token:
        raise ValueError("a dataset on the Hub needs a login: set HF_TOKEN")
    return HubShelf(source.place, rules, token)


def status(shelf: Shelf, labels: LabelStore) -> SyncStatus:
    """How far a log is synced; gaps between parts count as not there."""
    events = labels.events()
    if not events:
        return SyncStatus(0, 0, 0)
    ours = _parts(shelf, _log(events))
    return SyncStatus(_covered(ours), events[-1].seq, len(ours))


def push(shelf: Shelf, labels: LabelStore) -> SyncStatus:
    """Write what the target lacks, as one part; the status then."""
    events = labels.events()
    if not events:
        return SyncStatus(0, 0, 0)
    log = _log(events)
    fresh = events[_covered(_parts(shelf, log)) :]
    if fresh:
        name = f"{ROOM}/{log}/{fresh[0].seq:09d}-{fresh[-1].seq:09d}.jsonl"
        shelf.write(name, b"".join(encode_line(event.to_dict()) for event in fresh))
    return status(shelf, labels)


def pull(shelf: Shelf, labels: LabelStore) -> tuple[int, int]:
    """Take in the events of every log at the target; (new, already here).

    Raises:
        ValueError: a part is damaged or missing, or contradicts what is here; nothing was stored.
    """
    logs = sorted({found[1] for name in _listed(shelf) if (found := _PART.fullmatch(name))})
    events = [event for log in logs for event in _read_log(shelf, log)]
    if not events:
        raise ValueError("no labels are there")
    added = labels.take_in(events)
    return added, len(events) - added


def _read_log(shelf: Shelf, log: str) -> list[LabelEvent]:
    events: list[LabelEvent] = []
    for first, last in _parts(shelf, log):
        name = f"{ROOM}/{log}/{first:09d}-{last:09d}.jsonl"
        if first > len(events) + 1:
            raise ValueError(f"{name}: the events before it are missing")
        lines = shelf.read(name).splitlines(keepends=True)
        if len(lines) != last - first + 1:
            raise ValueError(f"{name}: it has {len(lines)} lines, not {last - first + 1}")
        for number, line in enumerate(lines, start=1):
            values = decode_line(line)
            if values is None:
                raise ValueError(f"{name}, line {number}: it is damaged")
            try:
                event = parse_event(values)
            except ValueError as error:
                raise ValueError(f"{name}, line {number}: {error}") from error
            if event.seq != first + number - 1:
                raise ValueError(f"{name}, line {number}: it is event {event.seq} of its log")
            if event.seq > len(events):
                events.append(event)
    if events and not events[0].hash.startswith(log):
        raise ValueError(f"{ROOM}/{log}: its first event is of another log")
    return events


def _log(events: Sequence[LabelEvent]) -> str:
    return events[0].hash[:12]


def _listed(shelf: Shelf) -> list[str]:
    names = shelf.names()
    if len(names) > MOST_PARTS:
        raise ValueError(f"there are {len(names)} files, more than any log has parts")
    return names


def _parts(shelf: Shelf, log: str) -> list[tuple[int, int]]:
    """(first, last) of each part of a log, in order."""
    found = (_PART.fullmatch(name) for name in _listed(shelf))
    return sorted((int(part[2]), int(part[3])) for part in found if part and part[1] == log)


def _covered(parts: Sequence[tuple[int, int]]) -> int:
    """The last place in a log up to which parts leave no gap."""
    covered = 0
    for first, last in parts:
        if first > covered + 1:
            break
        covered = max(covered, last)
    return covered


def remember(path: Path, target: str, found: SyncStatus) -> None:
    """Keep where labels go and how far they are."""
    values = {"target": target, "at": time.time(), "synced": found.synced, "parts": found.parts}
    write_json_durably(path, values)


def remembered(path: Path) -> dict[str, Any]:
    """{target, at, synced, parts} of the last success; empty if there was none."""
    values: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return values
