"""The whole loop, as a visitor walks it: dream, judge, train, and nothing is lost on the way."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def roll_out(page: Page) -> None:
    """Run a dream of the first start to its end."""
    page.goto("/imagine")
    expect(page.get_by_text("compatible · ")).to_be_visible()
    expect(page.get_by_role("radio", name="start 300,000")).to_be_checked()
    page.get_by_role("button", name="▶ Run").click()
    expect(page.get_by_role("button", name="▶ Replay")).to_be_visible()


def start_a_tiny_run(page: Page) -> None:
    """Start the smallest run there is, from the form."""
    page.goto("/train")
    page.get_by_label("Iterations", exact=True).fill("2")
    page.get_by_label("Groups", exact=True).fill("1")
    page.get_by_label("Group size").fill("2")
    page.get_by_role("button", name="More options").click()
    page.get_by_label("Max groups").fill("1")
    page.get_by_label("Horizon").fill("16")
    page.get_by_role("button", name="Start training").click()


def test_dream_judge_train_and_reload(page: Page) -> None:
    roll_out(page)
    expect(
        page.get_by_text("success at frame").or_(page.get_by_text("no window above"))
    ).to_be_visible()
    page.keyboard.press("s")
    saved = page.get_by_role("status").filter(has_text=re.compile(r"saved #\d+"))
    expect(saved).to_be_visible()
    dream = page.url
    assert "dream=" in dream

    page.reload()
    expect(page.get_by_role("button", name="▶ Replay")).to_be_visible()
    assert page.url == dream

    page.goto("/label")
    judged = page.get_by_role("button", name=re.compile("^Judge dream-.* again$")).first
    expect(judged).to_contain_text("✓")
    page.reload()
    expect(judged).to_contain_text("✓")

    start_a_tiny_run(page)
    success = page.get_by_role("figure", name="success")
    expect(success).to_contain_text(re.compile(r"imagined \d"))
    video = page.get_by_role("link", name=re.compile("advantage")).first
    expect(video).to_be_visible()
    page.get_by_role("button", name="Stop and save").or_(
        page.get_by_text("done").first
    ).first.click()
    expect(page.get_by_text(re.compile("^ ?(done|cancelled)$")).first).to_be_visible()

    run = page.url
    assert "run=" in run
    page.reload()
    expect(success).to_contain_text(re.compile(r"imagined \d"))
    expect(video).to_be_visible()
    assert page.url == run
