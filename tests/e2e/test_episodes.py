"""Episodes: filters in the address, the wall by keys, the drawer, many at once, saved views."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from engine.envs.gl import rendering_backend
from tests.e2e.conftest import Server, all_saved
from tests.e2e.test_label import labels

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def wall(page: Page) -> Page:
    """The episodes that every journey has, oldest first: journey-00 is the first."""
    page.goto("/episodes?kind=imagined&order=oldest+first")
    expect(tile(page, "journey-00")).to_be_visible()
    return page


def tile(page: Page, episode: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{episode}, "))


def drawer(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Episode", exact=True)


def test_films_come_to_what_is_seen(wall: Page) -> None:
    film = tile(wall, "journey-00").locator(".film")
    expect(film).to_have_css("background-image", re.compile("data:image/webp"))


def test_a_filter_is_in_the_address_and_survives_a_reload(wall: Page) -> None:
    wall.get_by_label("verdict").select_option("fail")
    expect(tile(wall, "journey-00")).to_have_count(0)
    expect(tile(wall, "journey-01")).to_be_visible()
    wall.reload()
    expect(tile(wall, "journey-01")).to_be_visible()
    expect(wall.get_by_label("verdict")).to_have_value("fail")
    wall.get_by_role("button", name="Clear filters").click()
    expect(wall.get_by_label("verdict")).not_to_have_value("fail")
    expect(tile(wall, "journey-00").or_(wall.get_by_role("listitem").first).first).to_be_visible()
    assert "verdict" not in wall.url


def test_keys_open_step_judge_and_close(wall: Page, server: Server) -> None:
    for key in ["n", "n", "Enter"]:
        wall.keyboard.press(key)
    expect(drawer(wall)).to_contain_text("journey-01")
    wall.keyboard.press("n")
    expect(drawer(wall)).to_contain_text("journey-02")
    wall.wait_for_url(re.compile("ep=journey-02"))  # it is there: nobody judges what is not seen
    wall.keyboard.press("f")
    all_saved(wall)
    assert labels(server)["journey-02"] == "fail"
    wall.keyboard.press("Space")
    wall.keyboard.press("End")
    wall.wait_for_url(re.compile("ep=journey-02.*t=24|t=24.*ep=journey-02"))
    wall.reload()
    expect(drawer(wall).get_by_role("slider", name="Frame")).to_have_value("24")
    wall.keyboard.press("Escape")
    expect(drawer(wall)).to_have_count(0)
    assert "ep=" not in wall.url


@pytest.mark.skipif(not rendering_backend(), reason="reality needs the simulator")
def test_a_stored_dream_is_compared_with_reality(wall: Page) -> None:
    tile(wall, "journey-00").click()
    drawer(wall).get_by_role("button", name="Compare with reality").click()
    real = drawer(wall).get_by_role("img", name="Real frame")
    expect(real).to_be_visible()
    expect(drawer(wall).get_by_text(re.compile("the verdicts (agree|differ)"))).to_be_visible()
    wall.keyboard.press("Home")
    expect(real).to_have_attribute("data-frame", "0")
    wall.keyboard.press("v")
    expect(drawer(wall).get_by_label("Where the wipe is")).to_be_visible()
    wall.keyboard.press("n")
    expect(drawer(wall)).to_contain_text("journey-01")
    expect(real).to_be_hidden()


def test_many_are_judged_and_queued_at_once(wall: Page, server: Server) -> None:
    for name in ("journey-16", "journey-17", "journey-18"):
        wall.get_by_role("checkbox", name=f"Choose {name}").click()
    expect(wall.get_by_text("3 chosen")).to_be_visible()
    wall.get_by_role("button", name="Add to queue").click()
    expect(wall.get_by_text("3 more to judge")).to_be_visible()
    wall.get_by_role("button", name="✕ Fail").first.click()
    all_saved(wall)
    found = labels(server)
    assert [found[f"journey-{n}"] for n in (16, 17, 18)] == ["fail"] * 3
    with wall.expect_download() as download:
        wall.get_by_role("button", name="Export list").click()
    rows = download.value.path().read_text().splitlines()
    assert len(rows) == 4
    assert rows[1].startswith('"journey-16"')


def test_a_view_is_saved_under_a_name_and_used_again(wall: Page) -> None:
    wall.on("dialog", lambda dialog: dialog.accept("failures"))
    wall.get_by_label("verdict").select_option("fail")
    wall.get_by_role("button", name="Save view").click()
    view = wall.get_by_role("button", name="failures", exact=True)
    expect(view).to_be_visible()
    wall.goto("/episodes")
    view.click()
    expect(wall.get_by_label("verdict")).to_have_value("fail")
    wall.get_by_role("button", name="Forget the view failures").click()
    expect(view).to_have_count(0)


def test_groups_show_siblings_and_why(page: Page) -> None:
    page.goto("/episodes")
    expect(page.get_by_role("listitem").first).to_be_visible()
    page.get_by_label("show").select_option("groups")
    expect(page.get_by_text(re.compile(r"episodes? in \d+ groups?"))).to_be_visible()
    page.wait_for_url(re.compile("mode=groups"))


def test_nothing_that_fits_is_said(page: Page) -> None:
    page.goto("/episodes?run=nobody")
    expect(page.get_by_text("No episode fits")).to_be_visible()
    expect(page.get_by_text("0 episodes")).to_be_visible()
