"""DPO: prefer the successes of the real rollouts to the failures of the same start.

The baseline of the paper's table 1: pairs from the P rollouts, the starting policy as the frozen
reference. Starts without both outcomes are left out and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from engine.config import Config, knob
from engine.data.episode_set import load_episodes
from engine.learning import dpo, grpo
from engine.learning.card import card
from engine.learning.training import FitConfig, fit
from engine.loading.models import load_policy
from engine.policy.files import write_policy
from engine.policy.model import OpenVLAPolicy
from engine.protocols import Run
from engine.records.types import Trajectory
from engine.runs.job import CHOSEN_BY_STUDIO, OF_FITS, ROLLOUTS, Finding, Job, Lessons, Method
from engine.runs.tracker import logger_knob
from engine.seeding import numpy_generator


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What is preferred, and how strongly. `choose` picks the best of several betas."""

    episodes_from: tuple[str, ...] = knob((), "Run directories of the policy's own rollouts")
    policy: str = knob("", "Policy checkpoint to improve; also the frozen reference")
    beta: float = knob(0.1, "Strength of the pull towards the reference", low=0.0)
    temperature: float = knob(1.0, "Of the log-probabilities: that of the rollouts", low=0.01)
    held_out_share: float = knob(
        0.2, "Share of the mixed starts kept aside for the accuracy", low=0.0, high=0.9
    )
    batch_size: int = knob(4, "Pairs in a step", low=1)
    seed: int = knob(0, "Root of randomness", low=0)
    logger: str = logger_knob()
    fit: FitConfig = knob(
        help="Optimisation",
        factory=lambda: FitConfig(
            steps=100, learning_rate=5e-5, warmup_steps=10, weight_decay=0.01, average_decay=0.0
        ),
    )


def check_lessons(config: JobConfig, lessons: Lessons) -> Finding:
    """Whether there is a pair to learn from."""
    told = f"{lessons}, {lessons.mixed_starts} starts with both outcomes"
    if lessons.mixed_starts:
        return Finding("episodes", True, told)
    return Finding("episodes", False, f"{told}: DPO has no pair to learn from")


JOB = Job(
    methods=(
        Method(
            name="DPO",
            about="prefer the successes to the failures of the same start",
            sizes={
                "quick look": {"fit": {"steps": 20, "log_every": 2}},
                "demo": {"fit": {"steps": 100, "log_every": 5}},
                "long": {"fit": {"steps": 1000}},
            },
            needs=ROLLOUTS,
        ),
    ),
    place=2,
    shown=("policy", "episodes_from", "beta"),
    hidden=(*CHOSEN_BY_STUDIO, *OF_FITS),
    needs=lambda config: ("policy",),
    learns=True,
    check_lessons=check_lessons,
)


@dataclass(frozen=True)
class Rollouts:
    """Chunks of many rollouts, one row each, and the pairs that they make.

    Attributes:
        images: uint8 [rows, h, w, 3]: the frame the policy saw.
        tokens: int64 [rows, l]; mask: bool [rows, l], True up to the end step.
        rows_of: row indices of each rollout.
        reference: log-probability of each rollout under the frozen reference, [b].
        training, held_out: int64 [pairs, 2]: indices of (success, failure).
    """

    images: Tensor
    tokens: Tensor
    mask: Tensor
    rows_of: tuple[Tensor, ...]
    reference: Tensor
    training: Tensor
    held_out: Tensor


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Fit the policy to the pairs by -log sigmoid of the margin over the reference."""
    if not config.policy:
        raise ValueError("prefer needs policy=CHECKPOINT_DIRECTORY")
    policy = load_policy(Path(config.policy), run.placement, trained=True)
    episodes = load_episodes(config.episodes_from)
    instruction = episodes[0].instruction
    rollouts, counts = gather(policy, episodes, config)
    metrics: dict[str, Any] = {}

    def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        random = numpy_generator(config.seed, "preference batch", step)
        chosen = random.integers(0, len(rollouts.training), config.batch_size)
        pairs = rollouts.training[torch.from_numpy(chosen)]
        found = margins(policy, rollouts, pairs, instruction, config)
        accuracy = dpo.preference_accuracy(found.detach())
        return dpo.preference_losses(found).mean(), {
            "accuracy": accuracy,
            "margin": found.detach().mean(),
        }

    def save(directory: Path) -> None:
        metrics.update(counts | validation(policy, rollouts, instruction, config))
        document = card(config, metrics, episodes=episodes, parents={"policy": config.policy})
        write_policy(directory, policy, document)

    if not fit(policy, batch_loss, run, config.fit, prefix="prefer", save=save):
        return None
    return counts | validation(policy, rollouts, instruction, config)


def margins(
    policy: OpenVLAPolicy, rollouts: Rollouts, pairs: Tensor, instruction: str, config: JobConfig
) -> Tensor:
    """Margin of each pair [pairs], differentiable; each rollout goes through the policy once."""
    needed, place = pairs.unique(return_inverse=True)
    now = _trajectory_log_probs(policy, rollouts, needed, instruction, config.temperature)
    reference = rollouts.reference[needed].to(now.device)
    return dpo.preference_margins(
        now[place[:, 0]],
        now[place[:, 1]],
        reference[place[:, 0]],
        reference[place[:, 1]],
        beta=config.beta,
    )


def gather(
    policy: OpenVLAPolicy, episodes: Sequence[Trajectory], config: JobConfig
) -> tuple[Rollouts, dict[str, Any]]:
    """(rollouts laid out with the reference's log-probabilities and the pairs, counts of them).

    Raises:
        ValueError: a rollout without tokens, or no start with both outcomes.
    """
    bare = [episode.id for episode in episodes if "tokens" not in episode.arrays]
    if bare:
        raise ValueError(f"episode {bare[0]} has no tokens: only a policy's rollouts can be used")
    images, tokens, masks, rows_of = [], [], [], []
    first = 0
    for episode in episodes:
        chunk = torch.from_numpy(episode.arrays["tokens"])
        mask = grpo.token_mask(
            torch.tensor([episode.outcome.end_step]),
            num_tokens=chunk.numel(),
            action_dim=policy.action_dim,
        )
        mask = rearrange(mask, "1 (n l) -> n l", n=len(chunk))
        counted = mask.any(dim=1)  # chunks after the success say nothing about it
        looked_at = range(0, len(episode.actions), policy.chunk_size)
        images.append(torch.from_numpy(episode.frames[list(looked_at)])[counted])
        tokens.append(chunk[counted])
        masks.append(mask[counted])
        rows_of.append(torch.arange(first, first + int(counted.sum())))
        first += int(counted.sum())
    starts = torch.tensor([episode.start_id for episode in episodes])
    success = torch.tensor([episode.outcome.success for episode in episodes])
    pairs, counts = dpo.mixed_pairs(starts, success)
    if not len(pairs):
        raise ValueError(
            f"no start has both a success and a failure among {len(episodes)} episodes: collect "
            "with more episodes_per_start"
        )
    training, held_out = split(pairs, starts, config)
    rollouts = Rollouts(
        torch.cat(images),
        torch.cat(tokens),
        torch.cat(masks),
        tuple(rows_of),
        torch.zeros(len(episodes)),
        training,
        held_out,
    )
    with torch.no_grad():
        for index in torch.arange(len(episodes)).split(config.batch_size):
            rollouts.reference[index] = _trajectory_log_probs(
                policy, rollouts, index, episodes[0].instruction, config.temperature
            ).cpu()
    counted_pairs = {"pairs": len(training), "held_out_pairs": len(held_out)}
    return rollouts, {f"prefer/{name}": n for name, n in (counts | counted_pairs).items()}


def split(pairs: Tensor, starts: Tensor, config: JobConfig) -> tuple[Tensor, Tensor]:
    """(pairs to learn from, pairs of the starts kept aside); never all starts aside."""
    mixed = starts[pairs[:, 0]].unique()
    order = numpy_generator(config.seed, "held out").permutation(len(mixed))
    aside = min(round(config.held_out_share * len(mixed)), len(mixed) - 1)
    is_aside = torch.isin(starts[pairs[:, 0]], mixed[torch.from_numpy(order[:aside])])
    return pairs[~is_aside], pairs[is_aside]


@torch.no_grad()
def validation(
    policy: OpenVLAPolicy, rollouts: Rollouts, instruction: str, config: JobConfig
) -> dict[str, float]:
    """Accuracy, loss and margin on the pairs kept aside; nothing where there are none."""
    if not len(rollouts.held_out):
        return {}
    found = torch.cat(
        [
            margins(policy, rollouts, pairs, instruction, config)
            for pairs in rollouts.held_out.split(config.batch_size)
        ]
    )
    return {
        "prefer/held_out_accuracy": dpo.preference_accuracy(found).item(),
        "prefer/held_out_loss": dpo.preference_losses(found).mean().item(),
        "prefer/held_out_margin": found.mean().item(),
    }


def _trajectory_log_probs(
    policy: OpenVLAPolicy, rollouts: Rollouts, index: Tensor, instruction: str, temperature: float
) -> Tensor:
    """Log-probability of each of some rollouts under the policy, [b]."""
    rows = torch.cat([rollouts.rows_of[i] for i in index.tolist()])
    owner = torch.cat(
        [torch.full((len(rollouts.rows_of[i]),), n) for n, i in enumerate(index.tolist())]
    )
    log_probs, _ = policy.log_probs(
        rollouts.images[rows], [instruction] * len(rows), rollouts.tokens[rows], temperature
    )
    mask, owner = (part.to(log_probs.device) for part in (rollouts.mask[rows], owner))
    return dpo.trajectory_log_probs(log_probs, mask, owner, len(index))
