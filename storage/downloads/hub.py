"""The Hub as a source and as a place to publish.

huggingface_hub 2.4 publishes for us, but does not fetch: its downloader keeps no partial file
between processes, compares sizes and not hashes, and its listing has no time limit. So a
repository is listed and fetched through the same guarded door as every other source.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError

from storage.downloads.listings import Listing, RemoteFile, listing, path_below
from storage.downloads.sources import Rules, Source, file_url, host_and_port
from storage.downloads.web import Web, scrub

CHECKPOINTS = "checkpoint_files"  # beside hundreds of gigabytes of data in the released repository
COMMIT = re.compile("[0-9a-f]{40}")
_MAX_PAGE, _MAX_PAGES = 8_000_000, 50
_NEXT = re.compile(r'<([^<>]+)>;\s*rel="next"')
_REFUSALS = {
    "RepoNotFound": "is not on the Hub, or not for this login to see",
    "RevisionNotFound": "has no such revision",
    "EntryNotFound": "has nothing at that path",
    "GatedRepo": "asks to accept its terms on its page first",
}


def login() -> str | None:
    """The Hub token of this machine (HF_TOKEN, or `hf auth login`), where there is one."""
    return get_token()


def login_headers(url: str, rules: Rules, token: str | None) -> dict[str, str]:
    """The headers that carry a login: to the Hub, and to nobody else."""
    if not token or host_and_port(url) != host_and_port(rules.hub):
        return {}
    return {"authorization": f"Bearer {token}"}


def list_hub(source: Source, web: Web, rules: Rules, token: str | None) -> Listing:
    """The files of a repository at the commit that a branch or tag names now.

    Raises:
        ValueError: there is no such repository, revision or path, or this login may not read it.
        ConnectionError: the Hub did not answer.
    """
    hub = _Hub(web, rules, token, source.place)
    commit = hub.commit(source.revision)
    place, is_file = source.path.removesuffix("/"), False
    if not place and any(entry["path"] == CHECKPOINTS for entry in hub.tree(commit, "")):
        place = CHECKPOINTS
    elif place:
        beside = hub.tree(commit, place.rpartition("/")[0])
        found = [entry for entry in beside if entry["path"] == place]
        if not found:
            raise ValueError(f"{source.place} has nothing at {place}")
        is_file = found[0]["type"] == "file"
    entries = found if is_file else hub.tree(commit, place, recursive=True)
    try:
        files = [
            _remote_file(entry, source, commit, rules)
            for entry in entries
            if entry["type"] == "file"
        ]
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"the Hub's answer about {source.place} makes no sense") from error
    return listing(commit, files)


def _remote_file(entry: Mapping[str, Any], source: Source, commit: str, rules: Rules) -> RemoteFile:
    path, lfs = str(entry["path"]), entry.get("lfs")
    return RemoteFile(
        path=path_below(path, source.path),
        bytes=int(entry["size"]),
        url=file_url(f"{rules.hub}/{source.place}/resolve/{commit}", path),
        sha256=str(lfs["oid"]) if lfs else "",
        git_oid="" if lfs else str(entry["oid"]),
    )


class _Hub:
    """The two routes of the Hub's API that a listing needs, for one repository."""

    def __init__(self, web: Web, rules: Rules, token: str | None, repository: str) -> None:
        self._web, self._rules, self._token = web, rules, token
        self._repository = repository
        kind = "" if repository.startswith("datasets/") else "models/"
        self._api = f"{rules.hub}/api/{kind}{repository}"

    def commit(self, revision: str) -> str:
        """The commit that a branch, tag or commit names now."""
        values, _ = self._ask(f"{self._api}/revision/{quote(revision, safe='')}")
        commit = str(values.get("sha")) if isinstance(values, dict) else ""
        if not COMMIT.fullmatch(commit):
            raise ValueError(f"the Hub names no commit for {self._repository}@{revision}")
        return commit

    def tree(self, commit: str, place: str, *, recursive: bool = False) -> list[dict[str, Any]]:
        """The entries of a folder: {type, path, size, oid, lfs}."""
        folder = f"/{quote(place)}" if place else ""
        url = f"{self._api}/tree/{commit}{folder}?recursive={str(recursive).lower()}"
        entries: list[dict[str, Any]] = []
        for _ in range(_MAX_PAGES):
            page, url = self._ask(url)
            if not isinstance(page, list) or not all(_is_entry(entry) for entry in page):
                raise ValueError(f"the Hub's answer about {self._repository} makes no sense")
            entries += page
            if not url:
                return entries
        raise ValueError(f"{self._repository} has more files than a checkpoint may have")

    def _ask(self, url: str) -> tuple[Any, str]:
        """The JSON value at an address, and the address of the next page or an empty string."""
        headers = login_headers(url, self._rules, self._token)
        page = self._web.read(url, at_most=_MAX_PAGE, headers=headers)
        if page.status != 200:
            code = page.headers.get("x-error-code", "")
            reason = _REFUSALS.get(code, f"cannot be listed: the Hub answers {page.status}")
            raise ValueError(f"{self._repository} {reason}")
        try:
            values = json.loads(page.body)
        except (RecursionError, ValueError) as error:
            raise ValueError(f"the Hub's answer about {self._repository} is damaged") from error
        following = _NEXT.search(page.headers.get("link", ""))
        return values, urljoin(url, following[1]) if following else ""


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and {"type", "path"} <= entry.keys()


_OF_ANY_REPOSITORY = {".gitattributes", "README.md"}


def publish(files: Mapping[str, Path | bytes], repository: str, *, rules: Rules, token: str) -> str:
    """Add these files to a model repository that is new or holds an earlier checkpoint of ours,
    in one commit; its id. Nothing is ever deleted there.

    Raises:
        ValueError: the repository holds something else, it cannot be written with this login, or
            the Hub did not answer.
    """
    api = HfApi(endpoint=rules.hub, token=token)
    with hub_in_a_sentence(repository):
        api.create_repo(repository, private=True, exist_ok=True)
        there = set(api.list_repo_files(repository)) - _OF_ANY_REPOSITORY
        is_ours = not there or "manifest.json" in there
        foreign = sorted(there - files.keys() if is_ours else there)
        if foreign:
            raise ValueError(
                f"{repository} holds files that no studio wrote ({', '.join(foreign[:3])}"
                f"{' and more' if len(foreign) > 3 else ''}): publish to a repository of its own"
            )
        commit = api.create_commit(
            repository,
            [CommitOperationAdd(name, content) for name, content in files.items()],
            commit_message="Publish a WMPO Studio checkpoint",
        )
    return commit.oid


@contextmanager
def hub_in_a_sentence(repository: str) -> Iterator[None]:
    """What the Hub refuses inside the block, as a `ValueError`."""
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise ValueError(f"the Hub refuses to write {repository} ({status})") from error
    except (httpx2.HTTPError, OSError, RuntimeError) as error:
        raise ValueError(f"the Hub did not answer: {scrub(str(error))}") from error
