"""Files in and out of the Episodes page."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from storage.exports.bundle import pack
from storage.exports.contents import LabelledEpisode
from storage.exports.formats import FOREIGN
from storage.exports.lerobot.reading import unpack_lerobot
from storage.exports.lerobot.writing import pack_lerobot
from tests.e2e.conftest import episode
from tests.e2e.test_episodes import drawer, tile

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
WALL = "/episodes?kind=imagined&order=oldest+first"


@pytest.fixture(scope="module")
def wall(shared_page: Page) -> Page:
    shared_page.goto(WALL)
    return shared_page


def test_an_exported_episode_is_imported_and_shown(wall: Page, tmp_path: Path) -> None:
    page = wall
    path = tmp_path / "traveller.wmpo.zip"
    path.write_bytes(pack(dataclasses.replace(episode(3), id="traveller")))
    page.get_by_label("Exported episodes (.zip, .tar, .hdf5)").set_input_files(path)
    expect(page.get_by_text("1 episode and 0 labels imported")).to_be_visible()
    expect(drawer(page)).to_contain_text("traveller")
    page.keyboard.press("Escape")
    expect(tile(page, "traveller")).to_be_visible()


def test_what_is_wrong_with_a_file_is_said_in_place(wall: Page, tmp_path: Path) -> None:
    page = wall
    changed = dataclasses.replace(episode(4), actions=np.zeros((24, 4), np.float32))
    path = tmp_path / "other.lerobot.zip"
    path.write_bytes(pack_lerobot([LabelledEpisode(episode=changed)]))
    page.get_by_label("Exported episodes (.zip, .tar, .hdf5)").set_input_files(path)
    answer = page.get_by_role("alert").filter(has_text="Nothing was imported")
    expect(answer).to_contain_text("there is already another episode journey-04")
    path.write_bytes(b"no zip")
    page.get_by_label("Exported episodes (.zip, .tar, .hdf5)").set_input_files(path)
    expect(answer).to_contain_text(FOREIGN)


def test_the_export_menu_gives_a_valid_lerobot_dataset(page: Page) -> None:
    page.goto(f"{WALL}&ep=journey-05")
    with page.expect_download() as download:
        drawer(page).get_by_label("Export").select_option("lerobot")
    assert download.value.suggested_filename == "journey-05.lerobot.zip"
    found = unpack_lerobot(download.value.path().read_bytes())
    assert found.problems == ()
    [item] = found.episodes
    np.testing.assert_array_equal(item.episode.frames, episode(5).frames)
    assert item.episode.actions.tobytes() == episode(5).actions.tobytes()


def test_the_chosen_episodes_are_one_dataset(wall: Page) -> None:
    page = wall
    for number in (8, 9):
        page.get_by_role("checkbox", name=f"Choose journey-{number:02d}").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export LeRobot").click()
    found = unpack_lerobot(download.value.path().read_bytes())
    assert [item.episode.id for item in found.episodes] == ["journey-08", "journey-09"]
