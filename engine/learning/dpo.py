"""Direct preference optimisation on whole trajectories, as pure functions (Rafailov et al. 2023).

A trajectory's log-probability is the sum over its valid action tokens; the prompt's and the
world's share cancel, because both trajectories of a pair begin at the same start.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor


def trajectory_log_probs(
    log_probs: Float[Tensor, "rows l"],
    mask: Bool[Tensor, "rows l"],
    trajectories: Int64[Tensor, " rows"],
    num_trajectories: int,
) -> Float[Tensor, " b"]:
    """Sum of the valid tokens' log-probabilities of each trajectory.

    Args:
        log_probs: one row a chunk.
        mask: tokens that count (`engine.learning.grpo.token_mask`, folded into rows).
        trajectories: which trajectory each row belongs to, in [0, num_trajectories).
    """
    rows = (log_probs * mask).sum(dim=1)
    return rows.new_zeros(num_trajectories).index_add(0, trajectories, rows)


def preference_margins(
    chosen: Float[Tensor, " b"],
    rejected: Float[Tensor, " b"],
    reference_chosen: Float[Tensor, " b"],
    reference_rejected: Float[Tensor, " b"],
    *,
    beta: float,
) -> Float[Tensor, " b"]:
    """Implicit reward of the success minus that of the failure: beta times the change of their
    log-ratio against the frozen reference (eq. 6 of the paper, within a pair)."""
    return beta * ((chosen - reference_chosen) - (rejected - reference_rejected))


def preference_losses(margins: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """-log sigmoid(margin) of each pair (eq. 7): the chance of the observed preference, in nats."""
    return -F.logsigmoid(margins)


def preference_accuracy(margins: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """Share of the pairs whose success is preferred; a margin of exactly 0 counts half."""
    return ((margins > 0).float() + 0.5 * (margins == 0).float()).mean()


def mixed_pairs(
    start_ids: Int64[Tensor, " b"], success: Bool[Tensor, " b"]
) -> tuple[Int64[Tensor, "pairs 2"], dict[str, int]]:
    """Every (success, failure) of the same start, and how many starts had such a pair.

    Pairs across starts are not made: they would compare starts, not behaviour.

    Returns:
        (indices of the success and of the failure, {`mixed_starts`, `skipped_starts`}).
    """
    pairs, mixed = [], 0
    starts = start_ids.unique()
    for start in starts:
        here = start_ids == start
        good = torch.nonzero(here & success)[:, 0].tolist()
        bad = torch.nonzero(here & ~success)[:, 0].tolist()
        pairs += [(i, j) for i in good for j in bad]
        mixed += bool(good and bad)
    index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    return index, {"mixed_starts": mixed, "skipped_starts": len(starts) - mixed}
