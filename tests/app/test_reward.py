"""The threshold lab and re-judging, with probabilities and labels written down by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.studio import Studio
from app.web.questions import ask
from engine.records.types import Outcome, Trajectory
from storage.judging.queue_orders import Place

Make = Callable[..., Trajectory]

# Name, imagined, largest probability, stored verdict, what a person said.
EPISODES = [
    ("i-0", True, 0.9, True, "success"),
    ("i-1", True, 0.7, True, "fail"),
    ("i-2", True, 0.4, False, "success"),
    ("i-3", True, 0.3, False, None),
    ("i-4", True, 0.8, True, "unsure"),
    ("i-5", True, 0.6, True, "broke"),
    ("r-0", False, 0.8, True, None),
    ("r-1", False, 0.6, True, "fail"),
    ("r-2", False, 0.2, False, "unsure"),
]


@pytest.fixture
def judge(studio: Studio) -> str:
    """The hash of the reward model that judged everything here."""
    [checkpoint] = studio.cabinet.checkpoints.all("reward_model")
    return checkpoint.hash


@pytest.fixture
def lab(studio: Studio, judge: str, make_trajectory: Make) -> Studio:
    for member, (name, imagined, probability, success, said) in enumerate(EPISODES):
        studio.cabinet.trajectories.add(
            make_trajectory(
                name,
                imagined=imagined,
                outcome=Outcome(success, 11 if success else 16),
                arrays={
                    "window_ends": np.array([8, 12]),
                    "window_probabilities": np.array([0.1, probability], np.float32),
                },
                lineage={"reward_model": judge, "created": 1_000.0, "threshold": 0.5}
                | (placed(member) if imagined else {}),
            )
        )
        if said is not None:
            meant = {"outcome": "success", "dream_broke": True} if said == "broke" else {}
            label = {"event_id": f"event-{name}", "episode_id": name, "outcome": said}
            studio.episodes.judging.labels.add(label | meant)
    return studio


def placed(member: int) -> dict[str, Any]:
    """Three siblings to a group."""
    return {"iteration": 3, "group": member // 3, "member": member % 3}


def at(curves: dict[str, Any], threshold: float) -> dict[str, Any]:
    index = round(1000 * threshold) - 1
    return {
        "hits": curves["true_positives"][index],
        "misfires": curves["false_positives"][index],
        "precision": curves["precision"]["value"][index],
        "recall": curves["recall"]["value"][index],
    }


def test_truth_is_a_person_s_word_or_the_simulator_s(lab: Studio) -> None:
    found = ask(lab.reward.thresholds.lab, {})
    imagined, real = found["kinds"]["imagined"], found["kinds"]["real"]
    # Of the imagined clips three have a label that says something: unsure and broken are left out.
    assert [imagined[name] for name in ("episodes", "known", "unsure", "broke")] == [6, 3, 1, 1]
    # Every real clip is known: r-1 by a person against the simulator, the others by it.
    assert [real[name] for name in ("known", "labelled", "successes")] == [3, 1, 1]
    assert at(imagined["curves"], 0.5) == {
        "hits": 1,
        "misfires": 1,
        "precision": 0.5,
        "recall": 0.5,
    }
    assert at(imagined["curves"], 0.75)["precision"] == 1.0
    assert at(imagined["curves"], 0.95)["precision"] is None
    assert at(real["curves"], 0.7) == {"hits": 1, "misfires": 0, "precision": 1.0, "recall": 1.0}
    assert imagined["area"] == 0.5
    assert found["cases"]["id"] == ["i-0", "r-0", "i-1", "r-1", "i-2", "r-2"]
    assert found["cases"]["success"] == [True, True, False, False, True, False]
    assert sum(imagined["histogram"]["unknown"]) == 3
    assert (found["threshold"], found["filling"]) == (0.6, None)  # the checkpoint's own


def test_a_recording_that_nobody_judged_has_no_truth_until_somebody_labels_it(
    lab: Studio, make_trajectory: Make, judge: str
) -> None:
    windows = {"window_ends": np.array([8]), "window_probabilities": np.array([0.9], np.float32)}
    unjudged = {"reward_model": judge, "created": 1_000.0, "threshold": 0.5, "unjudged": True}
    for name in ("u-0", "u-1"):
        lab.cabinet.trajectories.add(
            make_trajectory(
                name,
                imagined=False,
                outcome=Outcome(False, 16),
                arrays=windows,
                lineage=dict(unjudged),
            )
        )
    lab.episodes.judging.labels.add(
        {"event_id": "event-u-1", "episode_id": "u-1", "outcome": "success"}
    )
    real = ask(lab.reward.thresholds.lab, {})["kinds"]["real"]
    assert [real[name] for name in ("episodes", "known", "labelled")] == [5, 4, 2]
    assert at(real["curves"], 0.85) == {"hits": 1, "misfires": 0, "precision": 1.0, "recall": 0.5}
    assert sum(real["histogram"]["unknown"]) == 1


def test_a_correction_changes_the_numbers_at_once(lab: Studio) -> None:
    ask(lab.reward.thresholds.lab, {})
    corrected = {"outcome": "success", "supersedes": "event-i-1"}
    lab.episodes.judging.labels.add({"event_id": "event-new-1", "episode_id": "i-1", **corrected})
    imagined = ask(lab.reward.thresholds.lab, {})["kinds"]["imagined"]
    assert at(imagined["curves"], 0.5)["precision"] == 1.0
    assert imagined["failures"] == 0
    assert imagined["area"] is None


def test_details_slice_and_say_what_is_lacking(lab: Studio) -> None:
    found = ask(lab.reward.thresholds.details, {"threshold": 0.5, "width": 0.5})
    by_iteration = found["slices"]["iteration"]
    assert [(row["kind"], row["name"], row["known"]) for row in by_iteration] == [
        ("imagined", "3", 3)
    ]
    assert by_iteration[0]["false_positives"] == by_iteration[0]["false_negatives"] == 1
    assert {row["name"] for row in found["slices"]["task"]} == {"coffee-push"}
    [point] = found["trend"]
    assert (point["iteration"], point["precision"], point["predicted"]) == (3, 0.5, 2)
    precision = found["needed"]["imagined"]["precision"]
    # Wilson's interval of one half is at most 0.5 wide from 12 labels on; two of three are there.
    assert (precision["count"], precision["need"], precision["more"]) == (2, 12, 10)
    assert precision["random"] == 15
    nothing = ask(lab.reward.thresholds.details, {"threshold": 0.95})["needed"]["imagined"][
        "precision"
    ]
    assert nothing["more"] is None


def test_labels_of_an_uneven_queue_count_by_their_weights(lab: Studio) -> None:
    ask(lab.reward.thresholds.lab, {})  # what it remembers is forgotten with the queue
    places = [
        Place(episode_id="i-0", stratum="sure"),
        *(Place(episode_id=name, stratum="doubtful", weight=3.0) for name in ("i-1", "i-3")),
    ]
    # Of the six doubtful ones two were drawn, and one of these was answered: it stands for six.
    lab.cabinet.queues.add("sample", places, query={"order": "stratified"}, overlap=1)
    imagined = ask(lab.reward.thresholds.lab, {})["kinds"]["imagined"]
    assert imagined["weighted"] == 1
    assert at(imagined["curves"], 0.5) == {
        "hits": 1,
        "misfires": 1,
        "precision": pytest.approx(1 / 7, abs=1e-4),
        "recall": 0.5,
    }


def test_a_saved_threshold_is_a_version_with_what_it_was_worth(
    lab: Studio, judge: str, make_studio: Callable[..., Studio]
) -> None:
    saved = ask(
        lab.reward.thresholds.save,
        {"reward_model": judge, "threshold": 0.75, "note": " fewer false ✓ "},
    )
    [version] = saved["versions"]
    assert (version["threshold"], version["note"]) == (0.75, "fewer false ✓")
    assert version["measures"]["imagined"]["precision"] == 1.0
    assert version["measures"]["real"]["f1"] == 1.0
    assert ask(make_studio().reward.thresholds.lab, {})["threshold"] == 0.75


def test_an_iteration_is_judged_anew(lab: Studio) -> None:
    found = ask(lab.reward.thresholds.rejudge, {"run": "", "iteration": 3, "threshold": 0.65})
    first, second = found["groups"]
    # 0.9, 0.7 and 0.4: two of three succeed as before. 0.3, 0.8 and 0.6: one in place of two.
    assert (first["before"], first["after"]) == ({"kept": True, "successes": 2},) * 2
    assert (second["before"]["successes"], second["after"]["successes"]) == (2, 1)
    assert [one["flips"] for one in second["members"]] == [False, False, True]
    rewards = np.array([0.0, 5.0, 0.0])
    expected = (rewards - rewards.mean()) / rewards.std(ddof=1)
    advantages = [one["after"]["advantage"] for one in second["members"]]
    assert advantages == pytest.approx(expected, abs=1e-3)
    assert second["members"][2]["after"]["end_step"] == 16
    assert second["members"][2]["cut"]  # it has 16 of 48 actions: the judge ended it
    assert second["members"][1]["after"]["end_step"] == 11
    assert (found["flipped_groups"], found["flipped_episodes"], found["unjudged"]) == (0, 1, 0)
    strict = ask(lab.reward.thresholds.rejudge, {"run": "", "iteration": 3, "threshold": 0.95})
    assert [group["after"]["kept"] for group in strict["groups"]] == [False, False]
    assert strict["flipped_groups"] == 2


def test_an_empty_studio_says_so(studio: Studio, make_trajectory: Make) -> None:
    assert ask(studio.reward.thresholds.lab, {}) == {"models": [], "filling": None}
    studio.cabinet.trajectories.add(make_trajectory())  # its judge is not recorded
    found = ask(studio.reward.thresholds.lab, {})
    assert [(one["name"], one["episodes"]) for one in found["models"]] == [("not recorded", 1)]
    assert found["kinds"]["imagined"]["known"] == found["kinds"]["real"]["episodes"] == 0
    assert ask(studio.reward.thresholds.details, {"threshold": 0.5})["slices"] == {}
    with pytest.raises(ValueError, match="do not say which reward model"):
        ask(studio.reward.thresholds.save, {"reward_model": "", "threshold": 0.5})


def test_an_older_index_is_filled_in_the_background(lab: Studio) -> None:
    lab.cabinet.database.write(lambda cursor: cursor.rows("delete from window_scores"))
    assert ask(lab.reward.thresholds.lab, {})["filling"] == (0, 9)
    assert lab.cabinet.windows._filler is not None
    lab.cabinet.windows._filler.join()
    found = ask(lab.reward.thresholds.lab, {})
    assert found["filling"] is None
    assert found["kinds"]["imagined"]["episodes"] == 6


MALFORMED: list[tuple[str, object, str]] = [
    ("lab", ["r"], "an object with named values is needed"),
    ("lab", {"colour": "red"}, "colour is not known here"),
    ("lab", {"reward_model": "nobody"}, "judged by that reward model"),
    ("details", {}, "threshold is missing"),
    ("details", {"threshold": 0}, "threshold must be from 0.001 to 1"),
    ("details", {"threshold": float("nan")}, "threshold must be a number"),
    ("details", {"threshold": 0.5, "width": 2}, "width must be from"),
    ("save", {"reward_model": "nobody", "threshold": 0.5}, "judged by that reward model"),
    ("save", {"reward_model": "nobody", "threshold": "high"}, "threshold must be a number"),
    ("rejudge", {"run": "", "iteration": 3}, "threshold is missing"),
    ("rejudge", {"run": 7, "iteration": 3, "threshold": 0.5}, "run must be text"),
    ("rejudge", {"run": "", "iteration": 9, "threshold": 0.5}, "no group of iteration 9"),
    (
        "rejudge",
        {"run": "", "iteration": 3, "threshold": 0.5, "reward_model": "nobody"},
        "no stored probability of that reward model",
    ),
]


def test_malformed_queries_are_refused_in_a_sentence(lab: Studio) -> None:
    for method, query, sentence in MALFORMED:
        with pytest.raises((ValueError, LookupError), match=sentence):
            ask(getattr(lab.reward.thresholds, method), query)


def test_a_dream_is_judged_with_the_threshold_in_use_and_replayed_with_its_own(
    studio: Studio, judge: str, settings: dict[str, Any]
) -> None:
    def judged(dream: str) -> tuple[float, int]:
        pulled = ask(studio.imagine.dreams.pull, {"dream": dream})
        episode = studio.cabinet.trajectories.get(
            ask(studio.imagine.dreams.save, {"dream": dream})["episode"]
        )
        assert episode.replay["threshold"] == pulled["threshold"]
        return pulled["threshold"], episode.outcome.end_step

    def dreamt() -> str:
        dream = ask(studio.imagine.dreams.open, settings)["dream"]
        for _ in range(2):
            ask(studio.imagine.dreams.act, {"dream": dream, "action": "chunk"})
        return dream

    assert judged(dreamt()) == (0.6, 14)  # brighter by a sixteenth a step
    studio.cabinet.thresholds.save(judge, 0.3, measures={})
    second = dreamt()
    assert judged(second) == (0.3, 9)
    link = ask(studio.imagine.dreams.permalink, {"dream": second})["token"]
    studio.cabinet.thresholds.save(judge, 0.9, measures={})
    again = ask(studio.imagine.dreams.replay, {"token": link})
    assert again["exact"]
    assert judged(again["dream"]) == (0.3, 9)
