"""Imagined rollouts: dream from many starts at once and judge what happened (paper §3.4)."""

from collections.abc import Callable, Sequence

from einops import repeat
from jaxtyping import UInt8
from torch import Tensor

from engine.dream.draw import Draw
from engine.dream.rollout import Rollout, Row
from engine.dream.tree import Dreamer
from engine.protocols import Policy, RewardModel, WorldModel
from engine.records.types import JudgeRules


def imagine(
    world_model: WorldModel,
    policy: Policy,
    reward_model: RewardModel,
    starts: UInt8[Tensor, "b h w 3"],
    instructions: Sequence[str],
    *,
    rows: Sequence[Row],
    horizon: int,
    seed: int,
    temperature: float,
    denoising_steps: int,
    rules: JudgeRules,
    threshold: float | None = None,
    leave_early: bool = True,
    on_chunk: Callable[[], None] = lambda: None,
) -> list[Rollout]:
    """Let the policy act for `horizon` steps from every start, and judge what happened.

    Args:
        threshold: probability that counts as success; the reward model's own if not given.
        leave_early: rows leave the batch at the end of the chunk in which they succeed.
        on_chunk: called after every chunk, for progress and for giving way to others.

    Returns:
        One rollout a row, in the order of the rows.

    Raises:
        ValueError: models, frames, rules or settings that do not fit each other.
    """
    if not len(starts) == len(instructions) == len(rows) > 0:
        raise ValueError(
            f"{len(starts)} starts, {len(instructions)} instructions and {len(rows)} rows: as many "
            "of each are needed, and at least one"
        )
    draws = {
        row: Draw(
            instruction=instruction,
            seed=seed,
            temperature=temperature,
            denoising_steps=denoising_steps,
        )
        for row, instruction in zip(rows, instructions, strict=True)
    }
    threshold = reward_model.success_threshold if threshold is None else threshold
    dreamer = Dreamer(
        policy, world_model, reward_model, rules=rules, threshold=threshold, horizon=horizon
    )
    has_ended = dreamer.is_final if leave_early else dreamer.is_at_horizon
    growing = dreamer.start(starts, rows, seed)
    finished: dict[Row, Rollout] = {}
    while growing:
        grown = dreamer.grow(growing, [draws[node.row] for node in growing])
        finished |= {node.row: dreamer.rollout(node) for node in grown if has_ended(node)}
        growing = [node for node in grown if node.row not in finished]
        on_chunk()
    return [finished[row] for row in rows]


def group_starts(
    frames: UInt8[Tensor, "n h w 3"], start_ids: Sequence[int], group_size: int
) -> tuple[UInt8[Tensor, "b h w 3"], list[Row]]:
    """(first frame of each row, rows) of n groups: member 0 … g - 1 of every start."""
    rows = [(start_id, member) for start_id in start_ids for member in range(group_size)]
    return repeat(frames, "n h w c -> (n g) h w c", g=group_size), rows
