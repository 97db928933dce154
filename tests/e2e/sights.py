"""What is to be seen: boxes and pixels, not attributes."""

import io
from contextlib import suppress

import numpy as np
from PIL import Image
from playwright.sync_api import Error, Locator, Page, expect

SMALLEST = 40  # pixels each way, of a picture that somebody can make out
PLAIN = 4.0  # the standard deviation below which pixels are one colour

# Pictures that are there and shown, but have no size.
_SIZELESS = """() => [...document.querySelectorAll('.film, .thumb, img, canvas, svg[role=img]')]
  .filter((one) => one.parentElement.checkVisibility() && getComputedStyle(one).display !== 'none')
  .map((one) => [one.getBoundingClientRect(), one.outerHTML.slice(0, 90)])
  .filter(([box]) => box.width < 12 || box.height < 12).map(([, text]) => text)"""


def sizeless(page: Page) -> list[str]:
    """Pictures of the page that are shown and have no size."""
    found: list[str] = page.evaluate(_SIZELESS)
    return found


def is_drawn(place: Locator, *, smallest: int = SMALLEST) -> None:
    """Fails unless a picture has a size and is not of one colour."""
    expect(place).to_be_visible()
    box = place.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= smallest, box
    pixels = np.asarray(Image.open(io.BytesIO(_picture(place))).convert("RGB"), np.float64)
    assert pixels.std(axis=(0, 1)).max() > PLAIN, "a picture of one colour"


def _picture(place: Locator, tries: int = 3) -> bytes:
    """A wall may be drawn anew while its picture is taken."""
    for _ in range(tries - 1):
        with suppress(Error):
            return place.screenshot(timeout=20_000)
    return place.screenshot()
