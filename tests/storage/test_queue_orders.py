"""Orders of queues, on rows small enough to order by hand."""

from typing import Any

import numpy as np
import pytest

from storage.judging.queue_orders import Candidate, advantages, draw, leverage, rank


def row(name: str, **changes: Any) -> Candidate:
    values: dict[str, Any] = {
        "id": name,
        "task": "coffee-push",
        "start_id": 1,
        "imagined": True,
        "success": False,
        "probability": 0.5,
        "threshold": 0.5,
        "run": None,
        "iteration": None,
        "group_name": None,
        "policy": None,
        "world_model": None,
    }
    return Candidate(**values | changes)


def names(order: str, rows: list[Candidate], **settings: Any) -> list[str]:
    given: dict[str, Any] = {"relatives": rows, "limit": 99, "seed": 0}
    return [place.episode_id for place in rank(order, rows, **given | settings)]


def test_uncertainty_asks_first_where_the_model_nearly_said_the_other() -> None:
    rows = [row("far", probability=0.9), row("near", probability=0.55), row("mute", threshold=None)]
    assert names("uncertainty", rows) == ["near", "far", "mute"]


def test_disagreement_asks_first_about_the_most_confident_contradiction() -> None:
    rows = [
        row("agreed", success=True, probability=0.7, outcome="success"),
        row("denied", success=True, probability=0.7, outcome="fail"),
        row("denied-hard", success=True, probability=0.99, outcome="fail"),
        row("unsure", outcome="unsure"),
        row("mute"),
    ]
    assert names("human-model disagreement", rows)[:3] == ["denied-hard", "denied", "agreed"]


def test_seed_disagreement_asks_first_about_starts_whose_futures_differ() -> None:
    rows = [
        *(row(f"sure-{n}", start_id=1, success=True) for n in range(4)),
        *(row(f"lone-{n}", start_id=2, success=n == 0) for n in range(4)),
        *(row(f"half-{n}", start_id=3, success=n < 2) for n in range(4)),
    ]
    order = [name.split("-")[0] for name in names("seed disagreement", rows)]
    assert order == ["half"] * 4 + ["lone"] * 4 + ["sure"] * 4


def test_siblings_outside_the_filter_still_say_that_futures_differ() -> None:
    split = [row("a", start_id=1, success=True), row("b", start_id=1)]
    alone = [row("c", start_id=2)]
    wanted = [split[1], alone[0]]
    relatives = [*split, *alone]
    assert names("seed disagreement", wanted, relatives=relatives) == ["b", "c"]


def test_advantages_are_those_of_the_released_code() -> None:
    # By hand: mean 1/4, unbiased deviation 1/2 -> 1.5 for the winner, -0.5 for the others.
    expected = [1.5, -0.5, -0.5, -0.5]
    np.testing.assert_allclose(advantages(np.array([1, 0, 0, 0], bool)), expected, atol=1e-5)
    assert not advantages(np.zeros(8, bool)).any()
    assert not advantages(np.ones(1, bool)).any()


def test_the_flip_that_empties_a_group_has_the_most_leverage() -> None:
    failure, success = leverage(4, 1)
    # By hand: without its one success the group is dropped, 1.5 + 3 × 0.5 = 3; a second success
    # makes it [√3, √3, -√3, -√3] / 2.
    second = abs(1.5 - 3**0.5 / 2) + (0.5 + 3**0.5 / 2) + 2 * (3**0.5 / 2 - 0.5)
    np.testing.assert_allclose([success, failure], [3.0, second], atol=1e-5)


def test_leverage_asks_first_where_one_label_moves_the_group_most() -> None:
    fate = {"run": "r", "iteration": 1}
    rows = [
        *(row(f"lone-{n}", group_name="a", success=n == 0, **fate) for n in range(4)),
        *(row(f"half-{n}", group_name="b", success=n < 2, **fate) for n in range(4)),
        row("groupless"),
    ]
    order = names("GRPO leverage", rows)
    by_hand = {f"lone-{n}": leverage(4, 1)[n == 0] for n in range(4)}
    by_hand |= {f"half-{n}": leverage(4, 2)[n < 2] for n in range(4)}
    moved = [round(by_hand.get(name, 0.0), 6) for name in order]
    assert moved == sorted(moved, reverse=True)
    assert order[-1] == "groupless"


def test_a_judged_member_counts_as_judged_and_moves_nothing() -> None:
    fate = {"run": "r", "iteration": 1, "group_name": "a"}
    rows = [row("judged", success=True, outcome="fail", **fate)]
    rows += [row(f"other-{n}", **fate) for n in range(3)]
    assert names("GRPO leverage", rows)[-1] == "judged"


def test_failure_modes_come_together_the_rarest_first() -> None:
    modes = {"a": "slipped", "b": "missed", "c": "slipped", "d": None}
    rows = [row(name, outcome="fail", failure_mode=mode) for name, mode in modes.items()]
    assert names("failure mode", rows) == ["b", "a", "c", "d"]


def test_a_stratified_sample_takes_every_stratum_and_its_weights_restore_the_whole() -> None:
    rows = [row(f"many-{n}", probability=0.1) for n in range(90)]
    rows += [row(f"few-{n}", probability=0.9, success=True) for n in range(10)]
    places = rank("stratified", rows, relatives=rows, limit=20, seed=3)
    strata = {place.stratum for place in places}
    assert strata == {"fail, from 0.0", "success, from 0.8"}
    assert sum(place.weight for place in places) == pytest.approx(100)
    assert [place.weight for place in places].count(1.0) == 10
    first = {place.stratum for place in places[:2]}
    assert first == strata  # every beginning of it is a sample of all strata


def test_a_sample_follows_from_its_seed_and_not_from_the_order_of_the_rows() -> None:
    rows = [row(f"row-{n}") for n in range(20)]
    assert names("random", rows, limit=5) == names("random", rows[::-1], limit=5)
    assert names("random", rows) != names("random", rows, seed=1)


def test_every_member_of_a_stratum_is_drawn_equally_often() -> None:
    strata = ["a"] * 8 + ["b"] * 2
    drawn = [
        place.episode_id
        for seed in range(400)
        for place in draw(list("abcdefghij"), strata, limit=4, seed=seed)
    ]
    counts = [drawn.count(name) for name in "abcdefgh"]
    assert sum(counts) == 800
    # 400 draws of 2 in 8: 100 each, deviation √(400 · ¼ · ¾) = 8.7.
    assert max(abs(count - 100) for count in counts) < 35


def test_another_order_is_refused() -> None:
    with pytest.raises(ValueError, match="order must be one of random, stratified, uncertainty"):
        rank("alphabet", [], relatives=[], limit=1, seed=0)


def test_leverage_of_a_pattern_is_what_flipping_each_member_moves() -> None:
    random = np.random.default_rng(0)
    for size in (2, 3, 8):
        for _ in range(20):
            success = random.uniform(size=size) < 0.5
            flips = [np.where(np.arange(size) == one, ~success, success) for one in range(size)]
            moved = [np.abs(advantages(flip) - advantages(success)).sum() for flip in flips]
            flip = leverage(size, int(success.sum()))
            found = [flip[won] for won in success.tolist()]
            np.testing.assert_allclose(found, moved, rtol=0, atol=2e-9)


class Mode(str):
    """A failure mode that counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Mode.compared += 1
        return str.__eq__(self, other)


def test_failure_modes_are_counted_without_comparing_all_with_all() -> None:
    rows = [row(f"{n:06d}", outcome="fail", failure_mode=Mode("slip")) for n in range(500)]
    rank("failure mode", rows, relatives=rows, limit=10, seed=0)
    assert Mode.compared < 20 * len(rows)
