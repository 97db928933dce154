"""One server and one browser for all journeys: the real app.py in a process of its own.

They end with the last journey: Playwright keeps an event loop running, which others cannot have.

The shipped demo is used where it is there; a checkout without it gets one of random weights.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from engine.records.types import Outcome, Trajectory
from storage.cabinet import open_cabinet
from storage.workspace import open_workspace
from tests.app.real_demo import build_demo
from tests.storage.source_server import SourceServer

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "storage" / "demo"
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
# Without the later flags Chromium looks up hosts that a closed network refuses.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP evil.example 127.0.0.1",  # a foreign name of this machine
]
PATIENCE = 90_000  # milliseconds; a loaded machine is slow, and nothing here waits without need
EPISODES = 24
# What Gradio says of a page that is left while it asks; the headless shell hears its last words.
LEFT = ("AbortError: signal is aborted", "Unexpected error Connection errored out")

expect.set_options(timeout=PATIENCE)


@dataclass
class Server:
    """A running studio."""

    address: str
    data: Path
    process: "subprocess.Popen[bytes]"
    log: Path

    def is_open(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.address}/gradio_api/healthz", timeout=5) as answer:
                return bool(json.load(answer)["ok"])
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False


@dataclass
class Problems:
    """What the browser complained about."""

    seen: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Remember the errors of a page from now on."""
        page.on("console", lambda message: message.type == "error" and self.add(message.text))
        page.on("pageerror", lambda error: self.add(str(error)))

    def add(self, text: str) -> None:
        """Remember an error, unless it is only that a page was left."""
        if not text.startswith(LEFT):
            self.seen.append(text)


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if any(SHIPPED.glob("checkpoints/*/manifest.json")):
        return SHIPPED
    return build_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="package")
def web() -> Iterator[SourceServer]:
    """Where checkpoints can be fetched from; the studio trusts it."""
    web = SourceServer()
    yield web
    web.end()


@pytest.fixture(scope="package")
def server(
    demo: Path, web: SourceServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("studio")
    stock(root / "data")
    server = start_server(root, demo, hosts=web.host)
    yield server
    end_runs(server.data)
    server.process.terminate()
    assert server.process.wait(60) == 0, server.log.read_text()


def start_server(
    root: Path, demo: Path, *, hosts: str = "", port: int | None = None, **variables: str
) -> Server:
    """app.py over `root`/data in a process of its own; returns once it answers."""
    port = port or free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if name != "SPACE_ID"},
        "GRADIO_SERVER_PORT": str(port),
        "WMPO_DATA_DIR": str(root / "data"),
        "WMPO_DEMO_DIR": str(demo),
        "WMPO_SOURCE_HOSTS": hosts,
        "OMP_NUM_THREADS": "1",
        **variables,
    }
    with (root / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    server = Server(f"http://127.0.0.1:{port}", root / "data", process, root / "log.txt")
    pause = threading.Event()
    while not server.is_open():
        assert process.poll() is None, server.log.read_text()
        pause.wait(0.3)
    return server


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stock(data: Path, episodes: int = EPISODES) -> None:
    """Put some imagined episodes into a new data directory, so that there is something to judge."""
    cabinet = open_cabinet(open_workspace(data), demo=SHIPPED)
    for number in range(episodes):
        cabinet.trajectories.add(episode(number))
    cabinet.close()


def episode(number: int) -> Trajectory:
    """Twenty-four actions of a bright square that wanders over a grey table."""
    frames = np.full((25, 64, 64, 3), 96, np.uint8)
    for step in range(25):
        left = 4 + step + number
        frames[step, 20 + number : 34 + number, left : left + 14] = (79, 70, 229)
    probabilities = np.linspace(0.05, 0.5 + number / 50, 18).astype(np.float32)
    return Trajectory(
        id=f"journey-{number:02d}",
        task="coffee-push",
        start_id=300_000 + number,
        instruction="push the mug under the coffee machine",
        imagined=True,
        outcome=Outcome(number % 2 == 0, 24),
        frames=frames,
        actions=np.sin(np.arange(96, dtype=np.float32) / 9).reshape(24, 4),
        arrays={"window_ends": np.arange(8, 26), "window_probabilities": probabilities},
        lineage={"created": 1_000.0 + number, "threshold": 0.6},
    )


def end_runs(data: Path) -> None:
    """Tell whatever still runs to end: workers outlive the app on purpose."""
    for directory in (data / "runs").iterdir():
        (directory / "control.json").write_text(json.dumps({"control": "cancel"}))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def problems() -> Problems:
    return Problems()


@contextmanager
def visitor(browser: Browser, server: Server, problems: Problems) -> Iterator[Page]:
    """The page of somebody who never was here; errors in the console fail at the end."""
    context = browser.new_context(
        base_url=server.address, viewport={"width": 1440, "height": 900}, color_scheme="light"
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    problems.watch(page)
    yield page
    context.close()
    assert problems.seen == []


@pytest.fixture
def page(
    browser: Browser, server: Server, problems: Problems, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A new visitor; a failure leaves a picture."""
    with visitor(browser, server, problems) as page:
        yield page
        if request.node.stash.get(FAILED, False):
            page.screenshot(path=server.log.parent / f"{request.node.name}.png")


@pytest.fixture(scope="module")
def shared_page(browser: Browser, server: Server) -> Iterator[Page]:
    """One visitor for all tests of a file: opening a page costs seconds."""
    with visitor(browser, server, Problems()) as page:
        yield page


@pytest.fixture
def imagine(page: Page) -> Page:
    """The page Imagine with its first start chosen and nothing imagined yet."""
    return open_imagine(page)


def all_saved(page: Page) -> None:
    """Wait until the studio has everything that was said in this browser."""
    page.wait_for_function(
        "!Object.keys(localStorage).some((name) => name.startsWith('wmpo.unsent.'))"
    )


def open_imagine(page: Page) -> Page:
    """Go to Imagine and wait for its first start."""
    page.goto("/imagine")
    expect(page.get_by_role("radio", name="start 300,000")).to_be_checked()
    expect(page.get_by_text("compatible · ")).to_be_visible()
    return page


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
    return report
