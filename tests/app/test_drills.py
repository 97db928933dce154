"""The long drills of reliability.md §6: random kills, a full disk, no memory, a jumping clock, an
hour's events. Each runs real workers under a real supervisor."""

import itertools
import json
import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.runs.patience import Patience
from app.runs.supervisor import Supervisor
from engine.records.events import read_events
from engine.records.ledger import read_ledger
from engine.records.manifest import file_sha256
from storage.cabinet import Cabinet, open_cabinet
from storage.workspace import open_workspace
from tests.app.drill_app import WORKER
from tests.app.drill_processes import CHECKOUT, App, holders, orphans, turns, workers
from tests.app.small_disk import small_disk

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

KILLS = int(os.environ.get("WMPO_DRILL_KILLS", "100"))
PATIENCE_SECONDS = 600.0


def account(directory: Path) -> dict[str, Any]:
    """What a run left that is not a time; its log is checked on the way."""
    events = [event for _, event in read_events(directory / "events.jsonl")]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    attempts = [event["attempt"] for event in events]
    assert attempts == sorted(attempts)  # two writers at once would mix theirs
    metrics: dict[tuple[int, str], float] = {}
    for event in (event for event in events if event["kind"] == "metric"):
        metrics |= {(event["step"], name): value for name, value in event["metrics"].items()}
    [result] = [event["metrics"] for event in events if event["kind"] == "result"]
    last = max((directory / "checkpoints").glob("step-*"))
    return {
        "result": result,
        "metrics": {key: value for key, value in metrics.items() if "time/" not in key[1]},
        "weights": {path.name: file_sha256(path) for path in last.glob("*.safetensors")},
        "announced": [e["step"] for e in events if e["kind"] == "checkpoint"],
        "told": [e["episode"] for e in events if e["kind"] == "episode"],
        "ledger": [{**entry, "run": ""} for entry in read_ledger(directory)],
    }


def check_rows(cabinet: Cabinet, run_id: str) -> None:
    """What the database has of a run is what its files say: nothing lost, nothing doubled."""
    directory = cabinet.runs.directory(run_id)
    ours = account(directory)
    rows = cabinet.database.read("select step, name, value from metrics where run = ?", [run_id])
    stored = {(row["step"], row["name"]): row["value"] for row in rows}
    assert {key: v for key, v in stored.items() if "time/" not in key[1]} == ours["metrics"]
    log = [event for _, event in read_events(directory / "events.jsonl")]
    told = [e["seq"] for e in log if e["kind"] not in ("metric", "progress", "episode")]
    events = cabinet.database.read(
        "select seq from run_events where run = ? order by seq", [run_id]
    )
    assert [row["seq"] for row in events] == told
    assert len(cabinet.trajectories.ids(run=run_id)) == len(ours["told"])
    assert len(cabinet.runs.ledger(run=run_id)) == len(ours["ledger"])


def unkilled(root: Path, config: dict[str, Any]) -> dict[str, Any]:
    root.mkdir()
    (root / "config.json").write_text(json.dumps({"job": "drill", "config": config}))
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    subprocess.run([*WORKER, str(root)], env=environment, check=True)
    return account(root)


def until(reached: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> float:
    """Wait for something; how long it took."""
    began = time.monotonic()
    while not reached():
        assert time.monotonic() < began + seconds, "the condition was never reached"
        threading.Event().wait(0.05)
    return time.monotonic() - began


def test_random_kills_of_worker_and_app_lose_double_and_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"steps": 200, "pace": 0.03}
    whole = unkilled(tmp_path / "whole", config)
    config["children"] = True
    root, draw, kills = tmp_path / "data", random.Random(7), Counter[str]()
    began = time.monotonic()
    number = 3
    app = App(root, config, number)
    app.wait_ready()
    most_workers = by_hand = 0
    longest = 0.0
    started = time.monotonic() - began
    slot = root / "locks" / "cpu-0.lock"

    def all_done() -> bool:
        return all(state == "done" for state, _, _ in app.ask()["states"].values())

    def settled() -> bool:
        return not orphans(app, root)

    while kills.total() < KILLS:
        if all_done():
            by_hand += app.ask()["by_hand"]
            number += 3
            app.close()
            app = App(root, config, number)
            app.wait_ready()
        if draw.random() < 0.7:  # while it works; else at any moment
            until(lambda: holders(slot) > 0 or all_done())
            threading.Event().wait(draw.uniform(0.0, 3.0))
        else:
            threading.Event().wait(draw.uniform(0.0, started))
        victims = workers(root)
        most_workers = max(most_workers, len(victims))
        kind = draw.choice(["worker", "app", "both"])
        if kind != "app" and not victims:
            continue
        if kind != "worker":
            by_hand += app.ask()["by_hand"]
            app.kill()
        if kind != "app":
            for victim in victims:
                victim.kill()
        kills[kind] += 1
        if kind != "worker":
            app.again()
            threading.Event().wait(draw.choice([0.0, draw.uniform(0.0, started)]))
            if draw.random() < 0.1:  # while it starts
                app.kill()
                kills["app while it starts"] += 1
                app.again()
            app.wait_ready()
            if draw.random() < 0.5:  # else the next kill comes before it has settled
                longest = max(longest, until(settled, 30.0))

    until(all_done)
    by_hand += app.ask()["by_hand"]
    longest = max(longest, until(lambda: not workers(root, children=True), 30.0))
    app.close()
    cabinet = open_cabinet(open_workspace(root), demo=tmp_path / "none")
    for run in cabinet.runs.all():
        assert run.state == "done", run
        check_rows(cabinet, run.id)
        ours = account(cabinet.runs.directory(run.id))
        assert {key: ours[key] for key in ours if ours[key] != whole[key]} == {}
    attempts = sum(run.attempt for run in cabinet.runs.all())
    cabinet.close()
    at_work = turns(root)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(at_work))
    with capsys.disabled():
        print(
            f"\n{dict(kills)}: {number} runs in {attempts} attempts, {by_hand} resumed by hand, "
            f"{len(at_work)} turns at the slot, no two at once, at most {most_workers} workers, "
            f"no orphan after {longest:.1f} s, {time.monotonic() - began:.0f} s"
        )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 160 MB."""
    with small_disk(tmp_path / "disk", 160) as place:
        yield place


@pytest.fixture
def supervise() -> Iterator[Callable[[Path], tuple[Cabinet, Supervisor]]]:
    """Opens data directories with a supervisor of drill workers at work."""
    opened: list[tuple[Cabinet, Supervisor]] = []

    def begin(root: Path) -> tuple[Cabinet, Supervisor]:
        cabinet = open_cabinet(open_workspace(root), demo=root / "none")
        patience = Patience(resume=0.2, stalled=20.0, hung=20.0)
        supervisor = Supervisor(cabinet, command=WORKER, patience=patience)
        supervisor.begin(every_seconds=0.05)
        opened.append((cabinet, supervisor))
        return opened[-1]

    yield begin
    for cabinet, supervisor in opened:
        supervisor.close()
        for process in workers(cabinet.workspace.root):
            process.kill()
        cabinet.close()


@pytest.mark.parametrize("left", [30_000_000, 0])
def test_a_full_disk_pauses_a_run_and_costs_it_nothing(
    left: int, disk: Path, tmp_path: Path, supervise: Callable[[Path], tuple[Cabinet, Supervisor]]
) -> None:
    """With 30 MB left, the look before a checkpoint ends the worker. With nothing left its next
    write does, and the app cannot note the sentence either: it answers, and waits for room."""
    config = {"steps": 150, "pace": 0.05, "weights": 100_000}
    whole = unkilled(tmp_path / "whole", config)
    cabinet, supervisor = supervise(disk / "data")
    supervisor.submit("run-1", "drill", config)
    until(lambda: (cabinet.runs.get("run-1").step or 0) > 10)
    with (disk / "filler").open("wb", buffering=0) as filler:
        while (free := shutil.disk_usage(disk).free) > left:
            filler.write(bytes(min(2**20, free - left)))
    until(lambda: not workers(disk))
    if left:
        until(lambda: cabinet.runs.get("run-1").state == "paused")
        error = cabinet.runs.get("run-1").error or ""
        assert error.startswith("the disk is full (")
        assert error.endswith("): it goes on when there is room again")
    assert cabinet.runs.get("run-1").state != "done"
    (disk / "filler").unlink()
    until(lambda: cabinet.runs.get("run-1").state == "done")
    check_rows(cabinet, "run-1")
    assert account(cabinet.runs.directory("run-1")) == whole


def test_a_run_that_may_take_no_more_memory_fails_and_says_so(
    tmp_path: Path, supervise: Callable[[Path], tuple[Cabinet, Supervisor]]
) -> None:
    cabinet, supervisor = supervise(tmp_path / "data")
    supervisor.submit("run-1", "drill", {"steps": 9, "hog_at": 5, "address_space": 2**33})
    until(lambda: cabinet.runs.get("run-1").state == "failed")
    error = cabinet.runs.get("run-1").error or ""
    assert error.startswith("out of memory: choose smaller batches, models or groups (")


@pytest.fixture
def group() -> Iterator[Path]:
    """A memory control group of 600 MB."""
    place = Path(f"/sys/fs/cgroup/memory/wmpo-drill-{os.getpid()}")
    try:
        place.mkdir()
        (place / "memory.limit_in_bytes").write_text(str(600 * 2**20))
    except OSError:
        pytest.skip("no memory control group can be made here")
    yield place
    until(lambda: not (place / "cgroup.procs").read_text(), 30.0)
    place.rmdir()


def test_a_worker_that_the_system_ends_for_want_of_memory_is_told_from_a_killed_one(
    group: Path, tmp_path: Path, supervise: Callable[[Path], tuple[Cabinet, Supervisor]]
) -> None:
    cabinet, supervisor = supervise(tmp_path / "data")
    supervisor.submit("run-1", "drill", {"steps": 9, "hog_at": 5, "group": str(group)})
    until(lambda: cabinet.runs.get("run-1").state == "lost")
    run = cabinet.runs.get("run-1")
    assert run.error == (
        "the worker ran out of memory and the system ended it, twice at step 4: not resumed again"
    )
    assert run.attempt == 2


def test_a_clock_that_jumps_by_a_day_changes_nothing(
    tmp_path: Path, supervise: Callable[[Path], tuple[Cabinet, Supervisor]]
) -> None:
    config = {"steps": 120, "pace": 0.05}
    whole = unkilled(tmp_path / "whole", config)
    day = 86_400.0
    cabinet, supervisor = supervise(tmp_path / "data")
    supervisor.submit("run-1", "drill", config | {"clock_jumps": {"30": day, "60": -2 * day}})
    left, errors = [], set()

    def done() -> bool:
        run = cabinet.runs.get("run-1")
        left.append(run.seconds_left or 0.0)
        errors.add(run.error)
        return run.state == "done"

    until(done)
    assert errors == {None}  # neither stalled nor hung, and nothing was resumed
    assert 0.0 < max(left) < 600.0 and min(left) >= 0.0
    check_rows(cabinet, "run-1")
    assert account(cabinet.runs.directory("run-1")) == whole
    times = [e["time"] for _, e in read_events(cabinet.runs.directory("run-1") / "events.jsonl")]
    assert max(times) - min(times) > day


def test_the_events_of_an_hour_add_little_to_the_memory_of_the_app(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A point and a report a second, an episode every 2 s and a checkpoint every 20 s make an
    hour of 3,600 points, 1,800 episodes and 180 checkpoints; here without the waiting. The run
    before it makes the app load and allocate what any run makes it."""
    steps = {"log_every": 1, "checkpoint_every": 20}
    short, hour = {"steps": 200} | steps, {"steps": 3600} | steps
    root = tmp_path / "data"
    app = App(root, short | {"episodes_every": 3}, 1)
    app.wait_ready()

    def done() -> bool:
        return all(state == "done" for state, _, _ in app.ask()["states"].values())

    until(done)
    directory = root / "runs" / "another"
    before = app.ask()["memory"]
    app.ask(json.dumps(hour | {"episodes_every": 2}))
    seconds = until(done)
    after = app.ask()["memory"]
    app.close()
    events = Counter(event["kind"] for _, event in read_events(directory / "events.jsonl"))
    with capsys.disabled():
        print(
            f"\n{dict(events)} in {seconds:.0f} s: {before / 2**20:.1f} MB before, "
            f"{after / 2**20:.1f} MB after ({100 * (after / before - 1):.1f} %)"
        )
    assert after < 1.05 * before
    assert events["metric"] == 3600 and events["episode"] == 1800
