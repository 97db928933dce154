"""A studio that is used for long is as large as after a few minutes.

`pytest -m soak tests/e2e/test_memory.py -s` tells what was seen.
"""

import itertools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from gradio_client import Client
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Problems, Server, start_server, stock, visitor

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

EPISODES = int(os.environ.get("WMPO_DRILL_EPISODES", "300"))
PAGES = ("", "imagine", "label", "episodes", "models", "reward", "train", "data", "fidelity")
LOADS, FIRST = 100, 20


@pytest.fixture
def used(demo: Path, tmp_path: Path) -> Iterator[Server]:
    stock(tmp_path / "data")
    server = start_server(tmp_path, demo)
    yield server
    server.process.terminate()
    server.process.wait(60)


def test_episodes_and_pages_leave_no_memory_behind(used: Server, browser: Browser) -> None:
    process = psutil.Process(used.process.pid)
    client = Client(used.address, verbose=False)
    first: dict[str, str] = {}
    for record in client.predict(api_name="/list_checkpoints"):
        first.setdefault(record["role"], record["id"])
    seeds = itertools.count()

    def imagine(episodes: int) -> None:
        for seed in itertools.islice(seeds, episodes):
            settings = first | {"start_id": 300_000 + seed % 20, "instruction": "", "seed": seed}
            settings["denoising_steps"] = 1  # as much is kept of an episode, and it is sooner there
            assert client.predict(**settings, api_name="/imagine")["id"]

    def look(loads: int) -> None:
        with visitor(browser, used, Problems()) as page:
            for name in itertools.islice(itertools.cycle(PAGES), loads):
                page.goto(f"/{name}")
                expect(page.locator("header.wm-header")).to_be_visible()

    def at_rest() -> int:
        """Bytes, the least of ten seconds: what is free is given back every five."""
        pause = threading.Event()
        return min((pause.wait(1), process.memory_info().rss)[1] for _ in range(10))

    imagine(FIRST)
    look(2 * len(PAGES))
    sizes = [at_rest()]
    for part in range(10):
        imagine(EPISODES // 10)
        look(LOADS // 10)
        sizes.append(at_rest())
        print(json.dumps({"episodes": FIRST + (part + 1) * EPISODES // 10, "rss": sizes}))  # noqa: T201
    assert sizes[-1] < 1.05 * sizes[0], sizes
