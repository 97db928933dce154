"""Branches of a dream: futures of one node that differ in one thing."""

from collections.abc import Callable
from typing import Any

import pytest

from app.live.models import Models
from app.studio import Studio
from app.web.questions import ask
from tests.app.dream_steps import act, load_noisy, tree


@pytest.fixture
def noisy(make_studio: Callable[..., Studio]) -> Studio:
    return make_studio(models=Models(load_noisy))


@pytest.mark.parametrize("vary", ["policy", "world"])
def test_four_futures_share_the_past_and_differ_in_one_noise(
    noisy: Studio, settings: dict[str, Any], vary: str
) -> None:
    dream = ask(noisy.imagine.dreams.open, settings)["dream"]
    act(noisy, dream)
    act(noisy, dream)
    found = ask(noisy.imagine.dreams.branch, {"dream": dream, "node": 1, "vary": vary, "count": 4})
    nodes = tree(noisy, dream)
    assert [nodes[node]["vary"] for node in found["branches"]] == [vary] * 4
    assert [nodes[node]["parent"] for node in found["branches"]] == [1] * 4
    assert all(nodes[leaf]["verdict"] and nodes[leaf]["leaf"] for leaf in found["leaves"])
    seen = ask(noisy.imagine.dreams.pull, {"dream": dream})
    futures = [
        ask(noisy.imagine.dreams.pull, {"dream": dream, "node": leaf}) for leaf in found["leaves"]
    ]
    assert all(future["frames"][:9] == seen["frames"][:9] for future in futures)
    assert len({tuple(future["frames"][9:17]) for future in futures}) == 4
    first_actions = {str(future["actions"][8:16]) for future in futures}
    assert len(first_actions) == (4 if vary == "policy" else 1)
    assert ask(noisy.imagine.dreams.pull, {"dream": dream})["node"] == 2


def test_a_nudge_moves_one_dimension_of_the_policy_s_own_action(
    studio: Studio, settings: dict[str, Any]
) -> None:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    found = ask(
        studio.imagine.dreams.branch,
        {"dream": dream, "node": 0, "vary": "nudge", "dimension": "z", "amount": 0.5, "count": 3},
    )
    paths = [
        ask(studio.imagine.dreams.pull, {"dream": dream, "node": leaf}) for leaf in found["leaves"]
    ]
    # The policy moves 0.25, nudged by -0.5, 0 and 0.5 in the first chunk only.
    assert [path["actions"][0][2] for path in paths] == [-0.25, 0.25, 0.75]
    assert {path["actions"][0][1] for path in paths} == {0.25}
    assert {path["actions"][8][2] for path in paths} == {0.25}
    assert all(path["drivers"][:2] == ["nudge", "policy"] for path in paths)


def test_going_to_another_node_goes_on_from_there(noisy: Studio, settings: dict[str, Any]) -> None:
    dream = ask(noisy.imagine.dreams.open, settings)["dream"]
    act(noisy, dream)
    [leaf] = ask(noisy.imagine.dreams.branch, {"dream": dream, "node": 0, "vary": "policy"})[
        "leaves"
    ]
    there = ask(noisy.imagine.dreams.select, {"dream": dream, "node": leaf})
    assert (there["node"], there["state"], there["first"]) == (leaf, "done", 0)
    back = ask(noisy.imagine.dreams.select, {"dream": dream, "node": 0})
    assert (back["node"], back["next"], back["state"]) == (0, 1, "paused")
    known = list(tree(noisy, dream))
    assert act(noisy, dream)["node"] == 1
    assert list(tree(noisy, dream)) == known


def test_a_path_that_is_not_the_current_one_can_be_kept(
    noisy: Studio, settings: dict[str, Any]
) -> None:
    dream = ask(noisy.imagine.dreams.open, settings)["dream"]
    act(noisy, dream)
    [leaf] = ask(noisy.imagine.dreams.branch, {"dream": dream, "node": 0, "vary": "world"})[
        "leaves"
    ]
    clip = ask(
        noisy.episodes.clips.clip,
        {"episode": ask(noisy.imagine.dreams.save, {"dream": dream, "node": leaf})["episode"]},
    )
    assert (
        clip["frames"] == ask(noisy.imagine.dreams.pull, {"dream": dream, "node": leaf})["frames"]
    )
    assert clip["replay"]["draws"][0] == {"world_noise": 1}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"node": 9}, "this dream has no node 9"),
        ({"node": 2}, "node 2 is the end of its branch"),
        ({"vary": "weather"}, "vary must be one of policy, world, nudge"),
        ({"count": 9}, "count must be from 1 to 8"),
        ({"vary": "nudge", "amount": 0.1}, "dimension must be one of x, y, z, gripper"),
        ({"vary": "nudge", "dimension": "x"}, "amount must be a number"),
    ],
)
def test_a_bad_branch_is_one_sentence(
    studio: Studio, settings: dict[str, Any], change: dict[str, Any], sentence: str
) -> None:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    act(studio, dream)
    act(studio, dream)
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(studio.imagine.dreams.branch, {"dream": dream, "node": 0, "vary": "policy"} | change)


def test_without_chance_the_policy_cannot_vary(studio: Studio, settings: dict[str, Any]) -> None:
    dream = ask(studio.imagine.dreams.open, settings | {"temperature": 0.0})["dream"]
    with pytest.raises(ValueError, match="at temperature 0 the policy does not draw"):
        ask(studio.imagine.dreams.branch, {"dream": dream, "node": 0, "vary": "policy"})
