"""Owners and limits on a public studio: what a visitor may do to what others began."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.access import LIMITS, OF_ADDRESS, Access
from app.rates import Buckets, Rate, TooMuchError
from app.runs.launcher import Control
from app.studio import Studio
from app.visitors import Person, Role, Seal, asking, person, visitor
from app.web.questions import ask
from app.web.sessions import COOKIE, Logins, Sessions, logins
from app.web.turnstile import OPEN, Turnstile
from engine.records.types import Trajectory
from tests.app.conftest import START

Make = Callable[..., Trajectory]
A, B, HOUSE = "visitor-a-0000000", "visitor-b-0000000", ""
EVENT = {"event_id": "event-0001", "episode_id": "episode-1", "outcome": "fail"}
RATES = LIMITS[Role.VISITOR].rates
CALL = "/gradio_api/component_server"


async def _who(request: Request) -> PlainTextResponse:
    return PlainTextResponse(visitor())


async def _page(request: Request) -> HTMLResponse:
    return HTMLResponse("<head></head>")


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(tmp_path: Any, clock: Clock) -> Callable[[], TestClient]:
    """Makes browsers of one public studio, each of which keeps its own cookies."""
    access = Access(Role.VISITOR, Buckets(clock))
    routes = [Route("/", _page), Route("/{path:path}", _who, methods=["POST", "GET"])]
    middleware = [
        Middleware(Sessions, seal=Seal(tmp_path / ".secret")),
        Middleware(Turnstile, access=access, waiting=lambda name: 4 * (name == "at-busy")),
    ]
    app = Starlette(routes=routes, middleware=middleware)
    return lambda: TestClient(app)


def test_a_visitor_is_known_again_and_cannot_be_forged(site: Callable[[], TestClient]) -> None:
    ann, ben = site(), site()
    for browser in (ann, ben):
        browser.get("/")
    names = [browser.post(CALL).text for browser in (ann, ann, ben)]
    assert names[0] == names[1] != names[2]
    forged = site().post(CALL, headers={"cookie": f"{COOKIE}={names[0]}.{'0' * 32}"})
    assert forged.text.startswith("at-")
    assert site().post(CALL).text.startswith("at-")


def test_a_seal_outlives_the_studio_and_belongs_to_it(tmp_path: Any) -> None:
    first, again = Seal(tmp_path / "one"), Seal(tmp_path / "one")
    signed = first.new()
    assert again.read(signed) == signed.partition(".")[0] != ""
    assert Seal(tmp_path / "other").read(signed) == ""
    assert (tmp_path / "one").stat().st_mode & 0o077 == 0


def test_a_flood_is_told_to_wait_and_others_are_not(
    site: Callable[[], TestClient], clock: Clock
) -> None:
    flood, other = site(), site()
    other.get("/", headers={"x-forwarded-for": "10.0.0.2"})
    flood.get("/")
    answers = [flood.post(CALL) for _ in range(int(RATES["questions"].burst) + 5)]
    assert [one.status_code for one in answers[-6:]] == [200, 429, 429, 429, 429, 429]
    assert (
        "too many questions" in answers[-1].json()["detail"] and answers[-1].headers["retry-after"]
    )
    assert other.post(CALL, headers={"x-forwarded-for": "10.0.0.2"}).status_code == 200
    clock.now += 1.0
    assert flood.post(CALL).status_code == 200


def test_new_cookies_do_not_help_against_the_limit_of_an_address(
    site: Callable[[], TestClient],
) -> None:
    found = []
    for _ in range(int(3 * RATES["uploads"].burst) + 1):
        browser = site()
        browser.get("/")
        # What a visitor invents stands before what the proxy wrote.
        invented = {"x-forwarded-for": f"{len(found)}.1.1.1, 10.0.0.7"}
        found.append(browser.post("/gradio_api/upload", headers=invented).status_code)
    assert found[0] == 200 and found[-1] == 429


def test_addresses_are_told_apart_as_people_are(site: Callable[[], TestClient]) -> None:
    def name(*forwarded: str) -> str:
        headers = [("x-forwarded-for", value) for value in forwarded]
        return site().post(CALL, headers=headers).text

    assert name("1.1.1.1", "10.0.0.7") == "at-10.0.0.7"  # a second line is the proxy's, too
    assert name("2001:db8:1:2::1") == name("2001:db8:1:2:ffff::9") == "at-2001:db8:1:2::/64"
    assert name("::ffff:10.0.0.7") == "at-10.0.0.7"
    assert name("unknown") == "at-unknown"


def test_new_names_do_not_help_against_a_quota() -> None:
    access, rate = Access(Role.VISITOR), RATES["runs"]
    found = 0
    for number in range(100):
        with asking(Person(f"visitor-{number:08}", place="10.0.0.7")), suppress(TooMuchError):
            access.spend("runs")
            found += 1
    assert found == OF_ADDRESS * rate.burst
    with asking(Person("somebody-else-00", place="10.0.0.8")):
        access.spend("runs")


def test_new_names_do_not_take_the_dreams_of_others(
    public: Studio, settings: dict[str, Any]
) -> None:
    def opened(name: str, place: str) -> str:
        with asking(Person(name, place=place)):
            return str(ask(public.imagine.dreams.open, settings)["dream"])

    other = opened(B, "10.0.0.8")
    own = [opened(f"visitor-{number:08}", "10.0.0.7") for number in range(110)]
    with asking(B):
        assert public.dreams.get(other)
    with asking(Person("the-admin-000000", Role.ADMIN)):
        there = [name for name in own if name in public.dreams._dreams]
        assert there == own[-25:]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_one_address_holds_few_requests_open(method: str) -> None:
    """Streams that are never read to the end, and questions whose body never ends."""
    begun: list[str] = []

    async def never(scope: Any, receive: Any, send: Any) -> None:
        begun.append(method)
        await asyncio.get_running_loop().create_future()

    async def attack() -> list[int]:
        clock = Clock()
        access = Access(Role.VISITOR, Buckets(clock))
        turnstile, statuses = Turnstile(never, access=access), []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        headers = [(b"content-length", b"2")]
        scope = {"type": "http", "method": method, "path": CALL, "headers": headers}
        tasks = []
        for number in range(5 * OPEN):
            clock.now += 60.0  # slow enough for every rate
            with asking(Person(f"visitor-{number:08}", place="10.0.0.7")):
                work = turnstile(scope, asyncio.Queue[Any]().get, send)
                tasks.append(asyncio.create_task(work))
            await asyncio.wait(tasks[-1:], timeout=0)  # it waits, or was refused
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return statuses

    refused = asyncio.run(attack())
    assert set(refused) == {429}
    assert len(refused) == (5 - OF_ADDRESS) * OPEN
    assert begun


def test_a_question_says_how_long_it_is_and_is_not_long(site: Callable[[], TestClient]) -> None:
    browser = site()
    assert browser.post(CALL, content=b"x" * 2**20).status_code == 200
    long = browser.post(CALL, content=b"x" * (3 * 2**20))
    assert long.status_code == 429 and "2 MB, not 3" in long.json()["detail"]
    endless = browser.post(CALL, content=iter([b"x"]))
    assert endless.status_code == 429 and "content-length" in endless.json()["detail"]


def test_the_memory_of_buckets_is_bounded(clock: Clock) -> None:
    buckets = Buckets(clock)
    for number in range(41_000):
        buckets.take("call", str(number), Rate(1.0, 1.0))
    assert len(buckets._levels) <= 40_000
    clock.now += 1.0
    for _ in range(20_000):
        buckets.take("call", "another", Rate(1.0, 1.0))
    assert len(buckets._levels) == 5_000


def test_a_quota_of_a_day_does_not_come_back_with_many_new_names(clock: Clock) -> None:
    buckets, runs = Buckets(clock), RATES["runs"]
    assert not buckets.take("runs", "10.0.0.7", runs, runs.burst)
    for number in range(50_000):
        clock.now += 1 / 180
        buckets.take("pages", str(number), RATES["pages"])
    assert buckets.take("runs", "10.0.0.7", runs) > 3_600.0


@pytest.fixture
def public(make_studio: Callable[..., Studio], make_trajectory: Make) -> Studio:
    studio = make_studio(role=Role.VISITOR)
    studio.cabinet.trajectories.add(make_trajectory("episode-1", start_id=START))
    return studio


def _undo(studio: Studio) -> object:
    labels = studio.episodes.judging.labels
    return labels.undo("event-0001", new_event_id="undo-00001", actor="anybody")


def _correct(studio: Studio) -> object:
    changed = {"event_id": "event-0002", "outcome": "success", "supersedes": "event-0001"}
    return studio.episodes.judging.labels.add(EVENT | changed, actor="anybody")


def _control(word: str) -> Callable[[Studio], object]:
    return lambda studio: studio.runs.control(Control(run="run-1", control=word))


# What may be done to what somebody began.
DOINGS = {
    "undo a label": _undo,
    "correct a label": _correct,
    **{f"{word} a run": _control(word) for word in ("pause", "stop", "cancel")},
}


@pytest.mark.parametrize("doing", DOINGS)
@pytest.mark.parametrize("owner", [A, B, HOUSE])
def test_a_visitor_changes_what_they_began_and_nothing_else(
    public: Studio, doing: str, owner: str
) -> None:
    with asking(owner):
        public.supervisor.submit("run-1", "tiny", {}, owner=owner)
        public.episodes.judging.labels.add(EVENT, actor="house")
    with asking(A):
        if owner == A:
            assert DOINGS[doing](public)
            return
        with pytest.raises(ValueError, match=r"somebody else|only who began"):
            DOINGS[doing](public)
    assert public.episodes.judging.labels.counts()["labelled"] == 1
    assert public.cabinet.runs.get("run-1").state == "queued"


def test_nobody_speaks_as_another(public: Studio) -> None:
    with asking(B):
        public.episodes.judging.labels.add(EVENT, actor=f"guest:{A}")
    [label] = public.episodes.judging.labels.history()
    assert label["actor"] == f"guest:{B}"


def test_a_visitor_has_few_dreams_and_takes_nobody_elses(
    public: Studio, settings: dict[str, Any]
) -> None:
    studio, most = public, LIMITS[Role.VISITOR].dreams or 0

    def opened() -> str:
        return str(ask(studio.imagine.dreams.open, settings)["dream"])

    with asking(B):
        others = opened()
    with asking(A):
        own = [opened() for _ in range(most + 2)]
    assert studio.dreams.get(others)
    for gone in own[:2]:
        with pytest.raises(LookupError):
            studio.dreams.get(gone)
    assert all(studio.dreams.get(one) for one in own[2:])


SPACE = {"SPACE_ID": "Ann/studio", "OAUTH_CLIENT_SECRET": "s", "SPACE_AUTHOR_NAME": "Ann"}


def test_the_hubs_name_is_believed_only_where_the_hub_gave_a_secret(tmp_path: Any) -> None:
    def who(name: str, told: Logins) -> str:
        class Session:
            """What Gradio's OAuth leaves in a request after it checked its own signature."""

            def __init__(self, app: Any) -> None:
                self._app = app

            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                scope["session"] = {"oauth_info": {"userinfo": {"preferred_username": name}}}
                await self._app(scope, receive, send)

        async def answer(request: Request) -> PlainTextResponse:
            found = person()
            return PlainTextResponse(f"{found.name} {found.role}" if found else "")

        seal = Seal(tmp_path / ".secret")
        app = Starlette(
            routes=[Route("/", answer)],
            middleware=[Middleware(Session), Middleware(Sessions, seal=seal, logins=told)],
        )
        return TestClient(app).get("/").text

    assert who("Ben", logins(SPACE)) == "hub-ben annotator"
    assert who("ann", logins(SPACE)) == "hub-ann admin"
    assert who("Ben", logins(SPACE | {"WMPO_ADMINS": "cy, ben"})) == "hub-ben admin"
    # Without the secret Gradio takes whoever asks for the owner.
    for lacking in SPACE:
        known = logins({name: value for name, value in SPACE.items() if name != lacking})
        if lacking != "SPACE_AUTHOR_NAME":
            assert who("ann", known).startswith("at-testclient visitor")
        else:
            assert who("ann", known) == "hub-ann annotator"


def test_roles_have_more_from_one_to_the_next() -> None:
    visitor, annotator, admin = (LIMITS[role] for role in Role)
    assert admin.rates == {} and annotator.dataset_episodes > visitor.dataset_episodes
    for name, rate in visitor.rates.items():
        assert annotator.rates[name].per_second >= rate.per_second
