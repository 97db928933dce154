"""One door for labels: whatever page they are said on, none is lost, forgotten or half told.

What was said is read from the log of labels on disk, not from the screen.
"""

import dataclasses
import json
import os
import re
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, Locator, Page, Route, expect

from engine.records.events import read_events
from engine.records.types import Outcome
from engine.runs.run_directory import RunDirectory
from tests.e2e.conftest import Problems, Server, episode, open_imagine, start_server, visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

KEPT = {"note": "the gripper let go", "failure_mode": "dropped", "end_step": 11}
KEPT |= {"span_first": 9, "span_last": 13}
SHIPPED = "iteration-0001-300129-0"  # its judge calls it a success
TOLD = 60.0  # seconds until a label that was kept has arrived


@pytest.fixture
def visited(browser: Browser, server: Server) -> Iterator[Page]:
    """A visitor whose browser may complain of a cut connection."""
    with visitor(browser, server, problems := Problems()) as page:
        yield page
        problems.seen.clear()


def said(server: Server, name: str | None = None) -> list[dict[str, Any]]:
    """The events of the log, or those of an episode, oldest first."""
    events = [dict(event) for _, event in read_events(server.data / "labels.jsonl")]
    return [event for event in events if name in (None, event["episode_id"])]


def arrived(page: Page, server: Server, number: int, name: str | None = None) -> list[Any]:
    """`said`, as soon as there are so many, or when the time is over."""
    deadline = time.monotonic() + TOLD
    while len(said(server, name)) < number and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    return said(server, name)


def outcomes(events: list[dict[str, Any]]) -> list[str | None]:
    return [event["outcome"] for event in events]


def judge_in_full(server: Server, name: str, outcome: str) -> str:
    """Say of an episode all that can be said; the event id."""
    event, client = str(uuid.uuid4()), Client(server.address, verbose=False)
    client.predict(name, outcome, None, event, actor="ann", **KEPT, api_name="/label")
    return event


def keeps(event: dict[str, Any], before: str) -> bool:
    """Whether a label names the one before it and has all that was said there."""
    return event["supersedes"] == before and {name: event.get(name) for name in KEPT} == KEPT


def dream(page: Page) -> None:
    """Imagine a chunk of a dream."""
    open_imagine(page)
    page.keyboard.press("e")
    expect(page.get_by_text("8 of 48 frames")).to_be_visible()


def save(page: Page) -> str:
    """Save the dream; its episode."""
    page.get_by_role("button", name="Save", exact=True).click()
    told = page.get_by_text(re.compile("^Saved as "))
    expect(told).to_be_visible()
    return told.inner_text().removeprefix("Saved as ")


def drawer(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Episode", exact=True)


# Imagine, while the studio is away


def test_a_label_of_imagine_said_offline_arrives_once_after_a_reload(
    visited: Page, server: Server
) -> None:
    dream(visited)
    name = save(visited)
    visited.context.set_offline(True)
    visited.keyboard.press("s")
    visited.wait_for_timeout(1_000)
    assert said(server, name) == []
    visited.context.set_offline(False)
    visited.reload()
    assert outcomes(arrived(visited, server, 1, name)) == ["success"]
    visited.reload()  # sent again, if anything is left to send
    expect(visited.get_by_text("8 of 48 frames")).to_be_visible()
    assert outcomes(said(server, name)) == ["success"]


def test_a_correction_after_a_label_said_offline_is_stored_too(
    visited: Page, server: Server
) -> None:
    dream(visited)
    name = save(visited)
    before = len(said(server, name))  # the same dream is the same episode
    visited.context.set_offline(True)
    visited.keyboard.press("s")
    visited.wait_for_timeout(1_000)
    visited.context.set_offline(False)
    visited.keyboard.press("f")
    events = arrived(visited, server, before + 2, name)[before:]
    assert outcomes(events) == ["success", "fail"]
    first, second = events
    assert second["supersedes"] == first["event_id"]


def test_a_label_of_a_dream_that_was_never_saved_arrives_with_its_episode(
    visited: Page, server: Server
) -> None:
    before = len(said(server))
    dream(visited)
    visited.context.set_offline(True)
    visited.keyboard.press("f")
    expect(visited.get_by_text(re.compile("^Offline.*1 judgement"))).to_be_visible()
    visited.context.set_offline(False)
    [event] = arrived(visited, server, before + 1)[before:]
    assert event["outcome"] == "fail"
    expect(visited.get_by_text(re.compile("^Offline"))).to_have_count(0)
    Client(server.address, verbose=False).predict(event["episode_id"], api_name="/get_episode")


@pytest.fixture
def mortal(demo: Path, tmp_path: Path) -> Iterator[Server]:
    """A studio of its own that may be killed."""
    (tmp_path / "data").mkdir()
    studio = start_server(tmp_path, demo)
    yield studio
    studio.process.terminate()
    assert studio.process.wait(60) == 0


@pytest.mark.soak
def test_a_label_outlives_a_killed_studio_and_a_refused_one_blocks_none(
    browser: Browser, demo: Path, mortal: Server
) -> None:
    with visitor(browser, mortal, problems := Problems()) as page:
        dream(page)
        name = save(page)
        page.keyboard.press("e")
        expect(page.get_by_text("16 of 48 frames")).to_be_visible()
        os.kill(mortal.process.pid, signal.SIGKILL)
        mortal.process.wait()
        page.keyboard.press("f")  # of a dream that dies with the studio, and was never saved
        port = int(mortal.address.rsplit(":", 1)[1])
        mortal.process = start_server(mortal.data.parent, demo, port=port).process
        page.goto(f"/episodes?ep={name}")
        refused = page.get_by_role("alert").filter(has_text="was not stored")
        expect(refused).to_contain_text("judge it there")
        expect(drawer(page).get_by_role("definition").first).to_have_text("imagined")  # it is there
        page.keyboard.press("s")
        assert outcomes(arrived(page, mortal, 1, name)) == ["success"]
        problems.seen.clear()  # the browser reports the cut connection


# Corrections keep what they do not change


def test_a_correction_in_the_drawer_of_episodes_keeps_what_was_said(
    page: Page, server: Server
) -> None:
    before = judge_in_full(server, "journey-07", "fail")
    number = len(said(server, "journey-07"))  # others may have judged it, too
    page.goto("/episodes?ep=journey-07")
    expect(drawer(page).get_by_role("button", name="✕ Fail")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.keyboard.press("u")
    event = arrived(page, server, number + 1, "journey-07")[-1]
    assert event["outcome"] == "unsure"
    assert keeps(event, before)


def test_many_corrections_at_once_keep_what_was_said(page: Page, server: Server) -> None:
    before = {name: judge_in_full(server, name, "unsure") for name in ("journey-05", "journey-06")}
    numbers = {name: len(said(server, name)) for name in before}  # others may have judged them, too
    page.goto("/episodes?kind=imagined&order=oldest+first")
    for name in before:
        page.get_by_role("checkbox", name=f"Choose {name}").click()
    page.locator(".bulk").get_by_role("button", name="Dream broke").click()
    for name, event_id in before.items():
        event = arrived(page, server, numbers[name] + 1, name)[-1]
        assert (event["outcome"], event["dream_broke"]) == ("unsure", True)
        assert keeps(event, event_id)


def test_a_correction_in_the_drawer_of_reward_keeps_what_was_said(
    page: Page, server: Server
) -> None:
    before = judge_in_full(server, SHIPPED, "fail")
    number = len(said(server, SHIPPED))
    page.goto("/reward")
    model = page.get_by_label("Reward model", exact=True)
    judged = model.locator("option").filter(has_text=re.compile("coffee-push-judge "))
    model.select_option(judged.first.get_attribute("value"))
    wrong = page.get_by_role("region", name="False successes")
    wrong.get_by_role("button", name=SHIPPED).click()
    expect(drawer(page).get_by_role("button", name="✕ Fail")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.keyboard.press("u")
    event = arrived(page, server, number + 1, SHIPPED)[-1]
    assert event["outcome"] == "unsure"
    assert keeps(event, before)


@pytest.fixture
def siblings(server: Server) -> Iterator[tuple[str, list[str]]]:
    """A run with one group of two dreams, success and fail, and their names in the studio."""
    directory = server.data / "runs" / "two-siblings"
    run = RunDirectory(directory)  # held, as by a command line: the studio finds it
    run.state("running")
    for member, success in enumerate((True, False)):
        lineage = {"iteration": 1, "group": 300_000, "member": member, "reward": 5.0 * success}
        lineage |= {"advantage": 1.0 if success else -1.0, "fate": "kept", "threshold": 0.6}
        run.record(
            dataclasses.replace(
                episode(member),
                id=f"iteration-0001-300000-{member}",
                start_id=300_000,
                outcome=Outcome(success, 24),
                lineage=lineage,
            )
        )
    run.log(1, {"rollout/success_rate": 0.5})
    (directory / "config.json").write_text(json.dumps({"job": "optimise", "config": {}}))
    yield "two-siblings", [f"two-siblings.iteration-0001-300000-{member}" for member in range(2)]
    run.state("done")
    run.close()


def test_flips_kept_as_labels_in_a_group_of_train_keep_what_was_said(
    visited: Page, server: Server, siblings: tuple[str, list[str]]
) -> None:
    run, (first, second) = siblings
    visited.goto(f"/train?run={run}")
    members = visited.locator(".group .member")
    expect(members).to_have_count(2)
    before = judge_in_full(server, first, "unsure")
    visited.reload()
    expect(members.first.locator(".you")).to_be_visible()
    for member in (0, 1):
        visited.get_by_role("button", name=f"Flip the verdict of member {member}").click()
    visited.get_by_role("button", name="Keep as my labels").click()
    [fresh] = arrived(visited, server, 1, second)
    assert (fresh["outcome"], fresh["supersedes"]) == ("success", None)
    event = arrived(visited, server, 2, first)[-1]
    assert event["outcome"] == "fail"
    assert keeps(event, before)


# What was said before


@pytest.mark.soak
def test_the_history_of_a_clip_shows_what_was_said_newest_first(page: Page, server: Server) -> None:
    judge_in_full(server, "journey-08", "fail")
    walls: list[Route] = []
    asked = re.compile(r"/component_server")
    late = [True]

    def hold(route: Route) -> None:
        if late and is_wall(route):
            walls.append(route)
        else:
            route.fallback()

    page.route(asked, hold)
    page.goto("/episodes?ep=journey-08")
    before = drawer(page).get_by_role("list", name="Said before").get_by_role("listitem")
    expect(before).to_have_count(1)
    expect(before.first).to_contain_text(re.compile("ann.*fail", re.S))
    expect(before.first).to_contain_text("the gripper let go")
    page.keyboard.press("u")
    expect(before).to_have_count(2)
    expect(before.first).to_contain_text("unsure")
    expect(before.first).to_contain_text("dropped")
    expect(before.last).to_contain_text(re.compile("ann.*fail.*corrected", re.S))
    page.keyboard.press("n")  # before the wall has come
    late.clear()
    for route in walls:
        route.continue_()
    page.wait_for_url(lambda address: "journey-08" not in address)
    page.keyboard.press("p")
    page.wait_for_url(re.compile("ep=journey-08"))
    expect(before).to_have_count(2)


def is_wall(route: Route) -> bool:
    """Whether a page asks for the episodes of its wall."""
    return (route.request.post_data_json or {}).get("fn_name") == "find"
