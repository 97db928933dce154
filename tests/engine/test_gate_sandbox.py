"""The sandbox: what a child cannot do, and how each of its ends becomes a sentence."""

import os
import platform
import select
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.gate import sandbox
from engine.gate.sandbox import Allowance
from engine.gate.verdict import Reason, RefusedError

ALLOWANCE = Allowance(memory_bytes=200_000_000, cpu_seconds=1, file_bytes=1_000_000)
# Each of these ends the child, which then has no answer.
ENDS = {
    "allocate": Reason.TOO_MUCH_MEMORY,
    "crash": Reason.CRASHED,
    "shout": Reason.UNREADABLE,
    "lie": Reason.CRASHED,
}

linux = pytest.mark.skipif(platform.system() != "Linux", reason="Landlock and seccomp are Linux's")


def attempt(name: str, target: object, room: Path) -> dict[str, Any]:
    room.mkdir()
    return sandbox.run(
        "tests.engine.gate_escape", [name, str(target)], room=room, allowance=ALLOWANCE
    )


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("untouched")
    path.chmod(0o600)
    return path


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@linux
@pytest.mark.parametrize("name", ["write", "remove", "change_rights", "start"])
def test_files_outside_the_room_stay_as_they_are(name: str, victim: Path, tmp_path: Path) -> None:
    before = victim.stat()
    assert attempt(name, victim, tmp_path / "room") == {"refused": "PermissionError"}
    assert victim.read_text() == "untouched"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    assert victim.stat().st_mtime_ns == before.st_mtime_ns


@linux
def test_there_is_no_network(listener: socket.socket, tmp_path: Path) -> None:
    port = listener.getsockname()[1]
    assert attempt("connect", port, tmp_path / "room") == {"refused": "PermissionError"}


@linux
def test_no_process_is_left_behind_or_ended(tmp_path: Path) -> None:
    assert attempt("fork", "", tmp_path / "one") == {"refused": "PermissionError"}
    assert attempt("kill", os.getpid(), tmp_path / "two") == {"refused": "PermissionError"}


def test_the_room_can_be_written_up_to_a_limit(tmp_path: Path) -> None:
    assert attempt("write_inside", "", tmp_path / "one") == {"done": "written"}
    assert attempt("fill", "", tmp_path / "two") == {"refused": "OSError"}


def test_no_secret_is_in_the_environment(tmp_path: Path) -> None:
    names = attempt("environment", "", tmp_path / "room")["done"]
    assert set(names) <= {
        "PATH", "LANG", "HOME", "TMPDIR", "HF_HUB_OFFLINE", "LC_CTYPE",
        "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    }  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_every_end_of_a_child_is_a_refusal(name: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refusal:
        attempt(name, "", tmp_path / "room")
    assert refusal.value.reason == ENDS[name]
    assert refusal.value.sentence.isprintable()
    assert len(refusal.value.sentence) < 200


def test_a_small_file_has_seconds_and_a_large_one_two_minutes() -> None:
    sizes = (0, 1_000_000, 10_000_000, 10**10)
    assert [sandbox.decoding_seconds(size) for size in sizes] == [6, 10, 46, 120]


@pytest.mark.slow  # works until its seconds are over
def test_a_child_that_never_ends_is_ended(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refusal:
        attempt("spin", "", tmp_path / "room")
    assert refusal.value.reason == Reason.TOO_SLOW


@linux
def test_a_child_does_not_outlive_who_asked_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from engine.gate import sandbox\n"
        "print('asking', flush=True)\n"
        "allowance = sandbox.Allowance(memory_bytes=10**9, cpu_seconds=600)\n"
        "sandbox.run('tests.engine.gate_escape', ['spin', ''], room=Path(sys.argv[1]),"
        " allowance=allowance)"
    )
    asking = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE)
    assert asking.stdout is not None
    with asking.stdout as said:
        assert said.readline() == b"asking\n"
    child = first_child(asking.pid)
    descriptor = os.pidfd_open(child)
    asking.kill()
    asking.wait()
    # A descriptor of a process can be read once the process has ended: no sleep, no race.
    assert wait_for_end(descriptor)


def first_child(pid: int) -> int:
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    while not (children := listing.read_text().split()):
        pass
    return int(children[0])


def wait_for_end(descriptor: int) -> bool:
    ended, _, _ = select.select([descriptor], [], [], 30)
    os.close(descriptor)
    return bool(ended)
