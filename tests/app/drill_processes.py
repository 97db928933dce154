"""The processes of a drill: an app to kill and start again, its workers, and what tells of them."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from engine.records.events import read_events

CHECKOUT = Path(__file__).parents[2]


class App:
    """The studio of a data directory in a process of its own."""

    def __init__(self, root: Path, config: dict[str, Any], number: int) -> None:
        self._command = [sys.executable, str(Path(__file__).with_name("drill_app.py"))]
        self._command += [str(root), json.dumps(config), str(number)]
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        )

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, line: str = "states") -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def kill(self) -> None:
        self.process.kill()
        self._end()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("close\n")
        self.process.stdin.flush()
        self._end()

    def _end(self) -> None:
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def again(self) -> None:
        self.process = self._start()


def workers(root: Path, *, children: bool = False) -> list[psutil.Process]:
    """Living processes that work on runs of a data directory; also what they started, if asked."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        living = process.info["status"] != psutil.STATUS_ZOMBIE and str(root) in "".join(words[-1:])
        if living and (children or "drill_worker.py" in " ".join(words)):
            found.append(process)
    return found


def orphans(app: App, root: Path) -> set[int]:
    """Process groups at work on runs of a data directory that its app does not watch."""
    at_work = set()
    for process in workers(root, children=True):
        with contextlib.suppress(ProcessLookupError):
            at_work.add(os.getpgid(process.pid))
    return at_work - set(app.ask()["watched"])


def turns(root: Path) -> list[tuple[float, float]]:
    """When each attempt of each run computed, from its first event to its last, by their order."""
    found: dict[tuple[str, int], list[float]] = {}
    for directory in (root / "runs").iterdir():
        for _, event in read_events(directory / "events.jsonl"):
            key = (directory.name, event["attempt"])
            if key in found or event.get("state") == "running":  # it has its slot from then on
                found.setdefault(key, []).append(event["mono"])
    return sorted((moments[0], moments[-1]) for moments in found.values())


def holders(path: Path) -> int:
    """How many processes hold a lock file for themselves, as the kernel says."""
    inode = path.stat().st_ino if path.exists() else -1
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return sum(
        words[1] == "FLOCK" and words[3] == "WRITE" and words[5].endswith(f":{inode}")
        for words in lines
        if "->" not in words
    )
