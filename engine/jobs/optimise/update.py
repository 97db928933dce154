"""The update of an iteration: clipped steps over the chunks of episodes, and what they changed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from engine.checkpoints.checkpoint import Stateful
from engine.jobs.optimise.groups import Attempt
from engine.learning import grpo
from engine.ranks import norm_clipped, sum_gradients
from engine.records.types import Floats
from engine.seeding import numpy_generator


@dataclass(frozen=True)
class ChunkRows:
    """Chunks of a mini-batch of trajectories, one row each.

    Attributes:
        images: uint8 [rows, h, w, 3]: the frame the policy saw.
        tokens, old_log_probs, advantages, weights: [rows, l]; a weight is 0 beyond the end step.
    """

    images: Tensor
    tokens: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    weights: Tensor


def chunk_rows(attempts: Sequence[Attempt], advantages: Tensor, action_dim: int) -> ChunkRows:
    """Lay the chunks of trajectories out as rows, with each token's share in the loss."""
    weights, spread = [], []
    for attempt, advantage in zip(attempts, advantages, strict=True):
        chunks, length = attempt.tokens.shape
        end = torch.tensor([attempt.outcome.end_step])
        mask = grpo.token_mask(end, num_tokens=chunks * length, action_dim=action_dim)
        share = grpo.token_weights(mask) / len(attempts)
        weights.append(rearrange(share, "1 (n l) -> n l", n=chunks))
        spread.append(torch.full((chunks, length), float(advantage)))
    return ChunkRows(
        images=torch.cat([attempt.policy_frames for attempt in attempts]),
        tokens=torch.cat([attempt.tokens for attempt in attempts]),
        old_log_probs=torch.cat([attempt.log_probs for attempt in attempts]),
        advantages=torch.cat(spread),
        weights=torch.cat(weights).float(),
    )


@dataclass(frozen=True)
class Credit:
    """What an update did to an episode.

    Attributes:
        log_ratio: float32 [chunks]: log-probability of the chunk under the updated policy minus
            that under the policy which acted, summed over the tokens that count.
        clipped: float32 [chunks]: share of those tokens that the next step would find clipped.
    """

    log_ratio: Floats
    clipped: Floats


@runtime_checkable
class Learner(Stateful, Protocol):
    """A policy whose weights can be changed."""

    @property
    def action_dim(self) -> int: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def log_probs(
        self,
        images: UInt8[Tensor, "b h w 3"],
        instructions: Sequence[str],
        tokens: Int64[Tensor, "b l"],
        temperature: float,
    ) -> tuple[Float[Tensor, "b l"], Float[Tensor, "b l"]]: ...


@dataclass(frozen=True, kw_only=True)
class PolicyUpdate:
    """Clipped updates of a policy (method.md §4.2).

    Attributes:
        learning_rate: reached after `warmup_updates` updates, counted as if every iteration made
            all of its own.
        kl_limit: an iteration makes no further update once a mini-batch is found this far from
            the policy that acted (KL a token); 0 for no limit.
    """

    policy: Learner
    instruction: str
    temperature: float
    clip_low: float
    clip_high: float
    gradient_clip: float
    learning_rate: float
    warmup_updates: int
    kl_limit: float
    mini_batches: int
    slice_rows: int
    seed: int
    give_way: Callable[[], None]

    def apply(
        self,
        optimizer: torch.optim.Optimizer,
        attempts: Sequence[Attempt],
        advantages: Float[Tensor, " b"],
        iteration: int,
    ) -> dict[str, float]:
        """At most `mini_batches` steps over the kept trajectories; the means of their metrics.

        `grpo/updates` are the steps made; `grpo/kl_stop` is 1 where the limit ended them, and the
        mini-batch that showed it counts in the other means.
        """
        order = numpy_generator(self.seed, "mini-batches", iteration).permutation(len(attempts))
        parameters = [p for p in self.policy.parameters() if p.requires_grad]
        totals: list[dict[str, float]] = []
        norms: list[float] = []
        parts = np.array_split(order, min(self.mini_batches, len(order)))
        for step, part in enumerate(parts):
            batch = [attempts[index] for index in part]
            rows = chunk_rows(batch, advantages[torch.from_numpy(part)], self.policy.action_dim)
            optimizer.zero_grad(set_to_none=True)
            metrics = grpo.accumulate_gradient(
                lambda index, rows=rows: self.log_probs(rows, index),  # type: ignore[misc]
                rows.old_log_probs,
                rows.advantages,
                rows.weights,
                clip_low=self.clip_low,
                clip_high=self.clip_high,
                slice_rows=self.slice_rows,
            )
            totals.append(metrics)
            if self.kl_limit and metrics["grpo/kl"] > self.kl_limit:
                optimizer.zero_grad(set_to_none=True)
                break
            sum_gradients(parameters)
            norms.append(norm_clipped(parameters, self.gradient_clip).item())
            for group in optimizer.param_groups:
                group["lr"] = self.rate_of(iteration * self.mini_batches + step)
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)  # their room is the next dreams'
        means = {name: float(np.mean([t[name] for t in totals])) for name in totals[0]}
        return means | {
            "grpo/gradient_norm": float(np.mean(norms)),
            "grpo/updates": float(len(norms)),
            "grpo/kl_stop": float(len(norms) < len(parts)),
        }

    def rate_of(self, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        return self.learning_rate * min(1.0, (update + 1) / max(1, self.warmup_updates))

    @torch.no_grad()
    def credit(self, attempts: Sequence[Attempt], advantages: Float[Tensor, " b"]) -> list[Credit]:
        """What the update did to each of some episodes, kept or not; a forward pass over them.

        Args:
            advantages: 0 for an episode that the update did not see.
        """
        rows = chunk_rows(attempts, advantages, self.policy.action_dim)
        counts = rows.weights > 0
        log_ratio, clipped = (torch.zeros_like(rows.weights) for _ in range(2))
        for index in torch.nonzero(counts.any(dim=1))[:, 0].split(self.slice_rows):
            log_probs, _ = self.log_probs(rows, index)
            old = rows.old_log_probs[index].to(log_probs.device)
            advantage = rows.advantages[index].to(log_probs.device)
            log_ratio[index] = (log_probs - old).cpu()
            clipped[index] = grpo.clip_indicator(
                log_probs, old, advantage, clip_low=self.clip_low, clip_high=self.clip_high
            ).cpu()
        sums = (log_ratio * counts).sum(dim=1)
        shares = (clipped * counts).sum(dim=1) / counts.sum(dim=1).clamp(min=1)
        lengths = [len(attempt.tokens) for attempt in attempts]
        return [
            Credit(ratio.numpy(), share.numpy())
            for ratio, share in zip(sums.split(lengths), shares.split(lengths), strict=True)
        ]

    def log_probs(
        self, rows: ChunkRows, index: Int64[Tensor, " m"]
    ) -> tuple[Float[Tensor, "m l"], Float[Tensor, "m l"]]:
        """Log-probabilities and entropies of the tokens of some rows, as the policy is now."""
        self.give_way()
        return self.policy.log_probs(
            rows.images[index],
            [self.instruction] * len(index),
            rows.tokens[index],
            self.temperature,
        )
