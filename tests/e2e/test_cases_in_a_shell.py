"""Files that other tools wrote, by command line: what the page does with them, a shell does, too.

As `test_cases.py`, with the same files and what must come of them, but without a browser.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.records.episodes import list_episodes, read_episode
from engine.records.ledger import read_ledger
from engine.records.types import Trajectory
from engine.runs.run_directory import read_documents
from storage.exports.contents import LabelledEpisode
from storage.exports.formats import FORMATS, read_episodes
from tests.e2e.test_cases import FRONT, HDF5, REFUSED, TAKEN, same

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]
KNOWN_TASK = "drawer-open"  # of four numbers an action, 64 px
VIEWS = {"agentview": "robot0_agentview_left_image", "front": FRONT}  # as a shell names them
SAID = {  # what the report must say of a file that is understood in a way of its own
    "raw_mimicgen": "success",
    "odd_dense": "reward",
    "chw": "channels",
    "float": "shares of 1",
    "extra": "passed over",
    "macos": "passed over",
}


def shell(path: Path, out: Path, *settings: str) -> tuple[int, str]:
    """(exit status, what it complained of) of `python -m engine import`."""
    words = [word for setting in settings for word in ("--set", setting)]
    ended = subprocess.run(
        [sys.executable, "-m", "engine", "import", str(path), "--out", str(out), *words],
        env={**os.environ, "WMPO_DATA_DIR": str(out.parent / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stderr


def told(path: Path) -> list[str]:
    """Its instruction, where the recordings do not say what they were told."""
    return [] if "drawer" in path.name else ['plan.instruction="do it"']


def nothing_came(out: Path) -> bool:
    return not list_episodes(out / "episodes") and not read_ledger(out)


def stored(out: Path) -> list[Trajectory]:
    return [read_episode(place) for place in list_episodes(out / "episodes")]


@pytest.mark.parametrize(
    ("path", "camera", "count"), TAKEN, ids=[f"{p.parent.name}-{p.name}" for p, *_ in TAKEN]
)
def test_a_case_comes_in_and_goes_out_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path, camera: str, count: int
) -> None:
    monkeypatch.setenv("WMPO_DATA_DIR", str(tmp_path / "data"))
    if not path.exists():
        pytest.skip("not kept in this repository")
    out, settings = tmp_path / "out", ["new_task=mine", *told(path)]
    if camera:
        status, complaint = shell(path, out, *settings)
        assert (status, nothing_came(out)) == (2, True)
        assert "several cameras: choose one" in complaint
        settings.append(f"plan.camera={VIEWS[camera]}")
        out = tmp_path / "chosen"
    status, complaint = shell(path, out, *settings)
    assert status == 0, complaint
    episodes = stored(out)
    assert len(episodes) == count or (not count and episodes)
    assert len(read_ledger(out)) == len(episodes)
    assert all(episode.id.startswith(path.stem.replace("_", "-")) for episode in episodes)
    report = read_documents(out)["report"]
    assert SAID.get(path.stem, "") in " ".join(report["notes"]), report["notes"]
    for name, (ending, write) in FORMATS.items():
        target = tmp_path / f"{name}{ending}"
        write(target, [LabelledEpisode(episode=episode) for episode in episodes])
        found = {item.episode.id: item.episode for item in read_episodes(target).episodes}
        for episode in episodes:
            same(episode, found[episode.id], exact=name != "lerobot")


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    status, complaint = shell(HDF5 / name, tmp_path / "out", "new_task=mine")
    assert (status, nothing_came(tmp_path / "out")) == (2, True)
    assert REFUSED[name] in complaint


def test_what_a_file_says_of_success_is_kept(tmp_path: Path) -> None:
    for name in ("raw_mimicgen", "odd_dense"):
        path = HDF5 / f"{name}.hdf5"
        assert shell(path, tmp_path / name, f"new_task={name}", *told(path))[0] == 0
    assert all(episode.outcome.success for episode in stored(tmp_path / "raw_mimicgen"))
    assert not any(episode.judged for episode in stored(tmp_path / "odd_dense"))


def test_recordings_of_another_robot_are_refused_for_a_task_and_offered_a_new_one(
    tmp_path: Path,
) -> None:
    path = HDF5 / "odd_seven.hdf5"
    status, complaint = shell(path, tmp_path / "out", f"task={KNOWN_TASK}", *told(path))
    assert (status, nothing_came(tmp_path / "out")) == (2, True)
    assert "7 action dimensions" in complaint and "new_task=NAME" in complaint


@pytest.mark.parametrize("name", ["odd_84", "video_85x85"])
def test_frames_of_another_size_are_resized_for_a_task(tmp_path: Path, name: str) -> None:
    path = HDF5 / f"{name}.hdf5"
    status, complaint = shell(path, tmp_path / "out", f"task={KNOWN_TASK}", *told(path))
    assert status == 0, complaint
    assert {episode.frames.shape[1:3] for episode in stored(tmp_path / "out")} == {(64, 64)}
