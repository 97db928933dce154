"""Runs as rows."""

import time

from storage.cabinet import Cabinet


def test_the_queue_keeps_its_order_when_the_clock_is_set_back(cabinet: Cabinet) -> None:
    cabinet.runs.create("b", "optimise", {})
    tomorrow = time.time() + 86_400.0
    cabinet.database.write(lambda c: c.rows("update runs set created = ?", [tomorrow]))
    cabinet.runs.create("a", "optimise", {})
    assert [run.id for run in cabinet.runs.unfinished()] == ["b", "a"]
