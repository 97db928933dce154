"""Imagine's use cases at the studio: act, steer, branch, rewind, several viewers."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.live.models import Models
from app.rates import TooMuchError
from app.studio import Studio
from app.web.questions import ask
from engine.device import Placement
from tests.app.conftest import CHUNK
from tests.app.dream_steps import act, load_noisy, tree
from tests.fakes import AddingWorldModel

DIMS = ["x", "y", "z", "gripper"]


@pytest.fixture
def noisy(make_studio: Callable[..., Studio]) -> Studio:
    return make_studio(models=Models(load_noisy))


def test_an_action_brings_its_whole_chunk(studio: Studio, settings: dict[str, Any]) -> None:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    seen = act(studio, dream, after=1)
    assert (seen["first"], seen["next"], len(seen["frames"])) == (1, 9, 8)
    assert (seen["state"], seen["node"], seen["drivers"]) == ("paused", 1, ["policy"])
    assert seen["dims"] == DIMS
    # Every normalised action of an eighth adds an eighth to every latent.
    assert seen["drift"] == [pytest.approx(number * 0.125, abs=1e-3) for number in range(9)]
    frame = act(studio, dream, "frame", after=9)
    assert (frame["next"], len(frame["frames"])) == (10, 1)


def test_a_run_brings_a_chunk_and_goes_on(studio: Studio, settings: dict[str, Any]) -> None:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    seen = act(studio, dream, "run", after=1)
    assert (len(seen["frames"]), seen["state"]) == (8, "running")
    assert act(studio, dream, "pause", after=9)["state"] == "paused"


def test_the_next_chunk_is_foreseen_but_hidden_until_it_is_asked_for(
    noisy: Studio, settings: dict[str, Any]
) -> None:
    dream = ask(noisy.imagine.dreams.open, settings)["dream"]
    act(noisy, dream)
    ask(
        noisy.imagine.dreams.propose, {"dream": dream}
    )  # waits for its turn on the imagination thread
    assert list(tree(noisy, dream)) == [0, 1]
    seen = act(noisy, dream)
    assert (seen["nodes"], list(tree(noisy, dream))) == ([1, 2], [0, 1, 2])
    ask(noisy.imagine.dreams.change, {"dream": dream, "seed": 99})
    ask(noisy.imagine.dreams.propose, {"dream": dream})
    assert act(noisy, dream)["nodes"][:2] == [1, 2]
    assert len(tree(noisy, dream)) == 4


def test_nothing_is_foreseen_where_a_person_drives(
    make_studio: Callable[..., Studio], settings: dict[str, Any]
) -> None:
    worlds: list[AddingWorldModel] = []

    def load(directory: Any, placement: Placement | None) -> Any:
        model = load_noisy(directory)
        if isinstance(model, AddingWorldModel):
            worlds.append(model)
        return model

    studio = make_studio(models=Models(load))
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    act(studio, dream)
    ask(
        studio.imagine.dreams.propose, {"dream": dream}
    )  # waits for its turn on the imagination thread
    assert worlds[0].decoded_frames == 2 * CHUNK
    ask(
        studio.imagine.dreams.steer,
        {"dream": dream, "mode": "human", "actions": {"x": 0.1}, "step": True},
    )
    ask(studio.imagine.dreams.propose, {"dream": dream})
    assert worlds[0].decoded_frames == 3 * CHUNK


def test_at_the_end_an_action_says_so(studio: Studio, settings: dict[str, Any]) -> None:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    act(studio, dream)
    assert act(studio, dream)["outcome"] == {"success": True, "end_step": 14}
    for action in ("chunk", "frame", "run"):
        with pytest.raises(ValueError, match=r"^this dream ends here: rewind, branch"):
            act(studio, dream, action)
    with pytest.raises(ValueError, match=r"^this dream ends here: rewind, branch"):
        ask(studio.imagine.dreams.propose, {"dream": dream})


def test_undo_takes_the_last_chunk_back_and_it_comes_again_the_same(
    noisy: Studio, settings: dict[str, Any]
) -> None:
    dream = ask(noisy.imagine.dreams.open, settings)["dream"]
    act(noisy, dream)
    before = act(noisy, dream)
    seen = ask(
        noisy.imagine.dreams.act,
        {"dream": dream, "action": "undo", "after": 17, "epoch": before["epoch"]},
    )
    assert (seen["first"], seen["next"], seen["state"]) == (0, 9, "paused")
    assert seen["frames"] == before["frames"][:9]
    assert list(tree(noisy, dream)) == [0, 1]
    assert act(noisy, dream)["frames"] == before["frames"]
    act(noisy, dream, "undo")
    act(noisy, dream, "undo")
    with pytest.raises(ValueError, match="nothing to undo"):
        act(noisy, dream, "undo")


def test_changed_settings_count_from_the_next_chunk(
    noisy: Studio, settings: dict[str, Any]
) -> None:
    dream = ask(noisy.imagine.dreams.open, settings)["dream"]
    act(noisy, dream)
    answer = ask(noisy.imagine.dreams.change, {"dream": dream, "seed": 8, "temperature": 0.5})
    assert answer["settings"]["temperature"] == 0.5
    changed = act(noisy, dream)
    plain = ask(noisy.imagine.dreams.open, settings)["dream"]
    act(noisy, plain)
    kept = act(noisy, plain)
    assert changed["frames"][:9] == kept["frames"][:9]
    assert changed["actions"][8:] != kept["actions"][8:]
    replay = ask(
        noisy.episodes.clips.clip,
        {"episode": ask(noisy.imagine.dreams.save, {"dream": dream})["episode"]},
    )["replay"]
    assert replay["draws"] == [{}, {"seed": 8, "temperature": 0.5}]


def test_the_proposal_is_what_the_policy_then_does(noisy: Studio, settings: dict[str, Any]) -> None:
    dream = ask(noisy.imagine.dreams.open, settings)["dream"]
    proposal = ask(noisy.imagine.dreams.propose, {"dream": dream})
    assert (proposal["node"], proposal["dims"], proposal["entropy"]) == (0, DIMS, 2.0)
    assert np.shape(proposal["entropies"]) == np.shape(proposal["normalized"]) == (CHUNK, 4)
    assert (proposal["low"], proposal["high"]) == ([-1.0] * 4, [1.0] * 4)
    assert act(noisy, dream)["actions"] == proposal["actions"] == proposal["executed"]


def test_a_person_takes_over_a_dimension_and_hands_it_back(
    studio: Studio, settings: dict[str, Any]
) -> None:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    seen = ask(
        studio.imagine.dreams.steer,
        {"dream": dream, "mode": "human", "actions": {"x": -0.5}, "step": True, "after": 1},
    )
    # The policy moves 0.25 in every dimension; x is the person's for this chunk only.
    assert seen["actions"][0] == [-0.5, 0.25, 0.25, 0.25]
    assert seen["overridden"] == [[True, False, False, False]] * 8
    assert (seen["drivers"], seen["steering"]["mode"]) == (["shared"], "human")
    assert act(studio, dream)["actions"][8] == [0.25] * 4
    held = {"dream": dream, "mode": "human", "actions": {"y": 0.0}, "hold": True, "gripper": "open"}
    assert ask(studio.imagine.dreams.steer, held)["steering"]["held"] == {"y": 0.0, "gripper": -1.0}
    assert act(studio, dream)["actions"][16] == [0.25, 0.0, 0.25, -1.0]
    assert act(studio, dream)["actions"][24] == [0.25, 0.0, 0.25, -1.0]
    ask(studio.imagine.dreams.steer, {"dream": dream, "mode": "policy"})
    seen = act(studio, dream)
    assert seen["actions"][32] == [0.25] * 4
    assert seen["drivers"] == ["shared", "policy", "shared", "shared", "policy"]


def test_a_whole_chunk_by_hand_is_marked_in_the_stored_episode(
    studio: Studio, settings: dict[str, Any]
) -> None:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    table = [[0.125 * step, None, None, -1.0] for step in range(CHUNK)]
    ask(studio.imagine.dreams.steer, {"dream": dream, "mode": "human", "actions": table})
    assert ask(studio.imagine.dreams.propose, {"dream": dream})["executed"][2] == [
        0.25,
        0.25,
        0.25,
        -1.0,
    ]
    act(studio, dream)
    episode = studio.cabinet.trajectories.get(
        ask(studio.imagine.dreams.save, {"dream": dream})["episode"]
    )
    assert episode.arrays["overridden"].tolist() == [[True, False, False, True]] * 8
    np.testing.assert_allclose(episode.actions[:, 0], np.arange(8) * 0.125, atol=1e-6)
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "undo"})
    ask(
        studio.imagine.dreams.steer,
        {"dream": dream, "mode": "human", "actions": [[0.0] * 4] * CHUNK},
    )
    assert act(studio, dream)["drivers"] == ["human"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mode": "robot"}, "mode must be one of policy, human"),
        ({"mode": "human", "actions": {"roll": 1}}, "no dimension roll; they have x, y, z"),
        ({"mode": "human", "actions": {"x": 3}}, "x must be from -1 to 1"),
        ({"mode": "human", "actions": {"x": "fast"}}, "x must be a number"),
        ({"mode": "human", "actions": [[0.0] * 4]}, "must be 8 steps of 4 numbers"),
        ({"mode": "human", "actions": "left"}, "must be 8 steps of 4 numbers"),
        ({"mode": "human", "hold": "yes"}, "hold must be true or false"),
        ({"mode": "human", "gripper": "half"}, "gripper must be a number"),
        ({"mode": "human", "speed": 1}, "speed is not known here"),
    ],
)
def test_bad_steering_is_one_sentence(
    studio: Studio, settings: dict[str, Any], change: dict[str, Any], sentence: str
) -> None:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(studio.imagine.dreams.steer, {"dream": dream} | change)


def test_any_frame_of_a_stored_episode_can_be_dreamt_from(
    studio: Studio, settings: dict[str, Any]
) -> None:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    act(studio, dream)
    episode = ask(studio.imagine.dreams.save, {"dream": dream})["episode"]
    few = {name: settings[name] for name in ("policy", "world_model", "reward_model")}
    later = ask(studio.imagine.dreams.open, few | {"from": {"episode": episode, "frame": 5}})[
        "dream"
    ]
    seen = act(studio, later)
    assert seen["frames"][0] == ask(studio.episodes.clips.clip, {"episode": episode})["frames"][5]
    replay = ask(
        studio.episodes.clips.clip,
        {"episode": ask(studio.imagine.dreams.save, {"dream": later})["episode"]},
    )["replay"]
    assert replay["origin"] == {"episode": episode, "frame": 5}
    with pytest.raises(ValueError, match="frame must be from 0 to 8, not 9"):
        ask(studio.imagine.dreams.open, few | {"from": {"episode": episode, "frame": 9}})["dream"]
    with pytest.raises((ValueError, LookupError), match="there is no episode lost"):
        ask(studio.imagine.dreams.open, few | {"from": {"episode": "lost"}})["dream"]
    with pytest.raises(ValueError, match="start_id is missing"):
        ask(studio.imagine.dreams.open, few)["dream"]


def test_fifty_reloads_between_steps_lose_and_double_nothing(
    noisy: Studio, settings: dict[str, Any]
) -> None:
    alone = ask(noisy.imagine.dreams.open, settings)["dream"]
    while act(noisy, alone, "chunk")["state"] != "done":
        pass
    expected = ask(noisy.imagine.dreams.pull, {"dream": alone})
    dream = ask(noisy.imagine.dreams.open, settings | {"seed": settings["seed"]})["dream"]
    act(noisy, dream, "run")
    frames: list[str] = []
    for _ in range(50):
        reloaded = ask(noisy.imagine.dreams.pull, {"dream": dream, "after": 0})
        assert reloaded["frames"][: len(frames)] == frames
        step = ask(
            noisy.imagine.dreams.pull,
            {"dream": dream, "after": len(frames), "epoch": reloaded["epoch"]},
        )
        frames += step["frames"]
        assert (len(frames), len(step["actions"])) == (step["next"], step["next"] - 1)
        threading.Event().wait(0.01)
    while (seen := act(noisy, dream, "chunk"))["state"] != "done":
        pass
    assert (seen["frames"], seen["actions"]) == (expected["frames"], expected["actions"])
    assert len(tree(noisy, dream)) == len(seen["nodes"]) + 1


def test_viewers_of_one_dream_see_the_same_and_follow_a_jump(
    noisy: Studio, settings: dict[str, Any]
) -> None:
    dream = ask(noisy.imagine.dreams.open, settings)["dream"]
    first = act(noisy, dream)
    second = ask(noisy.imagine.dreams.pull, {"dream": dream})
    assert second["frames"] == first["frames"]
    ask(noisy.imagine.dreams.select, {"dream": dream, "node": 0})
    jumped = ask(noisy.imagine.dreams.pull, {"dream": dream, "after": 9, "epoch": first["epoch"]})
    assert (jumped["first"], jumped["next"], len(jumped["frames"])) == (0, 1, 1)


def test_what_was_imagined_ahead_is_thrown_away_when_a_person_steers(
    noisy: Studio, settings: dict[str, Any]
) -> None:
    dream = ask(noisy.imagine.dreams.open, settings)["dream"]
    act(noisy, dream, "run")
    steered = ask(
        noisy.imagine.dreams.steer,
        {"dream": dream, "mode": "human", "actions": {"x": 0.5}, "hold": True, "step": True},
    )
    assert steered["actions"][8][0] == pytest.approx(0.5)
    assert list(tree(noisy, dream)) == [0, *steered["nodes"]]


def test_the_hundred_and_first_session_is_told_to_come_back(
    studio: Studio, settings: dict[str, Any]
) -> None:
    opened = [ask(studio.imagine.dreams.open, settings)["dream"] for _ in range(100)]
    with pytest.raises(TooMuchError, match=r"^100 dreams are being watched here already"):
        ask(studio.imagine.dreams.open, settings)["dream"]
    assert act(studio, opened[0])["next"] == 9
