"""A new user's own recordings: looked at, asked about, taken in, and labelled."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Server
from tests.engine.recordings.datasets import FRONT, WRIST, lerobot_v3

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
CASES = Path(__file__).parents[1] / "golden" / "recordings"


def card(page: Page) -> Locator:
    return page.get_by_role("region", name="Recordings of your robot")


def middle(control: Locator) -> tuple[int, ...]:
    """The colour of a control's middle."""
    picture = Image.open(io.BytesIO(control.screenshot())).convert("RGB")
    return picture.getpixel((picture.width // 2, picture.height // 2))


@pytest.fixture(scope="module")
def data(shared_page: Page) -> Page:
    shared_page.goto("/data")
    return shared_page


def test_what_cannot_be_used_is_said_in_place(data: Page) -> None:
    card(data).get_by_label("Recordings to look at").set_input_files(CASES / "low_dim.hdf5")
    expect(card(data).get_by_role("alert")).to_have_text(
        re.compile(r"low_dim\.hdf5|data/demo_0/obs: there are no pictures")
    )


def test_two_cameras_are_shown_and_one_is_asked_for(
    data: Page, server: Server, tmp_path: Path
) -> None:
    root = lerobot_v3(tmp_path / "drawer", (14, 16, 12), cameras=(FRONT, WRIST))
    own = card(data)
    own.get_by_label("File or folder of this machine").fill(str(root))
    own.get_by_label("File or folder of this machine").press("Enter")
    strips = own.get_by_role("img", name="begin to end")
    expect(strips).to_have_count(2)
    for strip in strips.all():
        box = strip.bounding_box()
        assert box is not None and box["width"] > 300 and box["height"] > 30
        assert strip.evaluate("image => image.naturalWidth") == 8 * 144
    expect(own).to_contain_text("3 recordings of 12 to 16 steps")
    expect(own.get_by_role("status")).to_contain_text("of which task they are")
    own.get_by_label("name of the new task").fill("e2e-drawer")
    own.get_by_label("name of the new task").press("Tab")
    expect(own.get_by_role("status")).to_contain_text("several cameras")
    wrist = own.get_by_role("radio", name=re.compile("wrist"))
    free = middle(wrist)
    wrist.check()
    assert middle(wrist) != free  # who looks sees which one is chosen
    expect(own.get_by_role("status")).to_contain_text("camera observation.images.wrist: 32×32")
    own.get_by_label("recorded steps an action").fill("2")
    own.get_by_label("recorded steps an action").press("Tab")
    expect(own.get_by_role("status")).to_contain_text("needs to know how actions combine")
    for name, how in {"dx": "sum", "dy": "sum", "grip": "last"}.items():
        own.get_by_label(f"{name} over a stride").select_option(how)
    expect(own.get_by_role("status")).to_contain_text("the sum of dx, dy and the last of grip")
    own.get_by_role("button", name="Take in 3 recordings").click()
    expect(own).to_contain_text("All came in", timeout=300_000)  # a worker starts first
    expect(own.get_by_role("link", name="Label 3 clips")).to_be_visible()
    assert (server.data / "tasks" / "e2e-drawer.json").is_file()
    own.get_by_role("link", name="Look at them").click()
    tile = data.get_by_label(re.compile(r"drawer-000001-1, real nobody judged")).first
    expect(tile).to_be_visible()
