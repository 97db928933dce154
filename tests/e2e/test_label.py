"""Label: fast keys, undo, a lost connection, a reload. No stroke is lost, none is stored twice."""

import re

import pytest
from gradio_client import Client
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Problems, Server, all_saved

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

JUDGED = re.compile("^Judge .* again$")


def open_clip(page: Page, episode: str) -> None:
    """Open the page at a clip and wait until it plays."""
    page.goto(f"/label?episode={episode}")
    expect(showing(page, episode)).to_be_visible()
    expect(page.get_by_role("button", name="Pause the recording")).to_be_visible()


def showing(page: Page, episode: str) -> Locator:
    """The clip's name beside the clip."""
    return page.get_by_role("definition").filter(has_text=episode)


def labels(server: Server) -> dict[str, str]:
    """Outcomes of judged episodes, as the public API gives them."""
    client = Client(server.address, verbose=False)
    judged = client.predict({"labelled": True}, api_name="/list_episodes")
    return {record["id"]: record["label"]["outcome"] for record in judged}


def test_undo_brings_the_clip_back(page: Page, server: Server) -> None:
    open_clip(page, "journey-00")
    page.keyboard.press("f")
    all_saved(page)
    assert labels(server)["journey-00"] == "fail"
    page.keyboard.press("z")
    expect(showing(page, "journey-00")).to_be_visible()
    all_saved(page)
    assert labels(server).get("journey-00") is None


def test_a_stroke_without_connection_is_sent_after_a_reload(
    page: Page, server: Server, problems: Problems
) -> None:
    open_clip(page, "journey-01")
    before = labels(server).get("journey-01")
    page.context.set_offline(True)
    page.keyboard.press("u")
    expect(page.get_by_text("Offline: 1 judgement kept here")).to_be_visible()
    expect(page.get_by_text("saving…")).to_be_visible()
    assert labels(server).get("journey-01") == before != "unsure"
    page.context.set_offline(False)
    page.reload()
    all_saved(page)
    assert labels(server)["journey-01"] == "unsure"
    problems.seen.clear()  # the browser reports the cut connection


def test_the_dream_can_be_blamed(page: Page) -> None:
    open_clip(page, "journey-02")
    page.keyboard.press("w")
    blamed = page.get_by_role("button", name="Dream broke")
    expect(blamed).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("f")
    all_saved(page)
    expect(page.get_by_role("button", name=JUDGED).first).to_contain_text("dream broke")


def test_the_verdict_is_hidden_until_asked_for(page: Page, server: Server) -> None:
    open_clip(page, "journey-04")
    expect(page.get_by_text("hidden while you judge blind")).to_be_visible()
    page.keyboard.press("Enter")
    expect(showing(page, "journey-04")).to_be_visible()
    page.keyboard.press("h")
    expect(page.get_by_text("success at 24")).to_be_visible()
    page.keyboard.press("Enter")
    all_saved(page)
    assert labels(server)["journey-04"] == "success"


def test_a_skipped_clip_makes_room_for_the_next(page: Page) -> None:
    open_clip(page, "journey-05")
    page.keyboard.press("k")
    expect(showing(page, "journey-05")).to_have_count(0)
    expect(page.get_by_role("button", name="Pause the recording")).to_be_visible()


def test_an_earlier_judgement_can_be_changed(page: Page, server: Server) -> None:
    open_clip(page, "journey-06")
    page.keyboard.press("s")
    all_saved(page)
    again = page.get_by_role("button", name="Judge journey-06 again")
    again.click()
    expect(showing(page, "journey-06")).to_be_visible()
    expect(page.get_by_role("button", name="Pause the recording")).to_be_visible()
    expect(page.get_by_text("fetching the clip…")).to_have_count(0)  # or the key comes too early
    page.keyboard.press("f")
    all_saved(page)
    expect(again).to_have_count(1)
    assert labels(server)["journey-06"] == "fail"
    name, verdict = again.locator(".name"), again.locator(".tag")
    name.evaluate("(one) => { one.textContent = 'a-run-of-mine.iteration-'.repeat(9); }")
    rail, tag = page.locator(".history").bounding_box(), verdict.bounding_box()
    assert rail is not None and tag is not None
    assert tag["x"] + tag["width"] <= rail["x"] + rail["width"]


def test_the_clip_loops_its_decisive_window(page: Page) -> None:
    open_clip(page, "journey-08")
    expect(page.get_by_text("frames 17–24")).to_be_visible()
    page.keyboard.press("Shift+Space")
    expect(page.get_by_text("whole clip", exact=True)).to_be_visible()


def test_an_unknown_clip_is_refused_in_a_sentence(page: Page) -> None:
    page.goto("/label?episode=nobody")
    expect(page.get_by_role("alert")).to_have_text("there is no episode nobody")
    expect(page.get_by_role("button", name="Pause the recording")).to_be_visible()
