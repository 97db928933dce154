"""What matters is in one screen: the dream, its verdict and reality; where a world model lies.

By box and by pixels, on a desk, a small desk and a phone. One visitor and one dream for all.
"""

import io
import json
import re

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from engine.envs.gl import rendering_backend
from tests.e2e.conftest import SHIPPED, Problems, Server, open_imagine, visitor

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (SHIPPED / "fidelity").is_dir(), reason="needs the shipped demo"),
]

WIDTH = "document.documentElement.scrollWidth"
SIZES = [(1440, 900), (1280, 720), (390, 844)]
needs_reality = pytest.mark.skipif(not rendering_backend(), reason="reality needs the simulator")


BESIDE = """([one, other]) => {
  const [left, right] = [one, other].map((each) => each.getBoundingClientRect());
  return left.width > 20 && Math.abs(left.top - right.top) < 2 && right.left >= left.right;
}"""


def box(locator: Locator) -> dict[str, float]:
    """Where something stands; it is there and is no speck."""
    found = locator.bounding_box()
    assert found is not None and found["width"] > 20 and found["height"] > 20
    return dict(found)


def colours(locator: Locator) -> int:
    """How many colours of it reach the screen: an empty picture has one."""
    picture = Image.open(io.BytesIO(locator.screenshot())).convert("RGB")
    return len(picture.getcolors(2**20) or [])


def sized(page: Page, width: int, height: int) -> None:
    """Another screen, on which nothing is cut off sideways."""
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function(f"{WIDTH} <= {width}", timeout=5_000)


def beside(one: Locator, other: Locator) -> None:
    """The second stands right of the first, at the same height."""
    page, pair = one.page, [one.element_handle(), other.element_handle()]
    page.wait_for_function(BESIDE, arg=pair, timeout=5_000)  # once what came late has its place


@pytest.fixture(scope="module")
def dreamt(shared_page: Page) -> Page:
    """The false success that Start shows, dreamt to its end; reality has answered."""
    page = open_imagine(shared_page)
    first = json.loads((SHIPPED / "first" / "first.json").read_text())
    page.goto(f"/imagine?start={first['start_id']}&seed={first['seed']}")
    expect(page.get_by_role("radio", name=f"start {first['start_id']:,}")).to_be_checked()
    expect(page.get_by_text("compatible · ")).to_be_visible()
    page.get_by_role("button", name=re.compile("Run")).click()
    expect(page.get_by_role("button", name=re.compile("Replay"))).to_be_visible()
    if rendering_backend():
        expect(page.get_by_text("dreamt: success · reality: failed")).to_be_visible()
    return page


@pytest.mark.parametrize("size", SIZES)
def test_the_video_its_row_and_its_probabilities_are_in_one_screen(
    dreamt: Page, size: tuple[int, int]
) -> None:
    sized(dreamt, *size)
    stage, strip = dreamt.locator(".mine .stage"), dreamt.locator(".dream .strips")
    assert colours(stage) > 100
    assert min(box(stage)["width"], box(stage)["height"]) >= 300
    assert box(stage)["y"] >= 0
    assert box(strip)["y"] + 90 <= size[1]  # the probabilities are the first 90 pixels of it
    expect(dreamt.locator(".mine .verdict")).to_have_text(re.compile("success at"))
    assert box(dreamt.locator(".mine .verdict"))["y"] < box(strip)["y"]
    buttons = dreamt.locator(".dream .scrub button:visible")
    middles = [one["y"] + one["height"] / 2 for one in map(box, buttons.all())]
    assert len(middles) >= 6 and max(middles) - min(middles) < 4  # one row


@needs_reality
@pytest.mark.parametrize("size", SIZES[:2])
def test_reality_stands_beside_the_dream_by_itself_and_their_parting_is_marked(
    dreamt: Page, size: tuple[int, int]
) -> None:
    sized(dreamt, *size)
    beside(dreamt.locator(".mine .stage"), dreamt.locator(".theirs .stage"))
    assert colours(dreamt.locator(".theirs .stage")) > 100
    expect(dreamt.locator(".theirs .verdict")).to_have_text("✕ fail")
    expect(dreamt.locator(".strips text.onset")).to_have_text(re.compile(r"apart from \d+"))
    expect(dreamt.locator(".track .onset")).to_be_visible()


def test_the_threshold_is_dragged_under_the_video_and_everything_follows(dreamt: Page) -> None:
    sized(dreamt, *SIZES[1])
    handle = dreamt.get_by_role("slider", name="Success threshold")
    verdict, leaf = dreamt.locator(".mine .verdict"), dreamt.locator(".tree text").last
    expect(verdict).to_have_text(re.compile("success at"))
    expect(leaf).to_contain_text("✓")
    own = handle.get_attribute("aria-valuenow")
    middle = box(handle)
    dreamt.mouse.move(middle["x"] + 20, middle["y"] + 12)
    dreamt.mouse.down()
    dreamt.mouse.move(middle["x"] + 20, middle["y"] - 90, steps=4)  # beyond the top
    dreamt.mouse.up()
    expect(verdict).to_have_text("no success yet")
    expect(leaf).not_to_contain_text("✓")
    expect(dreamt.get_by_role("button", name="Save τ 1.00")).to_be_visible()
    dreamt.get_by_role("button", name="Back", exact=True).click()
    expect(verdict).to_have_text(re.compile("success at"))
    expect(handle).to_have_attribute("aria-valuenow", str(own))
    handle.press("ArrowDown")
    expect(handle).to_have_attribute("aria-valuenow", f"{float(str(own)) - 0.01:.3f}")
    dreamt.get_by_role("button", name="Back", exact=True).click()


def test_on_a_phone_the_pad_lies_over_the_video(dreamt: Page) -> None:
    sized(dreamt, *SIZES[2])
    dreamt.get_by_role("button", name="Take over").click()
    stage = box(dreamt.locator(".mine .stage"))
    for name in ("+y", "−x", "+z", "open", "close"):
        button = box(dreamt.locator(".pad").get_by_role("button", name=name))
        assert button["height"] >= 44
        assert stage["y"] <= button["y"] <= stage["y"] + stage["height"] - button["height"] + 1
    dreamt.get_by_role("button", name="Take over").click()
    expect(dreamt.locator(".pad")).to_be_hidden()
    sized(dreamt, *SIZES[0])
    stage, pad = box(dreamt.locator(".mine .stage")), box(dreamt.locator(".dream-side .pad"))
    assert pad["x"] > stage["x"] + stage["width"]  # on a desk it has a place of its own


@needs_reality
def test_a_false_success_is_found_and_opened(dreamt: Page) -> None:
    before = dreamt.url
    dreamt.get_by_role("button", name="Find a false success").click()
    expect(dreamt.get_by_text(re.compile("dreamt success, really failed"))).to_be_visible()
    assert dreamt.url != before
    expect(dreamt.get_by_text("dreamt: success · reality: failed")).to_be_visible()


def test_run_works_as_soon_as_it_is_seen(dreamt: Page) -> None:
    """Before the starts have come: it waits for them."""
    for _ in range(2):
        dreamt.goto("about:blank")
        dreamt.goto("/imagine", wait_until="commit")
        dreamt.get_by_role("button", name=re.compile("Run")).click()
        expect(dreamt.get_by_text("imagining", exact=True)).to_be_visible()


def test_from_start_to_a_lie_in_two_clicks(browser: Browser, server: Server) -> None:
    """The first number is that of the last frame, as the shipped run measured it."""
    document = json.loads((SHIPPED / "fidelity" / "coffee-push.json").read_text())
    lies, honest = (
        int(document["metrics"][f"fidelity/{cell}"]) for cell in ("false_success", "true_failure")
    )
    with visitor(browser, server, Problems()) as page:
        page.goto("/")
        page.goto("/fidelity?run=sample-coffee-push")
        first = page.get_by_text(f"{lies} of {lies + honest} real failures are dreamt as successes")
        for size in SIZES:
            sized(page, *size)
            assert box(first)["y"] + box(first)["height"] < size[1]
            film = page.locator(".pair-film").first
            page.wait_for_function("document.querySelector('.pair-film').style.backgroundImage")
            assert box(film)["width"] > 40 and colours(film) > 100
        expect(page.get_by_role("img", name=re.compile("Onsets of divergence"))).to_be_visible()
        onsets = page.locator(".liar .small").all_inner_texts()
        frames = [int(text.split()[-1]) for text in onsets if text.startswith("parts")]
        assert frames == sorted(frames) and len(onsets) == min(12, lies)
        page.get_by_role("button", name="Watch the").click()
        pair = page.get_by_role("dialog", name="Two videos in step")
        expect(pair.get_by_text(f"1 of {lies}")).to_be_visible()
        expect(pair.locator(".right .tag")).to_have_text("✕ fail")
        for size in SIZES:
            sized(page, *size)
            beside(pair.locator(".both .stage").first, pair.locator(".both .stage").last)
            assert colours(pair.locator(".both .stage").last) > 100
        expect(pair.locator("text.onset")).to_have_text(f"apart from {frames[0]}")
