"""Seconds to judge stored episodes with another threshold, and of the lab over ten thousand.

Run with `pytest -m soak -s tests/benchmarks/test_rejudging.py`. Nothing asserts a time.
"""

from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from app.reward.thresholds import ThresholdLab
from engine.records.types import Label
from storage.cabinet import open_cabinet
from storage.database import Row
from storage.workspace import open_workspace
from tests.storage.test_episode_filter import MANY, index_row

pytestmark = pytest.mark.soak

ITERATION = 1_000  # episodes of one iteration


def judged_row(number: int) -> Row:
    """An episode of an iteration of a thousand, whose probabilities rise to its own peak."""
    probabilities = np.linspace(0.0, number * 37 % 1_000 / 1_000, 41).astype(np.float32)
    windows = (list(range(8, 49)), probabilities.tolist())
    place = {"iteration": number // ITERATION, "run": None, "reward_model": "judge"}
    return index_row(number) | place | {"windows": windows}


def test_report_a_thousand_episodes_judged_anew(tmp_path: Path) -> None:
    cabinet = open_cabinet(open_workspace(tmp_path / "data"), demo=tmp_path / "demo")
    begin = perf_counter()
    cabinet.trajectories.index([judged_row(number) for number in range(MANY)])
    print(f"\n{MANY:,} episodes indexed with their windows: {perf_counter() - begin:.2f} s")
    for number in range(200):
        name = f"ep-{number * 50:05d}"
        cabinet.labels.add(Label(event_id=f"e{number:07d}", episode_id=name, outcome="fail"))
    reward = ThresholdLab(cabinet, guest=False)
    begin = perf_counter()
    found = reward.rejudge({"run": "", "iteration": 3, "threshold": 0.7})
    print(f"\n{ITERATION:,} episodes judged anew: {perf_counter() - begin:.3f} s")
    assert (found["episodes"], len(found["groups"])) == (ITERATION, ITERATION // 8)
    assert sum(one["after"]["successes"] for one in found["groups"]) == 300
    for question in ("first", "again"):
        begin = perf_counter()
        assert reward.lab({})["kinds"]["imagined"]["episodes"] == MANY
        print(f"\nthe lab of {MANY:,}, {question}: {perf_counter() - begin:.3f} s")
    begin = perf_counter()
    reward.details({"threshold": 0.7})
    print(f"\ndetails of one threshold: {perf_counter() - begin:.3f} s")
    cabinet.close()
