"""Studios killed while people judge: each acknowledged label is there, once (reliability.md G1)."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.records.types import Trajectory
from storage.cabinet import Cabinet, open_cabinet
from storage.judging.queue_orders import Place
from storage.workspace import Workspace, open_workspace

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

KILLS = 100
CLIPS = 40

# For every line of its input a studio of the label page alone, in a process of its own: two people
# take clips from one queue, judge them, and take some labels back. What it tells, it tells in lines
# short enough to be written whole.
STUDIO = """
import json, os, sys, threading
from pathlib import Path
from engine.records.types import Label
from storage.cabinet import open_cabinet
from storage.workspace import open_workspace
data = Path(sys.argv[1])

def tell(**values):
    os.write(1, (json.dumps(values) + "\\n").encode())

def judge(cabinet, actor, begun):
    number = 0
    while True:
        for clip in cabinet.queues.lease("q", actor, 3) or cabinet.trajectories.ids()[:3]:
            number += 1
            name = f"{begun}-{actor}-{number}"
            outcome = ("success", "fail", "unsure")[number % 3]
            tell(sent=name)
            label = Label(event_id=name, episode_id=clip, outcome=outcome, actor=actor)
            tell(saved=name, seq=cabinet.labels.append(label).seq)
            if number % 5 == 0:
                tell(sent=f"{name}-undo")
                undone = cabinet.labels.withdraw(name, new_event_id=f"{name}-undo", actor=actor)
                tell(saved=f"{name}-undo", seq=undone.seq)

for line in sys.stdin:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        tell(dead=child)
        continue
    cabinet = open_cabinet(open_workspace(data), demo=data / "demo")
    tell(open=os.getpid())
    for actor in ("ann", "ben"):
        threading.Thread(target=judge, args=(cabinet, actor, line.strip()), daemon=True).start()
    threading.Event().wait()
"""


class Drill:
    """One data directory, its studios killed one after the other, and what they acknowledged."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.acknowledged: dict[str, int] = {}
        self.sent: set[str] = set()
        self.studios = subprocess.Popen(
            [sys.executable, "-c", STUDIO, str(workspace.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def live(self, begun: int, *, labels: int, seconds: float) -> None:
        """A studio that is killed some time after so many acknowledgements."""
        assert self.studios.stdin is not None and self.studios.stdout is not None
        self.studios.stdin.write(f"{begun}\n")
        self.studios.stdin.flush()
        process, left = 0, labels
        for line in self.studios.stdout:
            match json.loads(line):
                case {"open": int(process)}:
                    pass
                case {"sent": name}:
                    self.sent.add(name)
                case {"saved": name, "seq": seq}:
                    self.acknowledged[name] = seq
                    left -= 1
                case {"dead": child}:
                    assert child == process
                    return
            if left == 0:
                left -= 1
                threading.Timer(seconds, os.kill, (process, signal.SIGKILL)).start()

    def end(self) -> None:
        self.studios.communicate(timeout=60)

    def check(self) -> None:
        """Every acknowledged event is there once, at its place; nothing else but what was sent."""
        cabinet = self.open()
        events = cabinet.labels.events()
        assert cabinet.labels.log.first_broken_link() is None
        cabinet.close()
        count = Counter(event.label.event_id for event in events)
        assert set(count.values()) <= {1}
        assert set(self.acknowledged) <= set(count) <= self.sent
        places = {event.label.event_id: event.seq for event in events}
        assert {name: places[name] for name in self.acknowledged} == self.acknowledged

    def open(self) -> Cabinet:
        return open_cabinet(self.workspace, demo=self.workspace.root / "demo")


def test_no_acknowledged_label_is_lost_or_doubled_by_a_hundred_kills(
    tmp_path: Path, make_trajectory: Callable[..., Trajectory]
) -> None:
    workspace = open_workspace(tmp_path / "data")
    drill, chance = Drill(workspace), random.Random(5)
    cabinet = drill.open()
    for number in range(CLIPS):
        cabinet.trajectories.add(make_trajectory(f"clip-{number}"))
    places = [Place(episode_id=f"clip-{number}") for number in range(CLIPS)]
    cabinet.queues.add("q", places, query={}, overlap=2)
    cabinet.close()
    for begun in range(KILLS):
        drill.live(begun, labels=chance.randint(0, 25), seconds=chance.uniform(0.0, 0.05))
        if begun % 10 == 9:
            drill.check()
    drill.check()
    drill.end()
    assert len(drill.acknowledged) > 10 * KILLS

    cabinet = drill.open()
    before = (cabinet.labels.events(), cabinet.labels.counts(), cabinet.queues.all())
    cabinet.close()
    for path in workspace.root.glob("studio.duckdb*"):
        path.unlink()
    rebuilt = drill.open()
    after = (rebuilt.labels.events(), rebuilt.labels.counts(), rebuilt.queues.all())
    rebuilt.close()
    assert after == before
    sys.stderr.write(f"{KILLS} kills, {len(drill.acknowledged)} acknowledged, 0 lost, 0 doubled\n")
