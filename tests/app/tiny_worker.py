"""A worker of a few milliseconds a step, on plain files: what the supervisor expects of one.

Usage: `python tiny_worker.py RUN_DIR`. Its config: `steps`; `crash_at` (kills itself there, once
per file `crashes` of the run directory that is left), `deaf` (never looks at its control file).
"""

import fcntl
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from engine.events import encode_line, read_events

directory = Path(sys.argv[1])
config = json.loads((directory / "config.json").read_text())["config"]
lock = (directory / "lock").open("w")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
log = directory / "events.jsonl"
known = [event for _, event in read_events(log)]
seq = max((event["seq"] for event in known), default=0)
attempt = max((event["attempt"] for event in known), default=0) + 1
state_file = directory / "step"
step = int(state_file.read_text()) if state_file.exists() else 0


def emit(kind: str, **values: Any) -> None:
    global seq
    seq += 1
    event = {"seq": seq, "attempt": attempt, "time": time.time(), "kind": kind}
    with log.open("ab") as stream:
        stream.write(encode_line(event | values))


def asked() -> str:
    path = directory / "control.json"
    if config.get("deaf") or not path.exists():
        return "run"
    return str(json.loads(path.read_text())["control"])


def leave(state: str, status: int = 0) -> None:
    state_file.write_text(str(step))
    emit("state", state=state)
    sys.exit(status)


emit("state", state="running")
while step < config["steps"]:
    match asked():
        case "pause":
            leave("paused", 75)
        case "stop":
            leave("done")
        case "cancel":
            leave("cancelled")
    step += 1
    emit("metric", step=step, metrics={"loss": 1.0 / step})
    emit("progress", done=step, total=config["steps"])
    if step in config.get("crash_at", []) and str(attempt) not in config.get("spared", []):
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait(config.get("pace", 0.0))
leave("done")
