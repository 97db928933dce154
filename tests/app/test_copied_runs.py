"""Run directories that the database does not know: copied here, made on the command line, or known
before it was lost."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.runs.supervisor import Supervisor
from storage.cabinet import Cabinet, open_cabinet
from storage.database import Database
from storage.workspace import Workspace
from tests.app.test_supervisor import COMMAND, FOREVER, HASTE, at_step, in_state, pids, until

Studio = tuple[Cabinet, Supervisor]


@pytest.fixture
def open_again(workspace: Workspace) -> Iterator[Callable[[], Studio]]:
    """Opens the data directory with an empty database; no worker outlives the test."""
    opened: list[tuple[Studio, Database]] = []

    def make() -> Studio:
        database = Database(None, exports=workspace.exports)
        cabinet = open_cabinet(workspace, demo=workspace.root / "demo", database=database)
        supervisor = Supervisor(cabinet, command=COMMAND, patience=HASTE)
        opened.append(((cabinet, supervisor), database))
        return cabinet, supervisor

    yield make
    cabinet, supervisor = opened[-1][0]
    for run in cabinet.runs.unfinished():
        supervisor.control(run.id, "cancel")
    until(supervisor, lambda: not cabinet.runs.unfinished())
    for (_, each), database in opened:
        until(each, lambda each=each: not each.has_children)
        each.close()
        database.close()


def test_a_copied_run_rests_until_it_is_resumed_and_leaves_the_original_alone(
    open_again: Callable[[], Studio],
) -> None:
    cabinet, supervisor = open_again()
    supervisor.submit("run-1", "tiny", FOREVER)
    until(supervisor, at_step(cabinet, "run-1", 2))
    original = cabinet.runs.directory("run-1")
    shutil.copytree(original, original.with_name("run-2"))
    for _ in range(2):
        supervisor.tick()
    copied = cabinet.runs.get("run-2")
    assert copied.state == "paused"
    assert (copied.error or "").startswith("its directory came from elsewhere")
    # The worker in the copy's journal is the original's: it is not the copy's to end.
    supervisor.control("run-2", "run")
    supervisor.control("run-1", "pause")
    until(supervisor, in_state(cabinet, "run-2", "running"))
    assert cabinet.runs.get("run-1").state == "paused"


def test_a_run_goes_on_when_only_the_database_was_lost(open_again: Callable[[], Studio]) -> None:
    cabinet, supervisor = open_again()
    supervisor.submit("run-1", "tiny", {"steps": 5, "crash_at": [3], "spared": ["2"]})
    until(supervisor, at_step(cabinet, "run-1", 1))
    while pids(cabinet, "run-1"):
        pass
    rebuilt, later = open_again()
    until(later, in_state(rebuilt, "run-1", "done"))


def test_a_run_on_the_command_line_that_ended_before_it_was_seen_is_as_it_ended(
    workspace: Workspace, open_again: Callable[[], Studio]
) -> None:
    def command(name: str) -> None:
        environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
        subprocess.run([*COMMAND, str(workspace.runs / name)], env=environment, check=False)

    killed = {"steps": 3, "crash_at": [2], "spared": ["2"]}
    for name, config in (("whole", {"steps": 2}), ("killed", killed)):
        (workspace.runs / name).mkdir(parents=True)
        spec = json.dumps({"job": "tiny", "config": config})
        (workspace.runs / name / "config.json").write_text(spec)
        command(name)
    cabinet, supervisor = open_again()
    supervisor.tick()
    assert cabinet.runs.get("whole").state == "done"
    assert [row["step"] for row in cabinet.curves.table(["whole"])] == [1, 2]
    run = cabinet.runs.get("killed")
    assert (run.state, run.attempt) == ("lost", 1)
    assert run.error == "the worker ended unexpectedly, on the command line"

    command("killed")  # the same command again, and nobody looked meanwhile
    supervisor.tick()
    run = cabinet.runs.get("killed")
    assert (run.state, run.attempt, run.error) == ("done", 2, None)
    assert len(cabinet.curves.table(["killed"])) == 3
