"""One file over HTTP, from a server that misbehaves in every way we could think of."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.downloads.fetch import ATTEMPTS, DamagedError, StoppedError, fetch
from storage.downloads.listings import RemoteFile
from storage.downloads.web import Web
from tests.storage.source_server import Fault, SourceServer

CONTENT = bytes(range(256)) * 1_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GIT_OID = hashlib.sha1(b"blob 256000\0" + CONTENT).hexdigest()


class Fetcher:
    """Fetches `/model` of a server into one part file."""

    def __init__(self, server: SourceServer, part: Path) -> None:
        server.files["/model"] = CONTENT
        self.server, self.part, self.seen = server, part, list[tuple[int, int]]()
        self.stop = threading.Event()
        self.file = RemoteFile(
            path="model", bytes=len(CONTENT), url=f"{server.url}/model", sha256=SHA256
        )

    def __call__(self, file: RemoteFile | None = None) -> str:
        return fetch(
            Web(self.server.rules),
            file or self.file,
            self.part,
            headers={},
            stop=self.stop,
            seen=lambda position, came: self.seen.append((position, came)),
            wait_seconds=0.0,
        )

    @property
    def ranges(self) -> list[str]:
        return [headers.get("range", "") for headers in self.server.asked("/model")]


@pytest.fixture
def fetcher(server: SourceServer, tmp_path: Path) -> Iterator[Fetcher]:
    yield Fetcher(server, tmp_path / "00000.part")


def test_a_file_is_fetched_and_its_hash_returned(fetcher: Fetcher) -> None:
    assert fetcher() == SHA256
    assert fetcher.part.read_bytes() == CONTENT


def test_every_byte_is_reported_once(fetcher: Fetcher) -> None:
    fetcher()
    assert sum(came for _, came in fetcher.seen) == len(CONTENT)
    assert fetcher.seen[-1][0] == len(CONTENT)


def test_a_part_is_gone_on_with(fetcher: Fetcher) -> None:
    fetcher.part.write_bytes(CONTENT[:100_000])
    assert fetcher() == SHA256
    assert fetcher.ranges == ["bytes=100000-"]
    assert fetcher.seen[0] == (100_000, 0)


def test_a_part_that_is_whole_needs_no_request(fetcher: Fetcher) -> None:
    fetcher.part.write_bytes(CONTENT)
    assert fetcher() == SHA256
    assert fetcher.ranges == []


def test_cut_connections_are_gone_on_with_where_they_ended(fetcher: Fetcher) -> None:
    fetcher.server.faults["/model"] = Fault(drop_after=100_000, times=2)
    assert fetcher() == SHA256
    assert fetcher.ranges == ["", "bytes=100000-", "bytes=200000-"]


def test_a_server_without_ranges_sends_everything_again(fetcher: Fetcher) -> None:
    fetcher.part.write_bytes(CONTENT[:100_000])
    fetcher.server.faults["/model"] = Fault(no_ranges=True)
    assert fetcher() == SHA256


def test_a_part_with_wrong_bytes_is_thrown_away_and_fetched_anew(fetcher: Fetcher) -> None:
    fetcher.part.write_bytes(b"x" * 100_000)
    assert fetcher() == SHA256
    assert fetcher.ranges == ["bytes=100000-", ""]


def test_a_part_that_is_too_long_is_thrown_away(fetcher: Fetcher) -> None:
    fetcher.part.write_bytes(CONTENT + b"more")
    assert fetcher() == SHA256
    assert fetcher.ranges == [""]


def test_wrong_bytes_are_refused_and_leave_nothing(fetcher: Fetcher) -> None:
    fetcher.server.faults["/model"] = Fault(content=CONTENT[:-1] + b"x")
    with pytest.raises(DamagedError, match="not the file that its source declares"):
        fetcher()
    assert not fetcher.part.exists()


def test_a_small_file_is_compared_by_its_git_id(fetcher: Fetcher) -> None:
    declared = {"path": "model", "bytes": len(CONTENT), "url": fetcher.file.url}
    assert fetcher(RemoteFile(**declared, git_oid=GIT_OID)) == SHA256
    with pytest.raises(DamagedError, match="not the file that its source declares"):
        fetcher(RemoteFile(**declared, git_oid="0" * 40))


@pytest.mark.parametrize("content", [CONTENT + b"x", CONTENT[:-1], b""])
def test_another_length_is_refused(fetcher: Fetcher, content: bytes) -> None:
    fetcher.server.faults["/model"] = Fault(content=content)
    with pytest.raises(DamagedError, match="has changed at its source"):
        fetcher()


def test_another_etag_is_refused(fetcher: Fetcher) -> None:
    file = RemoteFile(path="model", bytes=len(CONTENT), url=fetcher.file.url, etag='"old"')
    with pytest.raises(DamagedError, match="has changed at its source"):
        fetcher(file)


def test_a_part_of_an_undeclared_file_is_not_gone_on_with(fetcher: Fetcher) -> None:
    fetcher.part.write_bytes(b"x" * 100_000)
    assert fetcher(RemoteFile(path="model", bytes=len(CONTENT), url=fetcher.file.url)) == SHA256
    assert fetcher.ranges == [""]


def test_a_refused_range_begins_anew(fetcher: Fetcher) -> None:
    fetcher.part.write_bytes(CONTENT[:100_000])
    fetcher.server.faults["/model"] = Fault(status=416, times=1)
    assert fetcher() == SHA256
    assert fetcher.ranges == ["bytes=100000-", ""]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "is not there"), (401, "asks for a login"), (403, "may not be read"), (418, "418")],
)
def test_a_refusal_is_not_tried_again_and_keeps_the_part(
    fetcher: Fetcher, status: int, reason: str
) -> None:
    fetcher.part.write_bytes(CONTENT[:100_000])
    fetcher.server.faults["/model"] = Fault(status=status)
    with pytest.raises(ValueError, match=f"model .*{reason}"):
        fetcher()
    assert len(fetcher.ranges) == 1
    assert fetcher.part.stat().st_size == 100_000


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(fetcher: Fetcher, status: int) -> None:
    fetcher.server.faults["/model"] = Fault(status=status, times=3)
    assert fetcher() == SHA256
    assert len(fetcher.ranges) == 4


def test_a_server_that_stays_busy_is_given_up_on(fetcher: Fetcher) -> None:
    fetcher.server.faults["/model"] = Fault(status=503)
    with pytest.raises(ConnectionError, match="answers 503"):
        fetcher()
    assert len(fetcher.ranges) == ATTEMPTS


def test_a_server_that_is_gone_is_given_up_on(fetcher: Fetcher) -> None:
    fetcher.server.end()
    with pytest.raises(ConnectionError, match="did not answer"):
        fetcher()


def test_bytes_beyond_the_declared_size_are_never_written(fetcher: Fetcher) -> None:
    file = RemoteFile(path="model", bytes=10, url=fetcher.file.url, sha256=SHA256)
    with pytest.raises(DamagedError, match="has changed"):
        fetcher(file)
    assert not fetcher.part.exists()


@pytest.mark.parametrize("target", ["http://169.254.169.254/a", "http://127.0.0.1:9/a"])
def test_a_redirect_inside_ends_the_download(fetcher: Fetcher, target: str) -> None:
    fetcher.server.faults["/model"] = Fault(redirect=target)
    with pytest.raises(ValueError, match="must be reached by https"):
        fetcher()


def test_a_stop_keeps_what_came(fetcher: Fetcher) -> None:
    fetcher.server.faults["/model"] = Fault(pause_seconds=0.01, block=10_000)
    fetch_seen = fetcher.seen.append

    def stop_half_way(position: int, came: int) -> None:
        fetch_seen((position, came))
        if position > len(CONTENT) // 2:
            fetcher.stop.set()

    with pytest.raises(StoppedError):
        fetch(
            Web(fetcher.server.rules),
            fetcher.file,
            fetcher.part,
            headers={},
            stop=fetcher.stop,
            seen=stop_half_way,
        )
    assert len(CONTENT) // 2 < fetcher.part.stat().st_size < len(CONTENT)


def test_an_empty_file_is_a_file(fetcher: Fetcher) -> None:
    fetcher.server.files["/empty"] = b""
    file = RemoteFile(path="empty", bytes=0, url=f"{fetcher.server.url}/empty")
    assert fetcher(file) == hashlib.sha256(b"").hexdigest()
