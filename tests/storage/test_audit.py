"""The audit log: events in pages with their fate, and undo of everything somebody said."""

import pytest

from engine.records.types import Label
from storage.cabinet import Cabinet
from storage.events.audit import audit_record


@pytest.fixture
def judged(cabinet: Cabinet) -> Cabinet:
    """Ada labels two episodes, Ben corrects one of them and takes a label of his own back."""
    store = cabinet.labels
    store.append(Label(event_id="a-one", episode_id="x", outcome="fail", actor="ada"))
    store.append(Label(event_id="a-two", episode_id="y", dream_broke=True, actor="ada"))
    store.append(
        Label(event_id="b-one", episode_id="x", outcome="success", actor="ben", supersedes="a-one")
    )
    store.append(Label(event_id="b-two", episode_id="z", outcome="unsure", actor="ben"))
    store.withdraw("b-two", new_event_id="b-undo", actor="ben")
    store.append(Label(event_id="g-one", episode_id="x", outcome="fail", actor="guest:eve"))
    return cabinet


def test_events_come_newest_first_with_what_became_of_them(judged: Cabinet) -> None:
    records = [audit_record(event) for event in judged.audit.page(guest=False, limit=10)]
    assert [(r["event_id"], r["superseded_by"], r["stands"]) for r in records] == [
        ("b-undo", None, False),
        ("b-two", "b-undo", False),
        ("b-one", None, True),
        ("a-two", None, True),
        ("a-one", "b-one", False),
    ]
    assert (records[1]["superseded_seq"], records[0]["withdrawal"]) == (5, True)


def test_the_log_is_paged_and_filtered_by_actor(judged: Cabinet) -> None:
    audit = judged.audit
    page = audit.page(guest=False, actor="ada", offset=1, limit=5)
    assert [found.event["event_id"] for found in page] == ["a-one"]
    assert (audit.count(guest=False, actor="ada"), audit.count(guest=False)) == (2, 5)
    assert [(a.name, a.events, a.open) for a in audit.actors(guest=False)] == [
        ("ben", 3, 1),
        ("ada", 2, 2),
    ]


def test_guests_have_a_log_of_their_own(judged: Cabinet) -> None:
    [found] = judged.audit.page(guest=True, limit=5)
    assert found.event["actor"] == "guest:eve"
    assert [actor.name for actor in judged.audit.actors(guest=True)] == ["guest:eve"]


def test_everything_of_an_actor_is_taken_back_at_once(judged: Cabinet) -> None:
    assert judged.audit.undo("ben", by="local", expected=1) == 1
    standing = judged.labels.current("x")
    assert standing is not None
    assert standing.event_id == "a-one"  # the correction is gone, so what it corrected stands
    assert judged.audit.undo("ada", by="local", expected=2) == 2
    assert judged.labels.counts()["labelled"] == 0
    assert judged.labels.counts(guest=True)["labelled"] == 1
    assert judged.labels.log.first_broken_link() is None
    with pytest.raises(ValueError, match="no label of ada is left to take back"):
        judged.audit.undo("ada", by="local", expected=2)


def test_an_undo_of_more_than_was_shown_is_refused(judged: Cabinet) -> None:
    with pytest.raises(ValueError, match="ada has 2 labels now, not 1: look again"):
        judged.audit.undo("ada", by="local", expected=1)
    assert judged.labels.counts()["labelled"] == 2
