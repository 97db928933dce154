"""GRPO on action tokens, as pure functions (method.md §4.2; paper, Algorithm 1).

Left out, because the released recipe sets them to zero: KL to a reference policy and the entropy
bonus. A trajectory's tokens are l = num_actions * a numbers, step major.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from einops import repeat
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from engine.ranks import deal, summed
from engine.records.states import Fate

SUCCESS_REWARD = 5.0  # verifier.reward_coef; its scale cancels in the advantage


def success_returns(success: Bool[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Return of each trajectory: 5 for a success, 0 for a failure (method.md §4.2)."""
    return SUCCESS_REWARD * success.float()


def group_advantages(
    returns: Float[Tensor, " b"], groups: Sequence[Hashable], eps: float = 1e-6
) -> Float[Tensor, " b"]:
    """Standardise returns within each group of rows that share a key (a start).

    A group of one keeps its return (mean 0, standard deviation 1), as in the released code.

    Raises:
        ValueError: as many keys as returns are needed.
    """
    advantages = torch.empty_like(returns)
    for rows in group_rows(groups, len(returns)).values():
        members = returns[rows]
        if len(rows) == 1:
            advantages[rows] = members / (1.0 + eps)
        else:
            # paper: Algorithm 1 divides by G; the released code by G - 1.
            advantages[rows] = (members - members.mean()) / (members.std(correction=1) + eps)
    return advantages


def group_rows(groups: Sequence[Hashable], num_rows: int) -> dict[Hashable, list[int]]:
    """Row indices of each group, in order of first appearance.

    Raises:
        ValueError: as many keys as rows are needed.
    """
    if len(groups) != num_rows:
        raise ValueError(f"{num_rows} rows need {num_rows} group keys, not {len(groups)}")
    rows: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    return rows


def group_fates(
    success: Bool[Tensor, " b"], groups: Sequence[Hashable], *, low: float = 0.1, high: float = 0.9
) -> dict[Hashable, Fate]:
    """Why each group is kept or dropped."""
    fates: dict[Hashable, Fate] = {}
    for group, rows in group_rows(groups, len(success)).items():
        rate = success[rows].float().mean().item()
        if rate < low:
            fates[group] = Fate.TOO_FEW
        elif rate > high:
            fates[group] = Fate.TOO_MANY
        else:
            fates[group] = Fate.KEPT
    return fates


@dataclass(frozen=True)
class Regrouped:
    """What GRPO makes of one group: rewards and advantages by member, and its fate."""

    rewards: list[float]
    advantages: list[float]
    fate: Fate


def regrouped(success: Sequence[bool], *, low: float, high: float) -> Regrouped:
    """One group under these verdicts, by the rules of an iteration."""
    verdicts, keys = torch.tensor(success, dtype=torch.bool), [0] * len(success)
    returns = success_returns(verdicts)
    fate = group_fates(verdicts, keys, low=low, high=high)[0]
    return Regrouped(returns.tolist(), group_advantages(returns, keys).tolist(), fate)


def informative(
    success: Bool[Tensor, " b"], groups: Sequence[Hashable], *, low: float = 0.1, high: float = 0.9
) -> Bool[Tensor, " b"]:
    """Rows worth a gradient: their group is neither (almost) all failures nor all successes."""
    fates = group_fates(success, groups, low=low, high=high)
    return torch.tensor([fates[group] is Fate.KEPT for group in groups], dtype=torch.bool)


def token_mask(
    end_steps: Int64[Tensor, " b"], *, num_tokens: int, action_dim: int
) -> Bool[Tensor, "b l"]:
    """Tokens that count: those of the first `end_step` actions of a trajectory."""
    index = torch.arange(num_tokens, device=end_steps.device)
    return index < action_dim * end_steps[:, None]


def spread(advantages: Float[Tensor, " b"], mask: Bool[Tensor, "b l"]) -> Float[Tensor, "b l"]:
    """The trajectory's advantage on each of its valid tokens, 0 elsewhere."""
    return repeat(advantages, "b -> b l", l=mask.shape[1]) * mask


def token_losses(
    log_probs: Float[Tensor, "b l"],
    old_log_probs: Float[Tensor, "b l"],
    advantages: Float[Tensor, "b l"],
    *,
    clip_low: float,
    clip_high: float,
) -> Float[Tensor, "b l"]:
    """Clipped surrogate loss of each token; the ratio is per token.

    The ratio counts as at least 1 - clip_low where it would make the loss smaller, and as at most
    1 + clip_high (paper: Eqs. 3-5 suggest one ratio a chunk; the released code has one a token).
    """
    ratio = torch.exp(log_probs - old_log_probs)
    clipped = ratio.clamp(1.0 - clip_low, 1.0 + clip_high)
    return torch.maximum(-advantages * ratio, -advantages * clipped)


def token_weights(mask: Bool[Tensor, "b l"]) -> Float[Tensor, "b l"]:
    """Each token's share in the loss: mean over a trajectory's valid tokens, then over the b.

    The loss is the weighted sum of the token losses, so a trajectory may be cut into slices of any
    size: their weighted sums add up to the whole (the released code's slice weights).
    """
    counts = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return mask / counts / len(mask)


def masked_mean(values: Float[Tensor, "b l"], mask: Bool[Tensor, "b l"]) -> Float[Tensor, ""]:
    """Mean over the valid tokens of all rows together; 0 where there is none."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def clip_indicator(
    log_probs: Float[Tensor, "b l"],
    old_log_probs: Float[Tensor, "b l"],
    advantages: Float[Tensor, "b l"],
    *,
    clip_low: float,
    clip_high: float,
) -> Float[Tensor, "b l"]:
    """1 where clipping changed the token's loss, so that it has no gradient; 0 elsewhere."""
    ratio = torch.exp(log_probs - old_log_probs)
    clipped = ratio.clamp(1.0 - clip_low, 1.0 + clip_high)
    return (-advantages * clipped > -advantages * ratio).float()


def clip_fraction(
    log_probs: Float[Tensor, "b l"],
    old_log_probs: Float[Tensor, "b l"],
    advantages: Float[Tensor, "b l"],
    mask: Bool[Tensor, "b l"],
    *,
    clip_low: float,
    clip_high: float,
) -> Float[Tensor, ""]:
    """Share of the valid tokens whose loss was clipped."""
    clipped = clip_indicator(
        log_probs, old_log_probs, advantages, clip_low=clip_low, clip_high=clip_high
    )
    return masked_mean(clipped, mask)


def approx_kl(
    log_probs: Float[Tensor, "b l"],
    old_log_probs: Float[Tensor, "b l"],
    mask: Bool[Tensor, "b l"],
) -> Float[Tensor, ""]:
    """First-order estimate of KL(old || new): mean of old - new log-probability."""
    return masked_mean(old_log_probs - log_probs, mask)


def token_kl(
    log_probs: Float[Tensor, "b l"], old_log_probs: Float[Tensor, "b l"]
) -> Float[Tensor, "b l"]:
    """KL(old || new) of each token, estimated from the token that old drew; never negative.

    r - 1 - log r with r = new / old: its mean is the divergence, as is that of -log r, but it
    varies far less where the two are close.
    """
    log_ratio = log_probs - old_log_probs
    return torch.exp(log_ratio) - 1.0 - log_ratio


def accumulate_gradient(
    log_probs_of: Callable[[Int64[Tensor, " m"]], tuple[Tensor, Tensor]],
    old_log_probs: Float[Tensor, "b l"],
    advantages: Float[Tensor, "b l"],
    weights: Float[Tensor, "b l"],
    *,
    clip_low: float,
    clip_high: float,
    slice_rows: int,
) -> dict[str, float]:
    """Add the gradient of the weighted loss to the parameters behind `log_probs_of`.

    Processes that learn together take a share of the rows each (`engine.ranks`).

    A row is one chunk of one trajectory; rows go through the policy `slice_rows` at a time so that
    memory does not grow with the batch. Rows whose tokens all weigh 0 are skipped: they cannot
    change the gradient.

    Args:
        log_probs_of: row indices [m] -> (log-probabilities [m, l], entropies [m, l]).
        weights: `token_weights`, folded into rows.

    Returns:
        `grpo/loss`, `grpo/clip_fraction`, `grpo/approx_kl`, `grpo/kl` (`token_kl`) and
        `grpo/entropy`, weighted alike.
    """
    rows, counts = deal(torch.nonzero(weights.sum(dim=1) > 0)[:, 0])
    totals = torch.zeros(5, dtype=torch.float64)
    for index, count in zip(rows.split(slice_rows), counts.split(slice_rows), strict=True):
        log_probs, entropy = log_probs_of(index)
        old, advantage, weight = (
            values.to(log_probs.device)
            for values in (old_log_probs[index], advantages[index], weights[index] * count[:, None])
        )
        losses = token_losses(log_probs, old, advantage, clip_low=clip_low, clip_high=clip_high)
        loss = (losses * weight).sum()
        loss.backward()
        with torch.no_grad():
            clipped = clip_indicator(
                log_probs, old, advantage, clip_low=clip_low, clip_high=clip_high
            )
            measures = (losses, clipped, old - log_probs, token_kl(log_probs, old), entropy)
            totals += torch.stack([(m * weight).sum().double() for m in measures]).cpu()
    totals, share = summed(totals), weights.sum().clamp(min=1e-12).item()
    names = ("grpo/loss", "grpo/clip_fraction", "grpo/approx_kl", "grpo/kl", "grpo/entropy")
    values = [totals[0].item(), *(totals[1:] / share).tolist()]
    return dict(zip(names, values, strict=True))
