"""Label at first sight: one screen, what counts, practice, and a session on a phone."""

import dataclasses
import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, ViewportSize, expect

from engine.records.events import read_events
from engine.runs.run_directory import RunDirectory
from tests.e2e.conftest import Problems, Server, all_saved, episode, visitor
from tests.e2e.sights import is_drawn, sizeless

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ANSWERS = ("✓ Success", "✕ Fail", "? Unsure", "Dream broke")
PHONE: ViewportSize = {"width": 390, "height": 844}
SIZES: list[ViewportSize] = [{"width": 1440, "height": 900}, {"width": 1280, "height": 720}, PHONE]
CLIPS, FAST = 20, 24
ANY = re.compile("")
# Keys as fast as a page hears them, each with the clip that stands there: whether the page says
# that it waits, and whether that clip was on the screen when it was last refreshed.
PRESS = """async (count) => {
  const find = (selector) => document.querySelector(`.judge-page ${selector}`);
  const name = () => find(".this-clip dd")?.textContent;
  const [shown, said] = [new Set(), []];
  const look = () => {
    if (find("canvas").dataset.frame) shown.add(name());
    if (said.length < count) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  await new Promise(requestAnimationFrame);
  for (let early = 0; said.length < count && early < 5000; early += 1) {
    const clip = name();
    const ready = clip && find(".note").textContent === "";
    for (const type of ["keydown", "keyup"])
      document.body.dispatchEvent(new KeyboardEvent(type, {
        key: "sfu"[said.length % 3], code: "Key", bubbles: true }));
    if (ready) said.push([clip, shown.has(clip)]);
    await new Promise((resolve) => setTimeout(resolve));
  }
  return said;
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """One visitor with a finger for all of it."""
    with visitor(browser, server, Problems()) as page:
        yield page


def make_queue(page: Page, server: Server, name: str, *, clips: int, goal: int = 0) -> None:
    """A finished run with some dreams, and a queue of them."""
    run = RunDirectory(server.data / "runs" / name)
    run.state("running")
    for number in range(clips):
        dream = dataclasses.replace(episode(number % 10), id=f"clip-{number:02d}")
        run.record(dream)
    (run.directory / "config.json").write_text(json.dumps({"job": "optimise", "config": {}}))
    run.state("done")
    run.close()
    page.goto(f"/label?make=&run={name}&goal={goal}")
    page.set_viewport_size(PHONE)
    page.get_by_role("button", name="Which clips…").click()
    page.get_by_label("Clips", exact=True).select_option("the filter of Episodes")
    page.get_by_label("known answer every").fill("0")
    page.get_by_role("button", name="Make queue").click()
    page.wait_for_url("**queue=**")  # what stood before may be of the same run
    page.get_by_role("button", name="Which clips…").click()
    expect(page.locator(".this-clip")).to_contain_text(f"{name}.")


def said_of(server: Server, run: str) -> list[tuple[str, str]]:
    """What was stored of a run's dreams: (episode, outcome)."""
    events = [event for _, event in read_events(server.data / "labels.jsonl")]
    return [
        (event["episode_id"], event["outcome"])
        for event in events
        if event["episode_id"].startswith(f"{run}.")
    ]


def answer(page: Page, name: str) -> Locator:
    return page.locator(".verdicts").get_by_role("button", name=name)


def playing(page: Page) -> None:
    expect(page.get_by_role("button", name="Pause the recording")).to_be_visible()
    expect(page.get_by_text("fetching the clip…")).to_have_count(0)


def in_sight(page: Page, *places: Locator) -> None:
    """Fails unless all of them lie in the window as it stands."""
    size = page.viewport_size
    assert size is not None
    for place in places:
        box = place.bounding_box()
        assert box is not None, place
        assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"], (place, box)
        assert box["y"] >= 0 and box["y"] + box["height"] <= size["height"], (place, box)


def test_clip_question_answers_and_what_counts_are_in_one_screen(page: Page) -> None:
    page.goto("/label")
    playing(page)
    card = page.get_by_role("region", name="What counts")
    examples = card.get_by_role("button", name="Play an example")
    for size in SIZES:
        page.set_viewport_size(size)
        page.evaluate("scrollTo(0, 0)")
        clip = page.get_by_role("img", name="Clip frame")
        in_sight(page, clip, page.get_by_text("Did it succeed?"), card.locator(".rule"))
        in_sight(page, *(answer(page, name) for name in ANSWERS), examples.first, examples.last)
        in_sight(page, card.get_by_role("button", name="Practise on"))
        in_sight(page, page.get_by_role("button", name="Undo"))
        is_drawn(clip, smallest=240)
        expect(examples).to_have_count(4)
        for example in examples.all():
            is_drawn(example.locator(".film"))
        assert sizeless(page) == []
    film = examples.first.locator(".film")
    expect(film).to_have_css("background-position-x", "100%")
    for kind in ("pointerenter", "pointerleave"):  # a tap: it plays on, although nobody points
        examples.first.dispatch_event(kind, {"pointerType": "touch"})
    expect(film).not_to_have_css("background-position-x", "100%")
    expect(card).to_contain_text("It succeeds as soon as")
    expect(page.get_by_label("Which clips")).to_have_value("imagined")
    expect(page.get_by_label("Order of the queue")).to_have_value("most uncertain first")


def test_practice_answers_and_stores_nothing(page: Page, server: Server) -> None:
    log = server.data / "labels.jsonl"
    before = log.read_bytes() if log.is_file() else b""
    page.get_by_role("button", name="Practise on 5 clips").click()
    said = page.locator(".practice").get_by_role("status")
    for number in range(1, 6):
        expect(page.get_by_text(f"Practice {number} of 5")).to_be_visible()
        playing(page)
        page.keyboard.press("s")
        expect(said).to_have_text(re.compile("^(Right|No): it (succeeds at frame|never succeeds)"))
        page.keyboard.press("k" if number % 2 else "s")
    expect(page.get_by_text(re.compile(r"Practice: [1-4] of 5 right\."))).to_be_visible()
    expect(page.locator(".practice")).to_be_hidden()
    playing(page)
    all_saved(page)
    assert (log.read_bytes() if log.is_file() else b"") == before


def test_fast_keys_judge_what_was_on_the_screen_and_nothing_else(
    page: Page, server: Server
) -> None:
    make_queue(page, server, "fast-clips", clips=FAST + 2)
    playing(page)
    pressed = page.evaluate(PRESS, FAST)
    all_saved(page)
    assert [clip for clip, seen in pressed if not seen] == []

    held: list[Route] = []
    asked: list[str] = []

    def hold(route: Route) -> None:
        wanted = route.request.post_data_json
        if wanted["fn_name"] == "clip":
            asked.append(wanted["data"]["episode"])
        if wanted["fn_name"] == "clip" and wanted["data"]["episode"] == asked[0]:
            held.append(route)  # of the clip that comes second: it is asked for first
        else:
            route.continue_()

    page.route("**/component_server/", hold)
    page.reload()
    playing(page)
    name = page.locator(".this-clip dd").first
    first = name.inner_text()
    page.keyboard.press("s")
    expect(page.get_by_text("fetching the clip…")).to_be_visible()
    expect(page.get_by_role("img", name="Clip frame")).not_to_have_attribute("data-frame", ANY)
    page.keyboard.press("s")
    expect(page.get_by_text("before the clip was on the screen")).to_be_visible()
    for route in held:
        route.continue_()
    page.unroute("**/component_server/")
    playing(page)
    second = name.inner_text()
    page.keyboard.press("u")
    all_saved(page)
    outcomes = [("success", "fail", "unsure")[number % 3] for number in range(FAST)]
    said = list(zip([clip for clip, _ in pressed], outcomes, strict=True))
    said += [(first, "success"), (second, "unsure")]
    # Clips of known outcome stand between them once others have judged some.
    ours = [(clip, outcome) for clip, outcome in said if clip.startswith("fast-clips")]
    assert said_of(server, "fast-clips") == ours


def test_twenty_clips_are_judged_on_a_phone_without_scrolling(page: Page, server: Server) -> None:
    make_queue(page, server, "phone-clips", clips=CLIPS, goal=CLIPS)
    hint = page.get_by_text("swipe ← fail · success →")
    playing(page)
    in_sight(page, hint)
    swipe(page, "right")
    expect(page.get_by_text(f"1 of {CLIPS}")).to_be_visible()
    expect(hint).to_be_hidden()
    for number in range(1, CLIPS):
        playing(page)
        in_sight(page, page.get_by_role("img", name="Clip frame"), answer(page, ANSWERS[0]))
        answer(page, ANSWERS[number % 3]).click()
        assert page.evaluate("scrollY") == 0
    summary = page.locator(".summary")
    expect(summary).to_contain_text(f"{CLIPS} judged")
    expect(summary).to_contain_text("dreams with a clear outcome")
    in_sight(page, summary)
    all_saved(page)
    ours = said_of(server, "phone-clips")
    assert len({name for name, _ in ours}) == len(ours) == CLIPS
    page.get_by_role("button", name="Go on without a goal").click()
    expect(summary).to_be_hidden()


def swipe(page: Page, way: str) -> None:
    """A finger that goes over the clip."""
    page.get_by_role("img", name="Clip frame").evaluate(
        """(canvas, way) => {
          const at = {left: [200, 60], right: [60, 200]}[way];
          ["pointerdown", "pointerup"].forEach((name, step) => canvas.dispatchEvent(
            new PointerEvent(name, {pointerType: "touch", isPrimary: true, bubbles: true,
              clientX: at[step], clientY: 300})));
        }""",
        way,
    )
