"""A public studio over HTTP: who asks is known behind the queue too, and nobody fills it."""

import asyncio
import json
import re
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from app.access import LIMITS
from app.live.models import Models
from app.studio import Studio
from app.ui import site
from app.visitors import Role, Seal
from app.web.sessions import Logins
from engine.records.types import Outcome, Trajectory
from storage.workspace import open_workspace
from tests.app.conftest import OPTIMISE, START, load_fake, make_demo

# Gradio sums up its queue with an option of pandas that is going away.
pytestmark = pytest.mark.filterwarnings("ignore:.*no_silent_downcasting")
CALL = "gradio_api/component_server"
MOST_WAITING = LIMITS[Role.VISITOR].waiting_events or 0


class Held:
    """A policy that is loaded when a test says so: what is imagined before waits."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, directory: Path, placement: object = None) -> Any:
        if directory.name == "base":
            self.go.wait(60)
        return load_fake(directory)


class PublicSite:
    """A public studio that is served, and its browsers."""

    def __init__(self, root: Path) -> None:
        self.held = Held()
        self.studio = Studio(
            open_workspace(root / "data"),
            demo=make_demo(root / "demo"),
            role=Role.VISITOR,
            models=Models(self.held),
            supervise=False,
        )
        self.studio.cabinet.trajectories.add(_episode())
        blocks = site.build(self.studio, device="CPU", instruction="push the mug", horizon=48)
        seal = Seal(root / "secret")
        visitors = site.Visitors(seal=seal, access=self.studio.access, logins=Logins())
        self.blocks = blocks
        self.address = site.launch(
            blocks, data_directory=self.studio.data_directory, visitors=visitors
        )
        config = httpx.get(f"{self.address}config").json()
        self.homes = {
            name: component["id"]
            for component in config["components"]
            for name in component["props"].get("server_fns") or []
        }

    def browser(self, address: str) -> httpx.Client:
        """Somebody who opened a page, from an address of their own."""
        browser = httpx.Client(
            base_url=self.address, headers={"x-forwarded-for": address}, timeout=60
        )
        browser.get("/")
        return browser

    def question(self, name: str, data: object) -> dict[str, Any]:
        """What a script sends."""
        told = {"component_id": self.homes[name], "fn_name": name, "data": data}
        return told | {"session_hash": "x"}

    def close(self) -> None:
        self.held.go.set()
        self.blocks.close()
        self.studio.close()


def _episode() -> Trajectory:
    return Trajectory(
        id="episode-1",
        task="coffee-push",
        start_id=START,
        instruction="push the mug",
        imagined=True,
        outcome=Outcome(True, 2),
        frames=np.zeros((3, 8, 8, 3), np.uint8),
        actions=np.zeros((2, 4), np.float32),
        lineage={"created": 1_000.0},
    )


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicSite]:
    public = PublicSite(tmp_path_factory.mktemp("public"))
    yield public
    public.close()


def label() -> dict[str, Any]:
    stroke = {"event_id": str(uuid.uuid4()), "episode_id": "episode-1", "outcome": "fail"}
    return {"strokes": [stroke]}


def called(browser: httpx.Client, name: str, data: list[Any]) -> str:
    """What an endpoint of the API answered, through Gradio's queue."""
    event = browser.post(f"/gradio_api/call/{name}", json={"data": data}).json()["event_id"]
    return browser.get(f"/gradio_api/call/{name}/{event}").text


def said(public: PublicSite) -> list[str]:
    return [str(event["actor"]) for event in public.studio.episodes.judging.labels.history()]


def test_behind_the_queue_it_is_still_known_who_asks(public: PublicSite) -> None:
    public.held.go.set()
    ann, ben = public.browser("10.0.1.1"), public.browser("10.0.1.2")
    ann.post(CALL, json=public.question("judge", label()))
    words = label()["strokes"][0] | {"event_id": str(uuid.uuid4())}
    data = [
        "episode-1",
        "success",
        None,
        words["event_id"],
        None,
        None,
        "",
        None,
        "ben",
        None,
        None,
    ]
    assert "complete" in called(ann, "label", data)
    first, second = said(public)[:2]
    assert first == second != "guest:ben"
    correction = [*data[:3], str(uuid.uuid4()), *data[4:7], words["event_id"], "ann", None, None]
    assert "somebody else" in called(ben, "label", correction)
    options = OPTIMISE | {"groups": 2, "max_groups": 4}
    [run] = re.findall(r"optimise-[\w-]+", called(ann, "start_run", ["optimise", options]))
    assert "only who began" in called(ben, "stop_run", [run])
    assert run in called(ann, "stop_run", [run])


def test_one_visitor_cannot_fill_the_queue(public: PublicSite) -> None:
    public.studio.dreams.models._models.clear()
    public.held.go.clear()
    greedy, other = public.browser("10.0.2.1"), public.browser("10.0.2.2")
    data = ["demo/base", "demo/world", "demo/reward", START, "", 0, 4]
    answers = [
        greedy.post("/gradio_api/call/imagine", json={"data": data})
        for _ in range(2 * MOST_WAITING)
    ]
    assert [one.status_code for one in answers] == [200] * MOST_WAITING + [429] * MOST_WAITING
    assert answers[-1].json()["detail"] == (
        f"{MOST_WAITING} of your calls wait already: wait for one of them"
    )
    kept = other.post("/gradio_api/call/list_episodes", json={"data": [None]})
    assert kept.status_code == 200
    assert other.post(CALL, json=public.question("judge", label())).json()["acks"][0]["saved"]
    public.held.go.set()


def test_a_quota_is_a_429_with_a_sentence(public: PublicSite) -> None:
    browser = public.browser("10.0.3.1")
    most = int(LIMITS[Role.VISITOR].rates["exports"].burst)
    question = public.question("export_episode", {"episode": "episode-1", "format": "zip"})
    answers = [browser.post(CALL, json=question) for _ in range(most + 1)]
    assert [one.status_code for one in answers] == [200] * most + [429]
    assert "too many exports" in answers[-1].json()["refused"]


def test_uploads_are_counted_by_their_bytes(public: PublicSite) -> None:
    browser = public.browser("10.0.4.1")
    files = [("files", ("a.png", bytes(30 * 2**20), "image/png"))]
    answers = [browser.post("/gradio_api/upload", files=files) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert "too many megabytes" in answers[-1].json()["detail"]


async def flood(address: str, question: dict[str, Any], requests: int, each: float) -> list[Any]:
    """Requests at a pace that no answer changes; the answers."""
    headers = {"x-forwarded-for": "10.0.9.9"}
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(
        base_url=address, headers=headers, timeout=120, limits=limits
    ) as browser:
        await browser.get("/")
        never = asyncio.get_running_loop().create_future()
        began, sent = time.monotonic(), []
        for number in range(requests):
            left = max(0.0, began + number * each - time.monotonic())
            await asyncio.wait([never], timeout=left)
            sent.append(asyncio.create_task(browser.post(CALL, json=question)))
        return await asyncio.gather(*sent)


def others(public: PublicSite, labels: int, flooding: threading.Thread) -> list[float]:
    """Seconds that the label posts of somebody else take while there is a flood."""
    other, taken = public.browser("10.0.9.1"), []
    flooding.start()
    while flooding.is_alive() or len(taken) < labels:
        began = time.monotonic()
        answer = other.post(CALL, json=public.question("judge", label()))
        assert answer.status_code == 200, answer.text
        assert "saved" in answer.json()["acks"][0]
        taken.append(time.monotonic() - began)
        threading.Event().wait(0.6)  # as fast as a person labels
    return taken


@pytest.mark.parametrize(
    "seconds", [2, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(300)])]
)
def test_who_floods_waits_and_nobody_else_does(
    public: PublicSite, seconds: int, record_property: Callable[[str, object], None]
) -> None:
    answers: list[Any] = []
    find = public.question("find", {})

    def run() -> None:
        answers.extend(asyncio.run(flood(public.address, find, 200 * seconds, 1 / 200)))

    taken = others(public, 3, threading.Thread(target=run))
    statuses = [one.status_code for one in answers]
    assert len(statuses) == 200 * seconds and set(statuses) == {200, 429}
    refused = [one for one in answers if one.status_code == 429]
    assert all("too many questions" in one.json()["detail"] for one in refused)
    rate = LIMITS[Role.VISITOR].rates["questions"]
    assert len(statuses) - len(refused) >= rate.burst
    record_property("median seconds of a label post", statistics.median(taken))
    print(  # noqa: T201
        json.dumps({"labels": len(taken), "median": statistics.median(taken), "most": max(taken)})
    )
