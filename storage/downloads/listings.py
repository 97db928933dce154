"""What files a source has, and how large they are: asked before anything is fetched."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree

from engine.records.manifest import MANIFEST
from storage.downloads.sources import Rules, Source, check_path, file_url
from storage.downloads.web import Web

MAX_FILES = 5_000
_MAX_ENTRIES = 100_000
_SHA256 = re.compile("[0-9a-f]{64}|")
_MAX_MANIFEST = 1_000_000
_MAX_PAGE, _MAX_PAGES = 8_000_000, 50


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of a source.

    Attributes:
        path: below the source's place, checked; also its path in a download.
        url: where its bytes are; empty for a file of a registered folder.
        sha256, git_oid, etag: what the source declares of its content, where it does.
        part: the part of a task it belongs to (`storage.downloads.official`), or empty.
    """

    path: str
    bytes: int
    url: str = ""
    sha256: str = ""
    git_oid: str = ""
    etag: str = ""
    part: str = ""


@dataclass(frozen=True)
class Listing:
    """The files of a source at one revision, visible ones, sorted by path."""

    revision: str
    files: tuple[RemoteFile, ...]


def listing(revision: str, files: Sequence[RemoteFile]) -> Listing:
    """A listing whose paths are checked; hidden files, which no checkpoint needs, are left out.

    Without a revision, what the source declares of its files serves as one.

    Raises:
        ValueError: a path that could leave the download, two that collide, or too many files.
    """
    seen = [file for file in files if not _is_hidden(file.path)]
    if not seen:
        raise ValueError("the source holds no files")
    if len(seen) > MAX_FILES:
        raise ValueError(f"the source holds {len(seen)} files; at most {MAX_FILES} are listed")
    for file in seen:
        if file.bytes < 0 or not _SHA256.fullmatch(file.sha256):
            raise ValueError(f"what the source declares of {file.path!r} makes no sense")
    paths = {check_path(file.path) for file in seen}
    folders = {str(parent) for path in paths for parent in Path(path).parents}
    if len(paths) < len(seen) or paths & folders:
        raise ValueError("the source lists a path twice, or as a file and as a folder")
    ordered = tuple(sorted(seen, key=lambda file: file.path))
    if not revision:
        declared = [(file.path, file.bytes, file.sha256, file.etag) for file in ordered]
        revision = hashlib.sha256(json.dumps(declared).encode()).hexdigest()[:40]
    return Listing(revision, ordered)


def _is_hidden(path: str) -> bool:
    return any(name[:1] == "." and name.strip(".") for name in path.split("/"))


def list_folder(directory: Path) -> Listing:
    """The files of a registered folder; each one's time of change stands for its content.

    Raises:
        ValueError: it is not there, or as `listing`.
    """
    if not directory.is_dir():
        raise ValueError(f"there is no folder {directory}")
    files = []
    for number, path in enumerate(directory.rglob("*")):
        if number > _MAX_ENTRIES:
            raise ValueError(f"{directory} holds more than {_MAX_ENTRIES} entries")
        if path.is_file():
            name, found = path.relative_to(directory).as_posix(), path.stat()
            files.append(RemoteFile(path=name, bytes=found.st_size, etag=str(found.st_mtime_ns)))
    return listing("", files)


def list_https(source: Source, web: Web) -> Listing:
    """One file, or, at an address that ends in a slash, the files its `manifest.json` names.

    Raises:
        ValueError: nothing is there, it does not say how large it is, or the manifest is damaged.
        ConnectionError: trouble that may pass.
    """
    if source.path.endswith("/") or not source.path:
        return listing("", _named_by_manifest(str(source).removesuffix("/"), web))
    folder, _, name = source.path.rpartition("/")
    url = file_url(f"{source.place}/{folder}".removesuffix("/"), name)
    with web.get(url, {"range": "bytes=0-0"}) as reply:
        if reply.status not in (200, 206):
            raise ValueError(f"{source} answers {reply.status}: there is no file to fetch")
        _, _, total = reply.headers.get("content-range", "").rpartition("/")
        size = reply.number("content-length") if reply.status == 200 else None
        size = int(total) if reply.status == 206 and total.isdecimal() else size
        if size is None:
            raise ValueError(f"{source} does not say how large it is")
        etag = reply.headers.get("etag", "")
    return listing("", [RemoteFile(path=name, bytes=size, url=url, etag=etag)])


def list_bucket(source: Source, web: Web, rules: Rules) -> Listing:
    """The objects of a public bucket under a path, asked without any credentials.

    Raises:
        ValueError: there are none, the bucket is not public, or its answer cannot be read.
        ConnectionError: trouble that may pass.
    """
    endpoint = (rules.s3 if source.kind == "s3" else rules.gs).format(bucket=source.place)
    files: list[RemoteFile] = []
    token = ""
    for _ in range(_MAX_PAGES):
        query = {"list-type": "2", "max-keys": "1000", "prefix": source.path}
        if token:
            query["continuation-token"] = token
        answer = web.read(f"{endpoint}/?{urlencode(query)}", at_most=_MAX_PAGE)
        if answer.status != 200:
            raise ValueError(f"{source} answers {answer.status}: not a public bucket")
        page, token = _bucket_page(answer.body, endpoint)
        files += page
        if not token:
            break
    else:
        raise ValueError(f"{source} holds more files than a checkpoint may have")
    inside = [
        dataclasses.replace(file, path=name)
        for file in files
        if (name := path_below(file.path, source.path))
    ]
    return listing("", _declared(inside, web))


def path_below(path: str, place: str) -> str:
    """A path seen from a file or folder above it; empty if it does not lie there."""
    if path == place:
        return path.rpartition("/")[2]
    folder = place if place.endswith("/") or not place else f"{place}/"
    return path.removeprefix(folder) if path.startswith(folder) else ""


def _bucket_page(body: bytes, endpoint: str) -> tuple[list[RemoteFile], str]:
    """The files of one ListObjectsV2 answer, and the token that asks for the next."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise ValueError("the bucket's answer declares entities, which no listing needs")
    try:
        root = ElementTree.fromstring(body)
        files = []
        for entry in root.iterfind("{*}Contents"):
            path = entry.findtext("{*}Key") or ""
            if not path.endswith("/"):
                size = int(entry.findtext("{*}Size") or "")
                etag, url = entry.findtext("{*}ETag") or "", file_url(endpoint, path)
                files.append(RemoteFile(path=path, bytes=size, url=url, etag=etag))
        token = root.findtext("{*}NextContinuationToken") or ""
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"the bucket's answer is not a listing: {error}") from error
    return files, token


def _named_by_manifest(base: str, web: Web) -> list[RemoteFile]:
    entries, own = _read_manifest(f"{base}/{MANIFEST}", web)
    files = [
        RemoteFile(path=name, bytes=size, sha256=sha256, url=file_url(base, name))
        for name, (size, sha256) in entries.items()
    ]
    return [*files, own]


def _declared(files: Sequence[RemoteFile], web: Web) -> list[RemoteFile]:
    """The files with the hashes that the manifests beside them declare."""
    hashes: dict[str, tuple[int, str]] = {}
    for file in files:
        folder, slash, name = file.path.rpartition("/")
        if name == MANIFEST:
            entries, own = _read_manifest(file.url, web)
            hashes[file.path] = (own.bytes, own.sha256)
            hashes |= {folder + slash + inner: entry for inner, entry in entries.items()}
    for file in files:
        if file.path in hashes and hashes[file.path][0] != file.bytes:
            raise ValueError(f"{file.path} is not as large as the source's manifest says")
    return [
        dataclasses.replace(file, sha256=hashes[file.path][1]) if file.path in hashes else file
        for file in files
    ]


def _read_manifest(url: str, web: Web) -> tuple[dict[str, tuple[int, str]], RemoteFile]:
    """{name: (bytes, sha256)} of a manifest of our format, and the manifest itself as a file."""
    page = web.read(url, at_most=_MAX_MANIFEST)
    if page.status != 200:
        raise ValueError(f"there is no {MANIFEST} to say what the folder holds ({page.status})")
    try:
        entries = {
            check_path(str(entry["name"])): (int(entry["bytes"]), str(entry["sha256"]))
            for entry in json.loads(page.body)["files"]
        }
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"the source's {MANIFEST} is damaged: {error}") from error
    digest = hashlib.sha256(page.body).hexdigest()
    return entries, RemoteFile(path=MANIFEST, bytes=len(page.body), url=url, sha256=digest)
