"""Imagine: keys, the cursor, settings, and what goes wrong in a sentence."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.conftest import open_imagine

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def imagined(page: Page, frames: int) -> None:
    expect(page.get_by_text(f"{frames} of 48 frames")).to_be_visible()


@pytest.fixture(scope="module")
def opened(shared_page: Page) -> Page:
    return open_imagine(shared_page)


@pytest.fixture
def imagine(opened: Page) -> Iterator[Page]:
    """Imagine as it opens; what a test imagines is taken back after it."""
    yield opened
    opened.evaluate("document.activeElement.blur()")  # keys rest in an input
    opened.keyboard.press("r")
    imagined(opened, 0)


def test_one_frame_one_chunk_and_back(imagine: Page) -> None:
    imagine.keyboard.press("ArrowRight")
    imagined(imagine, 1)
    imagine.keyboard.press("e")
    imagined(imagine, 8)
    expect(imagine.get_by_role("slider", name="Frame")).to_have_value("8")
    imagine.keyboard.press("Home")
    expect(imagine.get_by_role("slider", name="Frame")).to_have_value("0")
    imagine.keyboard.press("ArrowRight")
    expect(imagine.get_by_role("slider", name="Frame")).to_have_value("1")
    imagined(imagine, 8)
    imagine.keyboard.press("r")
    imagined(imagine, 0)


def test_a_key_pressed_while_the_last_one_is_at_work_is_not_lost(imagine: Page) -> None:
    imagine.keyboard.press("e")
    imagined(imagine, 8)
    for _ in range(2):
        imagine.keyboard.press("e")
    imagined(imagine, 24)


def test_space_runs_and_pauses(imagine: Page) -> None:
    imagine.keyboard.press("Space")
    expect(imagine.get_by_role("button", name=re.compile("Pause"))).to_be_visible()
    imagine.keyboard.press("Space")
    expect(imagine.get_by_text("paused", exact=True)).to_be_visible()


def test_keys_rest_while_somebody_types(page: Page) -> None:
    imagine = open_imagine(page)
    instruction = imagine.get_by_label("Instruction")
    instruction.fill("")
    instruction.press_sequentially("serve some fresh wine")
    expect(instruction).to_have_value("serve some fresh wine")
    expect(imagine.get_by_text("ready", exact=True)).to_be_visible()


def test_a_changed_setting_starts_a_new_dream(page: Page) -> None:
    imagine = open_imagine(page)
    imagine.keyboard.press("e")
    imagined(imagine, 8)
    first = imagine.url
    imagine.get_by_label("Horizon").fill("40")
    imagine.get_by_label("Horizon").blur()
    expect(imagine.get_by_text("settings changed", exact=True)).to_be_visible()
    imagine.get_by_role("button", name=re.compile("^Chunk")).click()
    imagine.wait_for_url(lambda address: address != first)
    expect(imagine.get_by_text("8 of 40 frames")).to_be_visible()


def test_the_same_seed_gives_the_same_numbers(imagine: Page) -> None:
    imagine.keyboard.press("e")
    imagined(imagine, 8)
    entropy = imagine.get_by_text(" nats").inner_text()
    imagine.keyboard.press("r")
    imagined(imagine, 0)
    imagine.keyboard.press("e")
    imagined(imagine, 8)
    expect(imagine.get_by_text(" nats")).to_have_text(entropy)


def test_an_uploaded_picture_becomes_a_start(page: Page, tmp_path: Path) -> None:
    imagine = open_imagine(page)
    imagine.locator("input[type=file]").set_input_files(make_picture(tmp_path))
    expect(imagine.get_by_role("radio", name="uploaded image")).to_be_checked()
    imagine.keyboard.press("e")
    imagined(imagine, 8)


def make_picture(folder: Path) -> Path:
    """A PNG of another size than the models'."""
    path = folder / "table.png"
    Image.new("RGB", (200, 150), (120, 90, 60)).save(path)
    return path


def test_what_is_no_picture_is_refused_in_a_sentence(imagine: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not a picture")
    imagine.locator("input[type=file]").set_input_files(tmp_path / "notes.png")
    expect(imagine.get_by_text("notes.png is not a picture that can be read")).to_be_visible()


def test_a_start_id_that_is_no_number_is_refused_in_a_sentence(imagine: Page) -> None:
    imagine.get_by_label("Another start id").fill("coffee")
    imagine.get_by_label("Another start id").press("Enter")
    expect(imagine.get_by_role("alert")).to_have_text("A start id is a whole number, not “coffee”.")


def test_a_dream_that_is_over_leaves_a_page_that_works(page: Page) -> None:
    page.goto("/imagine?dream=long-gone")
    expect(page.get_by_role("alert")).to_contain_text("this dream is over")
    page.get_by_role("button", name=re.compile("^Chunk")).click()
    imagined(page, 8)


def test_the_keys_are_explained(imagine: Page) -> None:
    imagine.keyboard.press("?")
    dialog = imagine.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_contain_text("Imagine one chunk")
    imagine.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
