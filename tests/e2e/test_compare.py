"""A/B: pairs of one start, one key each; nothing lost offline; all of it in log and file."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Problems, all_saved
from tests.e2e.test_queues import become

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def shown(page: Page) -> list[str]:
    """The two clips on screen, by the links of their captions; they must not be hidden."""
    expect(page.get_by_role("button", name="Pause the recording")).to_be_visible()
    expect(page.get_by_text("fetching the pair…")).to_have_count(0)
    return page.locator(".caption a").all_inner_texts()


def press(page: Page, key: str) -> None:
    """Press a key at a pair that is on screen."""
    expect(page.get_by_text("fetching the pair…")).to_have_count(0)
    page.keyboard.press(key)


def judged(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile("^Compare .* again$"))


@pytest.mark.soak
def test_pairs_are_compared_by_key_and_nothing_is_lost(
    page: Page, problems: Problems, tmp_path: Path
) -> None:
    # From a filter of Episodes or from the other mode the run comes along, also one without pairs.
    page.goto("/episodes?run=nowhere")
    way = page.get_by_role("link", name="Compare A/B")
    expect(way).to_have_attribute("href", "label?mode=ab&run=nowhere")
    page.goto("/label?run=nowhere")
    page.get_by_role("navigation", name="Mode").get_by_role("link", name="A/B").click()
    none = "No start of nowhere has two futures of one policy to compare."
    expect(page.get_by_text(none)).to_be_visible()
    page.get_by_label("Run", exact=True).select_option("every run")
    become(page, "pia")
    left, right = (
        page.get_by_role("img", name=f"Frame of the {side} clip") for side in ("left", "right")
    )
    expect(page.get_by_role("button", name="Pause the recording")).to_be_visible()

    # Both clips show the same frame, and blind judges see neither verdict nor name.
    press(page, "Space")
    expect(right).to_have_attribute("data-frame", left.get_attribute("data-frame") or "")
    expect(page.locator(".caption a")).to_have_count(0)
    press(page, "Space")

    for key in "adsw":
        press(page, key)
    all_saved(page)
    expect(judged(page)).to_have_count(4)
    agreement = page.locator(".agreement dd").first
    expect(agreement).to_have_text(re.compile(r"^\d\.\d\d \[\d\.\d\d, \d\.\d\d\]$"))

    # An undo brings the pair back, a redo judges it again, a correction supersedes.
    press(page, "h")
    page.keyboard.press("z")
    expect(judged(page)).to_have_count(3)
    pair = shown(page)
    page.keyboard.press("Shift+Z")
    expect(judged(page)).to_have_count(4)
    judged(page).first.click()
    expect(page.get_by_role("link", name=pair[0])).to_be_visible()
    assert shown(page) == pair
    press(page, "d")
    all_saved(page)
    expect(judged(page)).to_have_count(4)
    expect(judged(page).first).to_have_accessible_name(f"Compare {pair[1]} and {pair[0]} again")

    # Without a connection the stroke waits in the browser, over a reload, in the other mode too.
    page.context.set_offline(True)
    press(page, "a")
    expect(page.get_by_text("saving…")).to_be_visible()
    page.context.set_offline(False)
    page.goto("/label")
    all_saved(page)
    page.goto("/label?mode=ab")
    expect(judged(page)).to_have_count(5)
    problems.seen.clear()  # the browser reports the cut connection

    # The log tells all eight events, and the file of preferences has them too.
    page.goto("/data?log=preferences&actor=pia")
    log = page.get_by_role("region", name="Who said what")
    expect(log.get_by_text("of 8")).to_be_visible()
    expect(log.get_by_role("row").filter(has_text="takes back")).to_have_count(1)
    export = page.get_by_role("region", name="Export")
    export.get_by_label("what").select_option("preferences")
    export.get_by_label("format").select_option("jsonl")
    with page.expect_download() as download:
        export.get_by_role("button", name="Export").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["choice"] for event in events if event["actor"] == "pia"] == [
        *("left", "right", "equal", "broken"),
        *(None, "broken", "right", "left"),
    ]
    assert path.name.endswith(".preferences.jsonl")
