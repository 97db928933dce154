"""A dream that branches: nodes at chunk borders, each decided by its parent and one draw.

A node shares its whole prefix with its parent, because it only points to it. Noise of the policy
and noise of the world model are keyed apart, so one can be varied and the other kept. Along draws
that change nothing, a path has the bits of `engine.dream.rollout.imagine`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from engine.dream.imagination import (
    Rollout,
    Row,
    check_together,
    decode_frames,
    next_context,
    override,
    select,
)
from engine.images import to_model
from engine.protocols import ActionChunk, Policy, RewardModel, WorldModel
from engine.records.types import JudgeRules, Outcome
from engine.reward.judge import check_rules, judge_later_windows, outcome
from engine.seeding import generator

Overrides = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """All that decides a chunk besides its prefix and the models.

    Attributes:
        temperature: of the policy's sampling; 0 takes the arg-max.
        policy_noise, world_noise: which variation of the policy's and of the world model's noise;
            0 is the noise of an unbranched dream.
        overrides: normalised actions [k][a] in [-1, 1] in place of the policy's, None where the
            policy decides; () changes nothing.
    """

    instruction: str
    seed: int
    temperature: float
    denoising_steps: int
    policy_noise: int = 0
    world_noise: int = 0
    overrides: Overrides = ()

    def changes(self, base: "Draw") -> dict[str, Any]:
        """The fields in which this draw differs from another, as plain JSON values."""
        ours, theirs = asdict(self), asdict(base)
        changed = {name: value for name, value in ours.items() if value != theirs[name]}
        if "overrides" in changed:
            changed["overrides"] = [list(step) for step in self.overrides]
        return changed

    def changed(self, changes: Mapping[str, Any]) -> "Draw":
        """The inverse of `changes`.

        Raises:
            ValueError: a field that no draw has.
        """
        unknown = set(changes) - {field.name for field in fields(Draw)}
        if unknown:
            raise ValueError(f"a draw has no {', '.join(sorted(unknown))}")
        steps = changes.get("overrides", self.overrides)
        return replace(self, **dict(changes) | {"overrides": tuple(map(tuple, steps))})


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """A place in a dream: its start (no parent, no draw, one frame), or one more chunk.

    Attributes:
        depth: chunks from the start to here, this one included.
        latents: of this chunk's frames, unrounded.
        chunk: what the policy proposed, a batch of one.
        actions: normalised actions as executed; `overridden` marks a person's numbers in them.
        ends, probabilities: the judge's windows that end in this chunk; ends are exclusive.
    """

    parent: "Node | None"
    draw: Draw | None
    depth: int
    latents: Float[Tensor, "f z y x"]
    frames: UInt8[Tensor, "f h w 3"]
    chunk: ActionChunk | None = None
    actions: Float[Tensor, "k a"] | None = None
    overridden: Bool[Tensor, "k a"] | None = None
    ends: Int64[Tensor, " windows"]
    probabilities: Float[Tensor, " windows"]

    @property
    def path(self) -> "list[Node]":
        """The nodes from the start to this one."""
        nodes = [self]
        while (parent := nodes[-1].parent) is not None:
            nodes.append(parent)
        return nodes[::-1]


class Dreamer:
    """Three models that fit each other and the judge's rules: they grow the tree of one row.

    Args:
        row: (start id, member), which keys all randomness.
        horizon: most actions of a path; a multiple of the chunk size.

    Raises:
        ValueError: models that do not fit each other, the rules, or the horizon.
    """

    def __init__(
        self,
        policy: Policy,
        world_model: WorldModel,
        reward_model: RewardModel,
        *,
        rules: JudgeRules,
        threshold: float,
        horizon: int,
        row: Row,
    ) -> None:
        check_together(policy, world_model, reward_model)
        check_rules(reward_model, rules, horizon)
        self.policy, self.world_model, self.reward_model = policy, world_model, reward_model
        self.rules, self.threshold, self.horizon, self.row = rules, threshold, horizon, row

    @torch.no_grad()
    def start(self, frame: UInt8[Tensor, "h w 3"], seed: int) -> Node:
        """The root of the tree.

        Raises:
            ValueError: a frame of another size than the world model's.
        """
        images = rearrange(frame, "h w c -> 1 h w c")
        noise = [generator(seed, "encode", 0, *self.row)]
        latents = self.world_model.encode(to_model(images), noise)
        if tuple(latents.shape[1:]) != tuple(self.world_model.latent_shape):
            raise ValueError(
                f"a start of {frame.shape[0]} x {frame.shape[1]} pixels does not fit the world "
                f"model, which works on latents of {list(self.world_model.latent_shape)}"
            )
        none = torch.zeros(0)
        return Node(
            parent=None,
            draw=None,
            depth=0,
            latents=latents,
            frames=images,
            ends=none.long(),
            probabilities=none,
        )

    @torch.no_grad()
    def propose(self, nodes: Sequence[Node], draws: Sequence[Draw]) -> ActionChunk:
        """What the policy would do next at each node, which all share a temperature."""
        generators = [
            _noise(draw.seed, "policy", node.depth, self.row, draw.policy_noise)
            for node, draw in zip(nodes, draws, strict=True)
        ]
        images = torch.stack([node.frames[-1] for node in nodes])
        instructions = [draw.instruction for draw in draws]
        return self.policy.act(images, instructions, generators, draws[0].temperature)

    @torch.no_grad()
    def grow(
        self, nodes: Sequence[Node], draws: Sequence[Draw], proposals: ActionChunk | None = None
    ) -> list[Node]:
        """One more chunk from each node, all in one batch; a row has the bits it has alone.

        Args:
            nodes: of one depth.
            draws: one a node, all of one temperature and number of denoising steps.
            proposals: what `propose` gave for them, if it was asked already.

        Raises:
            ValueError: overrides of another shape than a chunk's actions.
        """
        assert len({node.depth for node in nodes}) == 1
        assert len({(draw.temperature, draw.denoising_steps) for draw in draws}) == 1
        chunk = self.propose(nodes, draws) if proposals is None else proposals
        actions, overridden = override(chunk.actions, _numbers(draws, chunk.actions))
        generators = [
            _noise(draw.seed, "world model", node.depth, self.row, draw.world_noise)
            for node, draw in zip(nodes, draws, strict=True)
        ]
        context = torch.stack([self._context(node) for node in nodes])
        future = self.world_model.predict(context, actions, generators, draws[0].denoising_steps)
        frames = decode_frames(self.world_model, future)
        ends, probabilities = self._judge(nodes, frames)
        return [
            Node(
                parent=node,
                draw=draw,
                depth=node.depth + 1,
                latents=future[row],
                frames=frames[row],
                chunk=select(chunk, [row]),
                actions=actions[row],
                overridden=overridden[row],
                ends=ends,
                probabilities=probabilities[row],
            )
            for row, (node, draw) in enumerate(zip(nodes, draws, strict=True))
        ]

    def windows(self, node: Node) -> tuple[Tensor, Tensor, Outcome]:
        """(window ends [w], probabilities [w], verdict) of the whole path to a node."""
        path = node.path
        ends = torch.cat([part.ends for part in path])
        probabilities = torch.cat([part.probabilities for part in path])
        found = outcome(
            ends.numpy(), probabilities.numpy(), self.threshold, self.rules, self.horizon + 1
        )
        return ends, probabilities, found

    def is_final(self, node: Node) -> bool:
        """Whether a path ends here: at the horizon, or with the chunk of its success."""
        if node.depth * self.world_model.chunk_size >= self.horizon:
            return True
        return self.windows(node)[2].success

    def rollout(self, node: Node) -> Rollout:
        """The path to a node as an imagined episode; one cut short fails at its last frame."""
        path = node.path
        chunks = [(part.chunk, part.actions, part.overridden) for part in path[1:]]
        ends, probabilities, found = self.windows(node)
        frames = torch.cat([part.frames for part in path]).cpu()
        start_id, member = self.row
        return Rollout(
            start_id=start_id,
            member=member,
            frames=frames,
            tokens=torch.cat([chunk.tokens for chunk, _, _ in chunks if chunk]).cpu(),
            normalized_actions=torch.cat([a for _, a, _ in chunks if a is not None]).cpu(),
            overridden=torch.cat([o for _, _, o in chunks if o is not None]).cpu(),
            log_probs=torch.cat([chunk.log_probs for chunk, _, _ in chunks if chunk]).cpu(),
            entropy=torch.cat([chunk.entropy for chunk, _, _ in chunks if chunk]).cpu(),
            latents=torch.cat([part.latents for part in path]).cpu(),
            window_ends=ends,
            window_probabilities=probabilities,
            outcome=found if found.success else Outcome(False, len(frames) - 1),
        )

    def _context(self, node: Node) -> Tensor:
        path = node.path
        past = repeat(path[0].latents, "1 z y x -> t z y x", t=self.world_model.context_frames)
        future = torch.cat([past[:0], *(part.latents for part in path[1:])])
        anchored = self.world_model.anchored
        return next_context(past[None], future[None], anchored=anchored)[0]

    def _judge(self, nodes: Sequence[Node], frames: Tensor) -> tuple[Tensor, Tensor]:
        """(ends [w], probabilities [b, w]) of the windows that end in new frames [b, k, …]."""
        before = 1 + nodes[0].depth * frames.shape[1]

        def frames_from(first: int) -> Tensor:
            rows = [
                torch.cat([*(part.frames for part in node.path), new])[first:]
                for node, new in zip(nodes, frames, strict=True)
            ]
            return torch.stack(rows)

        judged = before if nodes[0].depth else 0
        return judge_later_windows(
            self.reward_model, self.rules, before + frames.shape[1], judged, frames_from
        )


def _noise(seed: int, purpose: str, chunk: int, row: Row, variation: int) -> torch.Generator:
    """The generator of `engine.dream.imagination` for variation 0, others beside it."""
    return generator(seed, purpose, chunk, *row, *([variation] if variation else []))


def _numbers(draws: Sequence[Draw], actions: Tensor) -> Tensor | None:
    """Overrides [b, k, a] with NaN where the policy decides; None where nobody overrides."""
    if not any(draw.overrides for draw in draws):
        return None
    rows = []
    for draw, proposed in zip(draws, actions, strict=True):
        steps = [[torch.nan if v is None else v for v in step] for step in draw.overrides]
        row = (
            torch.tensor(steps, dtype=torch.float32) if steps else proposed.new_full((), torch.nan)
        )
        if steps and row.shape != proposed.shape:
            raise ValueError(
                f"overrides must be {list(proposed.shape)} numbers, not {list(row.shape)}"
            )
        rows.append(row.to(proposed).expand_as(proposed))
    return torch.stack(rows)
