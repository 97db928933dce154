"""What is to be seen: boxes and pixels, not attributes."""

import io

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

SMALLEST = 40  # pixels each way, of a picture that somebody can make out
PLAIN = 4.0  # the standard deviation below which pixels are one colour

# Summed as browsers do: shifts within five seconds, at most a second apart, and not after an input.
_WATCH = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => shifts.push(...list.getEntries()
    .filter((entry) => !entry.hadRecentInput)
    .map((entry) => [entry.startTime, entry.value, entry.sources.map((source) =>
      `${source.node?.className || source.node?.nodeName} ${source.previousRect.top}→`
      + `${source.currentRect.top}`).join(", ")])))
    .observe({type: "layout-shift", buffered: true});
}"""


def is_drawn(place: Locator, *, smallest: int = SMALLEST) -> None:
    """Fails unless a picture has a size and is not of one colour."""
    place.scroll_into_view_if_needed()
    expect(place).to_be_visible()
    box = place.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= smallest, box
    pixels = np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB"), np.float64)
    assert pixels.std(axis=(0, 1)).max() > PLAIN, "a picture of one colour"


def watch_shifts(page: Page) -> None:
    """Remember what moves by itself on every page that is opened from now on."""
    page.add_init_script(f"({_WATCH})()")


def moved(page: Page) -> float:
    """How far the page moved by itself since it was opened: the largest burst of layout shifts."""
    bursts, began, last = [0.0], -1e9, -1e9
    for time, value, _ in page.evaluate("shifts"):
        if time - last > 1000 or time - began > 5000:
            bursts.append(0.0)
            began = time
        bursts[-1] += value
        last = time
    return max(bursts)
