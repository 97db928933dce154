"""What anybody would see wrong with a page: it jumps, text is cut, what matters is out of sight.

`faults` looks at a page as it stands; `see` opens one at a size and looks. Nothing is asserted
here, so that a test can say of many pages at once what is wrong with each.
"""

from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Locator, Page, ViewportSize, expect

SIZES = {"desk": (1440, 900), "laptop": (1280, 720), "phone": (390, 844)}
MOST_SHIFT = 0.1  # web.dev/cls: what is still good
FAINT = 3.0  # contrast below which large text cannot be read (WCAG 1.4.3)

SCRIPT = Path(__file__).with_name("sight.js")
QUIET = "performance.now() - sight.grown > 500 && [...document.images].every((i) => i.complete)"


def watch(page: Page) -> None:
    """Look at every page that is opened from now on, from its first moment."""
    page.add_init_script(path=SCRIPT)


def faults(page: Page, essential: Sequence[Locator] = ()) -> list[str]:
    """What is wrong with the page as it stands, a sentence each; `watch` has been called."""
    shift, jumps = page.evaluate("[sight.shift, sight.jumps]")
    found = [f"shifts by {shift:.2f}: {jumps[:4]}"] if shift > MOST_SHIFT else []
    found += page.evaluate("sight.cut()")
    found += pale(page)
    width, height = page.evaluate("[innerWidth, innerHeight]")
    if page.evaluate("document.documentElement.scrollWidth") > width:
        found.append("scrolls sideways")
    for locator in essential:
        box = locator.bounding_box()
        if box is None:
            found.append(f"{locator} is not there")
        elif box["y"] + box["height"] > height + 1 or box["y"] < 0:
            found.append(f"{locator} lies at {box['y']:.0f} of {height}")
    return found


def pale(page: Page) -> list[str]:
    """Text that can hardly be read in the theme that is on."""
    found: list[str] = page.evaluate("(least) => sight.pale(least)", FAINT)
    return found


def open_page(page: Page, path: str, sign: Locator, size: str) -> None:
    """Open a page at a size and wait until it has grown; at its top."""
    page.set_viewport_size(_viewport(size))
    page.goto(path)
    expect(sign).to_be_visible()
    page.wait_for_function(QUIET)


def resize(page: Page, size: str) -> None:
    """Give a page that is open another size and wait until it has grown."""
    page.set_viewport_size(_viewport(size))
    page.evaluate("sight.grown = performance.now()")
    page.wait_for_function(QUIET)


def _viewport(size: str) -> ViewportSize:
    width, height = SIZES[size]
    return {"width": width, "height": height}
