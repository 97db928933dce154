"""What is to be seen: boxes and pixels, not attributes."""

import io

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, expect

SMALLEST = 40  # pixels each way, of a picture that somebody can make out
PLAIN = 4.0  # the standard deviation below which pixels are one colour


def is_drawn(place: Locator, *, smallest: int = SMALLEST) -> None:
    """Fails unless a picture has a size and is not of one colour."""
    place.scroll_into_view_if_needed()
    expect(place).to_be_visible()
    box = place.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= smallest, box
    pixels = np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB"), np.float64)
    assert pixels.std(axis=(0, 1)).max() > PLAIN, "a picture of one colour"
