"""Files that other tools wrote, by page: taken in, asked about or refused, as they must be.

The files of this repository are always tried; a folder of more (LeRobot datasets that are too large
to keep here) is named by `WMPO_CASES`.
"""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from engine.records.episodes import list_episodes, read_episode
from engine.records.types import Trajectory
from storage.exports.contents import LabelledEpisode
from storage.exports.formats import FORMATS, read_episodes
from tests.e2e.conftest import Server

pytestmark = [pytest.mark.e2e, pytest.mark.soak, pytest.mark.timeout(1800)]
HDF5 = Path(__file__).parents[1] / "golden" / "recordings"
TARS = Path(__file__).parents[1] / "golden" / "foreign"
LEROBOT = Path(os.environ.get("WMPO_CASES", "/nowhere")) / "lerobot"
FRONT = "observation.images.front"
# Name, camera to choose where it asks, episodes that come in.
TAKEN: list[tuple[Path, str, int]] = [
    *((HDF5 / f"{name}.hdf5", "", count) for name, count in (
        ("demo", 1), ("demo_b", 1), ("raw_mimicgen", 1), ("odd_dense", 1), ("odd_seven", 1),
        ("odd_84", 1), ("video_85x85", 1), ("chw", 1), ("float", 1), ("lzf", 1),
    )),
    (HDF5 / "odd_two_cameras.hdf5", "agentview", 1),
    (HDF5 / "drawer_v21_video", "", 0),
    *((TARS / f"{name}.tar", "", 0) for name in ("plain", "dot", "macos", "extra")),
    (LEROBOT / "drawer_v3_two_cameras_video", "front", 24),
    (LEROBOT / "drawer_v3_image", "", 6),
    (LEROBOT / "drawer_v21_video", "", 5),
]  # fmt: skip
REFUSED = {
    "low_dim.hdf5": "there are no pictures",
    "odd_nan_reward.hdf5": "row 0: the reward is not a number",
}


@pytest.fixture(scope="module")
def data(shared_page: Page) -> Locator:
    shared_page.goto("/data")
    return shared_page.get_by_role("region", name="Recordings of your robot")


def look(own: Locator, path: Path) -> None:
    """A file as it is sent by a browser; a folder by its path."""
    if path.is_file():
        own.get_by_label("Recordings to look at").set_input_files(path)
        return
    own.get_by_label("File or folder of this machine").fill(str(path))
    own.get_by_label("File or folder of this machine").press("Enter")


def take_in(own: Locator, path: Path, camera: str) -> str:
    """Taken in as a task of its own; the run."""
    look(own, path)
    name = re.sub(r"[^a-z0-9]+", "-", f"{path.parent.name}-{path.stem}".lower())
    expect(own.get_by_role("radiogroup", name="Camera")).to_be_visible()
    shown = re.sub(r"\W|_", "[-_.]", path.stem[:8])  # the file's name, as ids may hold it
    expect(own).to_contain_text(re.compile(shown, re.IGNORECASE))
    if camera:
        own.get_by_role("radio", name=re.compile(camera)).first.check()
    if "drawer" not in path.name:  # its recordings say themselves what they are told
        own.get_by_label("instruction, if not their own").fill("do it")
        own.get_by_label("instruction, if not their own").press("Tab")
    own.get_by_label("name of the new task").fill(name)
    own.get_by_label("name of the new task").press("Tab")
    own.get_by_role("button", name=re.compile("^Take in")).click()
    expect(own).to_contain_text("All came in", timeout=300_000)
    address = own.get_by_role("link", name="Look at them").get_attribute("href")
    assert address is not None
    return address.partition("run=")[2]


@pytest.mark.parametrize(
    ("path", "camera", "count"), TAKEN, ids=[f"{p.parent.name}-{p.name}" for p, *_ in TAKEN]
)
def test_a_case_comes_in_and_goes_out_equal(
    data: Locator,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: Path,
    camera: str,
    count: int,
) -> None:
    monkeypatch.setenv("WMPO_DATA_DIR", str(server.data))  # where the new tasks are
    if not path.exists():
        pytest.skip("not kept in this repository")
    data.page.reload()
    run = server.data / "runs" / take_in(data, path, camera)
    episodes = [read_episode(place) for place in list_episodes(run / "episodes")]
    assert len(episodes) == count or not count
    assert episodes
    if path.name == "drawer_v3_two_cameras_video":
        assert len({episode.instruction for episode in episodes}) == 2
        assert not any(episode.judged for episode in episodes)
    for name, (ending, write) in FORMATS.items():
        target = tmp_path / f"{name}{ending}"
        write(target, [LabelledEpisode(episode=episode) for episode in episodes])
        found = {item.episode.id: item.episode for item in read_episodes(target).episodes}
        assert len(found) == len(episodes)
        for episode in episodes:
            same(episode, found[episode.id], exact=name != "lerobot")
    shutil.rmtree(tmp_path)


def same(one: Trajectory, other: Trajectory, *, exact: bool) -> None:
    np.testing.assert_array_equal(one.actions, other.actions)
    off = np.abs(one.frames.astype(int) - other.frames)
    assert off.max() == 0 if exact else off.mean() < 3  # a video loses a little
    assert (one.task, one.instruction, one.judged) == (other.task, other.instruction, other.judged)
    assert not one.judged or one.outcome == other.outcome


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_is_refused_in_a_sentence(data: Locator, name: str) -> None:
    data.page.reload()
    look(data, HDF5 / name)
    expect(data.get_by_role("alert")).to_contain_text(REFUSED[name])


def test_two_tars_come_in_together(data: Locator, server: Server, tmp_path: Path) -> None:
    for name in ("plain", "macos"):
        shutil.copy(TARS / f"{name}.tar", tmp_path)
    data.page.reload()
    run = server.data / "runs" / take_in(data, tmp_path, "")
    names = {read_episode(p).lineage["recording"] for p in list_episodes(run / "episodes")}
    assert {name.partition("/")[0] for name in names} == {"plain", "macos"}
