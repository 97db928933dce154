"""What hostile code would try: run by the tests inside the sandbox, where each must fail."""

import ctypes
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> dict[str, Any]:
    """Try one thing; returns what became of it, as far as there is anything to return."""
    attempt, target = arguments
    try:
        return {"done": ATTEMPTS[attempt](target)}
    except OSError as error:
        return {"refused": type(error).__name__}


def write(target: str) -> None:
    """Write a file outside the room."""
    Path(target).write_text("written")


def write_inside(target: str) -> str:
    """Write a file in the room, which is the one thing allowed."""
    Path("inside").write_text("written")
    return Path("inside").read_text()


def remove(target: str) -> None:
    """Remove somebody's file."""
    os.remove(target)


def change_rights(target: str) -> None:
    """Make somebody's file readable for all."""
    os.chmod(target, 0o777)


def connect(target: str) -> None:
    """Open a connection."""
    socket.create_connection(("127.0.0.1", int(target)), timeout=5)


def start(target: str) -> None:
    """Start a program."""
    subprocess.run(["/bin/sh", "-c", f"touch {target}"], check=True)


def fork(target: str) -> None:
    """Leave a process behind."""
    if os.fork() == 0:
        signal.pause()


def kill(target: str) -> None:
    """End another process."""
    os.kill(int(target), signal.SIGTERM)


def environment(target: str) -> list[str]:
    """Names of all variables."""
    return sorted(os.environ)


def allocate(target: str) -> None:
    """Take two gigabytes."""
    bytearray(2_000_000_000)


def fill(target: str) -> None:
    """Write more than may be written."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Path("large").open("wb") as stream:
        for _ in range(64):
            stream.write(bytes(1 << 20))


def spin(target: str) -> None:
    """Never end."""
    while True:
        pass


def crash(target: str) -> None:
    """Read memory that is not there."""
    ctypes.string_at(0)


def shout(target: str) -> None:
    """End with an error that carries foreign text."""
    raise RuntimeError("<script>\u202e\x1b[31m" + "x" * 500)


def lie(target: str) -> None:
    """Answer with something else than an answer."""
    os.write(1, b'["accepted"]')
    os._exit(0)


ATTEMPTS = {
    function.__name__: function
    for function in (
        write, write_inside, remove, change_rights, connect, start, fork, kill, environment,
        allocate, fill, spin, crash, shout, lie,
    )
}  # fmt: skip
