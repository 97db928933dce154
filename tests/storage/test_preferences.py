"""Preferences: a log like that of the labels, and the pairs that are still to be judged."""

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from engine.records.types import Trajectory
from storage.cabinet import Cabinet
from storage.database import Database
from storage.events.preferences import Preference, PreferenceStore, Tally
from storage.upkeep.rebuild import compare
from storage.workspace import Workspace

Make = Callable[..., Trajectory]


def said(event_id: str, choice: str | None = "left", **changes: Any) -> Preference:
    return Preference(
        **{"event_id": event_id, "left": "a", "right": "b", "choice": choice} | changes
    )


@pytest.fixture
def starts(cabinet: Cabinet, make_trajectory: Make) -> Cabinet:
    """Start 1 with a group of three and one episode of another policy, start 2 with one episode."""
    places = [
        ("a", 1, {"policy": "old", "group": 0, "member": 0}),
        ("b", 1, {"policy": "old", "group": 0, "member": 1}),
        ("c", 1, {"policy": "old", "group": 0, "member": 2}),
        ("d", 1, {"policy": "new"}),
        ("e", 2, {"policy": "old", "group": 0, "member": 0}),
    ]
    for name, start, lineage in places:
        cabinet.trajectories.add(make_trajectory(name, start_id=start, lineage=lineage))
    return cabinet


def pairs(cabinet: Cabinet, pairing: str = "one policy", actor: str = "ann") -> list[set[str]]:
    found = cabinet.preferences.next(pairing, actor, run=None, count=50)
    return [set(pair) for pair in found]


def test_siblings_of_a_start_are_compared_each_with_each(starts: Cabinet) -> None:
    found = pairs(starts)
    assert sorted(map(sorted, found)) == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert pairs(starts) == found
    assert starts.preferences.next("one policy", "ann", run="elsewhere", count=9) == []


def test_two_policies_meet_at_their_common_start(starts: Cabinet) -> None:
    [pair] = pairs(starts, "two policies")
    assert "d" in pair
    assert len(pair & {"a", "b", "c"}) == 1


def test_a_judged_pair_comes_back_only_with_an_undo(starts: Cabinet) -> None:
    store = starts.preferences
    store.append(said("1", left="c", right="a", actor="ann"))
    assert {"a", "c"} not in pairs(starts)
    assert {"a", "c"} in pairs(starts, actor="ben")
    store.log.withdraw("1", new_event_id="2", actor="ann")
    assert {"a", "c"} in pairs(starts)


def test_the_newest_word_on_two_clips_stands(cabinet: Cabinet) -> None:
    store = cabinet.preferences
    store.append(said("1"))
    store.append(said("2", "right", supersedes="1"))
    store.append(said("3", "equal", left="b", right="a"))
    store.append(said("4", "broken", actor="guest:eve"))
    assert [one.event.preference.event_id for one in store.standing()] == ["3"]
    assert [one.event.preference.event_id for one in store.standing(guest=True)] == ["4"]
    store.log.withdraw("3", new_event_id="5", actor="local")
    assert [one.event.preference.event_id for one in store.standing()] == ["2"]


def test_the_model_agrees_where_it_has_an_order(cabinet: Cabinet) -> None:
    scores = {"left_probability": 0.75, "right_probability": 0.25}
    two_models = {"left_checkpoint": "old", "right_checkpoint": "new"}
    cases: list[tuple[dict[str, Any], bool | None]] = [
        ({}, True),
        ({"choice": "right"}, False),
        ({"choice": "equal"}, None),
        ({"choice": "broken"}, None),
        ({"right_probability": 0.75}, None),
        ({"right_probability": None}, None),
        (two_models, None),
        ({"left_checkpoint": "old", "right_checkpoint": "old"}, True),
        ({"mode": "review"}, True),  # it is no independent word: not counted
    ]
    store = cabinet.preferences
    for number, (changes, _) in enumerate(cases):
        store.append(said(str(number), **({"right": f"b{number}"} | scores | changes)))
    assert [one.agrees for one in reversed(store.standing())] == [found for _, found in cases]
    assert store.tally() == store.tally(actor="local") == Tally(compared=9, total=3, agreed=2)
    nothing = Tally(compared=0, total=0, agreed=0)
    assert store.tally(actor="ann") == store.tally(guest=True) == nothing


def test_a_tally_reads_one_row_however_much_was_said(workspace: Workspace) -> None:
    rows: list[int] = []

    class Counting(Database):
        def read(self, *question: Any) -> Any:
            found = super().read(*question)
            rows.append(len(found))
            return found

    database = Counting(None, exports=workspace.exports)
    store = PreferenceStore(database, workspace.preference_twin)
    for number in range(8):
        store.append(said(str(number), right=f"b{number}"))
    rows.clear()
    assert store.tally().compared == 8
    assert rows == [1]
    database.close()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"choice": "both"}, "choice must be one of left, right, equal, broken"),
        ({"choice": None}, "a preference needs a choice"),
        ({"right": "a"}, "two different episodes are compared"),
        ({"event_id": "1", "choice": "right"}, "event id 1 was used for another preference"),
        ({"right": "c", "supersedes": "1"}, "corrects 1, which is none of a and c"),
    ],
)
def test_what_cannot_stand_is_refused(
    cabinet: Cabinet, wrong: dict[str, Any], sentence: str
) -> None:
    cabinet.preferences.append(said("1"))
    with pytest.raises(ValueError, match=sentence):
        cabinet.preferences.append(said(**{"event_id": "2"} | wrong))
    assert len(cabinet.preferences.events()) == 1


def test_preferences_are_rebuilt_from_their_twin_and_never_changed(
    starts: Cabinet, workspace: Workspace, database: Database
) -> None:
    given = said("1", left_probability=0.25, right_threshold=0.9, left_checkpoint="x", latency_ms=8)
    first = starts.preferences.append(given)
    assert starts.preferences.append(given) == first
    starts.preferences.log.withdraw("1", new_event_id="2", actor="local")
    rebuilt = PreferenceStore(Database(None, exports=workspace.exports), workspace.preference_twin)
    assert rebuilt.events() == starts.preferences.events()
    assert rebuilt.events()[0].preference == given
    assert rebuilt.log.first_broken_link() is None
    with pytest.raises(duckdb.Error, match="append-only"):
        database.write(lambda cursor: cursor.rows("delete from preference_events"))


def test_the_proof_of_a_rebuild_speaks_of_preferences(starts: Cabinet) -> None:
    starts.preferences.append(said("1"))
    demo = starts.workspace.root / "no demo"
    found = {one.kind: one for one in compare(starts, demo=demo, progress=lambda *_: None)}
    assert (found["preferences"].database, found["preferences"].equal) == (1, True)
    starts.workspace.preference_twin.write_bytes(b"")
    found = {one.kind: one for one in compare(starts, demo=demo, progress=lambda *_: None)}
    assert found["preferences"].differences == ("1 is in the database alone",)


def test_the_audit_log_keeps_preferences_beside_labels(cabinet: Cabinet) -> None:
    cabinet.preferences.append(said("1", actor="ann"))
    cabinet.preferences.append(said("2", "right", actor="ann", supersedes="1"))
    audit = cabinet.audit
    page = audit.page(guest=False, limit=9, log="preferences")
    assert [(one.event["event_id"], one.superseded_by, one.stands) for one in page] == [
        ("2", None, True),
        ("1", "2", False),
    ]
    assert audit.count(guest=False) == 0
    assert audit.undo("ann", by="local", expected=2, log="preferences") == 2
    assert cabinet.preferences.standing() == []
    with pytest.raises(ValueError, match="no preference of ann is left to take back"):
        audit.undo("ann", by="local", expected=2, log="preferences")
