"""Queues: from a filter of Episodes to judgements of two people and the decision of a third."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Server, all_saved
from tests.e2e.test_label import labels

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def queue(page: Page) -> Locator:
    return page.get_by_label("Queue", exact=True)


def become(page: Page, name: str) -> None:
    """Judge under a name."""
    page.once("dialog", lambda dialog: dialog.accept(name))
    page.get_by_role("button", name=re.compile("^you: ")).click()
    expect(page.get_by_role("button", name=f"you: {name}")).to_be_visible()


def judge(page: Page, *keys: str) -> str:
    """Press keys at the clip on screen, the last of which judges it; the clip's name."""
    expect(page.get_by_role("button", name="Pause the recording")).to_be_visible()
    expect(page.get_by_text("fetching the clip…")).to_have_count(0)
    shown = page.locator(".judge-page .this-clip dd").first.inner_text()
    for key in keys:
        page.keyboard.press(key)
    all_saved(page)
    return shown


@pytest.mark.soak
def test_two_people_judge_a_queue_and_a_third_decides(page: Page, server: Server) -> None:
    page.goto("/episodes?kind=imagined&verdict=fail&high=0.9")
    page.get_by_role("link", name="Queue for judging…").click()
    expect(page.get_by_label("Clips", exact=True)).to_have_value("the filter of Episodes")
    page.get_by_label("Order", exact=True).select_option("uncertainty")
    page.get_by_label("how many").fill("3")
    page.get_by_label("people a clip").fill("2")
    page.get_by_label("name", exact=True).fill("journey")
    page.get_by_role("button", name="Make queue").click()
    expect(queue(page)).to_have_value("journey")

    become(page, "ann")
    first = judge(page, "2", "e", "f")
    rest = [judge(page, "s"), judge(page, "s")]
    expect(page.get_by_text("Every clip here is judged")).to_be_visible()
    page.keyboard.press("z")
    assert judge(page, "Shift+Z") == rest[1]
    expect(page.get_by_text("Every clip here is judged")).to_be_visible()
    assert {name: labels(server)[name] for name in (first, *rest)} == {
        first: "fail",
        rest[0]: "success",
        rest[1]: "success",
    }

    become(page, "ben")
    assert [judge(page, "s") for _ in range(3)] == [first, *rest]
    expect(queue(page)).to_contain_text("journey · 3/3")

    become(page, "cat")
    page.get_by_role("button", name="Decide conflicts (1)").click()
    expect(page.get_by_role("heading", name="They disagree")).to_be_visible()
    expect(page.get_by_text("slipped", exact=True)).to_be_visible()  # what ann said of it
    assert judge(page, "f") == first
    assert labels(server)[first] == "fail"
    page.get_by_role("button", name="Back to judging").click()
    expect(page.get_by_role("button", name=re.compile("^Decide conflicts"))).to_have_count(0)
