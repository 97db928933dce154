"""A tracker gets every metric, and whatever it does a run comes to its end."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.protocols import Run
from engine.records.events import read_events
from engine.runs.tracker import Tracker
from engine.worker import DONE, execute

TRACKIO = """
import json, threading
from pathlib import Path

CALLS = Path(__file__).with_name("calls.jsonl")
MODE = Path(__file__).with_name("mode").read_text()
RELEASE = threading.Event()


def told(name, values):
    with CALLS.open("a") as stream:
        stream.write(json.dumps([name, values]) + "\\n")


def init(*, project, name, config, resume):
    told("init", {"project": project, "name": name, "config": config, "resume": resume})


def log(metrics, *, step):
    told("log", {"step": step, **metrics})
    if MODE == "fails":
        raise RuntimeError("the net\\nis down")


def finish():
    told("finish", {})
    if MODE == "hangs":
        RELEASE.wait()
"""
Calls = Callable[[], list[tuple[str, dict[str, Any]]]]
Install = Callable[[str], Calls]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a small tracker of that name, which writes down how it is called."""
    place = tmp_path / "site"
    place.mkdir()
    monkeypatch.syspath_prepend(place)
    monkeypatch.setitem(sys.modules, "trackio", None)
    monkeypatch.delitem(sys.modules, "trackio")

    def write(mode: str) -> Calls:
        (place / "mode").write_text(mode)
        (place / "trackio.py").write_text(TRACKIO)
        lines = place / "calls.jsonl"
        return lambda: [tuple(json.loads(line)) for line in lines.read_text().splitlines()]

    return write


def job(name: str, config: Mapping[str, Any], run: Run) -> dict[str, Any]:
    for step in (1, 2, 3):
        run.log(step, {"loss": 1.0 / step})
    return {"loss": 0.25}


def done(directory: Path, logger: str) -> list[str]:
    """Run the job to its end with a logger; the alarms there were."""
    directory.mkdir()
    spec = {"job": "any", "config": {"logger": logger, "seed": 3}}
    (directory / "config.json").write_text(json.dumps(spec))
    assert execute(directory, job=job) == (DONE, {"loss": 0.25})
    events = [event for _, event in read_events(directory / "events.jsonl")]
    assert [event["step"] for event in events if event["kind"] == "metric"] == [1, 2, 3]
    return [event["message"] for event in events if event["kind"] == "alarm"]


def test_a_tracker_gets_the_config_and_every_metric(install: Install, tmp_path: Path) -> None:
    calls = install("works")
    assert done(tmp_path / "run-1", "trackio") == []
    begin = {"project": "wmpo-studio", "name": "run-1", "resume": "allow"}
    assert calls() == [
        ("init", {**begin, "config": {"logger": "trackio", "seed": 3}}),
        *(("log", {"step": step, "loss": 1.0 / step}) for step in (1, 2, 3)),
        ("finish", {}),
    ]


def test_a_tracker_that_fails_is_said_once_and_off(install: Install, tmp_path: Path) -> None:
    calls = install("fails")
    alarms = done(tmp_path / "run-1", "trackio")
    assert alarms == ["metrics go to trackio no more: the net is down"]
    assert [name for name, _ in calls()] == ["init", "log"]


def test_a_tracker_that_is_not_installed_is_said_once(tmp_path: Path) -> None:
    [alarm] = done(tmp_path / "run-1", "wandb")
    assert alarm.endswith("wandb is not installed here: pip install wandb, or choose none")


def test_a_tracker_that_hangs_is_left_behind(install: Install) -> None:
    install("hangs")
    said: list[str] = []
    tracker = Tracker("trackio", "run-1", {}, said.append, finish_seconds=0.05)
    tracker.take({"kind": "metric", "step": 1, "metrics": {"loss": 0.5}})
    tracker.close()
    assert said == ["metrics go to trackio no more: it did not finish within 0.05 s"]
    sys.modules["trackio"].RELEASE.set()
