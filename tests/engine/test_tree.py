"""A dream that branches, with models predictable by hand."""

import json
from dataclasses import replace

import pytest
import torch

from engine.dream.draw import Draw
from engine.dream.imagine import imagine
from engine.dream.replay import Origin, replay_record, start_hash
from engine.dream.tree import Dreamer, Node, next_context
from engine.records.types import JudgeRules, Outcome
from tests.fakes import AddingWorldModel, BrightnessReward, ConstantPolicy

RULES = JudgeRules(window=2, first_end=2)
DRAW = Draw(instruction="go", seed=3, temperature=1.0, denoising_steps=2)
START = torch.full((4, 4, 3), 100, dtype=torch.uint8)


def _dreamer(
    *,
    value: float = 0.01,
    spread: float = 0.5,
    noise: float = 0.05,
    threshold: float = 2.0,
    world_model: AddingWorldModel | None = None,
) -> Dreamer:
    return Dreamer(
        ConstantPolicy(value, spread=spread),
        world_model or AddingWorldModel(noise=noise, trend=0.06 * noise),
        BrightnessReward(),
        rules=RULES,
        threshold=threshold,
        horizon=8,
    )


def _start(dreamer: Dreamer) -> Node:
    [node] = dreamer.start(START[None], [(7, 0)], 3)
    return node


def _walk(dreamer: Dreamer, node: Node, draws: list[Draw]) -> Node:
    for draw in draws:
        [node] = dreamer.grow([node], [draw])
    return node


def _frames(node: Node) -> torch.Tensor:
    return torch.cat([part.frames for part in node.path])


def _latents(node: Node) -> torch.Tensor:
    return torch.cat([part.latents for part in node.path])


def test_a_path_of_plain_draws_has_the_bits_of_an_unbranched_dream() -> None:
    dreamer = _dreamer()
    found = dreamer.rollout(_walk(dreamer, _start(dreamer), [DRAW] * 4))
    [expected] = imagine(
        dreamer.world_model,
        dreamer.policy,
        dreamer.reward_model,
        START[None],
        ["go"],
        rows=[(7, 0)],
        horizon=8,
        seed=3,
        temperature=1.0,
        denoising_steps=2,
        rules=RULES,
        threshold=2.0,
    )
    for name in ("frames", "latents", "normalized_actions", "tokens", "window_probabilities"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    assert (found.outcome, found.window_ends.tolist()) == (Outcome(False, 8), list(range(2, 10)))


@pytest.mark.parametrize("name", ["policy_noise", "world_noise"])
def test_a_branch_shares_its_prefix_and_varies_one_noise(name: str) -> None:
    dreamer = _dreamer()
    fork = _walk(dreamer, _start(dreamer), [DRAW] * 2)
    twin = _walk(dreamer, fork, [DRAW])
    branch = _walk(dreamer, fork, [DRAW.changed({name: 1})])
    assert torch.equal(_frames(branch)[:5], _frames(twin)[:5])
    assert torch.equal(_latents(branch)[:5], _latents(twin)[:5])
    assert not torch.equal(branch.latents, twin.latents)
    same_actions = torch.equal(branch.actions, twin.actions)
    assert same_actions == (name == "world_noise")


def test_futures_in_one_batch_have_the_bits_they_have_alone() -> None:
    dreamer = _dreamer()
    fork = _walk(dreamer, _start(dreamer), [DRAW])
    draws = [DRAW.changed({"policy_noise": number, "world_noise": 9}) for number in range(1, 5)]
    together = dreamer.grow([fork] * 4, draws)
    for node, draw in zip(together, draws, strict=True):
        [alone] = dreamer.grow([fork], [draw])
        assert torch.equal(node.latents, alone.latents)
        assert torch.equal(node.probabilities, alone.probabilities)


def test_going_back_and_on_again_gives_the_same_chunk() -> None:
    dreamer = _dreamer()
    start = _start(dreamer)
    first = _walk(dreamer, start, [DRAW] * 3)
    _walk(dreamer, start, [DRAW.changed({"world_noise": 4})] * 3)
    again = _walk(dreamer, first.path[2], [DRAW])
    assert torch.equal(_latents(again), _latents(first))


def test_a_person_s_numbers_are_executed_and_marked_in_one_row_only() -> None:
    dreamer = _dreamer(spread=0.0, noise=0.0)
    start = _start(dreamer)
    steered = replace(DRAW, overrides=((None, 0.5), (None, 9.0)))
    plain, mixed = dreamer.grow([start, start], [DRAW, steered])
    assert mixed.actions.tolist() == [[pytest.approx(0.01), number] for number in (0.5, 1.0)]
    assert mixed.overridden.tolist() == [[False, True]] * 2
    assert not plain.overridden.any()
    assert dreamer.rollout(mixed).overridden.tolist() == [[False, True]] * 2


def test_numbers_for_another_shape_are_refused() -> None:
    dreamer = _dreamer()
    with pytest.raises(ValueError, match=r"overrides must be \[2, 2\] numbers, not \[1, 2\]"):
        dreamer.grow([_start(dreamer)], [replace(DRAW, overrides=((0.0, 0.0),))])


def test_a_path_ends_with_its_success_or_at_the_horizon() -> None:
    dreamer = _dreamer(spread=0.0, noise=0.0, threshold=0.41)
    start = _start(dreamer)
    # Brightness 100, 101, 102 … of 255: the window of frames 4 and 5 is the first above 0.41.
    assert not dreamer.is_final(_walk(dreamer, start, [DRAW] * 2))
    third = _walk(dreamer, start, [DRAW] * 3)
    assert dreamer.is_final(third)
    assert dreamer.rollout(third).outcome.success
    assert _dreamer().is_final(_walk(_dreamer(), start, [DRAW] * 4))


def test_an_action_of_an_eighth_brightens_every_frame_by_an_eighth() -> None:
    dreamer = _dreamer(value=0.125, spread=0.0, noise=0.0)
    frames = _frames(_walk(dreamer, _start(dreamer), [DRAW]))
    assert frames[:, 0, 0, 0].tolist() == [100, 115, 131]


def test_latents_are_carried_unrounded_into_the_next_chunk() -> None:
    dreamer = _dreamer(value=0.001, spread=0.0, noise=0.0)
    node = _walk(dreamer, _start(dreamer), [DRAW] * 10)
    # Twenty steps of 0.001 are 2.55 grey levels; carried rounded they would never leave 100.
    assert node.frames[-1, 0, 0, 0].item() == 102


def test_the_context_slides_unless_the_world_is_anchored() -> None:
    context = torch.arange(3.0).reshape(1, 3, 1, 1, 1)
    future = torch.tensor([8.0, 9.0]).reshape(1, 2, 1, 1, 1)
    assert next_context(context, future, anchored=False).flatten().tolist() == [2.0, 8.0, 9.0]
    assert next_context(context, future, anchored=True).flatten().tolist() == [0.0, 8.0, 9.0]


class FirstLatentWorld(AddingWorldModel):
    """The future is a quarter darker than the first context latent, which it thus tells."""

    def predict(self, latents, actions, generators, denoising_steps, memory=None):  # type: ignore[no-untyped-def]
        return latents[:, :1].repeat(1, self.chunk_size, 1, 1, 1) - 0.25


@pytest.mark.parametrize(("anchored", "last"), [(False, 36), (True, 68)])
def test_only_an_anchored_world_remembers_its_first_frame(anchored: bool, last: int) -> None:
    dreamer = _dreamer(world_model=FirstLatentWorld(anchored=anchored))
    node = _walk(dreamer, _start(dreamer), [DRAW] * 3)
    assert node.frames[-1, 0, 0, 0].item() == last


def test_rows_of_one_start_differ_in_their_noise() -> None:
    dreamer = _dreamer(spread=0.0)
    roots = dreamer.start(START.expand(2, -1, -1, -1), [(7, 0), (7, 1)], 3)
    one, other = dreamer.grow(roots, [DRAW, DRAW])
    assert not torch.equal(one.latents, other.latents)


def test_draws_survive_the_replay_record() -> None:
    draws = [
        DRAW,
        DRAW.changed({"policy_noise": 2, "temperature": 0.5, "instruction": "stop"}),
        replace(DRAW, seed=9, overrides=((None, 0.1), (0.30000001192092896, None))),
    ]
    record = replay_record(
        hashes={"policy": "p", "world_model": "w", "reward_model": "r"},
        task="coffee-push",
        start=START.numpy(),
        row=(7, 2),
        base=DRAW,
        draws=draws,
        horizon=8,
        threshold=0.5,
        micro_batches={"autoencoder": 16},
        origin=Origin("episode-1", 3),
    )
    again = json.loads(json.dumps(record))
    assert [DRAW.changed(changes) for changes in again["draws"]] == draws
    assert again["draws"][0] == {}
    assert (again["start_sha256"], again["member"]) == (start_hash(START.numpy()), 2)


def test_an_unknown_change_is_refused() -> None:
    with pytest.raises(ValueError, match="a draw has no colour"):
        DRAW.changed({"colour": 1})
