"""The pages and what shows that each is ready; the theme in light and dark."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PAGES = [
    *("start", "models", "imagine", "episodes", "label", "reward", "train", "evaluate"),
    *("fidelity", "data", "trials"),
]
# What cannot be used without seeing it: controls that say nothing to a screen reader.
NAMELESS = """() => [...document.querySelectorAll('button, input, select, textarea, a[href]')]
  .filter((e) => e.checkVisibility() && e.type !== 'file' && e.type !== 'hidden')
  .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length
    || e.getAttribute('aria-labelledby') || e.placeholder || e.title))
  .map((e) => e.outerHTML.slice(0, 120))"""


def visit(page: Page, name: str) -> None:
    """Open a page and wait until it shows what it is for."""
    page.goto("/" if name == "start" else f"/{name}")
    expect(sign(page, name)).to_be_visible()


def sign(page: Page, name: str) -> Locator:
    """What shows that a page is ready."""
    return {
        "start": page.get_by_role("heading", name="Train robot policies"),
        "models": page.get_by_text("Fits: "),
        "imagine": page.get_by_role("radio").first,
        "episodes": page.get_by_role("listitem").first,
        "label": page.get_by_role("button", name="Pause the recording"),
        "reward": page.get_by_role("slider", name="Threshold"),
        "train": page.get_by_role("figure", name="success"),
        "evaluate": page.get_by_title(re.compile("^Report of")),
        "fidelity": page.get_by_label("Fidelity run"),
        "data": page.get_by_text(re.compile("free")),
        "trials": page.get_by_role("button", name="Draw the order"),
    }[name]


def test_the_theme_follows_the_system_until_it_is_chosen(page: Page) -> None:
    visit(page, "start")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("body")).to_have_class(re.compile("dark"))
    toggle = page.get_by_role("button", name="Theme: system. Change")
    toggle.click()
    expect(page.get_by_role("button", name="Theme: light. Change")).to_be_visible()
    expect(page.locator("body")).not_to_have_class(re.compile("dark"))
    page.reload()
    expect(page.get_by_role("button", name="Theme: light. Change")).to_be_visible()
    expect(page.locator("body")).not_to_have_class(re.compile("dark"))
