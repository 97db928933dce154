"""The data directory as a whole: reopening, rebuilding, and processes killed at work."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.records.episodes import write_episode
from engine.records.events import encode_line
from engine.records.types import Label, Trajectory
from storage.cabinet import Cabinet, open_cabinet
from storage.workspace import Workspace

Maker = Callable[..., Trajectory]


def fill(cabinet: Cabinet, trajectory: Trajectory) -> None:
    cabinet.trajectories.add(trajectory)
    cabinet.labels.add(Label(event_id="1", episode_id=trajectory.id, outcome="fail"))
    cabinet.runs.create("run-1", "optimise", {"seed": 3})
    event = {"seq": 1, "attempt": 1, "time": 5.0, "kind": "metric", "step": 1}
    log = cabinet.runs.directory("run-1") / "events.jsonl"
    log.write_bytes(encode_line(event | {"metrics": {"loss": 0.5}}))
    cabinet.ingest.ingest("run-1")


def contents(cabinet: Cabinet) -> list[object]:
    run = cabinet.runs.get("run-1")
    return [
        cabinet.labels.history(limit=9),
        cabinet.trajectories.find("episode-1"),
        cabinet.curves.table(["run-1"]),
        (run.job, run.config, run.started, run.attempt),
    ]


def test_everything_is_there_after_reopening(
    workspace: Workspace, tmp_path: Path, make_trajectory: Maker
) -> None:
    first = open_cabinet(workspace, demo=tmp_path / "demo")
    fill(first, make_trajectory())
    before = contents(first)
    first.close()
    second = open_cabinet(workspace, demo=tmp_path / "demo")
    assert contents(second) == before
    second.close()


def test_a_lost_database_is_rebuilt_from_the_files(
    workspace: Workspace, tmp_path: Path, make_trajectory: Maker
) -> None:
    first = open_cabinet(workspace, demo=tmp_path / "demo")
    fill(first, make_trajectory())
    before = contents(first)
    first.close()
    workspace.database.unlink()
    second = open_cabinet(workspace, demo=tmp_path / "demo")
    assert contents(second) == before
    second.close()


def test_a_damaged_database_is_set_aside_and_rebuilt(
    workspace: Workspace, tmp_path: Path, make_trajectory: Maker
) -> None:
    first = open_cabinet(workspace, demo=tmp_path / "demo")
    fill(first, make_trajectory())
    before = contents(first)
    first.close()
    workspace.database.write_bytes(b"not a database" * 1_000)
    second = open_cabinet(workspace, demo=tmp_path / "demo")
    assert contents(second) == before
    assert len(list(workspace.quarantine.glob("*/studio.duckdb"))) == 1
    second.close()


def test_sample_episodes_are_indexed(
    workspace: Workspace, tmp_path: Path, make_trajectory: Maker
) -> None:
    write_episode(tmp_path / "demo" / "episodes", make_trajectory("sample"))
    cabinet = open_cabinet(workspace, demo=tmp_path / "demo")
    assert cabinet.trajectories.ids() == ["sample"]
    cabinet.close()


def test_runs_made_on_the_command_line_are_found(workspace: Workspace, tmp_path: Path) -> None:
    directory = workspace.runs / "mine"
    directory.mkdir()
    (directory / "config.json").write_text('{"job": "collect", "config": {"episodes": 2}}')
    (workspace.runs / "not-a-run").mkdir()
    cabinet = open_cabinet(workspace, demo=tmp_path / "demo")
    assert [(run.id, run.job, run.state) for run in cabinet.runs.all()] == [
        ("mine", "collect", "queued")
    ]
    cabinet.close()


LABEL = """
import sys
from pathlib import Path
from engine.records.types import Label
from storage.cabinet import open_cabinet
from storage.workspace import open_workspace
cabinet = open_cabinet(open_workspace(Path(sys.argv[1])), demo=Path(sys.argv[2]))
number = len(cabinet.labels.all())
while True:
    number += 1
    cabinet.labels.add(Label(event_id=str(number), episode_id="a", outcome="fail"))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""

INGEST = """
import sys
from pathlib import Path
from storage.cabinet import open_cabinet
from storage.workspace import open_workspace
import storage.runs.ingest
storage.runs.ingest.BATCH = 7
cabinet = open_cabinet(open_workspace(Path(sys.argv[1])), demo=Path(sys.argv[2]))
sys.stdout.write("open\\n")
sys.stdout.flush()
while True:
    cabinet.ingest.ingest("run-1")
"""


def run_and_kill(script: str, workspace: Workspace, demo: Path, *, lines: int) -> list[str]:
    """Start a script, kill it after it wrote some lines, and return all lines it wrote."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, workspace.root, demo], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    heard = [process.stdout.readline().strip() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    whole = rest.splitlines() if rest.endswith("\n") else rest.splitlines()[:-1]
    return [*heard, *whole]


@pytest.mark.parametrize("lines", [1, 6, 11])
def test_no_acknowledged_label_is_lost_or_doubled_by_a_kill(
    workspace: Workspace, tmp_path: Path, lines: int
) -> None:
    acknowledged = run_and_kill(LABEL, workspace, tmp_path, lines=lines)
    cabinet = open_cabinet(workspace, demo=tmp_path)
    stored = [label.event_id for label in cabinet.labels.all()]
    assert stored[: len(acknowledged)] == acknowledged
    assert len(stored) in (len(acknowledged), len(acknowledged) + 1)
    assert cabinet.labels.log.first_broken_link() is None
    cabinet.close()


@pytest.mark.parametrize("events", [50, 300])
def test_a_kill_of_the_ingesting_process_loses_and_doubles_nothing(
    workspace: Workspace, tmp_path: Path, events: int
) -> None:
    first = open_cabinet(workspace, demo=tmp_path)
    first.runs.create("run-1", "optimise", {})
    first.close()
    log = workspace.runs / "run-1" / "events.jsonl"
    event = {"attempt": 1, "time": 5.0, "kind": "metric", "metrics": {"loss": 0.5}}
    lines = [encode_line(event | {"seq": i, "step": i}) for i in range(1, events + 1)]
    log.write_bytes(b"".join(lines))
    run_and_kill(INGEST, workspace, tmp_path, lines=1)
    cabinet = open_cabinet(workspace, demo=tmp_path)
    cabinet.ingest.ingest("run-1")
    steps = [row["step"] for row in cabinet.curves.table(["run-1"])]
    assert steps == list(range(1, events + 1))
    cabinet.close()
