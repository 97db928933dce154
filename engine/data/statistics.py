"""Action statistics of a set of episodes: what a policy checkpoint normalises with."""

from collections.abc import Iterable, Sequence

import numpy as np

from engine.records.types import Floats, Normalization

SMALLEST_RANGE = 1e-3


def action_statistics(
    actions: Iterable[Floats], *, passthrough: Sequence[int] = ()
) -> Normalization:
    """1 % and 99 % quantiles of each action dimension over all episodes (method.md §2.2).

    A dimension that hardly moves (range below 1e-3, an unused gripper) also passes unchanged:
    dividing by its range would blow noise up.

    Args:
        actions: raw actions [t, a] of each episode.
        passthrough: dimensions that are not normalised because they are in [-1, 1] already.

    Raises:
        ValueError: no actions, or a dimension that passes unchanged and leaves [-1, 1].
    """
    episodes = [episode for episode in actions if len(episode)]
    if not episodes:
        raise ValueError("action statistics need at least one action")
    every = np.concatenate(episodes).astype(np.float64)
    q01, q99 = np.quantile(every, [0.01, 0.99], axis=0)
    moves = q99 - q01 >= SMALLEST_RANGE
    mask = [bool(moves[dim]) and dim not in passthrough for dim in range(every.shape[1])]
    for dim in np.flatnonzero(~np.asarray(mask)):
        if np.abs(every[:, dim]).max() > 1.0:
            raise ValueError(
                f"action dimension {dim} cannot pass unchanged: it reaches "
                f"{np.abs(every[:, dim]).max():.4g}, outside [-1, 1]"
            )
    return Normalization(q01=tuple(q01.tolist()), q99=tuple(q99.tolist()), mask=tuple(mask))
