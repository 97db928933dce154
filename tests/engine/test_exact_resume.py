"""Every job, killed with kill -9 and resumed, ends as if nothing had happened: same weights, same
metrics, same episodes, same ledger (design.md §5)."""

import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.checkpoints.checkpoint import write_json
from engine.records.episodes import list_episodes
from engine.records.events import read_events
from engine.records.ledger import read_ledger
from engine.records.manifest import file_sha256
from engine.runs.registry import job_config, job_names
from engine.runs.run_directory import read_documents
from tests.engine import forked_worker

Tiny = tuple[Path, dict[str, str]]

MEASURED_IN_SECONDS = ("time/", "_per_second")

ALL = [job for job in job_names() if job != "demo"]
# In `make test` the one that imagines, judges and updates; the study is killed in test_study.
QUICK = ("optimise",)


def prepared(directory: Path, job: str, options: dict[str, Any]) -> Path:
    directory.mkdir()
    config = job_config(job, options).to_dict()
    write_json(directory / "config.json", {"job": job, "config": config})
    return directory


def num_events(directory: Path) -> int:
    return sum(1 for _ in read_events(directory / "events.jsonl"))


def account(directory: Path) -> dict[str, Any]:
    """All that a run left that is not a time; of its stages as well."""
    events = [event for _, event in read_events(directory / "events.jsonl")]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    metrics: dict[tuple[int, str], float] = {}
    for event in (event for event in events if event["kind"] == "metric"):
        metrics |= {(event["step"], name): value for name, value in event["metrics"].items()}
    [result] = [event["metrics"] for event in events if event["kind"] == "result"]
    kept = sorted((directory / "checkpoints").glob("step-*"))
    stages = sorted(path for path in (directory / "stages").glob("*") if path.is_dir())
    return {
        "result": {name: value for name, value in result.items() if is_exact(name)},
        "metrics": {key: value for key, value in metrics.items() if is_exact(key[1])},
        "weights": {
            f"{path.name}/{file.name}": file_sha256(file)
            for path in kept
            for file in path.glob("*.safetensors")
        },
        "announced": sorted(e["step"] for e in events if e["kind"] == "checkpoint"),
        "documents": {
            name: {key: value for key, value in document.items() if is_exact(key)}
            for name, document in read_documents(directory).items()
        },
        "told": sorted(e["episode"] for e in events if e["kind"] == "episode"),
        "episodes": {
            path.name: [file_sha256(path / name) for name in ("episode.npz", "episode.json")]
            for path in list_episodes(directory / "episodes")
        },
        "ledger": [{**entry, "run": ""} for entry in read_ledger(directory)],
        "stages": {path.name: account(path) for path in stages},
    }


def is_exact(name: str) -> bool:
    return not any(part in name for part in MEASURED_IN_SECONDS)


def check_same(job: str, whole: Path, killed: Path) -> None:
    ours, theirs = account(killed), account(whole)
    for key in ours:
        assert ours[key] == theirs[key], key
    assert ours["metrics"] or job == "adopt"


@pytest.mark.slow
def test_every_job_has_a_config_here(options: dict[str, dict[str, Any]]) -> None:
    assert set(options) == set(ALL)  # all but `demo`, a study with stages of the full size


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "job",
    [pytest.param(j, marks=pytest.mark.slow if j in QUICK else pytest.mark.soak) for j in ALL],
)
def test_a_job_that_was_killed_ends_as_if_nothing_had_happened(
    options: dict[str, dict[str, Any]], job: str, tmp_path: Path
) -> None:
    whole, killed = (prepared(tmp_path / n, job, options[job]) for n in ("whole", "killed"))
    assert forked_worker.run(whole) == 0
    third = num_events(whole) // 3
    for _ in range(1 if job in QUICK else 2):
        assert forked_worker.run(killed, kill_at_event=third) == -signal.SIGKILL
    assert forked_worker.run(killed) == 0
    check_same(job, whole, killed)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("job", ALL)
def test_a_worker_killed_at_any_moment_ends_as_if_nothing_had_happened(
    options: dict[str, dict[str, Any]],
    job: str,
    tmp_path: Path,
    record_property: Callable[..., Any],
) -> None:
    whole, killed = (prepared(tmp_path / n, job, options[job]) for n in ("whole", "killed"))
    began = time.monotonic()
    assert worker(whole).wait() == 0
    seconds = time.monotonic() - began
    kills, draw = 0, random.Random(job)
    while kills < 6:
        victim = worker(killed)
        stop = threading.Timer(draw.uniform(0.3, 1.1) * seconds, victim.kill)
        stop.start()
        status = victim.wait()
        stop.cancel()
        kills += status == -signal.SIGKILL
        if status == 0:
            check_same(job, whole, killed)
            shutil.rmtree(killed)
            prepared(killed, job, options[job])
    assert worker(killed).wait() == 0
    check_same(job, whole, killed)
    record_property("kills", kills)


def worker(directory: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "engine.worker", str(directory)]
    with (directory / "log.txt").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)
