"""A public studio over HTTP: who asks is known behind the queue too, and nobody fills it."""

import json
import re
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client

from app.access import COSTS, LIMITS
from app.live.models import Models
from app.live.simulator import Simulator
from app.studio import Studio
from app.ui import site
from app.visitors import Role, Seal
from app.web.sessions import COOKIE, Logins
from engine.records.types import Outcome, Trajectory
from storage.workspace import open_workspace
from tests.app.conftest import OPTIMISE, START, load_fake, make_demo

# Gradio sums up its queue with an option of pandas that is going away.
Way = Callable[["PublicSite", httpx.Client], httpx.Response]
pytestmark = pytest.mark.filterwarnings("ignore:.*no_silent_downcasting")
CALL = "gradio_api/component_server"
MOST_WAITING = LIMITS[Role.VISITOR].waiting_events or 0
WAITING_RUNS = LIMITS[Role.VISITOR].waiting_runs or 0
REWARD = {"reward_model": "demo/reward", "rows": 1}


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
            simulator=Simulator(_no_simulator),
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


def _no_simulator(task: object) -> Any:
    raise ValueError("there is no simulator here")


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


def served(name: str, data: object) -> Way:
    """A question of a page's script."""
    return lambda public, browser: browser.post(CALL, json=public.question(name, data))


def called_by_name(name: str, *data: object) -> Way:
    """A call of the API, as a program may send it."""
    return lambda _, browser: browser.post(f"/gradio_api/call/{name}", json={"data": data})


def joined(name: str, *data: object) -> Way:
    """An event, as pages and `gradio_client` send it: the function has a number."""

    def send(public: PublicSite, browser: httpx.Client) -> httpx.Response:
        [number] = [key for key, fn in public.blocks.fns.items() if fn.api_name == name]
        body = {"fn_index": number, "data": data, "session_hash": "x"}
        return browser.post("/gradio_api/queue/join", json=body)

    return send


def got(path: str) -> Way:
    """What a browser asks for by itself."""
    return lambda _, browser: browser.get(path)


def upload(_: PublicSite, browser: httpx.Client) -> httpx.Response:
    return browser.post(
        "/gradio_api/upload", files=[("files", ("a.png", b"x" * 2**16, "image/png"))]
    )


LABEL = ("episode-1", "fail", None, "event-1", None, None, "", None, "me", None, None)
DREAM = ("demo/base", "demo/world", "demo/reward", START, "", 0, 4)
# Each limit, and every way to reach it.
WAYS: dict[str, list[Way]] = {
    "pages": [
        got("/"),
        *(got("/label"), got("/config"), got("/gradio_api/info"), got("/gradio_api/openapi.json")),
    ],
    "films and scripts": [got("/theme.css"), got("/gradio_api/file=x.png")],
    "questions": [served("find", {})],
    "calls of the API": [
        *(called_by_name("list_episodes", None), joined("list_episodes", None)),
        lambda _, browser: browser.post("/gradio_api/run/list_episodes", json={"data": [None]}),
        lambda _, browser: browser.post("/gradio_api/api/list_episodes", json={"data": [None]}),
    ],
    "uploads": [upload],
    "megabytes of uploads": [upload],
    "megabytes of uploads today": [upload],
    "labels": [
        *(served("judge", {"strokes": [{}]}), called_by_name("label", *LABEL)),
        joined("label", *LABEL),
    ],
    "saved episodes": [called_by_name("imagine", *DREAM), joined("imagine", *DREAM)],
    "pictures": [joined("on_upload", None, "coffee-push")],
    "exports": [
        served("export_episode", {"episode": "episode-1", "format": "zip"}),
        served("export", {"what": "labels", "format": "jsonl"}),
    ],
    "episodes played in the simulator": [served("twin_episode", {"episode_id": "episode-1"})],
    "runs": [
        called_by_name("start_run", "optimise", OPTIMISE),
        *(joined("start_run", "optimise", OPTIMISE), joined("on_launch")),
    ],
}


@pytest.mark.parametrize(
    ("what", "way"),
    [
        pytest.param(what, way, id=f"{what} {number}")
        for what, ways in WAYS.items()
        for number, way in enumerate(ways)
    ],
)
def test_every_limit_is_a_429_with_a_sentence(public: PublicSite, what: str, way: Way) -> None:
    browser = public.browser(f"10.0.3.{len(what)}")
    name = browser.cookies[COOKIE].partition(".")[0]
    rate = LIMITS[Role.VISITOR].rates[what]
    public.studio.access.buckets.take(what, name, rate, rate.burst)  # what they may have at once
    answer = way(public, browser)
    assert answer.status_code == 429
    [told] = answer.json().values()
    assert re.fullmatch(rf"That is too many {what} for one visitor .* again in .*\.", told)


def test_no_limit_was_left_out_of_these_ways() -> None:
    assert WAYS.keys() == LIMITS[Role.VISITOR].rates.keys() >= set(COSTS.values())


def test_a_call_that_is_refused_costs_nothing(public: PublicSite) -> None:
    browser = public.browser("10.0.3.97")
    for _ in range(2 * int(LIMITS[Role.VISITOR].rates["runs"].burst)):
        assert "error" in called(browser, "start_run", ["no such job", {}])


def test_what_has_no_room_is_a_429_with_a_sentence(public: PublicSite) -> None:
    browser, options = public.browser("10.0.3.99"), OPTIMISE | {"groups": 2, "max_groups": 4}
    while len(public.studio.cabinet.runs.unfinished()) < WAITING_RUNS:
        public.studio.runs.start("optimise", options)
    for way in WAYS["runs"]:
        answer = way(public, browser)
        assert answer.status_code == 429 and "runs are waiting" in answer.json()["detail"]
    load = served("load", {"policy": "demo/base", "world_model": "demo/world", **REWARD})
    load(public, browser)
    for _ in range(6):  # its parts, one after the other
        public.studio.dreams.call(int)
    again = load(public, browser)
    assert again.status_code == 429 and "were loaded a moment ago" in again.json()["refused"]


def test_a_client_of_the_api_is_told_so(public: PublicSite) -> None:
    browser = public.browser("10.0.3.98")
    headers = {"x-forwarded-for": "10.0.3.98", "cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    client = Client(public.address, headers=headers, verbose=False)
    rate, name = LIMITS[Role.VISITOR].rates["labels"], browser.cookies[COOKIE].partition(".")[0]
    public.studio.access.buckets.take("labels", name, rate, rate.burst)
    with pytest.raises(httpx.HTTPStatusError) as told:
        client.predict(*LABEL, api_name="/label")
    assert "too many labels" in told.value.response.json()["detail"]


def test_nobody_goes_round_the_queue(public: PublicSite) -> None:
    browser = public.browser("10.0.3.96")
    for path in ("run", "api"):
        answer = browser.post(f"/gradio_api/{path}/imagine", json={"data": list(DREAM)})
        assert answer.status_code == 404


def test_uploads_are_counted_by_their_bytes(public: PublicSite) -> None:
    browser = public.browser("10.0.4.1")
    files = [("files", ("a.png", bytes(30 * 2**20), "image/png"))]
    answers = [browser.post("/gradio_api/upload", files=files) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert "too many megabytes" in answers[-1].json()["detail"]


def others(public: PublicSite, labels: int, flooding: "subprocess.Popen[str]") -> list[float]:
    """Seconds that the label posts of somebody else take while there is a flood."""
    other, taken = public.browser("10.0.9.1"), []
    while flooding.poll() is None or len(taken) < labels:
        began = time.monotonic()
        answer = other.post(CALL, json=public.question("judge", label()))
        assert answer.status_code == 200, answer.text
        assert "saved" in answer.json()["acks"][0]
        taken.append(time.monotonic() - began)
        threading.Event().wait(0.6)  # as fast as a person labels
    return taken


@pytest.mark.parametrize(
    "seconds", [2, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
def test_who_floods_waits_and_nobody_else_does(
    public: PublicSite, seconds: int, tmp_path: Path
) -> None:
    question, number = tmp_path / "question", 200 * seconds
    question.write_text(json.dumps(public.question("find", {})))
    command = [sys.executable, "-m", "tests.app.flood", public.address, str(question)]
    with subprocess.Popen(
        [*command, str(number), "200"], stdout=subprocess.PIPE, text=True
    ) as flooding:
        taken = others(public, 3, flooding)
        told = json.loads(flooding.communicate()[0])
    median, most = round(statistics.median(taken), 3), round(max(taken), 3)
    print(json.dumps(told | {"labels": len(taken), "median": median, "most": most}))  # noqa: T201
    statuses = told["statuses"]
    assert statuses.keys() == {"200", "429"} and sum(statuses.values()) == number
    assert statuses["200"] >= LIMITS[Role.VISITOR].rates["questions"].burst
    assert all("too many questions" in one or "on their way" in one for one in told["sentences"])
