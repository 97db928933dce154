"""Shelves: places outside the studio where files are put and never changed again."""

from pathlib import Path
from typing import Protocol

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from huggingface_hub import CommitOperationAdd, HfApi, HfFileSystem

from storage.downloads.hub import hub_in_a_sentence
from storage.downloads.sources import Rules, parse_source

LARGEST_PART = 64 * 2**20


class Shelf(Protocol):
    """Where parts are: names relative to the target."""

    def names(self, room: str) -> list[str]:
        """The files of a room, `room/…`."""
        ...

    def read(self, name: str) -> bytes:
        """The content of a part."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Put a part where none is."""
        ...


class FolderShelf:
    """A folder on any file system that fsspec reaches."""

    def __init__(self, filesystem: AbstractFileSystem, path: str) -> None:
        self._filesystem, self._path = filesystem, path.rstrip("/")

    def names(self, room: str) -> list[str]:
        """The files of a room, `room/…`."""
        self._filesystem.invalidate_cache()
        found = self._filesystem.find(f"{self._path}/{room}")
        return [name[name.rindex(f"/{room}/") + 1 :] for name in map(str, found)]

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

    def names(self, room: str) -> list[str]:
        """The files of a room, `room/…`."""
        self._files.invalidate_cache()  # it would not read what came since it last listed a folder
        with hub_in_a_sentence(self._repository):
            files = self._api.list_repo_files(self._repository, repo_type="dataset")
        return [name for name in files if name.startswith(f"{room}/")]

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
                commit_message=f"Add {name}",
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
        raise ValueError("parts go to an absolute folder, s3://, gs:// or OWNER/DATASET")
    if not token:
        raise ValueError("a dataset on the Hub needs a login: set HF_TOKEN")
    return HubShelf(source.place, rules, token)
