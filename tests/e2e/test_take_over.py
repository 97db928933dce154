"""Imagine by keyboard: run, pause, take over, nudge, hand back, rewind, branch, compare, replay."""

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from engine.envs.gl import rendering_backend
from tests.e2e.conftest import open_imagine
from tests.e2e.test_imagine import imagined

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def places(page: Page) -> Locator:
    """The nodes of the tree."""
    return page.locator(".tree [data-node]")


def test_run_take_over_hand_back_rewind_branch_save_and_replay(imagine: Page) -> None:
    page = imagine
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name=re.compile("Pause"))).to_be_visible()
    page.keyboard.press("Space")
    expect(page.get_by_text("paused", exact=True).or_(page.get_by_text("finished"))).to_be_visible()
    page.keyboard.press("r")
    imagined(page, 0)

    page.keyboard.press("e")
    imagined(page, 8)
    expect(page.get_by_text("the policy would: x")).to_be_visible()
    page.keyboard.press("m")
    expect(page.get_by_text("you drive")).to_be_visible()
    page.keyboard.press("c")
    expect(page.get_by_role("button", name="close c")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("i")
    imagined(page, 16)
    expect(page.locator(".strips .human").first).to_be_attached()
    page.keyboard.press("m")
    expect(page.get_by_text("the policy drives")).to_be_visible()
    page.keyboard.press("e")
    imagined(page, 24)
    page.keyboard.press("Backspace")
    imagined(page, 16)

    page.keyboard.press("End")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.get_by_role("slider", name="Frame")).to_have_value("8")
    page.keyboard.press("b")
    futures = page.get_by_role("button", name=re.compile("^Future "))
    expect(futures).to_have_count(4)
    expect(page.get_by_text("4 futures from frame 8 · policy noise")).to_be_visible()
    expect(places(page).filter(has_text=re.compile("[✓✕]"))).to_have_count(4)
    futures.nth(2).click()
    expect(futures.nth(2)).to_have_class(re.compile("current"))

    page.keyboard.press("End")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Saved as dream-")).to_be_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    frames = page.get_by_text(re.compile(r"^\d+ of 48 frames$")).inner_text()
    link = page.evaluate("navigator.clipboard.readText()")
    assert "replay=" in link
    page.goto(link)
    expect(
        page.get_by_text("Imagined again from the link: every pixel is the same.")
    ).to_be_visible()
    expect(page.get_by_text(frames)).to_be_visible()


@pytest.mark.skipif(not rendering_backend(), reason="reality needs the simulator")
def test_reality_stands_beside_the_dream(page: Page) -> None:
    """Where it is limited, as on a Space, only once somebody asks; then in every view, and beside
    every dream, without a wait for anybody."""
    asked: list[str] = []
    held: list[Route] = []

    def limit(route: Route) -> None:
        name = route.request.post_data_json["fn_name"]
        asked.append(name)
        if name == "twin_dream" and name in asked[:-1]:
            held.append(route)
        elif name == "reality":
            route.fulfill(json={"missing": "", "unasked": False})
        else:
            route.continue_()

    page.route("**/component_server/", limit)
    open_imagine(page)
    page.get_by_label("Horizon").fill("8")
    page.get_by_label("Horizon").blur()
    page.keyboard.press("e")
    expect(page.get_by_text("finished")).to_be_visible()
    expect(page.locator(".screen .verdict")).not_to_be_empty()
    assert "reality" in asked and "twin_dream" not in asked
    page.keyboard.press("v")
    real = page.get_by_role("img", name="Real frame")
    expect(real).to_be_visible()
    expect(
        page.get_by_text(re.compile("dreamt: (success|failed) · reality: (success|failed)"))
    ).to_be_visible()
    strips = page.get_by_role("img", name=re.compile("psnr, ssim, entropy, drift, over 8 frames"))
    expect(strips).to_be_visible()
    page.keyboard.press("Home")
    expect(real).to_have_attribute("data-frame", "0")
    page.keyboard.press("v")
    expect(page.get_by_label("Where the wipe is")).to_be_visible()
    page.keyboard.press("d")
    expect(page.get_by_role("button", name="difference")).to_have_attribute("aria-pressed", "true")
    ends = places(page).filter(has_text=re.compile("[✓✕]"))
    page.keyboard.press("b")
    expect(ends).to_have_count(5)
    while not held:
        page.wait_for_timeout(20)
    page.keyboard.press("b")  # while reality is played, which nobody waits for
    expect(ends).to_have_count(9)
    held[0].continue_()


def test_some_settings_apply_to_the_dream_that_runs(imagine: Page) -> None:
    imagine.keyboard.press("e")
    imagined(imagine, 8)
    address = imagine.url
    imagine.get_by_label("Temperature").fill("0.5")
    imagine.get_by_label("Temperature").blur()
    expect(imagine.locator(".facts").get_by_text("0.5", exact=True)).to_be_visible()
    imagine.get_by_role("button", name=re.compile("^Chunk")).click()
    imagined(imagine, 16)
    assert imagine.url == address


def test_any_frame_of_an_episode_is_a_start(page: Page) -> None:
    """Even where the starts of the loaded task were asked for first and come last."""
    held: dict[str, Route] = {}

    def hold(route: Route) -> None:
        asked = route.request.post_data_json
        name = asked["fn_name"]
        if name == "clip" or (name == "shipped" and asked["data"]["task"]):
            held[name] = route
        else:
            route.continue_()

    page.route("**/component_server/", hold)
    page.goto("/imagine?episode=journey-00&t=5")
    while len(held) < 2:
        page.wait_for_timeout(20)
    held["clip"].continue_()
    chosen = page.get_by_text("frame 5 of journey-00")
    expect(chosen).to_be_visible()
    with page.expect_response("**/component_server/"):
        held["shipped"].continue_()
    page.get_by_role("button", name=re.compile("^Chunk")).click()
    imagined(page, 8)
    expect(chosen).to_be_visible()
