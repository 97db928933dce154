"""Every page at three sizes, light and dark: nothing jumps or is cut, what matters is in view.

One visitor and one studio for all of it. What a page must show without scrolling stands in
`ESSENTIAL`; whoever builds a page adds to it.
"""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from engine.runs.run_directory import RunDirectory
from tests.e2e.conftest import PATIENCE, Problems, Server
from tests.e2e.sight import SIZES, faults, open_page, pale, resize, watch
from tests.e2e.sights import sizeless
from tests.e2e.test_looks import NAMELESS, PAGES, sign

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ESSENTIAL: dict[str, Callable[[Page], list[Locator]]] = {
    "label": lambda page: [
        page.get_by_role("img", name="Clip frame"),
        *(page.locator(f".verdicts [data-do={name}]") for name in ("success", "fail", "broke")),
        page.get_by_role("button", name="Practise on"),
    ],
    "start": lambda page: [
        page.get_by_role("img", name="A dream, playing"),
        page.get_by_text("tap to see"),
        page.get_by_role("link", name="Where does this world model lie?"),
    ],
    "imagine": lambda page: [
        page.get_by_role("img", name="Imagined frame"),
        page.get_by_role("button", name=re.compile("Run")),
    ],
    "fidelity": lambda page: [
        page.get_by_text("real failures are dreamt as successes"),
        page.get_by_role("button", name="Watch the"),
    ],
    "models": lambda page: [page.get_by_role("button", name="Use together")],
    "train": lambda page: [
        page.get_by_role("button", name="Start training")
        .or_(page.get_by_text("☰ Train"))
        .locator("visible=true")
        .first,
        page.get_by_role("progressbar", name="Iterations done"),
        page.get_by_role("figure", name="success", exact=True),
    ],
}
ADDRESSES = {"start": "/", "train": "/train?run=recorded-wmpo"}  # others may have runs of their own
# What a page is at another address, and what shows that it is there.
STATES: dict[str, Callable[[Page], Locator]] = {
    "/label?mode=ab": lambda page: page.get_by_text("Which one does it better?"),
    "/episodes?ep=journey-00": lambda page: page.get_by_role("dialog").get_by_text("journey-00"),
}
# Playwright's own script in a frame that runs none.
BROKEN = """window.broken = []; document.addEventListener('securitypolicyviolation', (event) =>
  window.broken.push(`breaks its policy: ${event.violatedDirective} ${event.blockedURI}`))"""
FOREIGN = "frame is sandboxed and the 'allow-scripts' permission is not set"


PLACES = ["Start", "Imagine", "Label", "Train", "Evaluate", "Library"]


@pytest.fixture(scope="module")
def looker(browser: Browser, server: Server) -> Iterator[tuple[Page, Problems]]:
    """A visitor whose pages are watched from their first moment; films rest."""
    context = browser.new_context(base_url=server.address, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    page, problems = context.new_page(), Problems()
    problems.watch(page)
    watch(page)
    page.add_init_script(BROKEN)
    yield page, problems
    context.close()


@pytest.mark.parametrize(
    "sizes",
    [
        ("phone", "laptop", "desk"),
        pytest.param(("laptop",), marks=pytest.mark.soak),
        pytest.param(("desk",), marks=pytest.mark.soak),
    ],
)
def test_every_page_is_whole_at_first_sight(
    looker: tuple[Page, Problems], sizes: tuple[str, ...]
) -> None:
    page, problems = looker
    found = {}
    for name in [*PAGES, *STATES]:
        essential = ESSENTIAL.get(name, lambda page: [])
        ready = STATES[name](page) if name in STATES else sign(page, name)
        open_page(page, ADDRESSES.get(name, f"/{name.strip('/')}"), ready.first, sizes[0])
        seen = faults(page, essential(page)) + page.evaluate("window.broken")
        for size in sizes[1:]:
            resize(page, size)
            seen += [f"{size}: {sentence}" for sentence in faults(page, essential(page))]
        seen += [f"without a size: {picture}" for picture in sizeless(page)]
        page.emulate_media(color_scheme="dark")
        expect(page.locator("body")).to_have_class(re.compile("dark"))
        seen += [f"dark: {sentence}" for sentence in pale(page)]
        page.emulate_media(color_scheme="light")
        seen += [f"nameless: {control}" for control in page.evaluate(NAMELESS)]
        seen += [text for text in problems.seen if FOREIGN not in text]
        problems.seen.clear()
        if seen:
            found[name] = seen
    assert found == {}


def test_six_places_lead_to_every_page(looker: tuple[Page, Problems]) -> None:
    page, _ = looker
    open_page(page, "/", sign(page, "start"), "desk")
    places = page.get_by_role("navigation", name="Places")
    assert places.get_by_role("link").all_inner_texts() == PLACES
    places.get_by_role("link", name="Library").click()
    expect(page).to_have_url(re.compile("/episodes$"))
    tabs = page.get_by_role("navigation", name="Library")
    expect(tabs.get_by_role("link")).to_have_text(["Episodes", "Models", "Reward judge", "Data"])
    tabs.get_by_role("link", name="Reward judge").click()
    expect(sign(page, "reward")).to_be_visible()
    expect(places.get_by_role("link", name="Library")).to_have_attribute("aria-current", "page")


def test_a_phone_has_a_menu_of_every_page(looker: tuple[Page, Problems]) -> None:
    page, _ = looker
    open_page(page, "/label", sign(page, "label"), "phone")
    page.get_by_role("button", name="☰ Label").click()
    menu = page.get_by_role("navigation", name="Menu")
    expect(menu.get_by_role("link")).to_have_count(len(PAGES))
    menu.get_by_role("link", name="Can I believe this world model?").click()
    expect(sign(page, "fidelity")).to_be_visible()


def test_what_lies_beside_the_page_follows_the_phone_too(looker: tuple[Page, Problems]) -> None:
    page, _ = looker
    drawer = page.get_by_role("dialog", name="Episode")
    open_page(page, "/episodes?ep=journey-00", drawer, "phone")
    expect(drawer.locator("kbd").first).to_be_hidden()
    for name in ("Success", "Dream broke"):
        box = drawer.get_by_role("button", name=name).bounding_box()
        assert box is not None and box["x"] + box["width"] <= SIZES["phone"][0]


def test_a_wrong_address_says_so_and_leads_on(looker: tuple[Page, Problems]) -> None:
    page, problems = looker
    answer = page.goto("/models/nobody")
    assert answer is not None and answer.status == 404
    expect(page.get_by_role("heading", name="There is no page here")).to_be_visible()
    resize(page, "phone")
    assert faults(page) == []
    page.get_by_role("link", name="Start").click()
    expect(sign(page, "start")).to_be_visible()
    page.goto("/library")
    expect(page).to_have_url(re.compile("/episodes$"))
    problems.seen.clear()  # the browser reports the 404, which is meant


def test_the_first_dream_plays_by_itself_and_a_tap_uncovers_reality(
    looker: tuple[Page, Problems],
) -> None:
    """By pixels: the film moves, and under the cover lies another picture."""
    page, _ = looker
    page.emulate_media(reduced_motion="no-preference")
    open_page(page, "/", sign(page, "start"), "phone")
    dream = page.get_by_role("img", name="A dream, playing")
    seen = {dream.screenshot() for _ in range(4)}
    assert len(seen) > 1
    box = dream.bounding_box()
    assert box is not None and min(box["width"], box["height"]) > 100
    covered = page.get_by_text("tap to see")
    page.get_by_label("Show reality").check(force=True)
    expect(covered).to_be_hidden()
    expect(page.get_by_text("really: ✕ fail")).to_be_attached()
    page.emulate_media(reduced_motion="reduce")


def test_the_header_is_one_line_with_any_number_of_runs(
    looker: tuple[Page, Problems], server: Server
) -> None:
    page, _ = looker
    runs = [RunDirectory(server.data / "runs" / f"busy-{number}") for number in range(3)]
    for run in runs:
        (run.directory / "config.json").write_text(json.dumps({"job": "optimise", "config": {}}))
        run.state("running")
        run.progress(1, 4)
    for size in SIZES:
        open_page(page, "/data", sign(page, "data"), size)
        expect(page.locator(".dock .more")).to_have_text(re.compile(r"^\+\d"))
        expect(page.locator(".dock")).to_contain_text("WMPO, ")
        header = page.locator(".wm-header").bounding_box()
        pill = page.locator(".dock").bounding_box()
        assert header is not None and pill is not None
        assert (header["height"], pill["height"] < 40) == (48, True), size
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    for run in runs:
        run.state("done")
        run.close()
