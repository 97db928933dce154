"""A web server on loopback that imitates what sources do: files with ranges, a bucket, the Hub.

What goes wrong is told per path: `server.faults["/a"] = Fault(drop_after=10)`.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from storage.downloads.sources import Rules

LFS_FROM = 1_000  # files of this size and more are kept as LFS objects by the imitated Hub


@dataclass
class Fault:
    """What is wrong with the answers for one path.

    Attributes:
        times: how many answers; then all is well.
        status: answer this instead.
        drop_after: cut the connection after so many bytes of the body.
        content: send these bytes instead.
        no_ranges: answer 200 with the whole file, whatever range is asked for.
        redirect: send the client there.
        pause_seconds: wait before every `block` bytes.
        hold_at: after so many bytes of the body, set `held` and send no more.
    """

    times: int = 1_000_000
    status: int = 0
    drop_after: int | None = None
    content: bytes | None = None
    no_ranges: bool = False
    redirect: str = ""
    pause_seconds: float = 0.0
    block: int = 65_536
    hold_at: int | None = None
    held: threading.Event = field(default_factory=threading.Event)


@dataclass
class Repository:
    """A repository of the imitated Hub: its files at each commit."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        listed = [branch, len(self.commits), sorted(files)]
        commit = hashlib.sha1(json.dumps(listed).encode()).hexdigest()
        self.commits[commit] = dict(files)
        self.branches[branch] = commit
        return commit


class SourceServer(ThreadingHTTPServer):
    """Serves `files` by path, buckets under their name, and repositories as the Hub does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Fault] = {}
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.ended = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def rules(self) -> Rules:
        bucket = f"{self.url}/{{bucket}}"
        return Rules(hub=self.url, s3=bucket, gs=bucket, hosts=frozenset({self.host}))

    def asked(self, path: str) -> list[dict[str, str]]:
        """The headers of every GET of a path."""
        return [
            headers for method, asked, headers in self.requests if (method, asked) == ("GET", path)
        ]

    def end(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed cut their connections: nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SourceServer

    def log_message(self, format: str, *args: Any) -> None:
        """The tests read `requests` instead."""

    def do_GET(self) -> None:
        path, query = self._noted()
        if path in self.server.files:
            self._send_file(path, self.server.files[path])
        elif "list-type" in query:
            self._send_bucket(path, query.get("prefix", [""])[0], query)
        elif found := self._resolved(path):
            self._send_file(path, found)
        else:
            self._send_api(path, query)

    def do_POST(self) -> None:
        path, _ = self._noted()
        body = self.rfile.read(int(self.headers["content-length"]))
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
            answer = json.dumps({"url": f"{self.server.url}/{name}", "name": name}).encode()
            if name in self.server.repositories:
                return self._send(409, answer)
            self.server.repositories[name] = Repository()
            self.server.repositories[name].commit({})
            return self._send(200, answer)
        if path == "/api/validate-yaml":
            return self._send_json({"errors": [], "warnings": []})
        if path.endswith("/info/lfs/objects/batch"):
            objects = [
                entry | {"actions": {"upload": {"href": f"{self.server.url}/lfs/{entry['oid']}"}}}
                for entry in json.loads(body)["objects"]
            ]
            return self._send_json({"transfer": "basic", "objects": objects})
        if parts[0] == "api" and parts[4] == "preupload":
            modes = [
                {"path": file["path"], "shouldIgnore": False, "oid": None}
                | {"uploadMode": "lfs" if file["size"] >= LFS_FROM else "regular"}
                for file in json.loads(body)["files"]
            ]
            return self._send_json({"files": modes})
        if parts[0] == "api" and parts[4] == "paths-info":
            files = self.server.repositories["/".join(parts[2:4])].commits[parts[5]]
            asked = parse_qs(body.decode())["paths"]
            return self._send_json([e for e in _tree(files, "", True) if e["path"] in asked])
        if parts[0] == "api" and parts[4] == "commit":
            return self._commit("/".join(parts[2:4]), body)
        return self._send(404, b"{}")

    def do_PUT(self) -> None:
        path, _ = self._noted()
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.objects[path.rpartition("/")[2]] = body
        self._send(200, b"")

    def _noted(self) -> tuple[str, dict[str, list[str]]]:
        if self.server.ended.is_set():
            raise ConnectionAbortedError
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.command, unquote(parts.path), headers))
        return unquote(parts.path), parse_qs(parts.query)

    def _commit(self, name: str, body: bytes) -> None:
        repository = self.server.repositories[name]
        files = dict(repository.commits[repository.branches["main"]])
        for line in body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            match operation["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.server.objects[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        commit = repository.commit(files)
        url = f"{self.server.url}/{name}/commit/{commit}"
        self._send_json({"commitUrl": url, "commitOid": commit, "success": True})

    def _resolved(self, path: str) -> bytes | None:
        parts = path.strip("/").removeprefix("datasets/").split("/", 4)
        if len(parts) < 5 or parts[2] != "resolve":
            return None
        repository = self.server.repositories.get("/".join(parts[:2]), Repository())
        commit = repository.branches.get(parts[3], parts[3])
        return repository.commits.get(commit, {}).get(parts[4])

    def _send_api(self, path: str, query: Mapping[str, list[str]]) -> None:
        parts = path.strip("/").split("/", 6)
        repository = self.server.repositories.get("/".join(parts[2:4]))
        if parts[0] != "api" or repository is None:
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        kind = parts[4] if len(parts) > 4 else "revision"
        revision = parts[5] if len(parts) > 5 else "main"
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        files = repository.commits[commit]
        if kind == "revision":
            siblings = [{"rfilename": name} for name in files]
            return self._send_json(
                {"id": "/".join(parts[2:4]), "sha": commit, "siblings": siblings}
            )
        recursive = query.get("recursive", ["false"])[0].lower() == "true"
        entries = _tree(files, parts[6] if len(parts) > 6 else "", recursive)
        begin = int(query.get("cursor", ["0"])[0])
        link = f'<{self.server.url}{path}?recursive={recursive}&cursor={begin + 3}>; rel="next"'
        more = {"Link": link} if entries[begin + 3 :] else {}
        return self._send(200, json.dumps(entries[begin : begin + 3]).encode(), more)

    def _send_bucket(self, path: str, prefix: str, query: Mapping[str, list[str]]) -> None:
        """Two objects a page, so that every listing of a checkpoint has to follow pages."""
        names = sorted(
            name.removeprefix(path) for name in self.server.files if name.startswith(path + prefix)
        )
        begin = int(query.get("continuation-token", ["0"])[0])
        entries = "".join(
            f"<Contents><Key>{name}</Key><Size>{len(self.server.files[path + name])}</Size>"
            f'<ETag>"{_etag(self.server.files[path + name])}"</ETag></Contents>'
            for name in names[begin : begin + 2]
        )
        more = f"<NextContinuationToken>{begin + 2}</NextContinuationToken>"
        text = f'<R xmlns="urn:s3">{entries}{more if names[begin + 2 :] else ""}</R>'
        self._send(200, text.encode())

    def _send_file(self, path: str, content: bytes) -> None:
        fault = self.server.faults.get(path, Fault(times=0))
        fault, fault.times = (fault if fault.times > 0 else Fault()), fault.times - 1
        if fault.redirect:
            return self._send(302, b"", {"Location": fault.redirect})
        if fault.status:
            return self._send(fault.status, b"")
        etag = f'"{_etag(content)}"'
        total, begin, status = len(content), 0, 200
        content = content if fault.content is None else fault.content
        asked = self.headers.get("range", "")
        if asked and not fault.no_ranges and self.headers.get("if-range", etag) == etag:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin, end = int(first), int(last) + 1 if last else total
            if begin >= total:
                return self._send(416, b"", {"Content-Range": f"bytes */{total}"})
            content, status = content[begin:end], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", etag)
        if status == 206:
            span = f"bytes {begin}-{begin + len(content) - 1}/{total}"
            self.send_header("Content-Range", span)
        self.end_headers()
        sent = content if fault.drop_after is None else content[: fault.drop_after]
        sent = sent if fault.hold_at is None else sent[: fault.hold_at]
        for start in range(0, len(sent), fault.block):
            if fault.pause_seconds and self.server.ended.wait(fault.pause_seconds):
                break
            self.wfile.write(sent[start : start + fault.block])
        if fault.hold_at is not None:
            fault.held.set()
            self.server.ended.wait()
        if len(sent) < len(content):
            self.close_connection = True

    def _send_json(self, values: object) -> None:
        self._send(200, json.dumps(values).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _etag(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _tree(files: Mapping[str, bytes], place: str, recursive: bool) -> list[dict[str, Any]]:
    """Entries below a path, as the Hub's tree route gives them."""
    inside = f"{place}/" if place else ""
    below = {name: content for name, content in files.items() if name.startswith(inside)}
    entries: dict[str, dict[str, Any]] = {}
    for name, content in sorted(below.items()):
        parts = name.removeprefix(inside).split("/")
        for depth in range(1, len(parts)):
            folder = inside + "/".join(parts[:depth])
            if recursive or depth == 1:
                entries[folder] = {"type": "directory", "path": folder, "oid": "0" * 40}
        if recursive or len(parts) == 1:
            entries[name] = _entry(name, content)
    return list(entries.values())


def _entry(name: str, content: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": blob}
    if len(content) >= LFS_FROM:
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
    return entry
