"""The studio: judging."""

from collections.abc import Callable
from typing import Any

import pytest

from app.studio import Studio
from app.visitors import Role
from engine.records.types import Outcome, Trajectory

Maker = Callable[..., Trajectory]
EVENT = {"event_id": "event-0001", "episode_id": "episode-1", "outcome": "fail"}


@pytest.fixture
def stocked(studio: Studio, make_trajectory: Maker) -> Studio:
    stock(studio, make_trajectory)
    return studio


def stock(studio: Studio, make_trajectory: Maker) -> None:
    studio.cabinet.trajectories.add(make_trajectory("episode-1"))
    studio.cabinet.trajectories.add(
        make_trajectory(
            "episode-2",
            imagined=False,
            outcome=Outcome(False, 16),
            lineage={"created": 2_000.0},
        )
    )


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


def test_a_label_is_acknowledged_and_stands_at_its_episode(stocked: Studio) -> None:
    answer = stocked.episodes.judging.labels.add(EVENT)
    assert (answer["saved"], answer["seq"]) == ("event-0001", 1)
    assert stocked.episodes.gallery.record("episode-1")["label"] == {
        "event_id": "event-0001",
        "outcome": "fail",
        "dream_broke": None,
        "end_step": None,
        "span_first": None,
        "span_last": None,
        "failure_mode": None,
        "note": "",
    }


def test_sending_twice_stores_once_and_answers_the_same(stocked: Studio) -> None:
    assert stocked.episodes.judging.labels.add(EVENT) == stocked.episodes.judging.labels.add(EVENT)
    assert stocked.episodes.judging.labels.counts()["labelled"] == 1


def test_labels_outlive_the_studio(
    make_studio: Callable[..., Studio], make_trajectory: Maker
) -> None:
    studio = make_studio()
    stock(studio, make_trajectory)
    studio.episodes.judging.labels.add(EVENT)
    assert make_studio().episodes.judging.labels.history()[0]["event_id"] == "event-0001"


def test_the_queue_puts_what_nobody_judged_first(stocked: Studio) -> None:
    order = "unlabelled first"
    assert ids(stocked.episodes.gallery.records(order=order)) == ["episode-2", "episode-1"]
    stocked.episodes.judging.labels.add(EVENT | {"episode_id": "episode-2"})
    assert ids(stocked.episodes.gallery.records(order=order)) == ["episode-1", "episode-2"]
    real = stocked.episodes.gallery.records(order=order, imagined=False)
    assert ids(real) == ["episode-2"]
    assert len(stocked.episodes.gallery.records(limit=1)) == 1


def test_undo_takes_the_label_back_and_leaves_the_history_clean(stocked: Studio) -> None:
    stocked.episodes.judging.labels.add(EVENT)
    answer = stocked.episodes.judging.labels.undo("event-0001", new_event_id="event-0002")
    assert (answer["saved"], answer["seq"]) == ("event-0002", 2)
    assert stocked.episodes.gallery.record("episode-1")["label"] is None
    assert stocked.episodes.judging.labels.history() == []
    assert ids(stocked.episodes.gallery.records(labelled=True)) == []


def test_after_undo_a_new_judgement_counts(stocked: Studio) -> None:
    stocked.episodes.judging.labels.add(EVENT)
    stocked.episodes.judging.labels.undo("event-0001", new_event_id="event-0002")
    stocked.episodes.judging.labels.add(EVENT | {"event_id": "event-0003", "outcome": "success"})
    assert stocked.episodes.judging.labels.history()[0]["outcome"] == "success"


def test_the_history_tells_what_the_model_said(stocked: Studio) -> None:
    stocked.episodes.judging.labels.add(EVENT)
    [entry] = stocked.episodes.judging.labels.history()
    assert (entry["episode_id"], entry["outcome"]) == ("episode-1", "fail")
    assert (entry["model_success"], entry["probability"], entry["imagined"]) == (True, 0.9, True)


def test_a_corrected_label_shows_once(stocked: Studio) -> None:
    stocked.episodes.judging.labels.add(EVENT)
    correction = {"event_id": "event-0002", "outcome": "success", "supersedes": "event-0001"}
    stocked.episodes.judging.labels.add(EVENT | correction)
    assert [entry["outcome"] for entry in stocked.episodes.judging.labels.history()] == ["success"]


def test_a_span_of_frames_is_shown_in_the_history(stocked: Studio) -> None:
    stocked.episodes.judging.labels.add(EVENT | {"span_first": 4.0, "span_last": 9})
    [entry] = stocked.episodes.judging.labels.history()
    assert (entry["span_first"], entry["span_last"]) == (4, 9)
    assert stocked.episodes.gallery.records(labelled=True)[0]["label"]["outcome"] == "fail"


def test_counts_name_both_axes_and_all_episodes(stocked: Studio) -> None:
    stocked.episodes.judging.labels.add(EVENT | {"dream_broke": True})
    assert stocked.episodes.judging.labels.counts() == {
        "labelled": 1,
        "success": 0,
        "fail": 1,
        "unsure": 0,
        "dream_broke": 1,
        "episodes": 2,
    }


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"episode_id": "nothing"}, "there is no episode nothing"),
        ({"event_id": "1"}, "event_id must be an id of 8 to 64"),
        ({"event_id": None}, "event_id must be text, not None"),
        ({"outcome": "maybe"}, "outcome must be one of success, fail, unsure, not 'maybe'"),
        ({"outcome": None}, "a label needs an outcome"),
        ({"dream_broke": "yes"}, "dream_broke must be true or false"),
        ({"end_step": 99}, "end_step 99 is beyond the episode's 16 actions"),
        ({"span_first": 3, "span_last": 99}, "span_last 99 is beyond the episode's 16 actions"),
        ({"span_first": 3}, "a span needs both its first and its last frame"),
        ({"note": "x" * 3_000}, "note may have 2000 characters"),
        ({"model_probability": 1.5}, "model_probability must be from 0 to 1"),
        ({"latency_ms": -1}, "latency_ms must be from 0"),
        ({"supersedes": "event-9999"}, "the label corrects event-9999, which is no label"),
        ({"actor": "admin"}, "actor is not known here"),
    ],
)
def test_bad_labels_are_one_sentence_and_store_nothing(
    stocked: Studio, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ValueError, LookupError), match=sentence):
        stocked.episodes.judging.labels.add(EVENT | change)
    assert stocked.episodes.judging.labels.history() == []


@pytest.mark.parametrize("event", [None, [], "event", {}])
def test_what_is_no_event_is_refused(stocked: Studio, event: Any) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        stocked.episodes.judging.labels.add(event)


def test_visitors_of_a_public_studio_label_into_the_guest_pool(
    make_studio: Callable[..., Studio], make_trajectory: Maker
) -> None:
    public = make_studio(role=Role.VISITOR)
    stock(public, make_trajectory)
    public.episodes.judging.labels.add(EVENT)
    assert public.episodes.judging.labels.history()[0]["actor"] == "guest:local"
    assert public.cabinet.labels.current("episode-1") is None
    assert make_studio().episodes.judging.labels.counts()["labelled"] == 0


def test_a_visitor_cannot_undo_a_label_of_the_house(
    make_studio: Callable[..., Studio], make_trajectory: Maker
) -> None:
    home = make_studio()
    stock(home, make_trajectory)
    home.episodes.judging.labels.add(EVENT)
    public = make_studio(role=Role.VISITOR)
    with pytest.raises(ValueError, match="belongs to another pool"):
        public.episodes.judging.labels.undo("event-0001", new_event_id="event-0002")


def test_an_unknown_order_is_refused(stocked: Studio) -> None:
    with pytest.raises(ValueError, match="order must be one of"):
        stocked.episodes.gallery.records(order="random; drop table episodes")
