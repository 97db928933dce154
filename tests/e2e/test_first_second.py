"""No press of a button is lost, however early: every control of every page, once it can be seen."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.conftest import PATIENCE, Server
from tests.e2e.sight import SIZES
from tests.e2e.test_looks import PAGES

pytestmark = [pytest.mark.e2e, pytest.mark.soak, pytest.mark.timeout(3000)]

SCRIPT = Path(__file__).with_name("press.js").read_text()
TRIES = 50
GROWN = "document.querySelector('.wm-header') && !document.documentElement.matches('.growing')"
PARTS = 2  # loads of a page; each presses its share of the controls


@pytest.mark.parametrize("late", [0, 600])
def test_no_press_of_the_first_second_is_lost(browser: Browser, server: Server, late: int) -> None:
    """Also where every answer comes `late` by so many milliseconds, as from far away."""
    tries, lost = 0, []
    for size in ("desk", "phone"):
        for part in range(PARTS):
            with visitor(browser, server, size, part, late) as page:
                for name in PAGES:
                    found = pressed(page, "/" if name == "start" else f"/{name}")
                    tries += found["tries"]
                    lost += [f"{name} on a {size}: {control}" for control in found["lost"]]
    assert tries >= TRIES
    assert not lost, lost


@contextmanager
def visitor(browser: Browser, server: Server, size: str, part: int, late: int) -> Iterator[Page]:
    """Somebody whose pages press their share of the controls by themselves."""
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=server.address, viewport={"width": width, "height": height}
    )
    context.set_default_timeout(PATIENCE)
    context.add_init_script(f"window.pressed_part = [{part}, {PARTS}];\n{SCRIPT}")
    page = context.new_page()
    network = {"offline": False, "latency": late, "downloadThroughput": -1, "uploadThroughput": -1}
    context.new_cdp_session(page).send("Network.emulateNetworkConditions", network)
    yield page
    context.close()


def pressed(page: Page, path: str) -> dict[str, Any]:
    """What came of the presses of a page."""
    page.goto(path, wait_until="commit")
    page.wait_for_function(GROWN)
    page.wait_for_timeout(1500)
    found: dict[str, Any] = page.evaluate("presses()")
    return found
