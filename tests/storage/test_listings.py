"""What a source holds: the Hub, buckets, web folders, single files and registered folders."""

import hashlib
from pathlib import Path

import pytest

from engine.records.manifest import write_manifest
from storage.downloads.hub import list_hub, login_headers
from storage.downloads.listings import (
    MAX_FILES,
    Listing,
    RemoteFile,
    list_bucket,
    list_folder,
    list_https,
    listing,
    path_below,
)
from storage.downloads.sources import DEFAULT_RULES, parse_source
from storage.downloads.web import Web
from tests.storage.source_server import Fault, Repository, SourceServer

LARGE = b"weights" * 1_000
FILES = {"config.json": b"{}", "model.safetensors": LARGE, "card/picture.png": b"png"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def hub(server: SourceServer, text: str) -> Listing:
    return list_hub(parse_source(text, server.rules), Web(server.rules), server.rules, None)


def sizes(found: Listing) -> dict[str, int]:
    return {file.path: file.bytes for file in found.files}


@pytest.fixture
def repository(server: SourceServer) -> Repository:
    repository = server.repositories["me/model"] = Repository()
    repository.commit(FILES | {".gitattributes": b"*"})
    return repository


@pytest.fixture
def published(server: SourceServer, tmp_path: Path) -> SourceServer:
    """The files with a manifest under `/a/` and, as a bucket, under `/bucket/a/`."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    write_manifest(tmp_path)
    for place in ("/a/", "/bucket/a/"):
        server.files |= {f"{place}{name}": content for name, content in FILES.items()}
        server.files[f"{place}manifest.json"] = (tmp_path / "manifest.json").read_bytes()
    server.files["/bucket/other"] = b"x"
    return server


# The Hub.


def test_a_repository_is_listed_at_the_commit_its_branch_names(
    server: SourceServer, repository: Repository
) -> None:
    found = hub(server, "me/model")
    assert found.revision == repository.branches["main"]
    assert sizes(found) == {"card/picture.png": 3, "config.json": 2, "model.safetensors": 7_000}


def test_what_the_hub_declares_of_a_file_is_kept(
    server: SourceServer, repository: Repository
) -> None:
    _, config, model = hub(server, "me/model").files
    assert (model.sha256, model.git_oid) == (sha256(LARGE), "")
    assert (config.sha256, config.git_oid) == ("", hashlib.sha1(b"blob 2\0{}").hexdigest())


def test_an_older_commit_keeps_its_files(server: SourceServer, repository: Repository) -> None:
    older = repository.branches["main"]
    repository.commit({"config.json": b"changed"})
    assert hub(server, f"me/model@{older}").files[1].bytes == 2
    assert hub(server, "me/model@main").files[0].bytes == 7


def test_a_folder_of_a_repository_is_seen_from_inside(
    server: SourceServer, repository: Repository
) -> None:
    found = hub(server, "hf://me/model@main/card")
    assert sizes(found) == {"picture.png": 3}
    assert found.files[0].url.endswith("/card/picture.png")


def test_a_file_of_a_repository_is_a_source(server: SourceServer, repository: Repository) -> None:
    assert sizes(hub(server, "hf://me/model@main/card/picture.png")) == {"picture.png": 3}


def test_of_the_released_layout_only_the_checkpoints_are_listed(
    server: SourceServer, repository: Repository
) -> None:
    repository.commit({"checkpoint_files/a.pth": b"a", "data_files/b.npz": b"b"})
    assert sizes(hub(server, "me/model")) == {"checkpoint_files/a.pth": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("me/other", "me/other is not on the Hub"),
        ("me/model@v9", "no such revision"),
        ("hf://me/model@main/nothing", "nothing at nothing"),
    ],
)
def test_what_the_hub_does_not_have_is_said(
    server: SourceServer, repository: Repository, text: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        hub(server, text)


def test_a_long_listing_is_followed_page_by_page(
    server: SourceServer, repository: Repository
) -> None:
    repository.commit({f"{number}.bin": b"x" for number in range(8)})
    assert len(hub(server, "me/model").files) == 8


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        ("revision/main", b"{"),
        ("revision/main", b"[" * 100_000),
        ("revision/main", b"[]"),
        ("revision/main", b'{"sha": "../../etc"}'),
        ("tree/{commit}", b'{"error": "no"}'),
        ("tree/{commit}", b'[["file"]]'),
        ("tree/{commit}", b'[{"type": "file", "path": "a"}]'),
        ("tree/{commit}", b'[{"type": "file", "path": "a", "size": "x", "oid": ""}]'),
        ("tree/{commit}", b'[{"type": "file", "path": "../a", "size": 1, "oid": ""}]'),
        ("tree/{commit}", b'[{"type": "file", "path": "a", "size": -1, "oid": ""}]'),
        ("tree/{commit}", b'[{"type": "file", "path": "a", "size": 1, "lfs": 3}]'),
    ],
)
def test_a_hostile_hub_is_refused(
    server: SourceServer, repository: Repository, route: str, answer: bytes
) -> None:
    route = route.format(commit=repository.branches["main"])
    server.files[f"/api/models/me/model/{route}"] = answer
    with pytest.raises(ValueError, match=r"damaged|makes no sense|names no commit|not a path"):
        hub(server, "me/model")


def test_a_login_is_for_the_hub_alone() -> None:
    hub_file, other = "https://huggingface.co/a/b", "https://huggingface.co.example.org/a/b"
    bearer = {"authorization": "Bearer hf_x"}
    assert login_headers(hub_file, DEFAULT_RULES, "hf_x") == bearer
    assert login_headers(hub_file, DEFAULT_RULES, None) == {}
    assert login_headers(other, DEFAULT_RULES, "hf_x") == {}


def test_a_hub_that_is_gone_is_trouble_that_may_pass(server: SourceServer) -> None:
    server.end()
    with pytest.raises(ConnectionError, match="did not answer"):
        hub(server, "me/model")


# Web folders and files.


def test_a_web_folder_is_what_its_manifest_names(published: SourceServer) -> None:
    source = parse_source(f"{published.url}/a/", published.rules)
    found = list_https(source, Web(published.rules))
    assert sizes(found).keys() == {*FILES, "manifest.json"}
    assert {file.path: file.sha256 for file in found.files}["config.json"] == sha256(b"{}")


def test_another_content_is_another_revision(published: SourceServer) -> None:
    source = parse_source(f"{published.url}/a/model.safetensors", published.rules)
    before = list_https(source, Web(published.rules))
    published.files["/a/model.safetensors"] = LARGE[::-1]
    after = list_https(source, Web(published.rules))
    assert before.files[0].bytes == after.files[0].bytes == 7_000
    assert before.revision != after.revision


def test_a_server_without_ranges_still_says_how_large_a_file_is(published: SourceServer) -> None:
    published.faults["/a/model.safetensors"] = Fault(no_ranges=True)
    source = parse_source(f"{published.url}/a/model.safetensors", published.rules)
    assert sizes(list_https(source, Web(published.rules))) == {"model.safetensors": 7_000}


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (b"{", "is damaged"),
        (b'{"files": [{"name": "../../a", "bytes": 1, "sha256": ""}]}', "is damaged"),
        (b'{"files": [{"name": "/a", "bytes": 1, "sha256": ""}]}', "is damaged"),
        (b'{"files": [{"name": "a", "bytes": -1, "sha256": ""}]}', "makes no sense"),
        (b'{"files": [{"name": "a", "bytes": 1, "sha256": "g"}]}', "makes no sense"),
        (b"[" * 100_000, "is damaged"),
        (b" " * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_a_hostile_manifest_is_refused(server: SourceServer, manifest: bytes, reason: str) -> None:
    server.files["/a/manifest.json"] = manifest
    source = parse_source(f"{server.url}/a/", server.rules)
    with pytest.raises(ValueError, match=reason):
        list_https(source, Web(server.rules))


def test_a_web_folder_without_a_manifest_is_refused(server: SourceServer) -> None:
    source = parse_source(f"{server.url}/a/", server.rules)
    with pytest.raises(ValueError, match=r"no manifest\.json to say what the folder holds"):
        list_https(source, Web(server.rules))


# Buckets.


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_public_bucket_is_listed_page_by_page(published: SourceServer, scheme: str) -> None:
    source = parse_source(f"{scheme}://bucket/a/", published.rules)
    found = list_bucket(source, Web(published.rules), published.rules)
    assert sizes(found).keys() == {*FILES, "manifest.json"}
    assert all("authorization" not in headers for _, _, headers in published.requests)


def test_a_manifest_in_a_bucket_declares_hashes(published: SourceServer) -> None:
    source = parse_source("s3://bucket/a/", published.rules)
    found = list_bucket(source, Web(published.rules), published.rules)
    assert {file.path: file.sha256 for file in found.files} == {
        **{name: sha256(content) for name, content in FILES.items()},
        "manifest.json": sha256(published.files["/a/manifest.json"]),
    }


def test_a_manifest_that_disagrees_with_its_bucket_is_refused(published: SourceServer) -> None:
    published.files["/bucket/a/config.json"] = b"longer"
    source = parse_source("s3://bucket/a/", published.rules)
    with pytest.raises(ValueError, match=r"config\.json is not as large"):
        list_bucket(source, Web(published.rules), published.rules)


def test_an_object_of_a_bucket_is_a_source(published: SourceServer) -> None:
    source = parse_source("s3://bucket/a/model.safetensors", published.rules)
    found = list_bucket(source, Web(published.rules), published.rules)
    assert sizes(found) == {"model.safetensors": 7_000}


@pytest.mark.parametrize(
    "answer",
    [
        b"not xml",
        b'<!DOCTYPE a [<!ENTITY b "c">]><R>&b;</R>',
        b"<R><Contents><Key>a</Key><Size>many</Size></Contents></R>",
        b"<R><Contents><Key>../a</Key><Size>1</Size></Contents></R>",
        b"<R></R>",
    ],
)
def test_a_hostile_bucket_is_refused(server: SourceServer, answer: bytes) -> None:
    server.files["/evil/"] = answer
    source = parse_source("s3://evil/", server.rules)
    with pytest.raises(ValueError, match=r"not a listing|entities|not a path|holds no files"):
        list_bucket(source, Web(server.rules), server.rules)


# Registered folders, and all listings.


def test_a_registered_folder_is_listed_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.pth").write_bytes(b"abc")
    (tmp_path / ".hidden").write_bytes(b"x")
    assert sizes(list_folder(tmp_path)) == {"sub/a.pth": 3}


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (["a", "a"], "a path twice"),
        (["a", "a/b"], "as a file and as a folder"),
        (["../a"], "not a path"),
        (["a//b"], "not a path"),
        ([".a"], "holds no files"),
        ([f"{number}" for number in range(MAX_FILES + 1)], "at most 5000"),
    ],
)
def test_an_impossible_listing_is_refused(paths: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        listing("", [RemoteFile(path=path, bytes=1) for path in paths])


@pytest.mark.parametrize(
    ("path", "place", "seen"),
    [
        ("a/b", "a", "b"),
        ("a/b", "a/", "b"),
        ("a/b", "", "a/b"),
        ("a/b", "a/b", "b"),
        ("ab", "a", ""),
    ],
)
def test_a_path_is_seen_from_above(path: str, place: str, seen: str) -> None:
    assert path_below(path, place) == seen
