"""Recordings become episodes of a run: told first, all or nothing, and once, whoever is killed."""

import itertools
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.recordings.reading import dealt
from engine.records.episodes import list_episodes, read_episode
from engine.records.ledger import read_ledger
from engine.records.tasks import get_task
from engine.runs.registry import run_job
from engine.runs.run_directory import RunDirectory
from tests.engine.recordings.datasets import (
    FRONT,
    WRIST,
    actions,
    films,
    is_picture,
    lerobot_v3,
    picture,
)

CASES = Path(__file__).parents[2] / "golden" / "recordings"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WMPO_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def taken(out: Path, dataset: Path, **options: Any) -> dict[str, Any] | None:
    with closing(RunDirectory(out)) as run:
        return run_job("import_recordings", {"dataset": str(dataset)} | options, run)


def test_a_dry_run_tells_all_and_takes_in_nothing(data: Path) -> None:
    root = lerobot_v3(data / "set", cameras=(FRONT, WRIST))
    told = taken(data / "run", root, dry_run=True, new_task="mine")
    assert told is not None and told["import/found"] == 3
    assert "several cameras" in told["open"]
    report = json.loads((data / "run/documents/report.json").read_text())
    assert len(report["strips"]) == 2 and report["histograms"]
    told = taken(data / "run2", root, dry_run=True, new_task="mine", plan={"camera": FRONT})
    assert told is not None and told["open"] == ""
    assert told["words"][0].startswith(f"camera {FRONT}: 32×32 from row 0, column 8")
    assert list_episodes(data / "run2/episodes") == [] and read_ledger(data / "run2") == []
    with pytest.raises(ValueError, match="unknown task"):
        get_task("mine")


@pytest.fixture
def imported(data: Path) -> Iterator[Path]:
    root = lerobot_v3(data / "set", cameras=(FRONT, WRIST))
    with zipfile.ZipFile(data / "set.zip", "w") as archive:  # as macOS packs a folder
        for path in [p for p in root.rglob("*") if p.is_file()]:
            archive.write(path, f"set/{path.relative_to(root)}")
        archive.writestr("__MACOSX/set/._meta", "x")
        archive.writestr("set/.gitattributes", "x")
    options = {"new_task": "mine", "use": "world model", "policy": "c0ffee"}
    metrics = taken(data / "run", data / "set.zip", plan={"camera": WRIST}, **options)
    assert metrics == {
        "import/episodes": 3,
        "import/frames": 18,
        "import/successes": 0,
        "import/unlabelled": 3,
    }
    yield data / "run"


def test_a_recording_becomes_an_episode_that_says_where_it_came_from(imported: Path) -> None:
    paths = list_episodes(imported / "episodes")
    assert [path.name for path in paths] == ["set-000000-0", "set-000001-1", "set-000002-2"]
    for index, path in enumerate(paths):
        episode = read_episode(path)
        assert (episode.task, episode.imagined, episode.judged) == ("mine", False, False)
        assert episode.instruction == ("do this" if index % 2 else "do that")
        assert {"dataset": "set", "recording": str(index), "camera": WRIST}.items() <= dict(
            episode.lineage
        ).items()
        length = (5, 7, 6)[index]
        np.testing.assert_array_equal(episode.actions, actions(index, length)[:-1])
        for at, frame in enumerate(episode.frames):
            assert is_picture(frame, picture(index, at)[:, 8:40])
    entries = read_ledger(imported)
    assert {(e["use"], e["policy"], e["pool"]) for e in entries} == {
        ("world model", "c0ffee", "recordings")
    }
    assert len({e["start_id"] for e in entries}) == 3
    assert not (imported / "work").exists()
    task = get_task("mine")
    assert (task.dimension_names, task.unscaled, task.simulator) == (("dx", "dy", "grip"), (2,), "")
    assert episode.lineage["task_record"] == task.version


def test_whoever_is_killed_after_any_recording_the_episodes_are_the_same(data: Path) -> None:
    root = lerobot_v3(data / "set", (3, 4, 3, 4))
    options = {"new_task": "mine", "plan": {"stride": 1}}
    taken(data / "whole", root, **options)

    class Killed(RunDirectory):
        """Ends when it is to store, to publish or to say so once more than it may."""

        left = 0

        def store(self, episode: Any) -> None:
            self._spend()
            super().store(episode)

        def publish(self, episode_id: str) -> None:
            self._spend()
            super().publish(episode_id)

        def emit(self, kind: str, **values: Any) -> None:
            if kind == "episode":
                self._spend()
            super().emit(kind, **values)

        def _spend(self) -> None:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1

    for attempt in range(13):  # four recordings are stored, published and said
        with closing(Killed(data / "killed")) as run:
            run.left = attempt
            try:
                run_job("import_recordings", {"dataset": str(root), **options}, run)
                break
            except KeyboardInterrupt:
                continue
    assert attempt > 2
    assert len(read_ledger(data / "killed")) == 4
    for path in list_episodes(data / "whole/episodes"):
        one, other = read_episode(path), read_episode(data / "killed/episodes" / path.name)
        np.testing.assert_array_equal(one.frames, other.frames)
        np.testing.assert_array_equal(one.actions, other.actions)
        assert dict(one.lineage) == dict(other.lineage)


def test_one_recording_that_cannot_be_decoded_keeps_all_of_them_out(data: Path) -> None:
    root = lerobot_v3(data / "set", images=True)
    broken = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(broken).to_pydict()
    table[FRONT][16]["bytes"] = table[FRONT][16]["bytes"][:80]
    pq.write_table(pa.table(table), broken)
    with pytest.raises(ValueError, match=r"file-000.parquet, .*front, row 16: is no picture"):
        taken(data / "run", root, new_task="mine")
    assert list_episodes(data / "run/episodes") == [] and read_ledger(data / "run") == []


def test_a_dataset_that_changed_in_between_is_another(data: Path) -> None:
    root = films(data / "films", (5,))
    options = {"new_task": "mine", "plan": {"size": 16}}
    taken(data / "run", root, dry_run=True, **options)
    films(root, (6,))
    with pytest.raises(ValueError, match="changed since this import began"):
        taken(data / "run", root, **options)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("odd_seven", {"task": "coffee-push"}, "7 action dimensions, the task coffee-push 4"),
        ("odd_two_cameras", {"task": "coffee-push"}, "several cameras: choose one with camera"),
        ("demo", {}, "of which task they are"),
        ("demo", {"task": "coffee-push", "new_task": "x"}, "not both"),
        ("demo", {"task": "pour"}, "unknown task 'pour'"),
        ("low_dim", {"task": "coffee-push"}, "there are no pictures"),
    ],
)
def test_what_cannot_come_in_says_what_to_do(
    data: Path, name: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        taken(data / "run", CASES / f"{name}.hdf5", **options)
    assert list_episodes(data / "run/episodes") == []


def test_files_of_the_same_demo_names_are_two_datasets(data: Path) -> None:
    for name in ("demo", "demo_b"):
        taken(data / name, CASES / f"{name}.hdf5", task="coffee-push")
    [one], [other] = (list_episodes(data / name / "episodes") for name in ("demo", "demo_b"))
    assert (one.name, other.name) == ("demo-000000-demo-0", "demo-b-000000-demo-0")
    episode = read_episode(one)
    with h5py.File(CASES / "demo.hdf5") as file:
        np.testing.assert_array_equal(episode.frames, file["data/demo_0/obs/agentview_image"][()])
    assert episode.instruction == get_task("coffee-push").instruction
    assert (episode.outcome.success, episode.judged) == (False, True)


def test_a_larger_picture_is_resized_to_its_task(data: Path) -> None:
    taken(data / "run", CASES / "odd_84.hdf5", task="coffee-push")
    [path] = list_episodes(data / "run/episodes")
    assert read_episode(path).frames.shape == (48, 64, 64, 3)
    taken(data / "own", CASES / "video_85x85.hdf5", new_task="mine", plan={"size": 85,
          "instruction": "go"})  # fmt: skip
    [path] = list_episodes(data / "own/episodes")
    assert read_episode(path).frames.shape == (20, 85, 85, 3)


def test_an_archive_that_leads_out_of_itself_stays_inside(data: Path) -> None:
    root = lerobot_v3(data / "set", (3, 3))
    with zipfile.ZipFile(data / "set.zip", "w") as archive:
        for path in [p for p in root.rglob("*") if p.is_file()]:
            archive.write(path, str(path.relative_to(root)))
        archive.writestr("../../outside.txt", "x")
    shutil.rmtree(root)
    taken(data / "run", data / "set.zip", dry_run=True)
    assert all("unpacked-" in str(path) for path in data.parent.rglob("outside.txt"))


def test_an_import_loads_no_torch(data: Path) -> None:
    """It takes more than a second, and nothing here computes with it."""
    root = lerobot_v3(data / "set")
    script = (
        "import sys; from engine.__main__ import main; status = main(sys.argv[1:]); "
        "sys.exit(status or 'torch' in sys.modules)"
    )
    words = ["import", str(root), "--out", str(data / "run"), "--set", "new_task=mine"]
    ended = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert len(list_episodes(data / "run" / "episodes")) == 3


@pytest.mark.parametrize(("size", "count"), [(2**20, 9), (12 * 2**20, 40), (2**30, 150), (1, 2000)])
def test_decoders_take_turns_and_nothing_is_left_out(size: int, count: int) -> None:
    parts = dealt([size] * (count + 3), range(3, count + 3))
    assert sorted(i for part in parts for block in part for i in block) == [*range(3, count + 3)]
    starts = sorted((block.start, number) for number, part in enumerate(parts) for block in part)
    turns = [number % 2 for _, number in starts]
    assert all(one != other for one, other in itertools.pairwise(turns))
