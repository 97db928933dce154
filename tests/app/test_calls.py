"""What a person can get wrong becomes one sentence; a defect stays an exception."""

import errno
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.access import Access
from app.judging.strokes import judge_strokes
from app.studio import Studio
from app.web.calls import Answering, serve
from engine.records.types import Trajectory
from tests.app.conftest import START

Make = Callable[..., Trajectory]


def stroke(number: int, **changes: Any) -> dict[str, Any]:
    return {"event_id": f"event-{number:04d}", "episode_id": "episode-1", **changes}


def served(fn: Answering) -> Answering:
    [call] = serve(Access(), "panel", look=fn)
    return call


def test_a_refusal_reaches_the_scripts_as_its_sentence() -> None:
    def refuse(question: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("the mug is missing")

    assert served(refuse)({}) == {"refused": "the mug is missing"}


def test_a_request_without_a_field_is_refused_by_name() -> None:
    call = served(lambda question: {"got": question["dream"]})
    assert call({}) == {"refused": "the request lacks 'dream'"}


def test_a_request_that_is_no_object_is_refused() -> None:
    call = served(lambda question: question)
    assert call([1, 2]) == {"refused": "a request must be an object"}  # type: ignore[arg-type]


def test_a_defect_stays_an_exception() -> None:
    with pytest.raises(ZeroDivisionError):
        served(lambda question: {"ratio": 1 / 0})({})


def test_scripts_call_a_function_by_the_name_given() -> None:
    assert served(lambda question: question).__name__ == "look"


@pytest.fixture
def stocked(studio: Studio, make_trajectory: Make) -> Studio:
    """A studio with one episode to judge."""
    studio.cabinet.trajectories.add(make_trajectory("episode-1", start_id=START))
    return studio


def test_a_batch_of_strokes_is_stored_in_order(stocked: Studio) -> None:
    strokes = [stroke(1, outcome="fail"), stroke(2, outcome="success", supersedes="event-0001")]
    acks = judge_strokes(stocked.episodes.judging, {"strokes": strokes})["acks"]
    assert [ack["saved"] for ack in acks] == ["event-0001", "event-0002"]
    assert [label["outcome"] for label in stocked.episodes.judging.labels.history()] == ["success"]


def test_the_same_batch_again_changes_nothing(stocked: Studio) -> None:
    batch = {"strokes": [stroke(1, outcome="fail"), {"event_id": "event-0002", "undo": None}]}
    batch["strokes"][1]["undo"] = "event-0001"
    first, second = (judge_strokes(stocked.episodes.judging, batch) for _ in range(2))
    assert [ack["seq"] for ack in first["acks"]] == [ack["seq"] for ack in second["acks"]]
    assert stocked.episodes.judging.labels.history() == []


def test_one_bad_stroke_does_not_stop_the_others(stocked: Studio) -> None:
    strokes = [stroke(1, outcome="perhaps"), stroke(2, outcome="success")]
    refused, saved = judge_strokes(stocked.episodes.judging, {"strokes": strokes})["acks"]
    assert refused["event_id"] == "event-0001"
    assert "outcome must be one of" in refused["refused"]
    assert saved["saved"] == "event-0002"


def test_half_a_surrogate_pair_is_refused_before_it_is_asked() -> None:
    call = server_function("look", lambda question: question)
    assert "no Unicode" in call({"note": ["\ud800"]})["refused"]
    assert call({"note": "🫖"}) == {"note": "🫖"}


def test_one_stored_value_that_is_no_unicode_costs_the_others_nothing() -> None:
    stored = {"items": [{"note": "\ud800"}, {"note": "fine"}], "n": np.float32(0.5)}
    answer = server_function("look", lambda _: dict(stored))({})
    assert [item["note"] for item in answer["items"]] == ["\ufffd", "fine"]
    assert server_function("look", lambda _: {"n": np.zeros(2)})({})["n"].shape == (2,)


def test_a_poisoned_label_of_a_guest_stops_nobody(stocked: Studio) -> None:
    poison = stroke(1, outcome="fail", note="\udfff")
    with pytest.raises(ValueError, match="no Unicode"):
        stocked.label(poison, actor="visitor")
    with pytest.raises(ValueError, match="no Unicode"):
        stocked.label(stroke(2, outcome="fail"), actor="\ud800")
    assert stocked.label(stroke(3, outcome="fail"))["seq"] == 1


def test_a_full_disk_is_refused_in_a_sentence() -> None:
    def full(question: dict[str, Any]) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert "Nothing was stored" in server_function("say", full)({})["refused"]
