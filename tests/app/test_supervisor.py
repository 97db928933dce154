"""Worker processes: started, watched, paused, resumed, adopted, ended."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.runs.launcher import event_text
from app.runs.patience import Patience
from app.runs.supervisor import Supervisor
from engine.records.file_locks import is_locked
from engine.runs.run_directory import is_held
from storage.cabinet import Cabinet, open_cabinet
from storage.database import Database
from storage.workspace import Workspace

COMMAND = (sys.executable, str(Path(__file__).with_name("tiny_worker.py")))
HASTE = Patience(stop=0.2, cancel=0.2, terminate=0.2, resume=0.0)
FOREVER = {"steps": 1_000_000, "pace": 0.01}


@pytest.fixture
def cabinet(workspace: Workspace, tmp_path: Path) -> Iterator[Cabinet]:
    database = Database(None, exports=workspace.exports)
    yield open_cabinet(workspace, demo=tmp_path / "demo", database=database)
    database.close()


@pytest.fixture
def make_supervisor(cabinet: Cabinet) -> Iterator[Callable[..., Supervisor]]:
    """Makes supervisors of one data directory; no worker outlives the test."""
    made: list[Supervisor] = []

    def make(**changes: Any) -> Supervisor:
        made.append(Supervisor(cabinet, **{"command": COMMAND, "patience": HASTE} | changes))
        return made[-1]

    yield make
    for run in cabinet.runs.unfinished():
        made[-1].control(run.id, "cancel")
    until(made[-1], lambda: not cabinet.runs.unfinished())
    for supervisor in made:
        until(supervisor, lambda supervisor=supervisor: not supervisor.has_children)
        supervisor.close()


def until(supervisor: Supervisor, reached: Callable[[], bool]) -> None:
    """Do rounds until a condition holds."""
    eventually(reached, meanwhile=supervisor.tick)


def eventually(reached: Callable[[], bool], meanwhile: Callable[[], object] = bool) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 50.0
    while not reached():
        assert time.monotonic() < deadline, "the condition was never reached"
        meanwhile()
        threading.Event().wait(0.01)


def pids(cabinet: Cabinet, run_id: str) -> list[int]:
    """Worker processes of a run that live."""
    directory = str(cabinet.runs.directory(run_id))
    living = (p.info for p in psutil.process_iter(["pid", "status", "cmdline"]))
    return [
        info["pid"]
        for info in living
        if info["status"] != psutil.STATUS_ZOMBIE and directory in (info["cmdline"] or [])
    ]


def in_state(cabinet: Cabinet, run_id: str, state: str) -> Callable[[], bool]:
    return lambda: cabinet.runs.get(run_id).state == state


def says(cabinet: Cabinet, sentence: str) -> Callable[[], bool]:
    return lambda: (cabinet.runs.get("run-1").error or "").startswith(sentence)


def at_step(cabinet: Cabinet, run_id: str, step: int) -> Callable[[], bool]:
    return lambda: (cabinet.runs.get(run_id).step or 0) >= step


def test_a_run_is_started_followed_and_done(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("run-1", "tiny", {"steps": 3})
    assert cabinet.runs.get("run-1").state == "queued"
    until(supervisor, in_state(cabinet, "run-1", "done"))
    steps = [row["step"] for row in cabinet.curves.table(["run-1"])]
    assert steps == [1, 2, 3]


def test_one_run_waits_for_the_other(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("run-1", "tiny", FOREVER)
    supervisor.submit("run-2", "tiny", {"steps": 1})
    until(supervisor, in_state(cabinet, "run-1", "running"))
    assert cabinet.runs.get("run-2").state == "queued"
    supervisor.control("run-1", "stop")
    until(supervisor, in_state(cabinet, "run-2", "done"))
    assert cabinet.runs.get("run-1").state == "done"


def test_a_pause_saves_and_a_resume_goes_on_from_there(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("run-1", "tiny", FOREVER)
    until(supervisor, at_step(cabinet, "run-1", 3))
    assert supervisor.control("run-1", "pause").state == "pausing"
    until(supervisor, in_state(cabinet, "run-1", "paused"))
    saved = cabinet.runs.get("run-1").step or 0
    eventually(lambda: pids(cabinet, "run-1") == [])  # it says so before it ends
    supervisor.control("run-1", "run")
    until(supervisor, at_step(cabinet, "run-1", saved + 1))
    run = cabinet.runs.get("run-1")
    assert (run.state, run.attempt) == ("running", 2)


def test_cancel_ends_a_run_and_nothing_can_follow(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("run-1", "tiny", FOREVER)
    until(supervisor, at_step(cabinet, "run-1", 1))
    supervisor.control("run-1", "cancel")
    until(supervisor, in_state(cabinet, "run-1", "cancelled"))
    with pytest.raises(ValueError, match="run run-1 is cancelled already"):
        supervisor.control("run-1", "run")


def test_a_queued_run_is_cancelled_at_once(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("run-1", "tiny", FOREVER)
    assert supervisor.control("run-1", "stop").state == "cancelled"
    supervisor.tick()
    assert pids(cabinet, "run-1") == []


def test_a_queued_run_can_be_held_back(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("run-1", "tiny", {"steps": 1})
    assert supervisor.control("run-1", "pause").state == "paused"
    supervisor.tick()
    assert pids(cabinet, "run-1") == []
    supervisor.control("run-1", "run")
    until(supervisor, in_state(cabinet, "run-1", "done"))


@pytest.mark.parametrize(("control", "state"), [("stop", "done"), ("cancel", "cancelled")])
def test_a_worker_that_does_not_listen_is_ended_by_force(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor], control: str, state: str
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("run-1", "tiny", FOREVER | {"deaf": True})
    until(supervisor, at_step(cabinet, "run-1", 1))
    supervisor.control("run-1", control)
    until(supervisor, in_state(cabinet, "run-1", state))
    assert pids(cabinet, "run-1") == []


def test_a_killed_worker_is_resumed(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("run-1", "tiny", {"steps": 5, "crash_at": [3], "spared": ["2"]})
    until(supervisor, in_state(cabinet, "run-1", "done"))
    run = cabinet.runs.get("run-1")
    assert (run.attempt, run.done, run.error) == (2, 5, None)
    assert "running again, attempt 2" in map(event_text, cabinet.runs.events("run-1", limit=99))


def test_two_crashes_at_one_step_end_the_resuming(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("run-1", "tiny", {"steps": 5, "crash_at": [3]})
    until(supervisor, in_state(cabinet, "run-1", "lost"))
    run = cabinet.runs.get("run-1")
    assert run.attempt == 2
    assert run.error == "the worker was killed, twice at step 3: not resumed again"


def test_a_lost_run_can_be_resumed_by_hand(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    config = {"steps": 5, "crash_at": [3], "spared": ["3"]}
    supervisor.submit("run-1", "tiny", config)
    until(supervisor, in_state(cabinet, "run-1", "lost"))
    supervisor.control("run-1", "run")
    until(supervisor, in_state(cabinet, "run-1", "done"))


def test_a_worker_that_cannot_start_says_why(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor(command=(sys.executable, "-c", "raise SystemExit('no such job')"))
    supervisor.submit("run-1", "tiny", {"steps": 5})
    until(supervisor, in_state(cabinet, "run-1", "lost"))
    assert "no such job" in (cabinet.runs.get("run-1").error or "")


@pytest.mark.parametrize("noted", [True, False])
def test_a_new_supervisor_adopts_a_living_worker(
    noted: bool, cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    first = make_supervisor()
    first.submit("run-1", "tiny", FOREVER)
    until(first, at_step(cabinet, "run-1", 2))
    first.close()
    if not noted:  # the app was killed between starting the worker and saying so
        (cabinet.runs.directory("run-1") / "supervisor.jsonl").write_bytes(b"")
    [worker] = pids(cabinet, "run-1")
    second = make_supervisor()
    reached = cabinet.runs.get("run-1").step or 0
    until(second, at_step(cabinet, "run-1", reached + 2))
    assert pids(cabinet, "run-1") == [worker]
    second.control("run-1", "stop")
    until(second, in_state(cabinet, "run-1", "done"))
    assert cabinet.runs.get("run-1").attempt == 1


def test_a_run_whose_worker_died_while_no_app_was_there_is_resumed(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    first = make_supervisor()
    first.submit("run-1", "tiny", FOREVER)
    until(first, at_step(cabinet, "run-1", 2))
    first.close()
    [worker] = pids(cabinet, "run-1")
    os.killpg(worker, signal.SIGKILL)
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    second = make_supervisor()
    until(second, lambda: cabinet.runs.get("run-1").attempt == 2)


def test_a_run_on_the_command_line_is_watched_but_not_owned(
    cabinet: Cabinet, workspace: Workspace, make_supervisor: Callable[..., Supervisor]
) -> None:
    directory = workspace.runs / "mine"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({"job": "tiny", "config": FOREVER}))
    checkout = Path(__file__).parents[2]
    with subprocess.Popen([*COMMAND, str(directory)], env={"PYTHONPATH": str(checkout)}) as other:
        supervisor = make_supervisor()
        until(supervisor, lambda: is_held(directory))
        until(supervisor, at_step(cabinet, "mine", 2))
        assert pids(cabinet, "mine") == [other.pid]
        supervisor.control("mine", "stop")
        until(supervisor, in_state(cabinet, "mine", "done"))


def test_a_worker_knows_no_secrets_of_the_app(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    meant = {"WMPO_DATA_DIR": "here", "WMPO_DEVICE": "cpu", "WMPO_WORLD_MODEL_TOKEN": "served"}
    supervisor = make_supervisor(environ=dict(os.environ) | {"HF_TOKEN": "hf_secret"} | meant)
    supervisor.submit("run-1", "tiny", FOREVER)
    until(supervisor, at_step(cabinet, "run-1", 1))
    [worker] = pids(cabinet, "run-1")
    known = psutil.Process(worker).environ()
    assert "HF_TOKEN" not in known
    assert (meant | {"OMP_NUM_THREADS": "1"}).items() <= known.items()
    assert (psutil.Process(worker).nice(), os.getsid(worker)) == (10, worker)


def test_the_rounds_go_on_in_a_thread_and_closing_leaves_workers_alone(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.begin(every_seconds=0.01)
    supervisor.submit("run-1", "tiny", FOREVER)
    eventually(at_step(cabinet, "run-1", 2))
    supervisor.close()
    assert len(pids(cabinet, "run-1")) == 1
    os.killpg(pids(cabinet, "run-1")[0], signal.SIGKILL)
    eventually(lambda: pids(cabinet, "run-1") == [])  # a round would start the next worker


def test_an_unknown_run_and_an_unknown_word_are_refused(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    with pytest.raises(LookupError, match="there is no run nothing"):
        supervisor.control("nothing", "run")
    supervisor.submit("run-1", "tiny", FOREVER)
    with pytest.raises(ValueError, match="control must be one of"):
        supervisor.control("run-1", "explode")


def test_a_full_disk_pauses_a_run_and_room_resumes_it(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor(patience=Patience(resume=0.2))
    supervisor.submit("run-1", "tiny", {"steps": 4, "full_at": 2, "spared": ["2"]})
    until(supervisor, in_state(cabinet, "run-1", "paused"))
    sentence = "the disk is full (9 MB are to be saved, 3 MB are free): it goes on when "
    assert says(cabinet, sentence)()
    until(supervisor, in_state(cabinet, "run-1", "done"))
    assert cabinet.runs.get("run-1").attempt == 2


def test_without_room_a_run_waits_in_the_queue_and_says_so(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor(reserve=2**60)
    supervisor.submit("run-1", "tiny", {"steps": 1})
    supervisor.tick()
    assert cabinet.runs.get("run-1").state == "queued"
    assert says(cabinet, "waits for room on the disk: 1073741824.0 GB are needed")()


def test_a_worker_that_stands_still_is_named_until_it_moves_again(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor(
        patience=Patience(stalled=0.3, hung=0.6, stop=9.0, cancel=0.2, terminate=0.2)
    )
    supervisor.submit("run-1", "tiny", {"steps": 5, "stand_at": 3})
    until(supervisor, in_state(cabinet, "run-1", "running"))
    until(supervisor, says(cabinet, "stalled: "))
    [worker] = pids(cabinet, "run-1")
    os.kill(worker, signal.SIGSTOP)
    until(supervisor, says(cabinet, "hung: "))
    assert cabinet.runs.get("run-1").state == "running"
    os.kill(worker, signal.SIGCONT)
    supervisor.control("run-1", "stop")
    until(supervisor, in_state(cabinet, "run-1", "done"))
    assert cabinet.runs.get("run-1").error is None


def test_a_run_that_the_system_ended_cleanly_goes_on(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("run-1", "tiny", FOREVER | {"rests_at_sigterm": True})
    until(supervisor, at_step(cabinet, "run-1", 2))
    os.kill(pids(cabinet, "run-1")[0], signal.SIGTERM)
    until(supervisor, lambda: cabinet.runs.get("run-1").attempt == 2)
    assert cabinet.runs.get("run-1").error is None


def test_each_slot_has_one_worker_and_its_lock_keeps_others_out(
    cabinet: Cabinet, workspace: Workspace, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor(slots=("cpu-0", "cpu-1"))
    for number in (1, 2, 3):
        supervisor.submit(f"run-{number}", "tiny", FOREVER)
    until(supervisor, lambda: all(at_step(cabinet, f"run-{n}", 1)() for n in (1, 2)))
    assert cabinet.runs.get("run-3").state == "queued"
    assert all(is_locked(workspace.locks / f"cpu-{n}.lock") for n in (0, 1))
    supervisor.control("run-2", "cancel")
    until(supervisor, at_step(cabinet, "run-3", 1))


@pytest.mark.parametrize("watched", [True, False])
def test_what_a_worker_started_does_not_outlive_it(
    watched: bool, cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("run-1", "tiny", {"steps": 9, "pace": 0.2, "children": True})
    until(supervisor, at_step(cabinet, "run-1", 1))
    [child] = psutil.Process(pids(cabinet, "run-1")[0]).children()
    os.kill(pids(cabinet, "run-1")[0], signal.SIGKILL)
    eventually(lambda: pids(cabinet, "run-1") == [])
    supervisor = supervisor if watched else make_supervisor()  # the app was killed as well
    until(supervisor, lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_the_trouble_of_one_run_does_not_stop_the_care_for_the_others(
    cabinet: Cabinet, make_supervisor: Callable[..., Supervisor]
) -> None:
    supervisor = make_supervisor()
    supervisor.submit("odd", "tiny", {"steps": 1})
    journal = cabinet.runs.directory("odd") / "supervisor.jsonl"
    journal.unlink()
    journal.mkdir()  # nothing can be read or noted there
    supervisor.submit("plain", "tiny", {"steps": 1})
    until(supervisor, lambda: cabinet.runs.get("plain").ended)
    assert cabinet.runs.get("plain").state == "done"
    assert "cannot look after it" in (cabinet.runs.get("odd").error or "")
    journal.rmdir()
