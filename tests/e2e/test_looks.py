"""The pages in light and dark, on a desk and on a phone.

With WMPO_SCREENSHOTS=1 the pictures of docs/ are taken anew.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from engine.envs.gl import rendering_backend
from tests.e2e.conftest import PATIENCE, Problems, Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

DOCS = Path(__file__).parents[2] / "docs"
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
        "evaluate": page.get_by_title("Report of the shipped study"),
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


@pytest.mark.skipif("WMPO_SCREENSHOTS" not in os.environ, reason="pictures only when asked for")
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_pictures_of_the_pages(browser: Browser, server: Server, mode: str) -> None:
    context = browser.new_context(
        base_url=server.address,
        viewport={"width": 1440, "height": 900},
        color_scheme=mode,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    page, problems = context.new_page(), Problems()
    problems.watch(page)
    ready: dict[str, Callable[[Page], None]] = {
        "models": loaded,
        "imagine": imagined,
        "episodes": walled,
        "train": trained,
    }
    for name in PAGES:
        visit(page, name)
        ready.get(name, settled)(page)
        page.screenshot(path=DOCS / f"{name}-{mode}.png")
    context.close()
    assert problems.seen == []


def settled(page: Page) -> None:
    """Every picture of the page is there."""
    page.wait_for_function("[...document.images].every((image) => image.complete)")


def loaded(page: Page) -> None:
    """The three models are in memory and timed."""
    page.get_by_role("button", name="Load").first.click()
    expect(page.get_by_text("policy act")).to_be_visible()


def imagined(page: Page) -> None:
    """A dream with four futures stands beside reality, at its verdict."""
    page.get_by_role("button", name="▶ Run").click()
    expect(page.get_by_role("button", name="▶ Replay")).to_be_visible()
    for key in ["Home", "Shift+ArrowRight", "b"]:
        page.keyboard.press(key)
    expect(page.get_by_role("button", name=re.compile("^Future "))).to_have_count(4)
    if rendering_backend():
        expect(page.get_by_text(re.compile("dreamt: .* · reality: "))).to_be_visible()
    page.keyboard.press("End")


def walled(page: Page) -> None:
    """Every film in view has come."""
    settled(page)
    page.wait_for_function(
        "[...document.querySelectorAll('.film')].every((film) => film.style.backgroundImage)"
    )


def trained(page: Page) -> None:
    """A run of the form's own options has come to its end."""
    expect(page.locator(".now")).not_to_be_empty()
    before = page.url
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(lambda address: "run=" in address and address != before)
    expect(page.locator(".now .tag")).to_have_text(re.compile("done"), timeout=600_000)
    expect(page.get_by_role("link", name=re.compile("advantage")).first).to_be_visible()
    page.wait_for_function(
        "[...document.querySelectorAll('.member canvas')].every((canvas) => canvas.dataset.frame)"
    )
