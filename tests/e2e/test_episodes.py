"""Episodes: filters in the address, the wall by keys, the drawer, many at once, saved views."""

import re

import pytest
from playwright.sync_api import FloatRect, Locator, Page, expect

from app.web.assets import imported
from engine.envs.gl import rendering_backend
from tests.e2e.conftest import Server, all_saved
from tests.e2e.sights import is_drawn, sizeless
from tests.e2e.test_label import labels

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# A wall over the page whose cells count the clicks that they hear.
WALL = """
  const { Grid } = await MODULE;
  const { view } = await import(performance.getEntriesByType('resource')
    .find(({ name }) => name.endsWith('web/view.js')).name);
  const place = document.createElement('div');
  place.id = 'wall';
  place.className = 'wm';
  place.style.cssText = 'position: fixed; inset: 0; z-index: 99; width: 900px';
  place.append(document.createElement('div'));
  document.body.append(place);
  window.presses = 0;
  place.addEventListener('click', ({ target }) => target.closest('[data-press]') && presses++);
  window.grid = new Grid(place.firstChild, {
    shape: () => ({ columns: 4, height: 90 }),
    fetch: () => new Promise(() => {}),
    key: ({ id }) => id,
    cell: ({ id }, index) => view`<button data-press="${index}">${id}</button>`,
    films: async () => ({}),
  });
  grid.reset(60, Array.from({ length: 60 }, (_, number) => ({ id: `clip ${number}` })));
"""


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


def films_come(place: Locator) -> None:
    """Wait until the film of a tile has arrived, and look at it."""
    film = place.locator(".film").first
    expect(film).to_have_css("background-image", re.compile("data:image/webp"))
    is_drawn(film)


def test_films_are_drawn_on_walls_and_in_groups_on_a_desk_and_a_phone(wall: Page) -> None:
    for width in (1440, 390):
        wall.set_viewport_size({"width": width, "height": 844})
        for name in ("journey-00", "journey-03"):
            films_come(tile(wall, name))
        assert sizeless(wall) == []
    wall.get_by_label("show").select_option("groups")
    films_come(wall.locator(".family .member").first)


def test_no_press_on_the_wall_is_lost_whatever_comes_meanwhile(wall: Page) -> None:
    """Fifty presses, and between each and its release what a busy studio does to a wall."""
    meanwhile = [
        "grid.update()",  # a label was acknowledged
        "grid.reset(60, [...grid.items])",  # the same filter was asked again
        "grid.element.parentElement.style.width = `${900 + 10 * (grid.edition % 9)}px`",
        "grid.reset(60, grid.items.map((item) => ({...item})))",
        "document.dispatchEvent(new Event('scroll'))",
    ]
    wall.evaluate(f"async () => {{ {WALL.replace('MODULE', imported('Grid'))} }}")
    for number in range(50):
        box = wall.locator(f"#wall [data-press='{number % 6 * 4}']").bounding_box()
        assert box is not None
        wall.mouse.move(box["x"] + 5, box["y"] + 5)
        wall.mouse.down()
        wall.evaluate(meanwhile[number % len(meanwhile)])
        wall.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        wall.mouse.up()
    assert wall.evaluate("presses") == 50


def settled(wall: Page) -> FloatRect | None:
    """Where a tile is once the wall has taken its new size."""
    known, now = None, tile(wall, "journey-00").bounding_box()
    while known != now:
        wall.wait_for_timeout(500)
        known, now = now, tile(wall, "journey-00").bounding_box()
    return now


def test_choosing_moves_nothing(wall: Page) -> None:
    for size in ({"width": 1440, "height": 900}, {"width": 390, "height": 844}):
        wall.set_viewport_size(size)
        before = settled(wall)
        wall.get_by_role("checkbox", name="Choose journey-00").click()
        expect(wall.get_by_text("1 chosen")).to_be_visible()
        assert tile(wall, "journey-00").bounding_box() == before
        wall.get_by_role("button", name="Choose none").click()
        expect(wall.get_by_text("chosen")).to_be_hidden()


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
    is_drawn(drawer(wall).get_by_role("img", name="Episode frame"))
    assert drawer(wall).evaluate("(drawer) => drawer.contains(document.activeElement)")
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
    expect(drawer(wall).get_by_text(re.compile("dreamt: .* · reality: "))).to_be_visible()
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
