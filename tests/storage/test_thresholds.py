"""Threshold versions: one current per reward model, durable, named by content, rebuilt."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import Database
from storage.judging.thresholds import ThresholdStore, content_id

MEASURES = {"imagined": {"f1": 0.5}}


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    return tmp_path / "thresholds.jsonl"


@pytest.fixture
def other_database(tmp_path: Path) -> Iterator[Database]:
    database = Database(None, exports=tmp_path)
    yield database
    database.close()


def test_the_last_one_saved_is_the_current_one_of_its_model(database: Database, twin: Path) -> None:
    store = ThresholdStore(database, twin, clock=lambda: 5.0)
    assert store.current("r1") is None
    first = store.save("r1", 0.5, measures=MEASURES)
    other = store.save("r2", 0.7, measures={})
    second = store.save("r1", 0.6, actor="ann", note="fewer false successes", measures={})
    assert store.current("r1") == second
    assert store.current("r2") == other
    assert store.all("r1") == [second, first]
    assert first.measures == MEASURES
    assert (second.seq, second.actor, second.created) == (3, "ann", 5.0)
    assert second.id == content_id(second.to_dict()) != first.id


def test_either_side_is_rebuilt_from_the_other(
    database: Database, other_database: Database, twin: Path
) -> None:
    store = ThresholdStore(database, twin)
    versions = [store.save("r1", 0.5, measures=MEASURES), store.save("r1", 0.6, measures={})]
    rebuilt = ThresholdStore(other_database, twin)
    assert rebuilt.all("r1") == versions[::-1]
    twin.unlink()
    ThresholdStore(database, twin)
    assert len(twin.read_bytes().splitlines()) == 2
    with twin.open("ab") as stream:
        stream.write(b"torn")  # a crash in the middle of a line
    third = ThresholdStore(database, twin).save("r1", 0.7, measures={})
    assert ThresholdStore(other_database, twin).current("r1") == third


@pytest.mark.parametrize("bad", [0.0, 1.5, float("nan")])
def test_what_is_no_threshold_is_refused(database: Database, twin: Path, bad: float) -> None:
    store = ThresholdStore(database, twin)
    with pytest.raises(ValueError, match="a threshold lies above 0"):
        store.save("r1", bad, measures={})
    with pytest.raises(ValueError, match="belongs to a reward model"):
        store.save("", 0.5, measures={})
    assert not twin.exists()
