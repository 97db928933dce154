"""The dream itself: policy and world model alternate, rows never meet (method.md §1.6).

A row is one imagined episode, named by (start id, member). Everything random about it is keyed by
that name and the chunk, so it is the same alone, in any batch, and on any worker.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from engine.images import to_model, to_pixels
from engine.protocols import ActionChunk, Policy, RewardModel, WorldModel
from engine.records.tasks import Task
from engine.records.types import Outcome
from engine.seeding import row_generators

Row = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One imagined episode of t actions and t + 1 frames, on the CPU.

    A row that succeeded may have left before the horizon: t is then the end of that chunk.
    `overridden` marks the numbers of `normalized_actions` that a person put in place of the
    policy's; `tokens` are always the policy's own.
    """

    start_id: int
    member: int
    frames: UInt8[Tensor, "f h w 3"]
    tokens: Int64[Tensor, "chunks l"]
    normalized_actions: Float[Tensor, "t a"]
    overridden: Bool[Tensor, "t a"]
    log_probs: Float[Tensor, "chunks l"]
    entropy: Float[Tensor, "chunks l"]
    latents: Float[Tensor, "f z y x"]
    window_ends: Int64[Tensor, " windows"]
    window_probabilities: Float[Tensor, " windows"]
    outcome: Outcome

    @property
    def policy_frames(self) -> UInt8[Tensor, "chunks h w 3"]:
        """The frames the policy looked at: one before each chunk."""
        return self.frames[: -1 : len(self.normalized_actions) // len(self.tokens)]


class Imagination:
    """Rows advancing together inside the world model, one chunk at a time.

    The world model carries latents unrounded; the policy acts on the decoded frame rounded to
    uint8. Of a chunk only its last frame is decoded unless `keep_every_frame`; `frames` decodes
    the others on demand, to the same bits.

    Args:
        starts: first frame of each row.
        rows: (start id, member) of each row, all different.
        temperature: of the policy's sampling; 0 takes the arg-max.

    Raises:
        ValueError: models that do not fit each other or the frames, or settings out of range.
    """

    @torch.no_grad()
    def __init__(
        self,
        world_model: WorldModel,
        policy: Policy,
        starts: UInt8[Tensor, "b h w 3"],
        instructions: Sequence[str],
        *,
        rows: Sequence[Row],
        seed: int,
        temperature: float,
        denoising_steps: int,
        keep_every_frame: bool,
    ) -> None:
        check_together(policy, world_model)
        _check_rows(starts, instructions, rows)
        if denoising_steps < 1 or temperature < 0.0:
            raise ValueError(
                f"denoising steps {denoising_steps} must be at least 1 and temperature "
                f"{temperature} at least 0"
            )
        self.rows = list(rows)
        self.instructions = list(instructions)
        self.num_chunks = 0
        self._world_model, self._policy = world_model, policy
        self._seed, self._temperature = seed, temperature
        self._denoising_steps = denoising_steps
        self._keep_every_frame = keep_every_frame
        latents = world_model.encode(to_model(starts), self._generators("encode"))
        if tuple(latents.shape[1:]) != tuple(world_model.latent_shape):
            raise ValueError(
                f"a start of {starts.shape[1]} x {starts.shape[2]} pixels encodes to latents of "
                f"{list(latents.shape[1:])}, but the world model works on "
                f"{list(world_model.latent_shape)}"
            )
        self._context = repeat(latents, "b z y x -> b t z y x", t=world_model.context_frames)
        self._latents = [rearrange(latents, "b z y x -> b 1 z y x")]
        self._frames = [rearrange(starts.to(latents.device), "b h w c -> b 1 h w c")]
        self._chunks: list[ActionChunk] = []
        self._actions: list[Tensor] = []
        self._overridden: list[Tensor] = []
        self._proposal: ActionChunk | None = None

    @property
    def num_frames(self) -> int:
        """Frames of every row so far, the start included."""
        return 1 + self.num_chunks * self._world_model.chunk_size

    @torch.no_grad()
    def propose(self) -> ActionChunk:
        """What the policy would do next; asked once a chunk, then remembered."""
        if self._proposal is None:
            images = self._frames[-1][:, -1]
            generators = self._generators("policy")
            self._proposal = self._policy.act(
                images, self.instructions, generators, self._temperature
            )
        return self._proposal

    @torch.no_grad()
    def step(
        self,
        chunk: ActionChunk | None = None,
        overrides: Float[Tensor, "b k a"] | None = None,
    ) -> ActionChunk:
        """Advance every row by one chunk.

        Args:
            chunk: what to do; the policy's proposal if not given.
            overrides: normalised actions in [-1, 1] that replace the chunk's (clipped to the
                range); NaN leaves a number to the policy.

        Returns:
            The chunk as the policy proposed it.
        """
        chunk = self.propose() if chunk is None else chunk
        actions, overridden = override(chunk.actions, overrides)
        future = self._world_model.predict(
            self._context, actions, self._generators("world model"), self._denoising_steps
        )
        self._context = next_context(self._context, future, anchored=self._world_model.anchored)
        self._latents.append(future)
        self._frames.append(
            decode_frames(self._world_model, future if self._keep_every_frame else future[:, -1:])
        )
        self._chunks.append(chunk)
        self._actions.append(actions)
        self._overridden.append(overridden)
        self._proposal = None
        self.num_chunks += 1
        return chunk

    @torch.no_grad()
    def frames(self, first: int = 0) -> UInt8[Tensor, "b f h w 3"]:
        """Frames `first`, first + 1, … of every row, decoding those that were not needed yet."""
        skipped = -(-max(first, 0) // self._world_model.chunk_size)
        self._complete(skipped)
        decoded = torch.cat(self._frames[skipped:], dim=1)
        return decoded[:, decoded.shape[1] - (self.num_frames - first) :]

    def drop(self, positions: Sequence[int]) -> None:
        """Take rows, named by their place among those still there, out of the batch."""
        leaving = set(positions)
        keep = [position for position in range(len(self.rows)) if position not in leaving]
        self.rows = [self.rows[position] for position in keep]
        self.instructions = [self.instructions[position] for position in keep]
        self._context = self._context[keep]
        for history in (self._latents, self._frames, self._actions, self._overridden):
            history[:] = [part[keep] for part in history]
        self._chunks = [select(chunk, keep) for chunk in self._chunks]
        if self._proposal is not None:
            self._proposal = select(self._proposal, keep)

    def rollout(
        self, position: int, ends: Tensor, probabilities: Tensor, outcome: Outcome
    ) -> Rollout:
        """All that is known about the row at a position, judged as given, on the CPU."""

        self._complete(0)

        def joined(parts: Sequence[Tensor]) -> Tensor:
            return torch.cat([part[position] for part in parts]).cpu()

        start_id, member = self.rows[position]
        return Rollout(
            start_id=start_id,
            member=member,
            frames=joined(self._frames),
            tokens=joined([chunk.tokens[:, None] for chunk in self._chunks]),
            normalized_actions=joined(self._actions),
            overridden=joined(self._overridden),
            log_probs=joined([chunk.log_probs[:, None] for chunk in self._chunks]),
            entropy=joined([chunk.entropy[:, None] for chunk in self._chunks]),
            latents=joined(self._latents),
            window_ends=ends,
            window_probabilities=probabilities,
            outcome=outcome,
        )

    def _generators(self, purpose: str) -> list[torch.Generator]:
        return row_generators(self._seed, purpose, self.num_chunks, rows=self.rows)

    @torch.no_grad()
    def _complete(self, first_part: int) -> None:
        for index in range(first_part, len(self._frames)):
            latents, frames = self._latents[index], self._frames[index]
            if frames.shape[1] < latents.shape[1]:
                self._frames[index] = torch.cat(
                    [decode_frames(self._world_model, latents[:, :-1]), frames], dim=1
                )


def next_context(
    context: Float[Tensor, "b t z y x"], future: Float[Tensor, "b k z y x"], *, anchored: bool
) -> Float[Tensor, "b t z y x"]:
    """The context of the next chunk: the newest latents, behind the start's where anchored.

    # paper: WMPO slides; the anchor is WoVR's remedy against drift.
    """
    newest = torch.cat([context, future], dim=1)[:, -context.shape[1] :]
    return torch.cat([context[:, :1], newest[:, 1:]], dim=1) if anchored else newest


def check_together(
    policy: Policy,
    world_model: WorldModel,
    reward_model: RewardModel | None = None,
    task: Task | None = None,
) -> None:
    """Refuse models that cannot be used with each other, or not for a task.

    Raises:
        ValueError: what does not fit, in one sentence.
    """
    if policy.action_dim != world_model.action_dim:
        raise ValueError(
            f"the policy's actions have {policy.action_dim} numbers, but the world model takes "
            f"{world_model.action_dim}"
        )
    if policy.chunk_size != world_model.chunk_size:
        raise ValueError(
            f"the policy acts in chunks of {policy.chunk_size}, but the world model advances by "
            f"{world_model.chunk_size}"
        )
    if task is None:
        return
    if task.action_dim != policy.action_dim:
        raise ValueError(
            f"{task.name} takes actions of {task.action_dim} numbers, but the policy's have "
            f"{policy.action_dim}"
        )
    rows, columns = world_model.latent_shape[1:]
    if task.image_size % rows or task.image_size % columns:
        raise ValueError(
            f"frames of {task.name} have {task.image_size} pixels a side, which the world model's "
            f"{rows} x {columns} latents do not divide"
        )
    if reward_model is not None and reward_model.window != task.judge.window:
        raise ValueError(
            f"{task.name} is judged on windows of {task.judge.window} frames, but the reward model "
            f"reads windows of {reward_model.window}"
        )


def decode_frames(
    world_model: WorldModel, latents: Float[Tensor, "b t z y x"]
) -> UInt8[Tensor, "b t h w 3"]:
    """Latents of several videos as pixels."""
    decoded = world_model.decode(rearrange(latents, "b t z y x -> (b t) z y x"))
    return rearrange(to_pixels(decoded), "(b t) h w c -> b t h w c", t=latents.shape[1])


def _check_rows(starts: Tensor, instructions: Sequence[str], rows: Sequence[Row]) -> None:
    if not len(starts) == len(instructions) == len(rows) > 0:
        raise ValueError(
            f"{len(starts)} starts, {len(instructions)} instructions and {len(rows)} rows: as many "
            "of each are needed, and at least one"
        )
    if len(set(rows)) < len(rows):
        raise ValueError("every row needs its own (start id, member): it keys the row's randomness")


def override(
    actions: Float[Tensor, "b k a"], overrides: Float[Tensor, "..."] | None
) -> tuple[Float[Tensor, "b k a"], Bool[Tensor, "b k a"]]:
    """(actions with a person's numbers in place, which ones those are).

    Raises:
        ValueError: overrides of another shape.
    """
    if overrides is None:
        return actions, torch.zeros_like(actions, dtype=torch.bool)
    if overrides.shape != actions.shape:
        raise ValueError(
            f"overrides must be {list(actions.shape)} numbers (NaN where the policy decides), "
            f"not {list(overrides.shape)}"
        )
    overrides = overrides.to(actions)
    replaced = ~overrides.isnan()
    return torch.where(replaced, overrides.clamp(-1.0, 1.0), actions), replaced


def select(chunk: ActionChunk, rows: Sequence[int]) -> ActionChunk:
    """Some rows of a batch of chunks."""
    return ActionChunk(
        tokens=chunk.tokens[rows],
        actions=chunk.actions[rows],
        log_probs=chunk.log_probs[rows],
        entropy=chunk.entropy[rows],
    )
