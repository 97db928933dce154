"""The player, as every page has it: its keys, its loop, its sharpness, touches, and other keys."""

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import PATIENCE, Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

LAST = 24


@pytest.fixture(scope="module")
def opened(shared_page: Page) -> Page:
    """A clip of twenty-four actions, which plays."""
    shared_page.goto("/label?episode=journey-03")
    expect(shared_page.get_by_role("button", name="Pause the recording")).to_be_visible()
    return shared_page


@pytest.fixture
def clip(opened: Page) -> Page:
    """The clip, paused at its first frame, at the speed that the page Label gives it."""
    opened.keyboard.press("Home")
    expect(frame(opened)).to_have_value("0")
    opened.get_by_label("Speed").select_option("2")
    opened.get_by_label("Speed").blur()
    return opened


def frame(page: Page) -> Locator:
    return page.get_by_role("slider", name="Frame")


def shown(page: Page) -> Locator:
    """The canvas, which says which frame it shows."""
    return page.get_by_role("img", name="Clip frame")


def test_a_clip_to_judge_plays_at_twice_its_speed(opened: Page) -> None:
    expect(opened.get_by_label("Speed")).to_have_value("2")


def test_keys_step_by_frames_and_chunks(clip: Page) -> None:
    for key, value in [
        ("ArrowRight", 1),
        ("Shift+ArrowRight", 8),
        ("Shift+ArrowRight", 16),
        ("ArrowLeft", 15),
        ("Shift+ArrowLeft", 8),
        ("End", LAST),
        ("Home", 0),
    ]:
        clip.keyboard.press(key)
        expect(frame(clip)).to_have_value(str(value))
        expect(shown(clip)).to_have_attribute("data-frame", str(value))


def test_the_slider_shows_the_frame_it_is_dragged_to(clip: Page) -> None:
    clip.keyboard.press("Space")
    frame(clip).fill("10")
    expect(shown(clip)).to_have_attribute("data-frame", "10")
    expect(frame(clip)).to_have_value("10")


def test_g_goes_to_the_most_likely_window(clip: Page) -> None:
    clip.keyboard.press("g")
    expect(frame(clip)).to_have_value(str(LAST))


def test_speed_has_keys_and_a_menu(clip: Page) -> None:
    speed = clip.get_by_label("Speed")
    clip.keyboard.press(",")
    expect(speed).to_have_value("1")
    for _ in range(5):
        clip.keyboard.press(".")
    expect(speed).to_have_value("8")


def test_a_loop_is_set_at_the_cursor_and_kept(clip: Page) -> None:
    for key in ["Shift+ArrowRight", "[", "ArrowRight", "ArrowRight", "ArrowRight", "]"]:
        clip.keyboard.press(key)
    loop = clip.get_by_role("button", name="Looping frames 8 to 11. Stop looping")
    expect(loop).to_be_visible()
    clip.keyboard.press("Space")
    seen = clip.evaluate(
        """() => new Promise((done) => {
          const seen = [], canvas = document.querySelector('.player canvas');
          new MutationObserver(() => {
            seen.push(Number(canvas.dataset.frame));
            if (seen.length === 12) done(seen);
          }).observe(canvas, {attributeFilter: ['data-frame']});
        })"""
    )
    assert set(seen) == {8, 9, 10, 11}
    loop.click()
    expect(loop).to_have_count(0)


def test_enlargement_is_sharp_or_smooth_by_choice(clip: Page) -> None:
    rendering = "getComputedStyle(document.querySelector('.player canvas')).imageRendering"
    assert clip.evaluate(rendering) == "pixelated"
    smooth = clip.get_by_role("button", name="Smooth enlargement")
    smooth.click()
    expect(smooth).to_have_attribute("aria-pressed", "true")
    assert clip.evaluate(rendering) == "auto"


def test_the_strips_share_the_cursor(clip: Page) -> None:
    clip.keyboard.press("h")
    strips = clip.get_by_role("img", name="success probability per window, 4 action dimensions")
    expect(strips).to_be_visible()
    strips.scroll_into_view_if_needed()
    box = strips.bounding_box()
    assert box is not None
    middle = 46 + (box["width"] - 46 - 6) / 2
    clip.mouse.click(box["x"] + middle, box["y"] + 40)
    expect(frame(clip)).to_have_value(str(LAST // 2))


def test_keys_with_modifiers_belong_to_the_browser(clip: Page) -> None:
    clip.keyboard.press("Alt+.")
    clip.keyboard.press("Control+ArrowRight")
    expect(frame(clip)).to_have_value("0")
    expect(clip.get_by_label("Speed")).to_have_value("2")


def test_a_key_can_be_changed_and_restored(clip: Page) -> None:
    clip.keyboard.press("?")
    help_ = clip.get_by_role("dialog", name="Keyboard")
    help_.get_by_role("button", name="One frame forward: →. Change the key").click()
    clip.keyboard.press("s")
    expect(help_.get_by_role("status")).to_have_text("Changed, in this browser.")
    help_.get_by_role("button", name="Success, next clip: s. Change the key").click()
    clip.keyboard.press("f")
    expect(help_.get_by_role("status")).to_have_text("f already means “Fail, next clip” here.")
    help_.get_by_role("button", name="One chunk forward").click()
    clip.keyboard.press("y")
    clip.keyboard.press("Escape")
    expect(help_).to_have_count(0)
    clip.keyboard.press("y")
    expect(frame(clip)).to_have_value("8")
    clip.reload()
    expect(clip.get_by_role("button", name="Pause the recording")).to_be_visible()
    clip.keyboard.press("Home")
    clip.keyboard.press("y")
    expect(frame(clip)).to_have_value("8")
    clip.keyboard.press("?")
    help_.get_by_role("button", name="Restore all").click()
    clip.keyboard.press("Escape")
    clip.keyboard.press("y")
    expect(frame(clip)).to_have_value("8")


def test_fingers_tap_to_pause_and_swipe_to_judge(browser: Browser, server: Server) -> None:
    context = browser.new_context(
        base_url=server.address, viewport={"width": 390, "height": 844}, has_touch=True
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/label?episode=journey-09")
    playing = page.get_by_role("button", name="Pause the recording")
    expect(playing).to_be_visible()
    shown(page).tap()
    expect(playing).to_have_count(0)
    box = shown(page).bounding_box()
    assert box is not None
    touch = context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, points in [
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x - 60, "y": y}]),
        ("touchMove", [{"x": x - 120, "y": y}]),
        ("touchEnd", []),
    ]:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(page.get_by_role("button", name="Judge journey-09 again")).to_contain_text("✕")
    context.close()
