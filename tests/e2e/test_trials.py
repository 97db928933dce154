"""Trials: a sheet is drawn, filled in blind, one key a trial, and then its key is opened."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server
from tests.e2e.sights import is_drawn

_FILE = io.BytesIO()
Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)).save(_FILE, "PNG")
PIXELS = _FILE.getvalue()
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_a_sheet_is_drawn_filled_in_by_key_and_read(page: Page, server: Server) -> None:
    page.goto("/trials")
    page.get_by_label("Policies, with commas; the base first").fill("cautious, daring")
    page.get_by_label("Starts").fill("2")
    page.get_by_role("button", name="Draw the order").click()
    trial = page.get_by_role("region", name="This trial")
    expect(trial).to_be_visible(timeout=300_000)  # a worker starts first
    progress = page.get_by_role("status").filter(has_text="trials")
    expect(progress).to_have_text("0 of 4 trials")
    body = page.locator("main, body").first.inner_text()
    assert "cautious" not in body and "daring" not in body
    for said in trial.locator(".big b").all():  # read from where the robot stands
        assert float(said.evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)")) >= 22
    picture = {"name": "desk.png", "mimeType": "image/png", "buffer": PIXELS}
    trial.get_by_label("Photograph of the start").set_input_files(picture)
    shown = trial.get_by_role("img", name="Photograph of the start")
    is_drawn(shown)
    page.keyboard.press("s")
    expect(progress).to_have_text("1 of 4 trials")
    is_drawn(shown)  # the next policy is tried on the same start
    page.keyboard.press("f")
    expect(progress).to_have_text("2 of 4 trials")
    expect(shown).to_have_count(0)
    page.keyboard.press("s")
    expect(progress).to_have_text("3 of 4 trials")
    page.keyboard.press("z")
    expect(progress).to_have_text("2 of 4 trials")
    trial.get_by_label("note").fill("slipped")
    trial.get_by_role("button", name="Fail").click()
    expect(progress).to_have_text("3 of 4 trials")
    page.reload()
    expect(progress).to_have_text("3 of 4 trials")
    page.keyboard.press("s")
    page.get_by_role("button", name="Open the key and compare").click()
    table = page.get_by_role("table")
    expect(table).to_contain_text("daring", timeout=300_000)
    expect(table.get_by_role("row")).to_have_count(3)
    expect(table).to_contain_text(re.compile(r"\d+\.\d–\d+\.\d"))
    assert len(list((server.data / "runs").glob("*/ledger.jsonl"))) >= 1
    page.goto("/train")  # a sheet has no curves: the newest run that has some is shown
    page.wait_for_url(re.compile("run="))
    assert "run=trials" not in page.url
