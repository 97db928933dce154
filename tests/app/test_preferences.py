"""Comparing clips two by two: pairs, events of the screen, and agreement with the model's order."""

from collections.abc import Callable
from typing import Any

import pytest

from app.studio import Studio
from app.visitors import Role
from app.web.questions import ask
from engine.records.types import Trajectory
from engine.statistics.intervals import wilson_interval


@pytest.fixture
def paired(studio: Studio, make_trajectory: Callable[..., Trajectory]) -> Studio:
    """Two futures of one start, and one of another."""
    for member, name in enumerate(("one", "two")):
        lineage = {"policy": "p", "iteration": 0, "group": 0, "member": member}
        studio.cabinet.trajectories.add(make_trajectory(name, lineage=lineage))
    studio.cabinet.trajectories.add(make_trajectory("far", start_id=7, lineage={"policy": "p"}))
    return studio


def stroke(**changes: Any) -> dict[str, Any]:
    scores = {"left_probability": 0.75, "right_probability": 0.25}
    named = {"event_id": "event-0001", "left": "one", "right": "two", "choice": "left"}
    return named | scores | {"mode": "blind", "latency_ms": 900.0} | changes


def test_pairs_are_handed_out_judged_and_taken_back(paired: Studio) -> None:
    [pair] = ask(paired.episodes.judging.pairs.next, {"actor": "ann", "count": 5})["items"]
    assert {pair["left"]["id"], pair["right"]["id"]} == {"one", "two"}
    batch = [stroke(), {"event_id": "event-0002", "undo": "event-0001"}]
    batch = [each | {"pair": True, "actor": "ann"} for each in batch]
    judge = paired.episodes.judging.on_judge
    [saved] = ask(judge, {"strokes": batch[:1]})["acks"]
    assert (saved["saved"], saved["seq"]) == ("event-0001", 1)
    none = {"items": [], "nothing": "You have compared every pair here."}
    assert ask(paired.episodes.judging.pairs.next, {"actor": "ann"}) == none
    [entry] = paired.episodes.judging.pairs.history(actor="ann")
    assert (entry["choice"], entry["agrees"], entry["latency_ms"]) == ("left", True, 900)
    # A stroke that is sent again is stored once, and a label's log hears nothing of it.
    again = ask(judge, {"strokes": batch})["acks"]
    assert [ack["seq"] for ack in again] == [1, 2]
    assert paired.episodes.judging.pairs.history(actor="ann") == []
    assert ask(paired.episodes.judging.pairs.next, {"actor": "ann"}) == {
        "items": [pair],
        "nothing": "",
    }
    assert paired.episodes.judging.labels.counts()["labelled"] == 0


def test_where_there_is_no_pair_a_sentence_says_why(paired: Studio) -> None:
    following = paired.episodes.judging.pairs.next
    assert ask(following, {"run": "run-9"})["nothing"] == (
        "No start of run-9 has two futures of one policy to compare."
    )
    assert ask(following, {"pairing": "two policies"})["nothing"] == (
        "No start here has futures of two policies to compare."
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"right": "far"}, "only clips of one start are compared"),
        ({"right": "nobody"}, "there is no episode nobody"),
        ({"choice": "both"}, "choice must be one of left, right, equal, broken"),
        ({"event_id": "x"}, "event_id must be an id of 8 to 64"),
        ({"left_probability": 2}, "left_probability must be from 0 to 1"),
        ({"colour": 1}, "colour is not known here"),
    ],
)
def test_a_bad_preference_is_refused_in_a_sentence(
    paired: Studio, changes: dict[str, Any], sentence: str
) -> None:
    strokes = [stroke(pair=True, **changes)]
    [ack] = ask(paired.episodes.judging.on_judge, {"strokes": strokes})["acks"]
    assert ack["refused"].startswith(sentence)
    assert paired.cabinet.preferences.events() == []


def test_guests_compare_in_a_pool_of_their_own(
    paired: Studio, make_studio: Callable[..., Studio]
) -> None:
    paired.episodes.judging.pairs.add(stroke(), actor="ann")
    public = make_studio(role=Role.VISITOR)
    public.episodes.judging.pairs.add(stroke(event_id="event-0003"), actor="ann")
    assert [one["actor"] for one in public.episodes.judging.pairs.history(actor="ann")] == [
        "guest:ann"
    ]
    with pytest.raises(ValueError, match="belongs to another pool"):
        public.episodes.judging.pairs.undo("event-0001", new_event_id="event-0004", actor="ann")


def test_people_are_told_of_their_own_agreement_and_everybody_s(paired: Studio) -> None:
    paired.episodes.judging.pairs.add(stroke(), actor="ann")
    paired.episodes.judging.pairs.add(stroke(event_id="event-0002", choice="right"), actor="ben")
    low, high = wilson_interval(1, 2)
    share = {"value": 1 / 2, "low": low, "high": high}
    found = paired.episodes.judging.pairs.agreement("ann")
    assert found["everybody"] == share | {"compared": 2, "total": 2, "agreed": 1}
    assert (found["own"]["value"], found["own"]["total"]) == (1.0, 1)
    nobody = {"value": None, "low": None, "high": None, "compared": 0, "total": 0, "agreed": 0}
    assert paired.episodes.judging.pairs.agreement("cat")["own"] == nobody
