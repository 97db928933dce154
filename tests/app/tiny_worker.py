"""A worker of a few milliseconds a step, on plain files: what the supervisor expects of one.

Usage: `python tiny_worker.py RUN_DIR`. Its config: `steps`; `pace` (seconds a step); `crash_at`
(kills itself at these steps, but for the attempts in `spared`); `deaf` (never looks at its control
file); `stand_at` (goes no further); `full_at` (ends there for want of room, but for `spared`);
`children` (starts a process that would sleep for an hour); `rests_at_sigterm` (saves and pauses).
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from engine.records.events import encode_line, read_events
from engine.records.file_locks import hold
from engine.runs.heartbeat import Heartbeat
from engine.runs.slot import Slot

directory = Path(sys.argv[1])
config = json.loads((directory / "config.json").read_text())["config"]
lock = hold(directory / "lock")
heartbeat = Heartbeat(directory)
heartbeat.begin(0.01)
if "WMPO_SLOT" in os.environ:
    slot = Slot(Path(os.environ["WMPO_SLOT"]))
    slot.take()
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
    heartbeat.close()
    emit("state", state=state)
    sys.exit(status)


spared = str(attempt) in config.get("spared", [])
if config.get("children"):
    subprocess.Popen(["sleep", "3600"])
if step:
    heartbeat.count_from(step)
if config.get("rests_at_sigterm"):
    signal.signal(signal.SIGTERM, lambda *_: leave("paused", 75))
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
    heartbeat.turn()
    emit("metric", step=step, metrics={"loss": 1.0 / step})
    emit("progress", done=step, total=config["steps"])
    if step in config.get("crash_at", []) and not spared:
        os.kill(os.getpid(), signal.SIGKILL)
    if step == config.get("full_at") and not spared:
        heartbeat.no_room("9 MB are to be saved, 3 MB are free")
        sys.exit(74)
    while step == config.get("stand_at") and asked() == "run":
        threading.Event().wait(0.01)
    threading.Event().wait(config.get("pace", 0.0))
leave("done")
