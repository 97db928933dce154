"""The door of every label: batches, what is sent again, dreams that nobody saved, what was said."""

from collections.abc import Callable
from typing import Any

import pytest

from app.studio import Studio
from app.visitors import Role
from app.web.calls import serve
from app.web.questions import ask as put
from engine.records.types import Trajectory
from tests.app.conftest import START

Make = Callable[..., Trajectory]


def judge(studio: Studio, *strokes: dict[str, Any]) -> list[dict[str, Any]]:
    """What a page is answered about strokes."""
    acks: list[dict[str, Any]] = ask(studio, "judge", {"strokes": list(strokes)})["acks"]
    return acks


def ask(studio: Studio, name: str, question: dict[str, Any]) -> dict[str, Any]:
    """What a page is answered by a function of the door."""
    functions = serve(studio.access, "episodes", **studio.episodes.judging.answers)
    return next(function for function in functions if function.__name__ == name)(question)


def history(studio: Studio) -> list[dict[str, Any]]:
    return studio.episodes.judging.labels.history()


def stroke(number: int, **changes: Any) -> dict[str, Any]:
    return {"event_id": f"event-{number:04d}", "episode_id": "episode-1", **changes}


@pytest.fixture
def stocked(studio: Studio, make_trajectory: Make) -> Studio:
    """A studio with one episode to judge."""
    studio.cabinet.trajectories.add(make_trajectory("episode-1", start_id=START))
    return studio


def test_a_batch_of_strokes_is_stored_in_order(stocked: Studio) -> None:
    strokes = [stroke(1, outcome="fail"), stroke(2, outcome="success", supersedes="event-0001")]
    acks = judge(stocked, *strokes)
    assert [ack["saved"] for ack in acks] == ["event-0001", "event-0002"]
    assert [label["outcome"] for label in history(stocked)] == ["success"]


def test_the_same_batch_again_changes_nothing(stocked: Studio) -> None:
    batch = [stroke(1, outcome="fail"), {"event_id": "event-0002", "undo": "event-0001"}]
    first, second = judge(stocked, *batch), judge(stocked, *batch)
    assert [ack["seq"] for ack in first] == [ack["seq"] for ack in second]
    assert history(stocked) == []


def test_a_poisoned_label_of_a_guest_stops_nobody(stocked: Studio) -> None:
    poison = {"strokes": [stroke(1, outcome="fail", note="\udfff")]}
    assert "no Unicode" in ask(stocked, "judge", poison)["refused"]
    [saved] = judge(stocked, stroke(2, outcome="fail"))
    assert saved["seq"] == 1


def test_one_bad_stroke_does_not_stop_the_others(stocked: Studio) -> None:
    strokes = [stroke(1, outcome="perhaps"), stroke(2, outcome="success")]
    refused, saved = judge(stocked, *strokes)
    assert refused["event_id"] == "event-0001"
    assert "outcome must be one of" in refused["refused"]
    assert saved["saved"] == "event-0002"


def dreamt(studio: Studio, settings: dict[str, Any]) -> dict[str, Any]:
    """A chunk of a dream that nobody saved, and the words of a label of it."""
    dream = put(studio.imagine.dreams.open, settings)["dream"]
    node = put(studio.imagine.dreams.act, {"dream": dream, "action": "chunk"})["node"]
    return {"event_id": "event-0001", "outcome": "fail", "dream": {"dream": dream, "node": node}}


def test_a_label_of_a_dream_keeps_the_dream_as_an_episode(
    studio: Studio, settings: dict[str, Any]
) -> None:
    said = dreamt(studio, settings)
    [ack] = judge(studio, said)
    assert ack["episode"] == put(studio.imagine.dreams.save, said["dream"])["episode"]
    assert studio.episodes.gallery.record(ack["episode"])["label"]["outcome"] == "fail"


def test_a_label_of_a_dream_that_is_sent_again_may_outlive_the_dream(
    make_studio: Callable[..., Studio], settings: dict[str, Any]
) -> None:
    first = make_studio()
    said = dreamt(first, settings)
    stored = judge(first, said)
    again = judge(make_studio(), said)
    assert again == stored


def test_a_label_of_a_dream_that_is_over_is_refused_and_the_next_is_stored(
    stocked: Studio,
) -> None:
    gone = {"event_id": "event-0001", "outcome": "fail", "dream": {"dream": "long-gone", "node": 1}}
    refused, saved = judge(stocked, gone, stroke(2, outcome="fail"))
    assert (refused["event_id"], saved["saved"]) == ("event-0001", "event-0002")
    assert refused["refused"]


def test_a_stroke_without_an_id_is_refused_by_the_name_of_what_it_lacks(stocked: Studio) -> None:
    [ack] = judge(stocked, {"undo": "event-0001"})
    assert ack == {"event_id": None, "refused": "the request lacks 'event_id'"}


def test_the_history_of_a_clip_tells_who_said_what_and_what_became_of_it(stocked: Studio) -> None:
    strokes = [
        stroke(1, outcome="fail", note="slipped", actor="ann"),
        stroke(2, outcome="unsure", supersedes="event-0001", actor="ben"),
        stroke(3, outcome="success", actor="eve"),
        {"event_id": "event-0004", "undo": "event-0003", "actor": "eve"},
    ]
    judge(stocked, *strokes)
    labels = ask(stocked, "said", {"episode": "episode-1"})["labels"]
    told = [(one["actor"], one["outcome"], one["note"], one["fate"]) for one in labels]
    assert told == [
        ("eve", "success", "", "taken back"),
        ("ben", "unsure", "", ""),
        ("ann", "fail", "slipped", "corrected"),
    ]
    standing = [one["event_id"] for one in labels if not one["fate"]]
    assert standing == [entry["event_id"] for entry in history(stocked)]


def test_a_label_whose_correction_was_taken_back_stands_again(stocked: Studio) -> None:
    strokes = [
        stroke(1, outcome="fail"),
        stroke(2, outcome="success", supersedes="event-0001"),
        {"event_id": "event-0003", "undo": "event-0002"},
    ]
    judge(stocked, *strokes)
    labels = ask(stocked, "said", {"episode": "episode-1"})["labels"]
    assert [one["fate"] for one in labels] == ["taken back", ""]


def test_the_history_of_an_unknown_clip_is_refused_in_a_sentence(stocked: Studio) -> None:
    answer = ask(stocked, "said", {"episode": "nobody"})
    assert answer == {"refused": "there is no episode nobody"}


def test_a_visitor_sees_corrects_and_hears_of_labels_of_visitors_alone(
    make_studio: Callable[..., Studio], make_trajectory: Make
) -> None:
    home = make_studio()
    home.cabinet.trajectories.add(make_trajectory("episode-1", start_id=START))
    judge(home, stroke(1, outcome="fail"))
    public = make_studio(role=Role.VISITOR)
    assert put(public.episodes.clips.clip, {"episode": "episode-1"})["label"] is None
    assert ask(public, "said", {"episode": "episode-1"}) == {"labels": []}
    correction = stroke(2, outcome="success", supersedes="event-0001")
    [ack] = judge(public, correction)
    assert ack["refused"] == "that label belongs to another pool: it cannot be corrected here"
    assert (
        put(make_studio().episodes.clips.clip, {"episode": "episode-1"})["label"]["outcome"]
        == "fail"
    )
