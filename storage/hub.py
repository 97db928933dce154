"""The Hub as a source and as a place to publish: the only file that speaks to huggingface_hub.

Its own downloader is not used for the bytes: in 2.4 it keeps no partial file between processes
and compares sizes, not hashes. Listing, logging in and committing are its job; `storage.fetch`
fetches.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder

from storage.listings import MAX_FILES, Listing, RemoteFile, listing, path_below
from storage.sources import Rules, Source
from storage.web import scrub

CHECKPOINTS = "checkpoint_files"  # beside hundreds of gigabytes of data in the released repository
COMMIT = re.compile("[0-9a-f]{40}")


def login() -> str | None:
    """The Hub token of this machine (HF_TOKEN, or `hf auth login`), where there is one."""
    return get_token()


def list_hub(source: Source, rules: Rules, token: str | None) -> Listing:
    """The files of a repository at the commit that a branch or tag names now.

    Raises:
        ValueError: there is no such repository, revision or path, or this login may not read it.
        ConnectionError: the Hub did not answer.
    """
    api = HfApi(endpoint=rules.hub, token=token or False)
    with _in_a_sentence(source.place):
        commit = api.repo_info(source.place, revision=source.revision).sha or ""
        if not COMMIT.fullmatch(commit):
            raise ValueError(f"the Hub names no commit for {source}")
        entries = _entries(api, source.place, commit, source.path.removesuffix("/"))
    files = [
        RemoteFile(
            path=path_below(entry.path, source.path),
            bytes=entry.size,
            url=hf_hub_url(source.place, entry.path, revision=commit, endpoint=rules.hub),
            sha256=entry.lfs.sha256 if entry.lfs else "",
            git_oid="" if entry.lfs else entry.blob_id,
        )
        for entry in entries
        if isinstance(entry, RepoFile)
    ]
    return listing(commit, files)


def publish(files: Mapping[str, Path | bytes], repository: str, *, rules: Rules, token: str) -> str:
    """Make a model repository hold exactly these files, in one commit; its id.

    Raises:
        ValueError: the repository cannot be written with this login.
        ConnectionError: the Hub did not answer.
    """
    api = HfApi(endpoint=rules.hub, token=token)
    with _in_a_sentence(repository):
        api.create_repo(repository, private=True, exist_ok=True)
        superfluous = set(api.list_repo_files(repository)) - {*files, ".gitattributes"}
        commit = api.create_commit(
            repository,
            [
                *(CommitOperationAdd(name, content) for name, content in files.items()),
                *(CommitOperationDelete(name) for name in sorted(superfluous)),
            ],
            commit_message="Publish a WMPO Studio checkpoint",
        )
    return commit.oid


def _entries(api: HfApi, repository: str, commit: str, place: str) -> list[RepoFile | RepoFolder]:
    """What lies at a path, with everything below; of the released repository its checkpoints."""
    if place:
        found = api.get_paths_info(repository, [place], revision=commit)
        if not found:
            raise ValueError(f"{repository} has nothing at {place}")
        if isinstance(found[0], RepoFile):
            return list(found)
    else:
        top = api.list_repo_tree(repository, revision=commit)
        if any(isinstance(entry, RepoFolder) and entry.path == CHECKPOINTS for entry in top):
            place = CHECKPOINTS
    tree = api.list_repo_tree(repository, place or None, revision=commit, recursive=True)
    # Folders count as entries too; what is too much is said by `listing`.
    return list(itertools.islice(tree, 2 * MAX_FILES + 2))


@contextmanager
def _in_a_sentence(repository: str) -> Iterator[None]:
    try:
        yield
    except GatedRepoError as error:
        raise ValueError(f"{repository} asks to accept its terms on its page first") from error
    except RepositoryNotFoundError as error:
        raise ValueError(f"there is no {repository} on the Hub that this login may see") from error
    except RevisionNotFoundError as error:
        raise ValueError(f"{repository} has no such revision") from error
    except RemoteEntryNotFoundError as error:
        raise ValueError(f"{repository} has nothing at that path") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise ValueError(f"the Hub refuses the request for {repository} ({status})") from error
    except (httpx2.HTTPError, OSError) as error:
        raise ConnectionError(f"the Hub did not answer: {scrub(str(error))}") from error
