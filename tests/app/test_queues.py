"""The studio: queues made from filters, handed out to people, and what judgements say together."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch

from app.label.panel import NextOfAll, next_of_all
from app.label.task_card import OneTask, task_card
from app.studio import Studio
from app.ui import site
from app.visitors import Role
from app.web.questions import ask
from engine.learning.grpo import group_advantages, success_returns
from engine.records.types import Outcome, Trajectory
from storage.judging.queue_orders import advantages

Maker = Callable[..., Trajectory]
TRUTHS = [True, True, True, False, False, False]


@pytest.fixture
def stocked(studio: Studio, make_trajectory: Maker) -> Studio:
    """Six imagined clips, of which the model calls the first three successes, and two real ones."""
    for number, success in enumerate(TRUTHS):
        add(studio, make_trajectory, f"dream-{number}", success, imagined=True)
    add(studio, make_trajectory, "real-won", True, imagined=False)
    add(studio, make_trajectory, "real-lost", False, imagined=False)
    return studio


def add(studio: Studio, make: Maker, name: str, success: bool, *, imagined: bool) -> None:
    studio.cabinet.trajectories.add(make(name, outcome=Outcome(success, 12), imagined=imagined))


class People:
    """Who say what, one event id after the other."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.said = studio, 0

    def say(self, actor: str, clip: str, outcome: str, mode: str = "blind", **more: Any) -> None:
        self.said += 1
        event = {"event_id": f"event-{self.said:04d}", "episode_id": clip, "outcome": outcome}
        self.studio.episodes.judging.labels.add({**event, "mode": mode, **more}, actor=actor)


def next_ids(studio: Studio, queue: str, actor: str, count: int = 9, **more: Any) -> list[str]:
    query = {"queue": queue, "actor": actor, "count": count, **more}
    return [item["id"] for item in ask(studio.label.queues.next, query)["items"]]


def test_what_comes_unasked_is_dreams_that_nobody_judged_the_most_uncertain_first(
    stocked: Studio, make_trajectory: Maker
) -> None:
    """Real clips, the dreams of measured pairs and probes of checkpoints stay out."""
    for name, lineage in (
        ("twin", {"real_success": False}),
        ("probe", {"probe": True}),
        ("sure", {"threshold": 0.2}),
        ("unsure", {"threshold": 0.89}),
    ):
        stocked.cabinet.trajectories.add(make_trajectory(name, lineage={"created": 1.0, **lineage}))
    People(stocked).say("ann", "dream-0", "success")
    found = next_of_all(stocked.label, NextOfAll())["items"]
    assert [item["id"] for item in found] == [
        "unsure",
        *(f"dream-{number}" for number in range(1, 6)),
        "sure",
    ]
    real = next_of_all(stocked.label, NextOfAll(kind="real"))["items"]
    assert sorted(item["id"] for item in real) == ["real-lost", "real-won"]


def test_every_tenth_clip_has_a_known_answer_where_any_is_known(
    stocked: Studio, make_trajectory: Maker
) -> None:
    for number in range(6, 12):
        add(stocked, make_trajectory, f"dream-{number}", True, imagined=True)
    make = stocked.label.queues.make
    name = ask(make, {"filter": {"kind": "imagined"}})["name"]
    assert len(stocked.label.queues.gold_answers(name)) == 1
    without = ask(make, {"filter": {"kind": "imagined"}, "gold": 0, "name": "without"})["name"]
    assert stocked.label.queues.gold_answers(without) == {}
    everything = ask(make, {"name": "everything"})["name"]  # nothing is left to know: no error
    assert stocked.label.queues.gold_answers(everything) == {}


def test_a_task_card_has_a_rule_examples_of_both_outcomes_and_other_clips_to_practise_on(
    stocked: Studio, make_trajectory: Maker
) -> None:
    for number in range(3):
        for success in (True, False):
            name = f"more-{number}-{'won' if success else 'lost'}"
            add(stocked, make_trajectory, name, success, imagined=False)
    card = task_card(stocked.label, OneTask(task="coffee-push"))
    assert "under the machine" in card["rule"]
    assert card["success"] == ["more-0-won", "more-1-won"]
    assert card["fail"] == ["more-0-lost", "more-1-lost"]
    fresh = {"more-2-won", "more-2-lost", "real-won", "real-lost"}
    assert set(card["practice"][:4]) == fresh
    assert len(set(card["practice"])) == 5
    assert stocked.episodes.judging.labels.history() == []
    nothing = task_card(stocked.label, OneTask(task="of elsewhere"))
    assert nothing == {"rule": "", "success": [], "fail": [], "practice": []}


def test_practice_has_both_outcomes_where_one_is_rare(
    stocked: Studio, make_trajectory: Maker
) -> None:
    for number in range(8):
        add(stocked, make_trajectory, f"more-{number}-lost", False, imagined=False)
    practice = task_card(stocked.label, OneTask(task="coffee-push"))["practice"]
    assert "real-won" in practice and len(set(practice)) == 5


def test_recordings_that_nobody_judged_are_no_known_answers(
    stocked: Studio, make_trajectory: Maker
) -> None:
    recorded = replace(make_trajectory("a-recording"), imagined=False, outcome=Outcome(False, 4))
    unjudged = replace(recorded, lineage={**recorded.lineage, "unjudged": True})
    stocked.cabinet.trajectories.add(unjudged)
    card = task_card(stocked.label, OneTask(task="coffee-push"))
    assert card["fail"] == ["real-lost"]
    assert "a-recording" not in card["practice"]
    made = {"filter": {"kind": "imagined"}, "name": "q", "gold": 1}
    ask(stocked.label.queues.make, made)
    assert set(stocked.label.queues.gold_answers("q")) <= {"real-won", "real-lost"}


def test_a_queue_holds_what_its_filter_finds(stocked: Studio) -> None:
    name = ask(stocked.label.queues.make, {"filter": {"kind": "imagined", "verdict": "fail"}})[
        "name"
    ]
    assert name == "random"
    assert sorted(next_ids(stocked, name, "ann")) == ["dream-3", "dream-4", "dream-5"]
    assert ask(stocked.label.queues.make, {})["name"] == "random 2"
    assert [(queue["name"], queue["total"]) for queue in stocked.label.queues.all()] == [
        ("random", 3),
        ("random 2", 8),
    ]


def test_an_item_tells_nothing_of_what_others_said(stocked: Studio) -> None:
    ask(stocked.label.queues.make, {"filter": {"kind": "imagined"}, "name": "q", "overlap": 2})[
        "name"
    ]
    first = next_ids(stocked, "q", "ann", 1)[0]
    People(stocked).say("ann", first, "fail")
    [item] = ask(stocked.label.queues.next, {"queue": "q", "actor": "ben", "count": 1})["items"]
    assert (item["id"], item["label"], item["verdicts"]) == (first, None, [])


def test_calibration_clips_are_mixed_in_and_the_annotator_is_told(stocked: Studio) -> None:
    ask(stocked.label.queues.make, {"filter": {"kind": "imagined"}, "name": "q", "gold": 3})["name"]
    order = next_ids(stocked, "q", "ann")
    assert [clip.startswith("real") for clip in order] == [False, False, True] * 2 + [False] * 2
    people = People(stocked)
    people.say("ann", "real-won", "success")
    people.say("ann", "real-lost", "success")
    [ann] = stocked.label.queues.statistics("q")["people"]
    assert (ann["gold"]["value"], ann["gold"]["total"]) == (0.5, 2)
    assert stocked.label.queues.gold_answers("q") == {"real-won": "success", "real-lost": "fail"}
    assert stocked.label.queues.all()[0]["total"] == 6


def test_conflicts_come_with_what_was_said_and_end_with_a_decision(stocked: Studio) -> None:
    ask(stocked.label.queues.make, {"filter": {"kind": "imagined"}, "name": "q", "overlap": 2})[
        "name"
    ]
    people = People(stocked)
    people.say("ann", "dream-0", "success")
    people.say("ben", "dream-0", "fail", note="slipped at the end")
    assert stocked.label.queues.statistics("q")["conflicts"] == 1
    [item] = ask(stocked.label.queues.next, {"queue": "q", "actor": "cat", "adjudicate": True})[
        "items"
    ]
    said = [(one["actor"], one["outcome"], one["note"]) for one in item["verdicts"]]
    assert said == [("ann", "success", ""), ("ben", "fail", "slipped at the end")]
    newest = item["label"]["event_id"]
    people.say("cat", "dream-0", "fail", "adjudicate", supersedes=newest)
    assert next_ids(stocked, "q", "dan", adjudicate=True) == []
    assert stocked.episodes.gallery.record("dream-0")["label"]["outcome"] == "fail"


def test_agreement_is_of_independent_judgements(stocked: Studio) -> None:
    ask(stocked.label.queues.make, {"filter": {"kind": "imagined"}, "name": "q", "overlap": 2})[
        "name"
    ]
    people = People(stocked)
    for clip, truth in enumerate(TRUTHS):
        people.say("ann", f"dream-{clip}", "success" if truth else "fail")
        people.say("ben", f"dream-{clip}", "fail" if clip == 5 or not truth else "success")
    people.say("cat", "dream-0", "fail", "review")
    people.say("dan", "dream-1", "fail", dream_broke=True)
    found = stocked.label.queues.statistics("q")
    assert (found["human_human"]["kappa"], found["human_human"]["total"]) == (1.0, 6)
    assert (found["human_model"]["agreed"], found["human_model"]["total"]) == (12, 12)
    everything = stocked.label.queues.statistics(None)
    assert everything["human_model"] == found["human_model"]
    assert everything["estimates"] is None


def test_a_sample_speaks_of_its_whole_population(studio: Studio, make_trajectory: Maker) -> None:
    for number in range(20):
        won = number < 4
        peak = np.full(10, 0.9 if won else 0.1, np.float32)
        arrays = {"window_ends": np.arange(8, 18), "window_probabilities": peak}
        studio.cabinet.trajectories.add(
            make_trajectory(f"dream-{number:02d}", outcome=Outcome(won, 12), arrays=arrays)
        )
    ask(studio.label.queues.make, {"order": "stratified", "clips": 8, "name": "q"})["name"]
    people = People(studio)
    # The model is right of its 4 failures drawn, and wrong of 1 in 4 of its successes.
    for clip in next_ids(studio, "q", "ann"):
        people.say("ann", clip, "success" if int(clip[-2:]) in (0, 1, 2) else "fail")
    found = studio.label.queues.statistics("q")["estimates"]
    assert found["precision"]["value"] == pytest.approx(0.75)
    assert found["success_rate"]["value"] == pytest.approx(3 / 20)
    assert found["recall"]["value"] == pytest.approx(1.0)
    assert (found["population"], found["covered"]) == (20, 1.0)


def test_leverage_uses_the_advantages_of_the_engine() -> None:
    success = np.array([1, 1, 0, 0, 0, 1, 0, 0], bool)
    returns = success_returns(torch.from_numpy(success))
    expected = group_advantages(returns, [0] * 8).numpy()
    np.testing.assert_allclose(advantages(success), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"order": "alphabet"}, "order must be one of random, stratified"),
        ({"filter": {"colour": "red"}}, "colour is not known here"),
        ({"filter": {"verdict": "maybe"}}, "verdict must be one of success, fail"),
        ({"filter": {"run": "nobody"}}, "no episode fits this filter"),
        ({"clips": 0}, "clips must be from 1 to 5000"),
        ({"overlap": 99}, "overlap must be from 1 to 20"),
        ({"filter": {"kind": "real"}, "gold": 5}, "calibration needs real episodes beside"),
        ({"name": "   "}, "a queue needs a name"),
    ],
)
def test_bad_queues_are_refused_in_a_sentence(
    stocked: Studio, query: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(stocked.label.queues.make, query)["name"]
    assert stocked.label.queues.all() == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"queue": "nothing", "actor": "ann"}, "there is no queue 'nothing'"),
        ({"queue": "q"}, "actor is missing"),
        ({"queue": "q", "actor": " "}, "whoever judges needs a name"),
        ({"queue": "q", "actor": "guest:ann"}, "one that does not begin with guest:"),
        ({"queue": "q", "actor": "ann", "count": 99}, "count must be from 1 to 50"),
    ],
)
def test_bad_questions_are_refused_in_a_sentence(
    stocked: Studio, query: dict[str, Any], sentence: str
) -> None:
    ask(stocked.label.queues.make, {"name": "q"})["name"]
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(stocked.label.queues.next, query)["items"]


def test_a_removed_queue_is_gone_and_its_judgements_stay(stocked: Studio) -> None:
    ask(stocked.label.queues.make, {"name": "q"})["name"]
    People(stocked).say("ann", "dream-0", "fail")
    assert ask(stocked.label.queues.remove, {"name": "q"})["queues"] == []
    assert stocked.episodes.judging.labels.counts()["labelled"] == 1


def test_visitors_take_clips_but_make_no_queues(
    make_studio: Callable[..., Studio], make_trajectory: Maker
) -> None:
    home = make_studio()
    add(home, make_trajectory, "dream-0", True, imagined=True)
    ask(home.label.queues.make, {"name": "q"})["name"]
    public = make_studio(role=Role.VISITOR)
    assert next_ids(public, "q", "ann") == ["dream-0"]
    assert next_ids(public, "q", "ben") == []


def test_the_taxonomy_can_be_changed_and_stays(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio()
    assert studio.label.queues.failure_modes()[0] == "missed"
    ask(studio.label.queues.save_failure_modes, {"modes": ["tipped over", " fell "]})["modes"]
    assert make_studio().label.queues.failure_modes() == ["tipped over", "fell"]


@pytest.mark.parametrize("modes", [[], ["a", "A"], ["a", " "], "slipped", ["x"] * 30, [1]])
def test_a_bad_taxonomy_is_refused(studio: Studio, modes: Any) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        ask(studio.label.queues.save_failure_modes, {"modes": modes})["modes"]


def test_a_person_sees_the_last_judgements_of_their_own(stocked: Studio) -> None:
    people = People(stocked)
    people.say("ann", "dream-0", "fail", failure_mode="slipped", end_step=4)
    people.say("ben", "dream-1", "fail")
    [entry] = stocked.episodes.judging.labels.history(actor="ann")
    assert (entry["episode_id"], entry["failure_mode"], entry["end_step"]) == (
        "dream-0",
        "slipped",
        4,
    )
    assert len(stocked.episodes.judging.labels.history()) == 2


def test_many_undos_do_not_hide_what_was_judged_before(stocked: Studio) -> None:
    people = People(stocked)
    people.say("ann", "dream-0", "fail")
    for number in range(6):
        people.say("ann", "dream-1", "fail")
        said = f"event-{people.said:04d}"
        stocked.episodes.judging.labels.undo(said, new_event_id=f"undo-{number:04d}", actor="ann")
    assert [entry["episode_id"] for entry in stocked.episodes.judging.labels.history(limit=5)] == [
        "dream-0"
    ]


def test_scripts_share_the_leases_of_the_label_page(stocked: Studio) -> None:
    ask(stocked.label.queues.make, {"clips": 2, "name": "shared"})["name"]
    blocks = site.build(stocked, device="CPU", instruction="push", horizon=48)
    next_item = next(fn.fn for fn in blocks.fns.values() if fn.api_name == "next_item")
    [held] = next_ids(stocked, "shared", "ann", count=1)
    item = next_item("shared", "robot")["item"]
    assert item["id"] != held
    assert next_item("shared", "robot")["item"]["id"] == item["id"]
    assert next_item("shared", "third") == {"item": None}
    stocked.episodes.judging.labels.add(
        {"event_id": "event-0001", "episode_id": item["id"], "outcome": "fail"}, actor="robot"
    )
    assert next_item("shared", "robot") == {"item": None}
    assert next_item(None, "robot")["item"]["label"] is None
    with pytest.raises(gr.Error, match="there is no queue 'lost'; there is shared"):
        next_item("lost", "robot")
