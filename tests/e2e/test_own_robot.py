"""A new user: recordings of a robot taken in, labelled, trained on, dreamt; headless the same.

The recordings are those of `WMPO_CASES`, where they are kept; else small ones made here. With
`WMPO_SCREENSHOTS` the pictures of docs/recordings.md are taken on the way.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from engine.records.episodes import list_episodes, read_episode
from engine.records.events import read_run_events
from engine.records.label_set import LABELS
from engine.runs.registry import run_job
from engine.runs.run_directory import RunDirectory
from tests.e2e.conftest import Problems, Server, all_saved, end_runs, start_server, visitor
from tests.e2e.test_tour import keep, settled, walled
from tests.engine.recordings.datasets import FRONT, WRIST, lerobot_v3

pytestmark = [pytest.mark.e2e, pytest.mark.soak, pytest.mark.timeout(1800)]
EPISODES, LABELLED = 24, 20
DRAWER = Path(os.environ.get("WMPO_CASES", "/nowhere"), "lerobot", "drawer_v3_two_cameras_video")
LONG = 900_000


@pytest.fixture
def studio(demo: Path, tmp_path: Path) -> Iterator[Server]:
    """A studio that nobody used yet."""
    server = start_server(tmp_path, demo)
    yield server
    end_runs(server.data)
    server.process.terminate()
    assert server.process.wait(60) == 0, server.log.read_text()


@pytest.fixture
def user(browser: Browser, studio: Server) -> Iterator[Page]:
    with visitor(browser, studio, Problems()) as page:
        yield page


def test_from_a_strangers_recordings_to_a_policy_that_dreamt(
    user: Page, studio: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = DRAWER
    if not root.is_dir():
        root = lerobot_v3(tmp_path / "drawer", (17,) * EPISODES, cameras=(FRONT, WRIST))
    take_in(user, root)
    label(user)
    run = train(user, studio.data / "runs")
    look_at_dreams(user, studio.data / "runs" / run)
    user.goto("/start")
    expect(user.get_by_role("region", name="Your own recordings")).to_contain_text("4 real clips")

    told = json.loads((studio.data / "runs" / run / "config.json").read_text())["config"]
    frozen = (Path(told["label_set"]) / LABELS).read_text().splitlines()
    said = [json.loads(line)["success"] for line in frozen]
    assert (len(said), sum(said)) == (LABELLED, LABELLED - LABELLED // 3)
    monkeypatch.setenv("WMPO_DATA_DIR", str(studio.data))
    with closing(RunDirectory(tmp_path / "headless")) as headless:
        again = numbers(run_job("train_task", told, headless) or {})
    assert again == numbers(result_of(studio.data / "runs" / run))
    assert {name.partition("/")[0] for name in again} >= {"policy", "world_model", "optimise"}


def take_in(page: Page, root: Path) -> None:
    page.goto("/start")
    page.get_by_role("link", name="Take them in").click()
    own = page.get_by_role("region", name="Recordings of your robot")
    expect(own).to_be_in_viewport()
    own.get_by_label("File or folder of this machine").fill(str(root))
    own.get_by_label("File or folder of this machine").press("Enter")
    own.get_by_role("radio", name=re.compile("front")).check()
    own.get_by_label("name of the new task").fill("drawer")
    own.get_by_label("name of the new task").press("Tab")
    expect(own.get_by_role("button", name=f"Take in {EPISODES} recordings")).to_be_enabled()
    if "WMPO_SCREENSHOTS" in os.environ:  # of no machine's folders
        own.get_by_label("File or folder of this machine").fill("~/recordings/drawer")
        picture(page, "look")
    own.get_by_role("button", name=f"Take in {EPISODES} recordings").click()
    expect(own).to_contain_text("All came in", timeout=LONG)
    own.get_by_label("File or folder of this machine").fill(str(root))
    own.get_by_label("File or folder of this machine").press("Enter")
    own.get_by_role("radio", name=re.compile("front")).check()
    own.get_by_label("name of the new task").fill("drawer")
    own.get_by_label("name of the new task").press("Tab")
    expect(own.get_by_role("status")).to_contain_text("all of it came in already")
    expect(own.get_by_role("link", name="Look at them")).to_be_visible()


def label(page: Page) -> None:
    page.goto("/start")
    own = page.get_by_role("region", name="Your own recordings")
    expect(own).to_contain_text(f"{EPISODES} real clips")
    own.get_by_role("link", name="label them").click()
    for number in range(LABELLED):
        expect(page.get_by_role("button", name="Pause the recording")).to_be_visible()
        if number == 3:
            picture(page, "label")
        page.keyboard.press("f" if number % 3 == 2 else "s")
        expect(page.get_by_text(re.compile(rf"^{number + 1} judged"))).to_be_visible()
    all_saved(page)


def train(page: Page, runs: Path) -> str:
    page.goto("/train")
    page.get_by_label("Steps before").check()
    page.get_by_label("Train this task").check()
    page.get_by_label("quick look").check()
    page.get_by_role("listbox", name="Episodes from").or_(
        page.get_by_label("Episodes from")
    ).first.click()
    page.get_by_role("option", name=re.compile("drawer|import", re.IGNORECASE)).first.click()
    page.keyboard.press("Escape")
    start = page.get_by_role("button", name="Start training")
    expect(start).to_be_enabled()
    shown = page.url  # of the import, which is the newest run
    start.click()
    page.wait_for_url(lambda address: "run=" in address and address != shown)
    run = page.url.split("run=")[1].split("&")[0]
    now = page.locator(".now").filter(has=page.locator(f'.name[title="{run}"]'))
    expect(now.locator(".tag")).to_have_text(re.compile("done"), timeout=LONG)
    if result_of(runs / run)["optimise/rollout/success_rate"] in (0.0, 1.0):  # of too few steps
        expect(page.locator(".events")).to_contain_text("nothing was learnt, for all")
    picture(page, "trained")
    return run


def look_at_dreams(page: Page, run: Path) -> None:
    """What GRPO imagined stands on Episodes, and begins where a recording does."""
    page.goto(f"/episodes?run={run.name}")
    expect(page.locator(".shot[aria-label*=', imagined ']").first).to_be_visible()
    walled(page)
    picture(page, "dreams")
    dreams = [read_episode(p) for p in list_episodes(run / "stages" / "optimise" / "episodes")]
    assert {dream.task for dream in dreams if dream.imagined} == {"drawer"}
    recorded = [read_episode(p) for p in run.parent.glob("import_recordings-*/episodes/*")]
    firsts = {episode.start_id: episode.frames[0] for episode in recorded}
    assert len(firsts) == EPISODES
    for dream in dreams:
        np.testing.assert_array_equal(dream.frames[0], firsts[dream.start_id])
        assert len(np.unique(dream.frames[1:], axis=0)) > 1


def picture(page: Page, name: str) -> None:
    """One of docs/recordings.md, where they are asked for."""
    if "WMPO_SCREENSHOTS" in os.environ:
        settled(page)
        keep(page, f"recordings/{name}")


def result_of(run: Path) -> dict[str, Any]:
    [found] = [e["metrics"] for e in read_run_events(run / "events.jsonl") if e["kind"] == "result"]
    return dict(found)


def numbers(metrics: dict[str, Any]) -> dict[str, Any]:
    """Without what depends on the machine."""
    return {
        name: value
        for name, value in metrics.items()
        if "second" not in name and "time" not in name
    }
