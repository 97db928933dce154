"""Processes killed while they download and adopt: nothing half there, and the next one succeeds."""

import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.records.manifest import verify_manifest
from storage.cabinet import Cabinet, open_cabinet
from storage.downloads.sources import Rules
from storage.upkeep.publishing import pull
from storage.workspace import Workspace
from tests.storage.source_server import Fault, Repository, SourceServer
from tests.storage.test_checkpoints import make_checkpoint

WEIGHTS = bytes(range(256)) * 2_000
KILLS = 50

PULL = """
import sys
from pathlib import Path
from storage.cabinet import open_cabinet
from storage.upkeep.publishing import pull
from storage.downloads.sources import Rules
from storage.workspace import open_workspace
data, url, host, name = sys.argv[1:]
rules = Rules(hub=url, hosts=frozenset({host}))
cabinet = open_cabinet(open_workspace(Path(data)), demo=Path(data) / "demo", rules=rules)
sys.stdout.write("open\\n")
sys.stdout.flush()
pull("me/model", name, downloads=cabinet.downloads, catalogue=cabinet.checkpoints,
     check=lambda folder: None)
sys.stdout.write("adopted\\n")
sys.stdout.flush()
cabinet.close()
"""


@dataclass
class Drill:
    """One data directory whose downloading processes are killed again and again."""

    workspace: Workspace
    server: SourceServer
    scratch: Path

    def publish(self, number: int) -> str:
        """Commit checkpoint number so-and-so to the Hub; the address of its weights there."""
        weights = number.to_bytes(4, "little") + WEIGHTS
        folder = make_checkpoint(self.scratch / str(number), "policy", weights)
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        repository = self.server.repositories.setdefault("me/model", Repository())
        return f"/me/model/resolve/{repository.commit(files)}/model.safetensors"

    def start(self, name: str) -> subprocess.Popen[str]:
        """A process that pulls the newest commit; returns once its cabinet is open."""
        place = [self.workspace.root, self.server.url, self.server.host, name]
        environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
        process = subprocess.Popen(
            [sys.executable, "-c", PULL, *map(str, place)],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        return process

    def open(self) -> Cabinet:
        rules = Rules(hub=self.server.url, hosts=frozenset({self.server.host}))
        return open_cabinet(self.workspace, demo=self.scratch / "demo", rules=rules)

    def check(self, cabinet: Cabinet) -> None:
        """Whatever the cabinet offers is whole, and nothing else is left where it looks."""
        for status in cabinet.downloads.all():
            assert status.state in ("complete", "interrupted")
        for status in cabinet.downloads.all():
            if status.state == "complete":
                verify_manifest(cabinet.downloads.folder(status.key))
        names = {checkpoint.name for checkpoint in cabinet.checkpoints.all()}
        assert names == {path.name for path in self.workspace.checkpoints.iterdir()}
        for checkpoint in cabinet.checkpoints.all():
            verify_manifest(checkpoint.directory)

    def pull(self, cabinet: Cabinet, number: int) -> None:
        """The next attempt: it succeeds, bit for bit."""
        checkpoint = pull(
            "me/model",
            f"model-{number}",
            downloads=cabinet.downloads,
            catalogue=cabinet.checkpoints,
            check=verify_manifest,
        )
        found = (checkpoint.directory / "model.safetensors").read_bytes()
        assert found == number.to_bytes(4, "little") + WEIGHTS


@pytest.fixture
def drill(workspace: Workspace, server: SourceServer, tmp_path: Path) -> Drill:
    return Drill(workspace, server, tmp_path)


def kill_after_bytes(drill: Drill, number: int, size: int) -> None:
    """Kill a pulling process when the server has sent so many bytes of the weights."""
    fault = drill.server.faults[drill.publish(number)] = Fault(hold_at=size, times=1)
    process = drill.start(f"model-{number}")
    assert fault.held.wait(30)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def kill_after_seconds(drill: Drill, number: int, seconds: float) -> None:
    """Kill a pulling process some time after it opened its cabinet, whatever it does then."""
    drill.server.faults[drill.publish(number)] = Fault(pause_seconds=0.005, block=10_000, times=1)
    process = drill.start(f"model-{number}")
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("size", [0, 300_000, len(WEIGHTS) + 3])
def test_a_download_that_was_killed_goes_on_and_the_last_one_stays(drill: Drill, size: int) -> None:
    drill.publish(0)
    first = drill.open()
    drill.pull(first, 0)
    first.close()
    kill_after_bytes(drill, 1, size)
    cabinet = drill.open()
    drill.check(cabinet)
    states = sorted(status.state for status in cabinet.downloads.all())
    assert states == ["complete", "interrupted"]
    drill.pull(cabinet, 1)
    drill.check(cabinet)
    cabinet.close()


def test_a_kill_at_any_moment_leaves_nothing_half_there(drill: Drill) -> None:
    kill_after_seconds(drill, 0, 0.4)
    cabinet = drill.open()
    drill.check(cabinet)
    drill.pull(cabinet, 0)
    cabinet.close()


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_fifty_kills_leave_a_consistent_catalogue(drill: Drill) -> None:
    draw = random.Random(3)
    states: list[str] = []
    for number in range(KILLS):
        if number % 2:
            kill_after_bytes(drill, number, draw.randrange(len(WEIGHTS) + 4))
        else:
            kill_after_seconds(drill, number, draw.uniform(0.0, 1.2))
        cabinet = drill.open()
        drill.check(cabinet)
        states += [status.state for status in cabinet.downloads.all()][:1]
        drill.pull(cabinet, number)
        drill.check(cabinet)
        cabinet.close()
    assert states.count("interrupted") >= KILLS // 2
    last = drill.open()
    assert len(last.checkpoints.all()) == len(last.downloads.all()) == KILLS
    last.close()
