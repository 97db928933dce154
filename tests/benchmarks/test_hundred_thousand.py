"""A hundred thousand episodes: seconds to make a queue, and to open the studio's stores.

Run with `pytest -m soak -s tests/benchmarks/test_hundred_thousand.py`. Nothing asserts a time.
"""

import os
from pathlib import Path
from time import perf_counter

import pytest

from app.episodes.gallery import Gallery
from app.label.queues import QUEUE_ORDERS, MakeQueue, Queues
from app.player.clips import Clips
from engine.records.types import Label
from storage.cabinet import Cabinet, open_cabinet
from storage.workspace import Workspace, open_workspace
from tests.storage.test_episode_filter import index_row

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

MANY, LABELS = 100_000, 300


def opened(workspace: Workspace, demo: Path) -> tuple[Cabinet, float]:
    """The stores, and how many seconds opening them takes."""
    begin = perf_counter()
    cabinet = open_cabinet(workspace, demo=demo)
    return cabinet, perf_counter() - begin


def fill(workspace: Workspace, cabinet: Cabinet) -> None:
    """An index row and a directory of two files for each episode, and some labels."""
    cabinet.trajectories.index([index_row(number) for number in range(MANY)])
    for number in range(MANY):
        directory = workspace.episodes / f"ep-{number:05d}"
        directory.mkdir()
        (directory / "episode.json").touch()
        (directory / "episode.npz").touch()
    modes = ("slip", "missed", "dropped")
    for number in range(LABELS):
        episode, mode = f"ep-{number * (MANY // LABELS):05d}", modes[number % 7 % 3]
        said = {"event_id": f"e{number:07d}", "episode_id": episode, "outcome": "fail"}
        cabinet.labels.add(Label(**said, failure_mode=mode))


def test_report_queues_and_opening_of_a_hundred_thousand(tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    for name in ("empty", "empty, again"):
        cabinet, seconds = opened(open_workspace(tmp_path / "empty"), demo)
        cabinet.close()
        print(f"\n{name}: opened in {seconds:.2f} s")
    workspace = open_workspace(tmp_path / "many")
    cabinet, _ = opened(workspace, demo)
    fill(workspace, cabinet)
    clips = Clips(cabinet, guest=False)
    queues = Queues(cabinet, Gallery(cabinet, clips, guest=False), guest=False)
    for order in QUEUE_ORDERS:
        begin = perf_counter()
        made = queues.make(MakeQueue(order=order, clips=200))
        print(f"{order}: queue of 200 of {MANY:,} in {perf_counter() - begin:.2f} s")
        assert made["queues"][-1]["total"] == 200
    cabinet.close()
    cabinet, seconds = opened(workspace, demo)
    print(f"{MANY:,} episodes: opened in {seconds:.2f} s; load {os.getloadavg()[0]:.1f}")
    assert cabinet.trajectories.count() == MANY
    cabinet.close()
