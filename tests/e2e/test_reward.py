"""Reward: judge clips, drag the threshold by mouse and keys, look at errors, save, judge anew."""

import re
import uuid

import pytest
from gradio_client import Client
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Server
from tests.e2e.sights import is_drawn, sizeless

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# Sixteen shipped dreams of coffee-push in two groups: ten that the judge called a success.
FALSE = "iteration-0001-300129-2"
TRULY = {
    FALSE: "fail",
    "iteration-0001-300129-1": "fail",
    "iteration-0001-300168-6": "fail",
    "iteration-0001-300129-5": "success",
}


def judge_shipped_dreams(server: Server) -> None:
    """A label for every shipped dream: as the judge said, but for errors of both kinds."""
    client = Client(server.address, verbose=False)
    listed = client.predict({"imagined": True, "iteration": 1}, api_name="/list_episodes")
    for record in listed:
        agreed = "success" if record["success"] else "fail"
        outcome = TRULY.get(record["id"], agreed)
        client.predict(record["id"], outcome, None, str(uuid.uuid4()), api_name="/label")


def share(page: Page, kind: str, name: str) -> Locator:
    card = page.get_by_role("region", name=kind)
    return card.get_by_role("definition").nth(["Precision", "Recall", "F1"].index(name))


def cells(page: Page) -> list[str]:
    return page.get_by_role("region", name="Imagined clips").locator("td b").all_inner_texts()


def choose_the_judge_of_the_shipped_dreams(page: Page) -> None:
    model = page.get_by_label("Reward model", exact=True)
    judged = model.locator("option").filter(has_text=re.compile("coffee-push-judge "))
    model.select_option(judged.first.get_attribute("value"))


def test_a_threshold_is_dragged_looked_into_and_saved(page: Page, server: Server) -> None:
    judge_shipped_dreams(server)
    page.goto("/reward?tau=0.9")
    threshold = page.get_by_role("slider", name="Threshold")
    imagined = page.get_by_role("region", name="Imagined clips")
    choose_the_judge_of_the_shipped_dreams(page)
    expect(threshold).to_have_value("0.5")  # its own comes with it
    expect(imagined).to_contain_text(re.compile(r"16 of \d+ with a known truth"))
    expect(page.get_by_role("region", name="Real clips")).to_contain_text("No real clip was judged")

    # Seven of the eight that reach 0.6 are right, one success is missed.
    page.get_by_label("Threshold as a number").fill("0.6")
    page.keyboard.press("Tab")
    expect(share(page, "Imagined clips", "Precision")).to_contain_text("87.5 %")
    assert cells(page) == ["7", "1", "1", "7"]
    wrong = page.get_by_role("region", name="False successes")
    expect(wrong.get_by_role("button", name=FALSE)).to_be_visible()
    film = wrong.locator(".film").first
    expect(film).to_have_css("background-image", re.compile("data:image/webp"))
    is_drawn(film)
    assert sizeless(page) == []
    page.evaluate("scrollTo(0, 0)")

    # Keys, the best F1, and the line in the histogram move the same threshold.
    threshold.focus()
    page.keyboard.press("Shift+ArrowLeft")
    expect(threshold).to_have_value("0.5")
    page.keyboard.press("ArrowRight")
    expect(threshold).to_have_value("0.51")
    page.keyboard.press("g")
    expect(threshold).not_to_have_value("0.51")
    box = imagined.get_by_role("img", name="Scores of").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.43 * box["width"], box["y"] + 30, steps=8)
    page.mouse.up()
    expect(page.get_by_label("Threshold as a number")).to_have_value(re.compile(r"0\.4[23]"))
    expect(imagined).to_contain_text("Precision to within 20 points")
    page.wait_for_url(re.compile(r"tau=0\.4[23]"))

    # The iteration at this threshold, without any model.
    page.get_by_label("Iteration to judge again").select_option(index=1)
    again = page.get_by_role("region", name="Re-judge an iteration")
    expect(again.get_by_role("status")).to_contain_text(
        "0 of 3 stored groups flip, 3 of 24 episodes"
    )
    expect(again.get_by_role("button", name="300129-5, fail, now success")).to_be_visible()

    # A label is corrected where the error is seen; every number follows.
    wrong.get_by_role("button", name=FALSE).click()
    drawer = page.get_by_role("dialog", name="Episode", exact=True)
    expect(drawer.get_by_role("button", name="✕ Fail")).to_have_attribute("aria-pressed", "true")
    is_drawn(drawer.get_by_role("img", name="Episode frame"))
    page.keyboard.press("s")
    expect(drawer).to_contain_text("saved #")
    page.keyboard.press("Escape")
    expect(wrong.get_by_role("button", name=FALSE)).to_have_count(0)

    # The threshold is kept as a version, and in use after a reload.
    page.get_by_label("Note").fill("one miss less")
    page.get_by_role("button", name="Save τ").click()
    expect(page.get_by_text("is in use from now on")).to_be_visible()
    expect(page.get_by_role("cell", name="one miss less")).to_be_visible()
    page.goto("/reward")
    choose_the_judge_of_the_shipped_dreams(page)
    expect(page.get_by_role("button", name=re.compile(r"in use: 0\.4[23]"))).to_be_visible()
