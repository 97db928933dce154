"""Kill -9 of a worker, of the run, of the local Ray, at random points: the result of a run that
nobody killed, no process left, no slot held. KILLS says how often, at each of the two places.
"""

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import psutil
import pytest

from engine.records.events import read_events
from engine.records.file_locks import is_locked
from engine.worker import SLOT_VARIABLE
from tests.engine.test_exact_resume import check_same, prepared

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

Tiny = tuple[Path, dict[str, str]]
KILLS = int(os.environ.get("KILLS", "25"))  # of each of the two places
DREAMT: dict[str, Any] = {
    "num_starts": 4,
    "iterations": 12,
    "groups": 2,
    "max_groups": 2,
    "group_size": 4,
    "horizon": 24,
    "denoising_steps": 2,
    "keep_low": 0.0,
    "keep_high": 1.0,
    "success_threshold": 0.45,  # some of the tiny world's dreams succeed, and some do not
    "learning_rate": 1e-3,
}
PAUSE = Event()  # nobody sets it
GONE = 30.0  # seconds within which what belonged to a killed process must be gone


class LocalRay:
    """A Ray of this machine at a port of its own, to kill and to start again."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.room = Path(tempfile.mkdtemp(prefix="ray"))
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--head"]
        command += ["--node-ip-address=127.0.0.1", f"--port={self.port}", "--num-cpus=2"]
        command += ["--include-dashboard=false", "--disable-usage-stats"]
        command += [f"--temp-dir={self.room}", "--object-store-memory=100000000"]
        subprocess.run(command, check=True, capture_output=True)

    def processes(self) -> list[psutil.Process]:
        """All of it, with the actors that it started."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if str(self.room) in " ".join(process.info["cmdline"] or ()):
                with suppress(psutil.NoSuchProcess):
                    found += [process, *process.children(recursive=True)]
        return list(dict.fromkeys(found))

    def actors(self) -> list[psutil.Process]:
        return [
            process for process in self.processes() if name_of(process).startswith("ray::Hands")
        ]

    def kill(self) -> None:
        """Raylet and GCS, as a machine's own killer would; the actors have to notice."""
        for process in self.processes():
            if name_of(process).rpartition("/")[2] in ("raylet", "gcs_server"):
                process.kill()

    def close(self) -> None:
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        shutil.rmtree(self.room, ignore_errors=True)


def name_of(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess, IndexError):
        return str(process.cmdline()[0])
    return ""


class Driver:
    """The run in a process of its own, started again whenever it ended before it was done."""

    def __init__(self, directory: Path, slot: Path) -> None:
        self.directory, self.slot = directory, slot
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        command = [sys.executable, "-m", "engine.worker", str(self.directory)]
        environment = os.environ | {SLOT_VARIABLE: str(self.slot)}
        with (self.directory / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def helpers(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def is_imagining(self) -> bool:
        """Whether the workers are there and asked for something."""
        phases = [e for _, e in read_events(self.directory / "events.jsonl")]
        return any(e.get("phase") == "imagining and learning" for e in phases[-3:]) or any(
            e["kind"] == "metric" for e in phases[-6:]
        )


def has_failed(directory: Path) -> bool:
    """Whether the run has ended by itself; an attempt that was cut short goes on with the next."""
    states = [e["state"] for _, e in read_events(directory / "events.jsonl") if "state" in e]
    return states[-1:] == ["failed"]


def wait_until(done: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        PAUSE.wait(0.1)
    return bool(done())


def drill(
    tmp_path: Path, options: dict[str, Any], ray: LocalRay | None
) -> tuple[Counter[str], list[str]]:
    """Kill at random points until there were enough; what was killed, and what went wrong."""
    whole = prepared(tmp_path / "whole", "optimise", options | {"workers": 1, "ray": ""})
    subprocess.run([sys.executable, "-m", "engine.worker", str(whole)], check=True)
    draw, kills, wrong = random.Random(f"{bool(ray)}"), Counter[str](), list[str]()
    kinds = ["worker", "run"] + (["ray"] if ray else [])
    slot, rounds = tmp_path / "slots" / "cpu-0.lock", 0
    while kills.total() < KILLS:
        rounds += 1
        directory = prepared(tmp_path / f"killed-{rounds}", "optimise", options)
        driver = Driver(directory, slot)
        while driver.process.poll() != 0:
            if driver.process.poll() is not None:
                if driver.process.returncode > 0 and has_failed(directory):
                    wrong.append(f"the run ended with {driver.process.returncode}")
                driver.start()
            if kills.total() < KILLS and wait_until(driver.is_imagining, 60):
                PAUSE.wait(draw.uniform(0.0, 6.0))
                family = ray.actors() if ray else driver.helpers()
                if driver.process.poll() is None and (killed := strike(driver, ray, draw, kinds)):
                    kills[killed] += 1
                    wrong += look(driver, ray, killed, family)
            else:
                PAUSE.wait(0.2)
            assert driver.starts < 40, (directory / "log.txt").read_text()[-3000:]
        check_same("optimise", whole, directory)
        if ray is not None and not wait_until(lambda: not ray.actors(), GONE):
            wrong.append("workers outlived the run")
        if is_locked(slot):
            wrong.append("the slot is held after the run")
    return kills, wrong


def strike(driver: Driver, ray: LocalRay | None, draw: random.Random, kinds: list[str]) -> str:
    """Kill something; what it was, empty where there was nothing of the kind."""
    kind = draw.choice(kinds)
    if kind == "run":
        driver.process.kill()
    elif kind == "ray" and ray is not None:
        ray.kill()
    else:
        workers = ray.actors() if ray else crew_of(driver)
        if not workers:
            return ""
        with suppress(psutil.NoSuchProcess):
            draw.choice(workers).kill()
    return kind


def crew_of(driver: Driver) -> list[psutil.Process]:
    """The processes that imagine: children of the fork server, which is a child of the run."""
    found = []
    for process in driver.helpers():
        with suppress(psutil.NoSuchProcess):
            if process.ppid() != driver.process.pid:
                found.append(process)
    return found


def look(
    driver: Driver, ray: LocalRay | None, killed: str, family: list[psutil.Process]
) -> list[str]:
    """After a kill: what it left that it should not have; Ray is started again."""
    if killed == "worker":
        return []
    if killed == "run":
        driver.process.wait()
    wrong = []
    if not wait_until(lambda: not any(map(lives, family)), GONE):
        wrong.append(f"workers outlived a killed {killed}")
    if killed == "run" and is_locked(driver.slot):
        wrong.append("the slot of a killed run is held")
    if killed == "ray" and ray is not None:
        ray.start()
    return wrong


def lives(process: psutil.Process) -> bool:
    """Whether it runs; what only waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_kills_of_workers_that_are_processes(
    tiny: Tiny, tmp_path: Path, record_property: Callable[..., Any]
) -> None:
    kills, wrong = drill(tmp_path, {**tiny[1], **DREAMT, "workers": 2}, None)
    record_property("kills", dict(kills))
    assert not wrong


@pytest.fixture
def local_ray() -> Iterator[LocalRay]:
    ray = LocalRay()
    yield ray
    ray.close()


def test_kills_of_workers_that_are_actors(
    tiny: Tiny, tmp_path: Path, local_ray: LocalRay, record_property: Callable[..., Any]
) -> None:
    options = {**tiny[1], **DREAMT, "workers": 2, "ray": local_ray.address}
    kills, wrong = drill(tmp_path, options, local_ray)
    record_property("kills", dict(kills))
    assert not wrong


@pytest.mark.parametrize("seconds", [0.0, 3.0])
def test_a_cluster_that_is_started_anew_does_not_hold_a_run_for_ever(
    tiny: Tiny, tmp_path: Path, seconds: float
) -> None:
    """It knows neither the run nor its workers; the next attempt goes on from the checkpoint."""
    ray = LocalRay()
    try:
        options = {**tiny[1], **DREAMT, "workers": 2, "ray": ray.address}
        directory = prepared(tmp_path / "run", "optimise", options)
        driver = Driver(directory, tmp_path / "slot.lock")
        assert wait_until(driver.is_imagining, 60)
        PAUSE.wait(seconds)
        ray.kill()
        ray.start()
        assert wait_until(lambda: driver.process.poll() is not None, 120), "it waits for ever"
        while driver.process.poll() != 0:
            assert driver.starts < 4, (directory / "log.txt").read_text()[-3000:]
            driver.start()
            assert wait_until(lambda: driver.process.poll() is not None, 180)
    finally:
        ray.close()
