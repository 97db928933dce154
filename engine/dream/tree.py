"""A dream that branches: nodes at chunk borders, each decided by its parent and one draw.

Policy and world model alternate (method.md §1.6). A node shares its whole prefix with its parent,
because it only points to it. Everything random about a node is keyed by its row, its depth and its
draw, so it is the same alone, in any batch, and on any worker; noise of the policy and noise of the
world model are keyed apart, so one can be varied and the other kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from engine.dream.draw import Draw, execute
from engine.dream.fit import check_together
from engine.dream.rollout import LateFrames, Rollout, Row, Undecoded
from engine.images import to_model, to_pixels
from engine.protocols import (
    ActionChunk,
    LatentRewardModel,
    Policy,
    RewardModel,
    WorldModel,
)
from engine.records.types import JudgeRules, Outcome
from engine.reward.judge import Sight, check_rules, judge_later_windows, outcome
from engine.seeding import generator, row_generators


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """A place in a dream: its start (no parent, no draw, one frame), or one more chunk.

    All of it lies in main memory: a device holds no more than the chunk it computes.

    Attributes:
        row: (start id, member) of the episode, the same all along a path.
        depth: chunks from the start to here, this one included.
        context: the latents from which the world model goes on here, unrounded.
        memory: what the world model remembers here beside latents; often nothing.
        latents: of this chunk's frames, unrounded.
        video: this chunk's frames, rounded to uint8; `last` is the one that the policy acts on.
        chunk: what the policy proposed, a batch of one.
        actions: normalised actions as executed; `overridden` marks a person's numbers in them.
        ends, probabilities: the judge's windows that end in this chunk; ends are exclusive.
    """

    parent: "Node | None"
    draw: Draw | None
    row: Row
    depth: int
    context: Float[Tensor, "t z y x"]
    memory: Float[Tensor, " m"]
    latents: Float[Tensor, "f z y x"]
    video: LateFrames
    last: UInt8[Tensor, "h w 3"]
    chunk: ActionChunk | None = None
    actions: Float[Tensor, "k a"] | None = None
    overridden: Bool[Tensor, "k a"] | None = None
    ends: Int64[Tensor, " windows"]
    probabilities: Float[Tensor, " windows"]

    @property
    def frames(self) -> UInt8[Tensor, "f h w 3"]:
        """This chunk's frames; decoded now where nobody needed them before."""
        return self.video()

    @property
    def path(self) -> "list[Node]":
        """The nodes from the start to this one."""
        nodes = [self]
        while (parent := nodes[-1].parent) is not None:
            nodes.append(parent)
        return nodes[::-1]


class Dreamer:
    """Three models that fit each other and the judge's rules: they grow dreams chunk by chunk.

    Args:
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
    ) -> None:
        if horizon < 1 or horizon % world_model.chunk_size:
            raise ValueError(
                f"horizon {horizon} is not a multiple of the chunk size {world_model.chunk_size}"
            )
        check_together(policy, world_model, reward_model)
        check_rules(reward_model, rules, horizon)
        self.policy, self.world_model, self.reward_model = policy, world_model, reward_model
        self.rules, self.threshold, self.horizon = rules, threshold, horizon

    @torch.no_grad()
    def start(self, frames: UInt8[Tensor, "b h w 3"], rows: Sequence[Row], seed: int) -> list[Node]:
        """The roots of dreams, one a row.

        Raises:
            ValueError: frames of another size than the world model's, or two rows of one name.
        """
        if len(set(rows)) < len(rows):
            raise ValueError(
                "every row needs its own (start id, member): it keys the row's randomness"
            )
        model = self.world_model
        latents = model.encode(to_model(frames), row_generators(seed, "encode", 0, rows=rows)).cpu()
        if tuple(latents.shape[1:]) != tuple(model.latent_shape):
            raise ValueError(
                f"a start of {frames.shape[1]} x {frames.shape[2]} pixels encodes to latents of "
                f"{list(latents.shape[1:])}, but the world model works on "
                f"{list(model.latent_shape)}"
            )
        context = repeat(latents, "b z y x -> b t z y x", t=model.context_frames)
        memory = model.begin(latents).cpu()
        none = torch.zeros(0)
        return [
            Node(
                parent=None,
                draw=None,
                row=row,
                depth=0,
                context=context[i],
                memory=memory[i],
                latents=latents[i : i + 1],
                video=LateFrames([frames[i : i + 1]]),
                last=frames[i],
                ends=none.long(),
                probabilities=none,
            )
            for i, row in enumerate(rows)
        ]

    @torch.no_grad()
    def propose(self, nodes: Sequence[Node], draws: Sequence[Draw]) -> ActionChunk:
        """What the policy would do next at each node, which all share a temperature."""
        noise = [
            _noise(node, "policy", draw.seed, draw.policy_noise)
            for node, draw in zip(nodes, draws, strict=True)
        ]
        images = torch.stack([node.last for node in nodes])
        instructions = [draw.instruction for draw in draws]
        proposed = self.policy.act(images, instructions, noise, draws[0].temperature)
        return ActionChunk(
            tokens=proposed.tokens.cpu(),
            actions=proposed.actions.cpu(),
            log_probs=proposed.log_probs.cpu(),
            entropy=proposed.entropy.cpu(),
        )

    @torch.no_grad()
    def grow(self, nodes: Sequence[Node], draws: Sequence[Draw]) -> list[Node]:
        """One more chunk from each node, all in one batch; a row has the bits it has alone.

        Args:
            nodes: of one depth.
            draws: one a node, all of one temperature and number of denoising steps.

        Raises:
            ValueError: overrides of another shape than a chunk's actions.
        """
        assert len({node.depth for node in nodes}) == 1
        assert len({(draw.temperature, draw.denoising_steps) for draw in draws}) == 1
        chunk = self.propose(nodes, draws)
        actions, overridden = execute(draws, chunk.actions)
        noise = [
            _noise(node, "world model", draw.seed, draw.world_noise)
            for node, draw in zip(nodes, draws, strict=True)
        ]
        context = torch.stack([node.context for node in nodes])
        memory = torch.stack([node.memory for node in nodes])
        future = self.world_model.predict(context, actions, noise, draws[0].denoising_steps, memory)
        videos, last = self._decode(future)
        future = future.cpu()
        context = next_context(context, future, anchored=self.world_model.anchored)
        memory = self.world_model.remember(memory, actions).cpu()
        ends, probabilities = self._judge(nodes, videos, future, actions)
        return [
            Node(
                parent=node,
                draw=draw,
                row=node.row,
                depth=node.depth + 1,
                context=context[i],
                memory=memory[i],
                latents=future[i],
                video=videos[i],
                last=last[i],
                chunk=_row(chunk, i),
                actions=actions[i],
                overridden=overridden[i],
                ends=ends,
                probabilities=probabilities[i],
            )
            for i, (node, draw) in enumerate(zip(nodes, draws, strict=True))
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

    def is_at_horizon(self, node: Node) -> bool:
        """Whether a path has as many actions as it may have."""
        return node.depth * self.world_model.chunk_size >= self.horizon

    def is_final(self, node: Node) -> bool:
        """Whether a path ends here: at the horizon, or with the chunk of its success."""
        return self.is_at_horizon(node) or self.windows(node)[2].success

    def rollout(self, node: Node) -> Rollout:
        """The path to a node as an imagined episode; one cut short fails at its last frame."""
        path = node.path
        chunks = [(part.chunk, part.actions, part.overridden) for part in path[1:]]
        ends, probabilities, found = self.windows(node)
        start_id, member = node.row
        return Rollout(
            start_id=start_id,
            member=member,
            video=LateFrames([part.video for part in path]),
            policy_frames=torch.stack([part.last for part in path[:-1]]),
            tokens=torch.cat([chunk.tokens for chunk, _, _ in chunks if chunk]),
            normalized_actions=torch.cat([a for _, a, _ in chunks if a is not None]),
            overridden=torch.cat([o for _, _, o in chunks if o is not None]),
            log_probs=torch.cat([chunk.log_probs for chunk, _, _ in chunks if chunk]),
            entropy=torch.cat([chunk.entropy for chunk, _, _ in chunks if chunk]),
            latents=torch.cat([part.latents for part in path]),
            window_ends=ends,
            window_probabilities=probabilities,
            outcome=found if found.success else Outcome(False, sum(map(_length, path)) - 1),
        )

    def _decode(self, future: Tensor) -> tuple[list[LateFrames], Tensor]:
        """(frames of each row's chunk, its last frame).

        A judge of pixels looks at all of them, and so does who dreams one row at a time; else what
        nobody has asked for yet is left in latents.
        """
        model = self.world_model
        if len(future) == 1 or not isinstance(self.reward_model, LatentRewardModel):
            frames = decode_frames(model, future).cpu()
            return [LateFrames([row]) for row in frames], frames[:, -1]
        last = decode_frames(model, future[:, -1:]).cpu()[:, 0]
        decode = partial(decode_video, model)
        rows = zip(future.cpu()[:, :-1], last, strict=True)
        return [LateFrames([Undecoded(*row)], decode) for row in rows], last

    def _judge(
        self, nodes: Sequence[Node], videos: Sequence[LateFrames], future: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(ends [w], probabilities [b, w]) of the windows that end in new latents [b, k, …]."""
        before = 1 + nodes[0].depth * future.shape[1]
        now = before + future.shape[1]

        def frames_from(first: int) -> Tensor:
            rows = zip(nodes, videos, strict=True)
            return torch.stack([_latest(node, new(), now - first) for node, new in rows])

        def dream() -> tuple[Tensor, Tensor]:
            latents, acted = [], []
            for node, later, done in zip(nodes, future, actions, strict=True):
                path = node.path
                latents.append(torch.cat([*(part.latents for part in path), later]))
                before_it = [part.actions for part in path if part.actions is not None]
                acted.append(torch.cat([*before_it, done]))
            return torch.stack(latents), torch.stack(acted)

        judged = before if nodes[0].depth else 0
        sight = Sight(len(nodes), frames_from, dream)
        return judge_later_windows(self.reward_model, self.rules, now, judged, sight)


def next_context(
    context: Float[Tensor, "b t z y x"], future: Float[Tensor, "b k z y x"], *, anchored: bool
) -> Float[Tensor, "b t z y x"]:
    """The context of the next chunk: the newest latents, behind the start's where anchored.

    # paper: WMPO slides; the anchor is WoVR's remedy against drift.
    """
    newest = torch.cat([context, future], dim=1)[:, -context.shape[1] :]
    return torch.cat([context[:, :1], newest[:, 1:]], dim=1) if anchored else newest


def decode_frames(
    world_model: WorldModel, latents: Float[Tensor, "b t z y x"]
) -> UInt8[Tensor, "b t h w 3"]:
    """Latents of several videos as pixels."""
    decoded = world_model.decode(rearrange(latents, "b t z y x -> (b t) z y x"))
    return rearrange(to_pixels(decoded), "(b t) h w c -> b t h w c", t=latents.shape[1])


def decode_video(
    world_model: WorldModel, latents: Float[Tensor, "f z y x"]
) -> UInt8[Tensor, "f h w 3"]:
    """Latents of one video as pixels on the CPU."""
    return decode_frames(world_model, latents[None])[0].cpu()


def _length(node: Node) -> int:
    return len(node.latents)


def _noise(node: Node, purpose: str, seed: int, variation: int) -> torch.Generator:
    """The generator of a node's next chunk; variation 0 is that of an unbranched dream."""
    return generator(seed, purpose, node.depth, *node.row, *([variation] if variation else []))


def _row(chunk: ActionChunk, index: int) -> ActionChunk:
    """One row of a batch of chunks, still a batch."""
    row = slice(index, index + 1)
    return ActionChunk(
        tokens=chunk.tokens[row],
        actions=chunk.actions[row],
        log_probs=chunk.log_probs[row],
        entropy=chunk.entropy[row],
    )


def _latest(node: Node, new: Tensor, count: int) -> Tensor:
    """The last frames of a path and of the chunk that follows it."""
    parts = [new]
    for earlier in reversed(node.path):
        if sum(map(len, parts)) >= count:
            break
        parts.insert(0, earlier.frames)
    return torch.cat(parts)[-count:]
