"""Sixty keys in twenty seconds, with and without a killed server, and two people on one queue.

`pytest -m soak tests/e2e/test_label_drills.py -s` tells what was seen.
"""

import dataclasses
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from engine.records.types import Label
from storage.cabinet import Cabinet, open_cabinet
from storage.events.labels import LabelStore
from storage.judging.queue_orders import Place
from storage.workspace import open_workspace
from tests.e2e.conftest import Server, all_saved, episode, start_server

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

KEYS = "sfusffsufs" * 6
OUTCOMES = {"s": "success", "f": "fail", "u": "unsure"}
CLIPS = [f"clip-{number:02d}" for number in range(70)]
SECONDS = 20.0


@pytest.fixture
def studio(demo: Path, tmp_path: Path) -> Iterator[Server]:
    """A studio with a queue `sixty` of seventy clips for one person each."""
    (tmp_path / "data").mkdir()
    cabinet = open_cabinet(open_workspace(tmp_path / "data"), demo=tmp_path)
    for number, clip in enumerate(CLIPS):
        cabinet.trajectories.add(
            dataclasses.replace(episode(number % 20), id=clip, start_id=400_000 + number)
        )
    places = [Place(episode_id=clip) for clip in CLIPS]
    told = {"filter": {}, "order": "random", "gold": 0}
    cabinet.queues.add("sixty", places, query=told, overlap=1)
    cabinet.close()
    server = start_server(tmp_path, demo)
    yield server
    server.process.terminate()
    server.process.wait(60)


def visitor(browser: Browser, server: Server, name: str) -> tuple[BrowserContext, Page]:
    """A person with a browser of their own, at the queue, who sees the first clip."""
    context = browser.new_context(base_url=server.address, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(120_000)
    context.add_init_script(f"localStorage.setItem('wmpo.actor', JSON.stringify('{name}'))")
    page = context.new_page()
    page.goto("/label?queue=sixty")
    page.wait_for_function("document.querySelectorAll('.upcoming img').length === 6")
    expect(page.get_by_text("fetching the clip…")).to_have_count(0)
    return context, page


def press(page: Page, key: str) -> str:
    """Judge the clip on screen, once it is there; its name."""
    page.wait_for_function(
        "document.querySelector('.judge-page .note')?.textContent === ''"
        " && document.querySelector('.this-clip dd')"
    )
    shown = page.locator(".judge-page .this-clip dd").first.inner_text()
    page.keyboard.press(key)
    return shown


def stored(server: Server) -> Cabinet:
    """The data of a studio that was closed."""
    server.process.terminate()
    assert server.process.wait(60) == 0
    return open_cabinet(open_workspace(server.data), demo=server.data / "nothing")


def said(labels: LabelStore) -> list[tuple[str, str | None]]:
    return [(label.episode_id, label.outcome) for label in labels.all()]


def expected(keys: str, shown: list[str]) -> list[tuple[str, str | None]]:
    return [(clip, OUTCOMES[key]) for clip, key in zip(shown, keys, strict=True)]


def twin_equals_database(server: Server, cabinet: Cabinet) -> bool:
    """Whether a database made anew from the twin holds the same events."""
    before = cabinet.labels.events()
    cabinet.close()
    (server.data / "studio.duckdb").unlink()
    rebuilt = open_cabinet(open_workspace(server.data), demo=server.data / "nothing")
    after = rebuilt.labels.events()
    rebuilt.close()
    return before == after


def test_sixty_keys_in_twenty_seconds(studio: Server, browser: Browser) -> None:
    context, page = visitor(browser, studio, "ann")
    begun, shown = time.monotonic(), []
    for number, key in enumerate(KEYS):
        shown.append(press(page, key))
        left = begun + (number + 1) * SECONDS / len(KEYS) - time.monotonic()
        page.wait_for_timeout(max(0.0, 1000 * left))
    took = time.monotonic() - begun
    all_saved(page)
    context.close()
    cabinet = stored(studio)
    print(f"\n60 keys in {took:.1f} s, {len(cabinet.labels.all())} events")
    assert shown == CLIPS[:60]
    assert said(cabinet.labels) == expected(KEYS, shown)
    assert twin_equals_database(studio, cabinet)


def test_sixty_keys_while_the_server_is_killed(
    studio: Server, browser: Browser, demo: Path
) -> None:
    context, page = visitor(browser, studio, "ann")
    revived: list[Server] = []

    def kill_and_revive() -> None:
        os.kill(studio.process.pid, signal.SIGKILL)
        studio.process.wait()
        port = int(studio.address.rsplit(":", 1)[1])
        revived.append(start_server(studio.data.parent, demo, port=port))

    begun, shown, rescue = time.monotonic(), [], threading.Thread(target=kill_and_revive)
    for number, key in enumerate(KEYS):
        if number == 30:
            rescue.start()
        shown.append(press(page, key))
        left = begun + (number + 1) * SECONDS / len(KEYS) - time.monotonic()
        page.wait_for_timeout(max(0.0, 1000 * left))
    took = time.monotonic() - begun
    rescue.join()
    all_saved(page)
    context.close()
    studio.process = revived[0].process
    cabinet = stored(studio)
    print(f"\n60 keys in {took:.1f} s around a kill, {len(cabinet.labels.all())} events")
    assert shown == CLIPS[:60]
    assert said(cabinet.labels) == expected(KEYS, shown)
    assert twin_equals_database(studio, cabinet)


def test_two_people_on_one_queue(studio: Server, browser: Browser) -> None:
    people = {name: visitor(browser, studio, name) for name in ("ann", "ben")}
    shown: dict[str, list[str]] = {name: [] for name in people}
    for number, key in enumerate(KEYS):
        name = ("ann", "ben")[number % 2]
        shown[name].append(press(people[name][1], key))
    for context, page in people.values():
        all_saved(page)
        context.close()
    cabinet = stored(studio)
    labels: list[Label] = cabinet.labels.all()
    print(f"\n{Counter(label.actor for label in labels)} over {len(labels)} events")
    assert Counter(label.episode_id for label in labels).most_common(1)[0][1] == 1
    for name, clips in shown.items():
        assert [label.episode_id for label in labels if label.actor == name] == clips
    assert twin_equals_database(studio, cabinet)
