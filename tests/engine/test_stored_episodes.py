"""Episodes that are stored first and become the run's later, all at once."""

from contextlib import closing
from pathlib import Path

from engine.records.episodes import read_episode
from engine.records.ledger import read_ledger
from engine.records.tasks import get_task
from engine.runs.run_directory import RunDirectory
from tests.engine.test_run_directory import episode


def test_what_is_stored_is_no_episode_until_it_is_published_and_then_counts_once(
    tmp_path: Path,
) -> None:
    with closing(RunDirectory(tmp_path)) as run:
        run.store(episode("one"))
        assert (run.episode_ids(), read_ledger(tmp_path)) == ({}, [])
        run.publish("one")
        run.publish("one")
    with closing(RunDirectory(tmp_path)) as run:
        run.publish("one")
        assert list(run.episode_ids()) == ["one"]
    assert [entry["episode"] for entry in read_ledger(tmp_path)] == ["one"]
    kept = read_episode(tmp_path / "episodes" / "one")
    assert kept.lineage["task_record"] == get_task("coffee-push").version
