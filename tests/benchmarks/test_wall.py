"""Milliseconds of the wall's questions to an index of ten thousand episodes.

Run with `pytest -m soak -s tests/benchmarks/test_wall.py`. Nothing asserts a time.
"""

from pathlib import Path
from time import perf_counter

import pytest

from engine.records.types import Label
from storage.cabinet import open_cabinet
from storage.episodes.episode_filter import ORDERS, EpisodeFilter
from storage.workspace import open_workspace
from tests.storage.test_episode_filter import MANY, index_row

pytestmark = pytest.mark.soak


def test_report_pages_of_ten_thousand(tmp_path: Path) -> None:
    cabinet = open_cabinet(open_workspace(tmp_path / "data"), demo=tmp_path / "demo")
    cabinet.trajectories.index([index_row(number) for number in range(MANY)])
    for number in range(200):
        name = f"ep-{number * 50:05d}"
        cabinet.labels.add(Label(event_id=f"e{number:07d}", episode_id=name, outcome="fail"))
    wanted = EpisodeFilter(success=True, probability_from=0.2)
    for order in ORDERS:
        begin = perf_counter()
        page = cabinet.trajectories.episodes(wanted, order=order, limit=60, offset=3_000)
        print(f"\n{order}, page 50: {1000 * (perf_counter() - begin):.0f} ms")
        assert len(page) == 60
    begin = perf_counter()
    assert len(cabinet.trajectories.groups(wanted, limit=12, offset=600)) == 12
    print(f"\ntwelve groups: {1000 * (perf_counter() - begin):.0f} ms")
    begin = perf_counter()
    cabinet.trajectories.facets()
    print(f"\nfacets: {1000 * (perf_counter() - begin):.0f} ms")
    cabinet.close()
