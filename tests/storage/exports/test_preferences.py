"""Preferences as a table: exact, and taken in all or none."""

from pathlib import Path

import pytest

from storage.cabinet import Cabinet
from storage.database import Database
from storage.events.preferences import Preference, PreferenceStore
from storage.exports.events.preferences import FORMATS, import_preferences, write_preferences


@pytest.mark.parametrize("kind", FORMATS)
def test_preferences_come_back_as_they_were(cabinet: Cabinet, tmp_path: Path, kind: str) -> None:
    store = cabinet.preferences
    given = {"left": "a", "right": "b", "left_probability": 0.1, "right_checkpoint": "=x"}
    store.append(Preference(event_id="1", choice="left", latency_ms=9, **given))
    store.append(Preference(event_id="2", choice="broken", supersedes="1", **given))
    store.log.withdraw("2", new_event_id="3", actor="guest:é")
    data = write_preferences(kind, store.events())
    other = PreferenceStore(Database(None, exports=tmp_path), tmp_path / "other.jsonl")
    planned = import_preferences(other, kind, data, dry_run=True)
    assert (planned.added, planned.problems, other.events()) == (3, (), [])
    assert import_preferences(other, kind, data, dry_run=False) == planned
    assert other.events() == store.events()

    spoilt = data.replace(b"broken", b"halved", 1)
    if kind != "parquet":
        [problem] = import_preferences(store, kind, spoilt, dry_run=False).problems
        assert "choice must be one of left, right, equal, broken, not 'halved'" in problem
    with pytest.raises(ValueError, match=f"that is no {kind} file of preferences"):
        import_preferences(store, kind, b'"\xff', dry_run=False)
