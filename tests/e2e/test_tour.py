"""The pictures of docs/ and the film at the top of README.md, taken from the real pages.

Only when asked for: WMPO_SCREENSHOTS=1 pytest -m e2e tests/e2e/test_tour.py
"""

import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from engine.envs.gl import rendering_backend
from tests.e2e.conftest import PATIENCE, ROOT, Problems, Server, start_server
from tests.e2e.test_looks import PAGES, visit
from tests.e2e.test_sight import FOREIGN

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif("WMPO_SCREENSHOTS" not in os.environ, reason="only when asked for"),
]

DOCS = ROOT / "docs"
SIZE = {"width": 1280, "height": 720}
WIDTH = 760  # of the film, in pixels
MOST_BYTES = 5_000_000
# The first dream by its own clock, so that the film does not depend on how fast pictures are taken.
TURN = """(seconds) => document.getAnimations().forEach((each) => {
  each.pause();
  each.currentTime = 1000 * seconds;
})"""
Shot = tuple[Image.Image, int]  # a picture and for how many milliseconds it stands


@pytest.fixture(scope="module")
def fresh(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio as it is opened for the first time: what ships, and nothing else."""
    server = start_server(tmp_path_factory.mktemp("studio"), demo)
    yield server
    server.process.terminate()
    server.process.wait(60)


def test_tour(browser: Browser, fresh: Server) -> None:
    context = browser.new_context(
        base_url=fresh.address, viewport=SIZE, color_scheme="light", reduced_motion="no-preference"
    )
    context.set_default_timeout(PATIENCE)
    shots = [shot for scene in SCENES for shot in scene(context.new_page())]
    context.close()
    first, *others = [picture for picture, _ in shots]
    target = DOCS / "tour.gif"
    first.save(
        target,
        save_all=True,
        append_images=others,
        duration=[milliseconds for _, milliseconds in shots],
        loop=0,
        optimize=True,
    )
    assert target.stat().st_size < MOST_BYTES
    assert 15_000 <= sum(milliseconds for _, milliseconds in shots) <= 25_000


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_pages(browser: Browser, fresh: Server, mode: str) -> None:
    """Every page on a desk."""
    context = browser.new_context(
        base_url=fresh.address,
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
        "train": watched,
    }
    for name in PAGES:
        visit(page, name)
        ready.get(name, settled)(page)
        keep(page, f"pages/{name}-{mode}")
    context.close()
    assert [text for text in problems.seen if FOREIGN not in text] == []


def settled(page: Page) -> None:
    """Every picture of the page is there."""
    page.wait_for_function("[...document.images].every((image) => image.complete)")


def loaded(page: Page) -> None:
    """The three models are in memory and timed."""
    page.get_by_role("button", name="Load").first.click()
    expect(page.get_by_text("policy act")).to_be_visible()
    expect(page.get_by_text("loaded", exact=True)).to_have_count(3)


def imagined(page: Page) -> None:
    """A dream with four futures stands beside reality, at its verdict."""
    page.get_by_role("button", name="▶ Run").click()
    expect(page.get_by_role("button", name="▶ Replay")).to_be_visible()
    for key in ["Home", "Shift+ArrowRight", "b"]:
        page.keyboard.press(key)
    expect(page.get_by_role("button", name=re.compile("^Future "))).to_have_count(4)
    if rendering_backend():
        expect(page.get_by_text(re.compile("dreamt: .* · reality: "))).to_be_visible()
    expect(page.get_by_text("the simulator plays")).to_have_count(0)
    page.keyboard.press("End")


def walled(page: Page) -> None:
    """Every film in view has come."""
    settled(page)
    page.wait_for_function(
        "[...document.querySelectorAll('.film')].every((film) => film.style.backgroundImage)"
    )


def watched(page: Page) -> None:
    """The run that ships, with its curves."""
    page.goto("/train?run=recorded-wmpo")
    expect(page.get_by_role("link", name="advantage").first).to_be_visible()
    page.wait_for_function("document.querySelectorAll('.main-svg').length > 4")


def picture(page: Page) -> Image.Image:
    """What is to be seen of the page."""
    return Image.open(io.BytesIO(page.screenshot(animations="allow"))).convert("RGB")


def keep(page: Page, name: str) -> None:
    """A picture for docs/, small enough for a repository."""
    target = DOCS / f"{name}.webp"
    target.parent.mkdir(exist_ok=True)
    picture(page).save(target, quality=85, method=6)


def shot(page: Page, milliseconds: int) -> Shot:
    """The page as a picture of the film."""
    whole = picture(page)
    height = round(WIDTH * whole.height / whole.width)
    small = whole.resize((WIDTH, height), Image.Resampling.LANCZOS)
    return small.quantize(256, dither=Image.Dither.NONE), milliseconds


def first_dream(page: Page) -> Iterator[Shot]:
    """The dream to its verdict, then reality beside it."""
    visit(page, "start")
    settled(page)
    for frame in range(0, 33, 2):
        page.evaluate(TURN, frame / 10)
        yield shot(page, 130)
    page.evaluate(TURN, 4.2)
    yield shot(page, 1_200)
    page.get_by_label("Show reality").check(force=True)
    page.evaluate(TURN, 5.6)  # uncovered, both at their last frame
    page.evaluate("(css) => document.head.append(Object.assign(document.createElement('style'),"
                  " {textContent: css}))", ".first .said{opacity:1!important}"
                  ".first .film{background-position-x:100%!important}")  # fmt: skip
    keep(page, "tour/start")
    yield shot(page, 3_200)


def world_model(page: Page) -> Iterator[Shot]:
    """Where it lies."""
    visit(page, "fidelity")
    settled(page)
    keep(page, "tour/believe")
    yield shot(page, 3_000)


def dream(page: Page) -> Iterator[Shot]:
    """A dream with its judgement, and reality beside it."""
    visit(page, "start")
    page.get_by_role("link", name="Dream it yourself").click()
    start = int(page.url.split("start=")[1].split("&")[0])
    expect(page.get_by_role("radio", name=f"start {start:,}")).to_be_checked()
    expect(page.get_by_text("compatible · ")).to_be_visible()
    page.get_by_role("button", name="▶ Run").click()
    expect(page.get_by_role("button", name="▶ Replay")).to_be_visible()
    expect(page.get_by_text(re.compile("dreamt: .* · reality: "))).to_be_visible()
    page.keyboard.press("Home")
    for _ in range(6):
        yield shot(page, 300)
        for _ in range(6):
            page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    keep(page, "tour/imagine")
    yield shot(page, 1_500)


def label(page: Page) -> Iterator[Shot]:
    """One clip, one question."""
    visit(page, "label")
    expect(page.get_by_role("button", name="Practise on")).to_be_visible()
    settled(page)
    keep(page, "tour/label")
    yield shot(page, 2_600)


def recorded_run(page: Page) -> Iterator[Shot]:
    """The run that ships: its curves, then what it imagined."""
    watched(page)
    keep(page, "tour/train")
    yield shot(page, 2_200)
    page.locator(".wall").scroll_into_view_if_needed()
    page.locator(".probe").scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.querySelectorAll('.member canvas')].every((canvas) => canvas.dataset.frame)"
    )
    keep(page, "tour/group")
    yield shot(page, 2_600)


SCENES = (first_dream, world_model, dream, label, recorded_run)
