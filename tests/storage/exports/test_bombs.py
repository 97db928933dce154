"""Small files that unpack to gigabytes cost the studio nothing: a child decodes them."""

import gc
import re
import resource
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.imagine.upload import read_image
from engine.records.types import Outcome, Trajectory
from storage.database import Database
from storage.events.labels import LabelStore
from storage.exports import bundle
from storage.exports.contents import LabelledEpisode
from storage.exports.events.labels import import_labels
from storage.exports.formats import FORMATS, read_episodes
from tests.storage.exports.bombs import OF_EPISODES, OF_LABELS, OF_PICTURES

pytestmark = pytest.mark.slow
MOST_MEMORY = 300 * 2**20


@pytest.fixture
def episode() -> Trajectory:
    return Trajectory(
        id="episode-1",
        task="coffee-push",
        start_id=300_000,
        instruction="push the mug",
        imagined=True,
        outcome=Outcome(True, 2),
        frames=np.arange(3 * 16 * 16 * 3, dtype=np.uint8).reshape(3, 16, 16, 3),
        actions=np.array([[0.5, -0.5], [0.25, 1.0]], np.float32),
        arrays={"tokens": np.arange(4).reshape(1, 4)},
    )


@pytest.fixture
def bounded(
    record_property: Callable[[str, object], None],
) -> Callable[[Callable[[], object]], int]:
    """Runs something and asserts that this process never needed much more than before it."""

    def run(work: Callable[[], object]) -> int:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before, seconds = _status("VmRSS"), _cpu_seconds()
        work()
        grown = _status("VmHWM") - before
        record_property("megabytes", grown // 2**20)
        record_property("CPU seconds", round(_cpu_seconds() - seconds, 1))
        assert grown < MOST_MEMORY
        return grown

    return run


def _cpu_seconds() -> float:
    """Of this process and of the children that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _status(name: str) -> int:
    [line] = re.findall(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) * 1024


def of(names: Iterable[str], daily: Iterable[str]) -> list[Any]:
    """A few of every day; all of them are a drill."""
    return [pytest.param(name, marks=[] if name in daily else pytest.mark.soak) for name in names]


@pytest.mark.parametrize("name", of(OF_LABELS, ["a dictionary", "tasks of nothing", "cells"]))
def test_labels_that_unpack_to_gigabytes_are_refused(
    name: str, database: Database, tmp_path: Path, bounded: Callable[..., int]
) -> None:
    store = LabelStore(database, tmp_path / "labels.jsonl")
    kind, make = OF_LABELS[name]
    data = make()

    def attempt() -> None:
        try:
            report = import_labels(store, kind, data, dry_run=True)
        except ValueError as error:
            assert str(error) and len(str(error)) < 2_000
        else:
            assert report.problems

    bounded(attempt)


@pytest.mark.parametrize("name", of(OF_EPISODES, ["a record of 100 MB", "a picture", "members"]))
def test_episodes_that_unpack_to_gigabytes_are_refused(
    name: str, tmp_path: Path, episode: Trajectory, bounded: Callable[..., int]
) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(OF_EPISODES[name](episode, tmp_path))
    assert path.stat().st_size < 80 * 2**20

    def attempt() -> None:
        try:
            contents = read_episodes(path)
        except ValueError as error:
            assert str(error) and len(str(error)) < 3_000
        else:
            assert contents.problems or name == "a long info"  # blanks: an episode as any other

    bounded(attempt)


@pytest.mark.parametrize("name", OF_PICTURES)
def test_a_picture_is_refused_or_costs_its_pixels(
    name: str, tmp_path: Path, bounded: Callable[..., int]
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(OF_PICTURES[name]())

    def attempt() -> None:
        if name.startswith("as large"):
            assert read_image(str(path)).shape == (4_096, 4_096, 3)
        else:
            with pytest.raises(ValueError, match=r"too large|pixels"):
                read_image(str(path))

    bounded(attempt)


def test_every_format_comes_back_through_the_sandbox(tmp_path: Path, episode: Trajectory) -> None:
    item = LabelledEpisode(episode=episode)
    (tmp_path / "one.wmpo.zip").write_bytes(bundle.pack(episode))
    for name, (ending, write) in FORMATS.items():
        if name != "robomimic":
            write(tmp_path / f"{name}{ending}", [item])
    for path in sorted(tmp_path.iterdir()):
        contents = read_episodes(path)
        assert contents.problems == ()
        [found] = contents.episodes
        assert found.episode.id == episode.id
        assert np.array_equal(found.episode.frames, episode.frames)
        assert np.array_equal(found.episode.arrays["tokens"], episode.arrays["tokens"])


def test_a_foreign_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="that is no file of episodes"):
        read_episodes(tmp_path / "x")


def test_there_are_two_dozen_of_them() -> None:
    assert len(OF_LABELS) + len(OF_EPISODES) + len(OF_PICTURES) >= 24
