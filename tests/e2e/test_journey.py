"""The loop as a visitor walks it: dream, judge, and nothing is lost on the way.

What is trained afterwards: test_train.
"""

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


def test_dream_judge_and_reload(page: Page) -> None:
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
